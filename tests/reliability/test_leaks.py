"""Calls repeated many times leave no memory, thread or descriptor behind."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import groupstore
from conftest import SLOW

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
    "ttl": lambda store: (store.set("g", "t", "v", ttl=99), store.ttl("g", "t")),
    "keys": lambda store: (store.keys("g"), list(store.iter_groups()), store.group_exists("g")),
    "delete_many": lambda store: (store.set("g", "d", "v"), store.delete_many("g", ["d", "e"])),
    "delete_prefix": lambda store: (store.set("h", "k", "v"), store.delete_prefix("h")),
    "purge_expired": lambda store: store.purge_expired(),
    "transaction": lambda store: _transaction(store),
    "group": lambda store: (store.group("g").update(k="v"), dict(store.group("g"))),
    "scoped": lambda store: _scoped(store),
    "watched set": lambda store: _watched(store),
    "stats": lambda store: store.stats(),
}
COSTLY: dict[str, Callable[[Any], Any]] = {
    "query": lambda store: list(store.journal.iter_query("SELECT 1 AS n")),
    "flux": lambda store: store.journal.query('from(bucket: "store") |> range(start: -1h)'),
    "wrong query": lambda store: _wrong_query(store),
    "check": lambda store: store.check(),
    "workspace": lambda store: _workspace(store),
    "dump and load": lambda store: _dump(store),
    "iteration left": lambda store: next(store.items("g")),
}
"""A fiftieth of the calls of the others."""


def _refused(store: Any) -> None:
    with pytest.raises(groupstore.NotFoundError):
        store.get("g", "absent")
    with pytest.raises(TypeError):
        store.set("g", "k", 1)


def _transaction(store: Any) -> None:
    with store.transaction():
        store.set("g", "k", "one")
        with pytest.raises(groupstore.NotFoundError), store.transaction():
            store.set("g", "k", "two")
            store.get("g", "absent")


def _scoped(store: Any) -> None:
    scope = store.scoped("tenant", groupstore.Quota(max_keys=1))
    scope.set("g", "k", "v")
    with pytest.raises(groupstore.QuotaExceededError):
        scope.set("g", "l", "v")


def _watched(store: Any) -> None:
    with store.watch("g") as watcher:
        store.set("g", "k", "v")
        assert watcher.get(timeout=0).key == "k"


def _wrong_query(store: Any) -> None:
    with pytest.raises(groupstore.QueryError):
        store.journal.query("DELETE FROM entries")


def _workspace(store: Any) -> None:
    workspace = store.workspace("job")
    workspace.put("kind", {"n": 1})
    workspace.discard()


def _dump(store: Any) -> None:
    path = Path(tempfile.gettempdir()) / f"groupstore-leaks-{os.getpid()}.jsonl"
    store.dump(path)
    store.load(path)
    path.unlink()


def _resident_bytes() -> int:
    status = Path("/proc/self/statm")
    # AddressSanitizer keeps what is freed, to know whoever still uses it.
    if not status.exists() or "libasan" in os.environ.get("LD_PRELOAD", ""):
        return 0
    return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("storage", ["memory", "file"])
@pytest.mark.parametrize("method", [*METHODS, *COSTLY])
def test_calls_keep_no_memory(open_store: Any, storage: str, method: str) -> None:
    """Neither Python's blocks nor what the process has of memory grows with the calls."""
    call, calls = (METHODS[method], CALLS) if method in METHODS else (COSTLY[method], CALLS // 50)
    with open_store(storage) as store:
        store.set("g", "k", "value")
        for _ in range(min(calls, 300)):
            call(store)
        gc.collect()
        blocks, resident = sys.getallocatedblocks(), _resident_bytes()
        for _ in range(calls):
            call(store)
        gc.collect()
        # Of Python's blocks a kept one in five calls shows, in a million one in a thousand.
        assert sys.getallocatedblocks() - blocks < 200 + calls // 1000
        # A file's page cache fills, SQLite's log grows: once.
        assert _resident_bytes() - resident < 16 * 1024 * 1024


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
