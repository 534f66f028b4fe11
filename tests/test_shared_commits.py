"""Durable writes of several threads: they share commits, and each keeps its own outcome."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

import groupstore
from conftest import Opener

THREADS = 8
ROUNDS = 40


@pytest.fixture(params=("file", "exclusive"))
def durable(request: pytest.FixtureRequest, open_store: Opener) -> groupstore.Store:
    """A store whose commits wait for the disk."""
    return open_store(request.param, durability="full")


def together(threads: ThreadPoolExecutor, work: Callable[[int], Any]) -> list[Any]:
    """What `work` returns in each of several threads that start at once."""
    barrier = threading.Barrier(THREADS)

    def begin(number: int) -> Any:
        barrier.wait(30)
        return work(number)

    return [task.result(60) for task in [threads.submit(begin, n) for n in range(THREADS)]]


@contextmanager
def turn_held(store: groupstore.Store, threads: ThreadPoolExecutor) -> Iterator[None]:
    """Another thread has a transaction open."""
    entered = threading.Event()
    leave = threading.Event()

    def hold() -> None:
        with store.transaction():
            entered.set()
            leave.wait(30)

    holder = threads.submit(hold)
    assert entered.wait(30)
    try:
        yield
    finally:
        leave.set()
        holder.result(30)


def test_every_write_is_there(durable: groupstore.Store, threads: ThreadPoolExecutor) -> None:
    """What each thread wrote is there when its call returns, and afterwards."""

    def write(number: int) -> None:
        for step in range(ROUNDS):
            durable.set("g", f"{number}-{step}", str(step))
            assert durable.get("g", f"{number}-{step}") == str(step)
            durable.increment("g", "total")

    together(threads, write)
    assert durable.get("g", "total") == str(THREADS * ROUNDS)
    assert durable.count("g") == THREADS * ROUNDS + 1
    assert durable.check() == []


def test_commits_are_shared(durable: groupstore.Store, threads: ThreadPoolExecutor) -> None:
    """While a writer keeps the turn, others queue up; then they need few commits, not one each."""
    before = durable._engine.commits
    with turn_held(durable, threads):
        writers = [threads.submit(durable.set, "g", str(n), "v") for n in range(THREADS)]
        while durable._engine.waiting_now < THREADS:
            pass
    for writer in writers:
        writer.result(30)
    assert durable.count("g") == THREADS
    # That of the holder, and of all who waited.
    assert durable._engine.commits - before == 2


def test_each_fails_alone(durable: groupstore.Store, threads: ThreadPoolExecutor) -> None:
    """A write over its quota, or of the wrong kind, fails without undoing the others."""
    scope = durable.scoped("tenant", groupstore.Quota(max_keys=ROUNDS * THREADS // 2))
    durable.set("g", "text", "no number")

    def write(number: int) -> tuple[int, int]:
        kept = refused = 0
        for step in range(ROUNDS):
            try:
                scope.set("g", f"{number}-{step}", "v")
                kept += 1
            except groupstore.QuotaExceededError:
                refused += 1
            with pytest.raises(ValueError, match="not an integer"):
                durable.increment("g", "text")
            durable.set_many("g", {f"{number}-{step}": "1", "shared": str(number)})
        return kept, refused

    outcomes = together(threads, write)
    assert sum(kept for kept, _ in outcomes) == ROUNDS * THREADS // 2
    assert sum(refused for _, refused in outcomes) == ROUNDS * THREADS // 2
    assert scope.count("g") == ROUNDS * THREADS // 2
    assert durable.count("g") == ROUNDS * THREADS + 2
    assert durable.check() == []


def test_events_and_callbacks(durable: groupstore.Store, threads: ThreadPoolExecutor) -> None:
    """Watchers get every event in commit order; a callback runs in the thread that wrote."""
    watcher = durable.watch(capacity=THREADS * ROUNDS)
    wrote_in: dict[str, int] = {}
    called_in: dict[str, int] = {}

    def called(event: groupstore.Event) -> None:
        called_in[str(event.value)] = threading.get_ident()

    unregister = durable.on_change(called)

    def write(number: int) -> None:
        for step in range(ROUNDS):
            wrote_in[f"{number}-{step}"] = threading.get_ident()
            durable.set("g", "k", f"{number}-{step}")
            assert called_in[f"{number}-{step}"] == threading.get_ident()

    together(threads, write)
    unregister()
    values = [watcher.get(0).value for _ in range(THREADS * ROUNDS)]
    assert set(values) == set(wrote_in)
    assert called_in == wrote_in
    assert durable.get("g", "k") == values[-1]


def test_mixed_with_transactions(durable: groupstore.Store, threads: ThreadPoolExecutor) -> None:
    """Transactions, bulk writes and roll-backs in between keep to themselves."""

    def write(number: int) -> None:
        for step in range(ROUNDS // 2):
            if number % 3 == 0:
                with durable.transaction() as tx:
                    tx.increment("g", "a")
                    tx.increment("g", "b")
            elif number % 3 == 1:
                with pytest.raises(ZeroDivisionError), durable.transaction() as tx:
                    tx.increment("g", "a")
                    raise ZeroDivisionError
            else:
                durable.set_many("bulk", {str(n): str(step) for n in range(300)})
                durable.increment("g", "c")
            found = durable.get_many("g", ["a", "b"])
            assert found.get("a") == found.get("b")

    together(threads, write)
    assert durable.get("g", "a") == durable.get("g", "b") == str(3 * (ROUNDS // 2))
    assert durable.get("g", "c") == str(2 * (ROUNDS // 2))
    assert durable.check() == []


def test_full_disk(open_store: Opener, threads: ThreadPoolExecutor) -> None:
    """Where SQLite rolls a shared transaction back, all whose writes it held are told."""
    store = open_store(durability="full")
    store.set("g", "k", "v")
    with store._engine.write("limit") as connection:
        pages = connection.pragma("page_count")
        connection.pragma("max_page_count", pages + 20)

    def write(number: int) -> list[str]:
        kept = []
        for step in range(10):
            try:
                store.set("g", f"{number}-{step}", "x" * 3000)
                kept.append(f"{number}-{step}")
            except groupstore.StoreError:
                pass
        return kept

    kept = [key for keys in together(threads, write) for key in keys]
    assert 0 < len(kept) < THREADS * 10
    assert set(store.keys("g")) == {"k", *kept}
    assert store.check() == []


def test_fork_beside_writers(run: Callable[..., str], path: Any) -> None:
    """A fork waits for a shared commit, and both processes go on."""
    out = run(
        """
        import os, sys, threading, groupstore
        store = groupstore.Store(sys.argv[1], durability="full", purge_interval=None)
        going = True
        def write(number):
            while going:
                store.increment("g", str(number))
        threads = [threading.Thread(target=write, args=(n,)) for n in range(6)]
        for thread in threads: thread.start()
        for _ in range(5):
            child = os.fork()
            if child == 0:
                store.increment("g", "children")
                store.close()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
        going = False
        for thread in threads: thread.join()
        assert store.check() == []
        print(store.get("g", "children"))
        store.close()
        """,
        path,
    )
    assert out.strip() == "5"


def test_a_write_that_waited_too_long_is_not_done(
    open_store: Opener, threads: ThreadPoolExecutor
) -> None:
    """What raised `StoreBusyError` is out of the queue, and those behind it are done."""
    store = open_store(durability="full", busy_timeout=0.3)
    with turn_held(store, threads):
        first = threads.submit(store.increment, "g", "k")
        with pytest.raises(groupstore.StoreBusyError, match="increment"):
            first.result(30)
        late = [threads.submit(store.increment, "g", "k") for _ in range(3)]
        while store._engine.waiting_now < 3:
            pass
    assert sorted(task.result(30) for task in late) == [1, 2, 3]


def test_closed_while_writes_wait(durable: groupstore.Store, threads: ThreadPoolExecutor) -> None:
    """Each write that waits is done, or raises `StoreClosedError`, and `close` ends."""

    def write(number: int) -> int:
        done = 0
        try:
            while True:
                durable.increment("g", str(number))
                done += 1
        except groupstore.StoreClosedError:
            return done

    writers = [threads.submit(write, number) for number in range(THREADS)]
    while durable.count("g") < THREADS:
        pass
    durable.close()
    done = [writer.result(30) for writer in writers]
    with groupstore.Store(durable.path) as store:
        assert [store.get("g", str(number)) for number in range(THREADS)] == [
            str(number) for number in done
        ]


def test_signals_while_a_write_waits(run: Callable[..., str], path: Any) -> None:
    """A handler may write itself; one that raises takes its thread's write out of the queue."""
    out = run(
        """
        import signal, sys, threading, time, groupstore
        store = groupstore.Store(sys.argv[1], durability="full", purge_interval=None)
        leave = threading.Event()
        entered = threading.Event()
        def hold():
            with store.transaction():
                entered.set()
                leave.wait(30)
        def handler(signum, frame):
            leave.set()
            store.increment("g", "handler")
        signal.signal(signal.SIGALRM, handler)
        for write in ("nested", "interrupted"):
            holder = threading.Thread(target=hold)
            holder.start()
            entered.wait(30)
            other = threading.Thread(target=store.increment, args=("g", "other"))
            other.start()
            while store._engine.waiting_now < 1:
                pass
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            try:
                store.increment("g", write)
            except ZeroDivisionError:
                leave.set()
            holder.join()
            other.join()
            leave.clear()
            entered.clear()
            signal.signal(signal.SIGALRM, lambda signum, frame: 1 // 0)
        print(sorted(store.get_all("g").items()))
        store.close()
        """,
        path,
    )
    assert out.strip() == "[('handler', '1'), ('nested', '1'), ('other', '2')]"


