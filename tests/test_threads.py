"""Many threads on one store: nothing lost, nothing torn, nothing stale."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import groupstore
from groupstore import StoreClosedError
from model import PATIENCE_S, Source


@pytest.fixture(autouse=True)
def _frequent_switches() -> Iterator[None]:
    """Threads change places often, so that a race has many chances."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


def test_counters_lose_nothing(source: Source, threads: ThreadPoolExecutor) -> None:
    """Eight threads count to the sum of what each added, and no result comes twice."""

    def count() -> list[int]:
        return [source.increment("g", "n") for _ in range(100)]

    counting = [threads.submit(count) for _ in range(8)]
    numbers = [number for each in counting for number in each.result(PATIENCE_S)]
    assert sorted(numbers) == list(range(1, 801))
    assert source.get("g", "n") == "800"


def test_compare_and_set_loses_nothing(source: Source, threads: ThreadPoolExecutor) -> None:
    """Of threads that compare and set the same value, one wins each time."""
    source.set("g", "n", "0")

    def count() -> None:
        for _ in range(25):
            while True:
                value = source.get("g", "n")
                if source.compare_and_set("g", "n", value, str(int(value) + 1)):
                    break

    for counting in [threads.submit(count) for _ in range(4)]:
        counting.result(PATIENCE_S)
    assert source.get("g", "n") == "100"


def test_add_has_one_winner(source: Source, threads: ThreadPoolExecutor) -> None:
    """Of threads that add the same key one succeeds; of those that pop it, one gets it."""
    for n in range(20):
        adding = [threads.submit(source.add, "g", str(n), str(who)) for who in range(6)]
        assert [each.result(PATIENCE_S) for each in adding].count(True) == 1
        popping = [threads.submit(source.pop, "g", str(n), None) for _ in range(6)]
        popped = [each.result(PATIENCE_S) for each in popping]
        assert popped.count(None) == 5


def test_reads_are_of_one_moment(source: Source, threads: ThreadPoolExecutor) -> None:
    """Every read of many keys is of one snapshot, while a thread rewrites them all."""
    keys = [str(n) for n in range(50)]
    source.set_many("g", dict.fromkeys(keys, "0"))
    done = threading.Event()

    def write() -> int:
        n = 0
        while not done.is_set():
            n += 1
            if n % 2:
                source.set_many("g", dict.fromkeys(keys, str(n)))
            else:
                with source.transaction() as tx:
                    tx.delete_group("g")
                    tx.set_many("g", dict.fromkeys(keys, str(n)))
        return n

    writer = threads.submit(write)
    last = 0
    try:
        for _ in range(100):
            for found in (
                source.get_all("g"),
                source.get_many("g", keys),
                dict(source.get_page("g", 0, 100)),
            ):
                assert len(found) == 50
                assert len(set(found.values())) == 1
                moment = int(found["0"])
                assert moment >= last
                last = moment
            assert source.count("g") == 50
    finally:
        done.set()
    assert writer.result(PATIENCE_S) > 0


def test_reads_are_never_older_than_a_finished_write(
    source: Source, threads: ThreadPoolExecutor
) -> None:
    """Once a thread's write has returned, every other thread reads it, cached or not."""
    finished: queue.Queue[str] = queue.Queue()
    read: queue.Queue[bool] = queue.Queue()

    def write() -> None:
        for n in range(300):
            value = str(n)
            if n % 3:
                source.set("g", "k", value)
            else:
                with source.transaction() as tx:
                    tx.delete("g", "k")
                    tx.set("g", "k", value)
            finished.put(value)
            read.get(timeout=PATIENCE_S)

    writer = threads.submit(write)
    for _ in range(300):
        value = finished.get(timeout=PATIENCE_S)
        assert source.get("g", "k") == value
        assert source.get_all("g") == {"k": value}
        read.put(True)
    writer.result(PATIENCE_S)


def test_readers_see_values_in_order(source: Source, threads: ThreadPoolExecutor) -> None:
    """While one thread counts up, others that read the counter never see it go back."""
    source.set("g", "n", "0")
    done = threading.Event()

    def read() -> int:
        last = 0
        while not done.is_set():
            value = int(source.get("g", "n"))
            assert value >= last
            last = value
        return last

    readers = [threads.submit(read) for _ in range(4)]
    try:
        for _ in range(500):
            source.increment("g", "n")
    finally:
        done.set()
    for reader in readers:
        assert reader.result(PATIENCE_S) <= 500


def test_everything_at_once(source: Source, threads: ThreadPoolExecutor) -> None:
    """Threads that use every part of the store beside one another agree on the outcome."""
    done = threading.Event()

    def churn(n: int) -> None:
        group = f"g{n}"
        for at in range(40):
            source.set(group, str(at), "v", ttl=3600)
            source.set_many(group, {f"{at}.{i}": "v" for i in range(3)})
            source.expire(group, str(at), None)
            source.delete(group, f"{at}.0")
            list(source.items(group, prefix=str(at)))
            source.get_page(group, at, 2)
            source.purge_expired()
            with source.transaction() as tx:
                tx.increment("shared", "n")

    def look() -> None:
        while not done.is_set():
            for group in source.iter_groups():
                source.count(group)
                source.get(group, "1", None)
            source.count_all()
            time.sleep(0.001)

    looking = [threads.submit(look) for _ in range(2)]
    try:
        for churning in [threads.submit(churn, n) for n in range(4)]:
            churning.result(PATIENCE_S)
    finally:
        done.set()
    for each in looking:
        each.result(PATIENCE_S)
    assert source.get_all("shared") == {"n": "160"}
    assert [source.count(f"g{n}") for n in range(4)] == [120] * 4
    assert source.count_all() == 481


def test_closing_under_load(source: Source, threads: ThreadPoolExecutor) -> None:
    """Threads at work when the store is closed get `StoreClosedError`, and none crashes."""
    store = source if isinstance(source, groupstore.Store) else source.store

    def work(n: int) -> str:
        try:
            while True:
                source.increment("g", str(n))
                source.get("g", str(n))
                list(source.items("g"))
                with source.transaction() as tx:
                    tx.set("g", "t", "v")
                source.watch("g").close()
        except StoreClosedError:
            return "closed"

    working = [threads.submit(work, n) for n in range(8)]
    time.sleep(0.05)
    closing = [threads.submit(store.close) for _ in range(2)]
    for close in closing:
        close.result(PATIENCE_S)
    assert [each.result(PATIENCE_S) for each in working] == ["closed"] * 8


def test_many_short_threads(file_store: groupstore.Store) -> None:
    """Threads that come and go leave neither connections nor errors behind."""
    for n in range(100):
        thread = threading.Thread(target=file_store.set, args=("g", str(n), "v"))
        thread.start()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert file_store.count("g") == 100


def test_blocking_calls_let_other_threads_run(
    file_store: groupstore.Store, threads: ThreadPoolExecutor
) -> None:
    """A thread that waits for the write lock lets the others run."""
    ticks = 0
    with file_store.transaction() as tx:
        waiting = [threads.submit(file_store.set, "g", str(n), "v") for n in range(8)]
        until = time.monotonic() + 0.1
        while time.monotonic() < until:
            tx.set("g", "tick", "v")
            ticks += 1
    for each in waiting:
        each.result(PATIENCE_S)
    assert ticks > 50
