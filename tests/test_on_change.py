"""Callbacks of `on_change`: when they are called, and what they may do."""

from __future__ import annotations

import gc
import logging
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

import groupstore
from groupstore import Event
from model import PATIENCE_S, Change, Source, changes, drain


def test_called_in_the_writing_thread(source: Source, threads: ThreadPoolExecutor) -> None:
    """A callback runs in the thread that wrote, before the write returns."""
    callers: list[int] = []
    source.on_change(lambda event: callers.append(threading.get_ident()))
    source.set("g", "k", "v")
    assert callers == [threading.get_ident()]

    def write() -> tuple[int, int]:
        source.set("g", "k", "v")
        return threading.get_ident(), callers[-1]

    writer, caller = threads.submit(write).result(PATIENCE_S)
    assert caller == writer


def test_called_after_the_commit(source: Source, threads: ThreadPoolExecutor) -> None:
    """What a callback is told of is committed: any thread reads it."""
    seen: list[str | bytes] = []
    source.on_change(
        lambda event: seen.append(threads.submit(source.get, "g", "k").result(PATIENCE_S))
    )
    source.set("g", "k", "1")
    with source.transaction() as tx:
        tx.set("g", "k", "2")
        tx.set("g", "k", "3")
        assert seen == ["1"]
    assert seen == ["1", "3", "3"]


def test_told_of_everything(source: Source) -> None:
    """A callback is told what a watcher of all groups is told, in the same order."""
    told: list[Event] = []
    source.on_change(told.append)
    watcher = source.watch(capacity=100)
    source.set_many("g", {"a": "1", "b": b"2"})
    source.expire("g", "a", 60)
    source.delete("g", "b")
    source.delete_group("g")
    source.set("*", "k", "v")
    source.delete_prefix("")
    assert changes(told) == drain(watcher)
    assert len(told) == 7


def test_called_in_order_of_registration(source: Source) -> None:
    """Callbacks are called in the order in which they were registered, for each event in turn."""
    order: list[tuple[int, str | None]] = []
    for n in range(5):
        source.on_change(lambda event, n=n: order.append((n, event.key)))  # type: ignore[misc]
    source.set("g", "a", "v")
    source.set("g", "b", "v")
    assert order == [(n, key) for key in "ab" for n in range(5)]


def test_unregister(source: Source) -> None:
    """`unregister` ends its own registration alone, and may be called again."""
    told: list[str | None] = []

    def callback(event: Event) -> None:
        told.append(event.key)

    first, second = source.on_change(callback), source.on_change(callback)
    source.set("g", "a", "v")
    assert told == ["a", "a"]
    assert first() is None  # type: ignore[func-returns-value]
    first()
    source.set("g", "b", "v")
    assert told == ["a", "a", "b"]
    second()
    second()
    first()
    source.set("g", "c", "v")
    assert told == ["a", "a", "b"]


def test_unregister_after_close(source: Source) -> None:
    """After the store's end `unregister` is silent."""
    store = source if isinstance(source, groupstore.Store) else source.store
    unregister = source.on_change(print)
    store.close()
    unregister()
    unregister()


