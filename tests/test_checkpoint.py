"""The background checkpoint: the log stays short, and no writer waits for a reader."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import groupstore
from conftest import Opener

LIMIT_S = 60
MIB = 1024 * 1024


def settled(condition: Callable[[], bool]) -> bool:
    """Whether `condition` comes to hold within the time that a test may take."""
    end = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.001)
    return True


def fill(store: groupstore.Store, number: int, kib: int) -> None:
    """Write about so much to the log, in many commits."""
    for step in range(kib // 32):
        store.set_many(f"g{number}", {str(key): f"{step}" * 4000 for key in range(8)})


def test_log_is_bounded(open_store: Opener) -> None:
    """Under a sustained load the log stays within its bound, and all is there."""
    store = open_store()
    for number in range(12):
        fill(store, number, 16 * 1024)
        assert settled(lambda: store.stats().wal_size < 64 * MIB)
    assert store.stats().wal_size < 64 * MIB
    assert store.count_all() == 12 * 8
    assert store.check() == []


def test_open_reader_suspends_the_bound(open_store: Opener) -> None:
    """While a reader stays open the log grows, writers go on, and then it is used anew."""
    store = open_store()
    fill(store, 0, 64)
    with store._engine.read("test") as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM entries").fetchall()
        done = threading.Thread(target=fill, args=(store, 1, 48 * 1024))
        done.start()
        done.join(LIMIT_S)
        assert not done.is_alive()
        connection.execute("ROLLBACK")
    grown = store.stats().wal_size
    assert grown > 40 * MIB
    for number in range(2, 8):
        fill(store, number, 16 * 1024)
    assert store.stats().wal_size <= max(grown + 32 * MIB, 64 * MIB)


def test_large_transaction(open_store: Opener) -> None:
    """One transaction may be larger than the bound; the file of the log shrinks later."""
    store = open_store()
    with store.transaction() as tx:
        for number in range(40):
            tx.set("g", str(number), "x" * 2 * MIB)
    assert store.stats().wal_size > 64 * MIB

    def write_and_look() -> bool:
        store.set("g", "small", str(time.monotonic()))
        return store.stats().wal_size <= 64 * MIB

    assert settled(write_and_look)


def test_child_of_a_fork(run: Callable[..., str], path: Path) -> None:
    """A child that is forked while the parent's threads write keeps its own log short."""
    out = run(
        """
        import os, sys, threading, groupstore
        store = groupstore.Store(sys.argv[1], durability="full", purge_interval=None)
        going = True
        def write(number):
            step = 0
            while going:
                step += 1
                store.set("g", str(number), f"{step}" * 3000)
        threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
        for thread in threads: thread.start()
        while store.stats().wal_size < 4 << 20: pass
        child = os.fork()
        if child == 0:
            for step in range(200):
                store.set_many("child", {str(key): f"{step}" * 20_000 for key in range(8)})
            print(store.stats().wal_size < 64 << 20, flush=True)
            store.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        going = False
        for thread in threads: thread.join()
        store.close()
        """,
        path,
    )
    assert out.strip() == "True"


def test_end_of_the_process(run: Callable[..., str], path: Path) -> None:
    """A process whose store is left open ends, whatever its threads are doing."""
    run(
        """
        import sys, warnings, groupstore
        warnings.simplefilter("ignore", ResourceWarning)
        store = groupstore.Store(sys.argv[1], durability="normal", purge_interval=None)
        for step in range(300):
            store.set_many("g", {str(key): f"{step}" * 5000 for key in range(20)})
        """,
        path,
    )


def test_thread_ends_with_the_store(path: Path) -> None:
    """No thread is left once the store is closed; one that writes little never starts it."""

    def names() -> list[str]:
        return [thread.name for thread in threading.enumerate()]

    with groupstore.Store(path, purge_interval=None, durability="normal") as store:
        store.set("g", "k", "v")
        assert "groupstore-checkpoint" not in names()
        fill(store, 0, 8 * 1024)
        assert "groupstore-checkpoint" in names()
    assert "groupstore-checkpoint" not in names()
