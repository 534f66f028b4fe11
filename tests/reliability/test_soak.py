"""A store in use for long: answers stay right, and memory and log stay where they were."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import groupstore
from conftest import SLOW
from model import PATIENCE_S

LASTS_S = float(os.environ.get("GROUPSTORE_SOAK_S") or (3000 if SLOW else 2))
THREADS = 3
KEYS = 3000
MOST_GROWTH_BYTES = 24 * 1024 * 1024
MIB = 1024 * 1024

WRITER = """
import sys, time, groupstore
with groupstore.Store(sys.argv[1], durability="normal") as store:
    end, n = time.monotonic() + float(sys.argv[2]), 0
    while time.monotonic() < end:
        with store.transaction() as tx:
            tx.set("other", "left", str(n))
            tx.set("other", f"k{n % 500}", "v" * (n % 900), ttl=0.5 if n % 3 else None)
            tx.set("other", "right", str(n))
        n += 1
"""


def used_bytes() -> int:
    """Memory of this process that is not swapped out."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def use(store: groupstore.Store, group: str, seed: str, end: float, wrong: list[str]) -> None:
    """Do at random what a dict is asked the same, until the time is over."""
    chance, model = random.Random(seed), dict[str, str | bytes]()
    while time.monotonic() < end and not wrong:
        key = f"k{chance.randrange(KEYS)}"
        kind = chance.randrange(10)
        if kind < 6:
            if store.get(group, key, None) != model.get(key):
                wrong.append(f"get of {key} in {group}")
        elif kind < 8:
            model[key] = chance.choice((str, str.encode))("v" * chance.randrange(500))
            store.set(group, key, model[key])
        elif kind == 8:
            if store.delete(group, key) != (model.pop(key, None) is not None):
                wrong.append(f"delete of {key} in {group}")
        else:
            with store.transaction() as tx:
                tx.set(group, key, model.setdefault(key, "new"))
                if tx.get("other", "left", None) != tx.get("other", "right", None):
                    wrong.append("half a transaction of another process")
    if store.get_all(group) != model:
        wrong.append(f"at the end of {group}")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_soak(tmp_path: Path, seed: int) -> None:
    """Threads and another process use a file, for GROUPSTORE_SOAK_S seconds."""
    path, wrong = tmp_path / "app.db", list[str]()
    end = time.monotonic() + LASTS_S
    with groupstore.Store(path, durability="normal", purge_interval=0.5) as store:
        other = subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(LASTS_S)])
        threads = [
            threading.Thread(target=use, args=(store, f"g{n}", f"{seed} {n}", end, wrong))
            for n in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        time.sleep(min(LASTS_S / 2, 60))
        before = used_bytes()
        for thread in threads:
            thread.join(LASTS_S + PATIENCE_S)
        assert wrong == []
        assert other.wait(PATIENCE_S) == 0
        assert used_bytes() - before < MOST_GROWTH_BYTES
        assert store.stats().wal_size < 64 * MIB
        assert store.check() == []
        assert store.get("other", "left") == store.get("other", "right")