def test_a_handler_interrupts_its_own_thread_alone(run: Callable[..., str], path: Any) -> None:
    """What a handler raises in the main thread fails no write of another thread."""
    out = run(
        """
        import signal, sys, threading, time, groupstore
        store = groupstore.Store(sys.argv[1], durability="full", purge_interval=None)
        class Interrupted(Exception): ...
        going = True
        wrong = []
        def handler(signum, frame):
            if time.monotonic() < end - 0.1:
                store.set("g", "handler", "v")
                raise Interrupted
        def write(number):
            written = 0
            while going:
                try:
                    store.increment("g", str(number))
                    written += 1
                    store.set("g", "text", "no number")
                    try:
                        store.increment("g", "text")
                    except ValueError:
                        pass
                except Exception as error:
                    wrong.append(repr(error))
            if store.get("g", str(number)) != str(written):
                wrong.append((number, written))
        def in_main():
            while time.monotonic() < end:
                try:
                    store.increment("g", "main")
                except Interrupted:
                    pass
                except groupstore.StoreError as error:
                    # The handler's own, in the middle of a call.
                    assert "in the middle of" in str(error), error
        threads = [threading.Thread(target=write, args=(n,)) for n in range(6)]
        for thread in threads: thread.start()
        signal.signal(signal.SIGALRM, handler)
        end = time.monotonic() + 1
        signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
        while time.monotonic() < end:
            try:
                in_main()
            except Interrupted:
                pass
        going = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        for thread in threads: thread.join()
        print(wrong[:3], store.check())
        store.close()
        """,
        path,
    )
    assert out.strip() == "[] []"