def test_callback_that_raises(source: Source, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged with its traceback, and fails neither the write nor the other callbacks."""
    told: list[str | None] = []
    watcher = source.watch()

    def fail(event: Event) -> None:
        raise LookupError("the callback's own")

    source.on_change(fail)
    source.on_change(lambda event: told.append(event.key))
    with caplog.at_level(logging.ERROR, logger="groupstore"):
        source.set_many("g", {"a": "v", "b": "v"})
    assert told == ["a", "b"]
    assert source.count("g") == 2
    assert [change.key for change in drain(watcher)] == ["a", "b"]
    assert [record.name for record in caplog.records] == ["groupstore"] * 2
    assert all(r.exc_info and r.exc_info[0] is LookupError for r in caplog.records)


def test_callback_that_raises_after_a_transaction(
    source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    """A raising callback leaves a committed transaction committed."""

    def fail(event: Event) -> None:
        raise LookupError("the callback's own")

    source.on_change(fail)
    with source.transaction() as tx:
        tx.set("g", "k", "v")
    assert source.get("g", "k") == "v"
    assert len(caplog.records) == 1


def test_callback_that_writes(source: Source) -> None:
    """A callback may write; its own writes are told of too."""
    watcher = source.watch()

    def follow(event: Event) -> None:
        if event.group == "g":
            source.set("log", event.key or "", "seen")
            with source.transaction() as tx:
                tx.increment("log", "count")

    source.on_change(follow)
    source.set("g", "k", "v")
    assert source.get_all("log") == {"count": "1", "k": "seen"}
    assert [change.group for change in drain(watcher)] == ["g", "log", "log"]


def test_callback_that_writes_after_a_transaction(source: Source) -> None:
    """After a transaction's commit its callbacks write in transactions of their own."""
    watcher = source.watch()

    def follow(event: Event) -> None:
        if event.group == "g":
            source.set("log", event.key or "", "seen")

    source.on_change(follow)
    with source.transaction() as tx:
        tx.set("g", "a", "v")
        tx.set("g", "b", "v")
    assert list(source.keys("log")) == ["a", "b"]
    told = drain(watcher)
    assert [change for change in told if change.group == "g"] == [
        Change("set", "g", "a", "v", "set"),
        Change("set", "g", "b", "v", "set"),
    ]
    assert [change.key for change in told if change.group == "log"] == ["a", "b"]


def test_callback_that_registers(source: Source) -> None:
    """A callback registered or unregistered by another takes effect from the next event on."""
    told: list[tuple[str, str | None]] = []
    undo: list[Callable[[], None]] = []

    def second(event: Event) -> None:
        told.append(("second", event.key))
        undo.pop()()

    def first(event: Event) -> None:
        told.append(("first", event.key))
        if event.key == "a":
            undo.append(source.on_change(second))

    source.on_change(first)
    source.set("g", "a", "v")
    told.clear()
    source.set("g", "b", "v")
    source.set("g", "c", "v")
    assert told == [("first", "b"), ("second", "b"), ("first", "c")]


def test_callback_that_unregisters_itself(source: Source) -> None:
    """A callback may end its own registration; the others are all still called."""
    told: list[str] = []
    undo: dict[str, Callable[[], None]] = {}

    def once(event: Event) -> None:
        told.append("once")
        undo["once"]()

    source.on_change(lambda event: told.append("before"))
    undo["once"] = source.on_change(once)
    source.on_change(lambda event: told.append("after"))
    source.set("g", "a", "v")
    source.set("g", "b", "v")
    assert told == ["before", "once", "after", "before", "after"]


def test_callback_that_watches(source: Source) -> None:
    """A callback may open and close watchers."""
    opened: list[groupstore.Watcher] = []

    def watch(event: Event) -> None:
        if opened:
            source.unwatch(opened[0])
        else:
            opened.append(source.watch())

    source.on_change(watch)
    source.set("g", "a", "v")
    source.set("g", "b", "v")
    source.set("g", "c", "v")
    assert "c" not in [event.key for event in opened[0]]


def test_callback_that_closes_the_store(source: Source, threads: ThreadPoolExecutor) -> None:
    """A callback may close the store; the write that it was told of stands."""
    store = source if isinstance(source, groupstore.Store) else source.store
    source.on_change(lambda event: store.close())
    threads.submit(source.set, "g", "k", "v").result(PATIENCE_S)
    assert store.closed
    with pytest.raises(groupstore.StoreClosedError):
        source.get("g", "k")


def test_callbacks_of_different_threads_overlap(
    source: Source, threads: ThreadPoolExecutor
) -> None:
    """No lock is held while a callback runs: two of them meet."""
    meeting = threading.Barrier(2, timeout=PATIENCE_S)
    source.on_change(lambda event: meeting.wait() and None)
    writers = [threads.submit(source.set, "g", str(n), "v") for n in range(2)]
    for writer in writers:
        writer.result(PATIENCE_S)
    assert not meeting.broken


def test_slow_callback_holds_up_nobody(source: Source, threads: ThreadPoolExecutor) -> None:
    """While one thread is in a callback, others read and write."""
    inside, leave = threading.Event(), threading.Event()

    def slow(event: Event) -> None:
        if event.key == "slow":
            inside.set()
            leave.wait(PATIENCE_S)

    source.on_change(slow)
    writer = threads.submit(source.set, "g", "slow", "v")
    assert inside.wait(PATIENCE_S)
    began = time.monotonic()
    source.set("g", "k", "v")
    assert source.get_all("g") == {"k": "v", "slow": "v"}
    with source.transaction() as tx:
        tx.delete("g", "k")
    assert time.monotonic() - began < PATIENCE_S / 2
    assert not writer.done()
    leave.set()
    writer.result(PATIENCE_S)


def test_unregistered_callback_is_let_go(source: Source) -> None:
    """The store keeps no unregistered callback alive."""

    class Callback:
        def __call__(self, event: Event) -> None: ...

    callback = Callback()
    gone = weakref.ref(callback)
    unregister = source.on_change(callback)
    source.set("g", "k", "v")
    unregister()
    del callback
    gc.collect()
    assert gone() is None


def test_rolled_back_writes_call_nobody(source: Source) -> None:
    """Callbacks hear nothing of what was undone."""
    told: list[Event] = []
    source.on_change(told.append)
    with source.transaction() as tx:
        tx.set("g", "k", "v")
        tx.rollback()
    with pytest.raises(LookupError), source.transaction() as tx:
        tx.set("g", "k", "v")
        raise LookupError
    assert told == []
