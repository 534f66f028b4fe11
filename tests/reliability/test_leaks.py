"""Calls repeated many times leave no memory, thread or descriptor behind."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import groupstore

SLOW = os.environ.get("GROUPSTORE_SLOW") == "1"
CALLS = 1_000_000 if SLOW else 1_000

METHODS: dict[str, Callable[[Any], Any]] = {
    "set": lambda store: store.set("g", "k", "value"),
    "set_many": lambda store: store.set_many("g", {"k": "1", "l": b"2"}),
    "get": lambda store: store.get("g", "k", None),
    "get_many": lambda store: store.get_many("g", ["k", "absent"]),
    "exists": lambda store: store.exists("g", "k"),
    "expire": lambda store: store.expire("g", "k", 100),
    "add and delete": lambda store: (store.add("g", "new", "v"), store.delete("g", "new")),
    "compare_and_set": lambda store: store.compare_and_set("g", "k", "no", "v"),
    "increment": lambda store: store.increment("counters", "n"),
    "set and pop": lambda store: (store.set("g", "p", "v"), store.pop("g", "p")),
    "delete_group": lambda store: (store.set("h", "k", "v"), store.delete_group("h")),
    "get_all": lambda store: store.get_all("g"),
    "get_page": lambda store: store.get_page("g", 0, 10),
    "items": lambda store: list(store.items("g")),
    "count": lambda store: (store.count("g"), store.count_all(), store.groups()),
    "render": lambda store: store.render("{{ k }}", "g"),
    "watch": lambda store: store.watch("g").close(),
    "refused": lambda store: _refused(store),
}


def _refused(store: Any) -> None:
    with pytest.raises(groupstore.NotFoundError):
        store.get("g", "absent")
    with pytest.raises(TypeError):
        store.set("g", "k", 1)


@pytest.mark.parametrize("storage", ["memory", "file"])
@pytest.mark.parametrize("method", METHODS)
def test_calls_keep_no_memory(open_store: Any, storage: str, method: str) -> None:
    """A block kept by each call, or by one in ten, is seen: what stays is a handful in all."""
    call = METHODS[method]
    with open_store(storage) as store:
        store.set("g", "k", "value")
        for _ in range(300):
            call(store)
        gc.collect()
        before = sys.getallocatedblocks()
        for _ in range(CALLS):
            call(store)
        gc.collect()
        assert sys.getallocatedblocks() - before < CALLS // 10


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_stores_give_back_threads_and_descriptors(tmp_path: Path) -> None:
    """Opening, using and closing a store leaves as many threads and descriptors as before."""

    def use() -> None:
        with groupstore.Store(tmp_path / "store.db", purge_interval=30) as store:
            store.set("g", "k", "v")
            store.get("g", "k")
            store.journal.append("m")
            store.journal.query("SELECT * FROM journal_entries LIMIT 1")

    use()
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
    for _ in range(CALLS // 50):
        use()
    assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/fd")) == descriptors
