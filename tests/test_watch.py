"""Watchers: what they are told, in which order, and how they are read and closed."""

from __future__ import annotations

import asyncio
import copy
import gc
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import groupstore
from groupstore import Event, EventType, StoreClosedError
from model import PATIENCE_S, Change, Face, Source, changes, drain

# --- Events ------------------------------------------------------------------------------------


def test_event_types() -> None:
    """The three types have the names of go-store."""
    assert [str(kind) for kind in EventType] == ["set", "delete", "delete_group"]
    assert str(EventType.SET) == "set"
    assert str(EventType.DELETE) == "delete"
    assert str(EventType.DELETE_GROUP) == "delete_group"


def test_event(source: Source) -> None:
    """An event says what happened to what, why and when."""
    watcher = source.watch()
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    source.set("config", "colour", b"blue")
    after = datetime.now(UTC) + timedelta(milliseconds=1)
    event = watcher.get(PATIENCE_S)
    assert isinstance(event, Event)
    assert event.type is EventType.SET
    assert (event.group, event.key, event.value) == ("config", "colour", b"blue")
    assert event.reason == "set"
    assert event.timestamp.utcoffset() == timedelta(0)
    assert before <= event.timestamp <= after
    for part in ("config", "colour", "blue"):
        assert part in repr(event)


def test_events_are_values(source: Source) -> None:
    """Events are immutable, and equal and hashable by what they say."""
    watcher = source.watch()
    source.set("g", "k", "v")
    event = watcher.get(PATIENCE_S)

    def again(**changed: Any) -> Event:
        fields = ("type", "group", "key", "value", "timestamp", "reason")
        return Event(**({name: getattr(event, name) for name in fields} | changed))

    assert again() == event
    assert hash(again()) == hash(event)
    assert copy.copy(event) == event
    assert event != again(value=b"v")
    assert event != again(reason="expired")
    assert event != "event"
    with pytest.raises(AttributeError):
        event.value = "w"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        event.other = "w"  # type: ignore[attr-defined]


WRITES: dict[str, tuple[Callable[[Face], Any], list[Change]]] = {
    "set": (lambda f: f.set("g", "new", b"v"), [Change("set", "g", "new", b"v", "set")]),
    "set of the same": (lambda f: f.set("g", "a", "1"), [Change("set", "g", "a", "1", "set")]),
    "set_many": (
        lambda f: f.set_many("g", {"b": "x", "a": "y"}),
        [Change("set", "g", "b", "x", "set"), Change("set", "g", "a", "y", "set")],
    ),
    "set_many of nothing": (lambda f: f.set_many("g", {}), []),
    "expire": (lambda f: f.expire("g", "a", 60), [Change("set", "g", "a", "1", "set")]),
    "expire never": (lambda f: f.expire("g", "b", None), [Change("set", "g", "b", b"2", "set")]),
    "expire of absent": (lambda f: f.expire("g", "x", 60), []),
    "delete": (lambda f: f.delete("g", "a"), [Change("delete", "g", "a", None, "delete")]),
    "delete of absent": (lambda f: f.delete("g", "x"), []),
    "delete_many": (
        lambda f: f.delete_many("g", ["b", "x", "a", "b"]),
        [Change("delete", "g", "b", None, "delete"), Change("delete", "g", "a", None, "delete")],
    ),
    "delete_group": (
        lambda f: f.delete_group("g"),
        [Change("delete_group", "g", None, None, "delete")],
    ),
    "delete_group of absent": (lambda f: f.delete_group("x"), []),
    "delete_prefix": (
        lambda f: f.delete_prefix("g"),
        [
            Change("delete_group", "g", None, None, "delete"),
            Change("delete_group", "g:b", None, None, "delete"),
            Change("delete_group", "ga", None, None, "delete"),
        ],
    ),
    "delete_prefix of absent": (lambda f: f.delete_prefix("x"), []),
    "purge_expired": (lambda f: f.purge_expired(), []),
    "reads": (lambda f: [f.get("g", "x", None), f.get("g", "a"), f.get_all("g")], []),
}


@pytest.mark.parametrize("write", WRITES)
def test_who_emits_what(source: Source, write: str) -> None:
    """Each write tells of what it changed, in order, and of nothing else; reads tell nothing."""
    source.set_many("g", {"a": "1", "b": b"2"})
    source.set("ga", "k", "v")
    source.set("g:b", "k", "v")
    source.set("other", "k", "v")
    watcher = source.watch()
    call, told = WRITES[write]
    call(source)
    assert drain(watcher) == told


# --- Which events ------------------------------------------------------------------------------


def test_watch_one_group(source: Source) -> None:
    """A watcher of one group is told of that group's changes, its deletion included."""
    watcher = source.watch("g")
    for group in ("g", "G", "g2", "", "*", "g:g"):
        source.set(group, "k", "v")
    source.delete("g", "k")
    source.set("g", "k", "v")
    source.delete_prefix("")
    assert [(change.type, change.group) for change in drain(watcher)] == [
        ("set", "g"),
        ("delete", "g"),
        ("set", "g"),
        ("delete_group", "g"),
    ]


def test_watch_all_groups(source: Source) -> None:
    """`"*"`, the default, always means all groups, though a group may have that name."""
    by_default, by_name = source.watch(), source.watch("*")
    for group in ("*", "", "g"):
        source.set(group, "k", "v")
    assert [change.group for change in drain(by_default)] == ["*", "", "g"]
    assert [change.group for change in drain(by_name)] == ["*", "", "g"]


def test_watch_the_group_without_a_name(source: Source) -> None:
    """The empty name is a group like any other."""
    watcher = source.watch("")
    source.set("g", "k", "v")
    source.set("", "k", "v")
    assert [change.group for change in drain(watcher)] == [""]


def test_watchers_are_independent(source: Source) -> None:
    """Every matching watcher is told of everything from its own beginning on."""
    first = source.watch()
    source.set("g", "1", "v")
    second = source.watch("g")
    source.set("g", "2", "v")
    first.close()
    source.set("g", "3", "v")
    assert [change.key for change in drain(first)] == ["1", "2"]
    assert [change.key for change in drain(second)] == ["2", "3"]


def test_other_store_objects_are_not_seen(source: Source) -> None:
    """Only mutations through the same `Store` object are told of."""
    watcher = source.watch()
    with groupstore.Store(purge_interval=None) as other:
        other.set("g", "k", "v")
    assert drain(watcher) == []


# --- Bounds ------------------------------------------------------------------------------------


def test_full_watcher_drops_the_newest(source: Source) -> None:
    """A full watcher keeps what it has, drops what comes, counts it, never holds up a writer."""
    watcher = source.watch()
    for n in range(20):
        source.set("g", str(n), "v")
    assert len(watcher) == 16
    assert watcher.dropped == 4
    assert [change.key for change in drain(watcher)] == [str(n) for n in range(16)]
    source.set("g", "later", "v")
    assert [change.key for change in drain(watcher)] == ["later"]
    assert watcher.dropped == 4


@pytest.mark.parametrize("capacity", [1, 2, 3, 1000])
def test_capacity(source: Source, capacity: int) -> None:
    """A watcher holds `capacity` events, through any number of fillings."""
    watcher = source.watch(capacity=capacity)
    for round_ in range(3):
        source.set_many("g", {str(n): "v" for n in range(capacity + 2)})
        assert len(watcher) == capacity
        assert watcher.dropped == 2 * (round_ + 1)
        assert [c.key for c in drain(watcher)] == [str(n) for n in range(capacity)]
        assert len(watcher) == 0


def test_dropped_events_of_one_watcher_reach_the_others(source: Source) -> None:
    """A full watcher costs the others nothing."""
    small, large = source.watch(capacity=1), source.watch(capacity=10)
    source.set_many("g", {"a": "1", "b": "2", "c": "3"})
    assert (len(small), small.dropped) == (1, 2)
    assert (len(large), large.dropped) == (3, 0)


# --- Reading -----------------------------------------------------------------------------------


def test_get_nowait(source: Source) -> None:
    """`get_nowait` gives the oldest event, or None at once."""
    watcher = source.watch()
    assert watcher.get_nowait() is None
    source.set("g", "a", "v")
    source.set("g", "b", "v")
    event = watcher.get_nowait()
    assert event is not None
    assert event.key == "a"
    assert len(watcher) == 1


def test_get_with_timeout(source: Source) -> None:
    """`get` waits as long as it was told and then raises `TimeoutError`."""
    watcher = source.watch()
    for timeout in (0, 0.05):
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            watcher.get(timeout)
        assert timeout * 0.9 <= time.monotonic() - began < 5
    source.set("g", "k", "v")
    assert watcher.get(timeout=0).key == "k"


def test_get_waits_for_another_thread(source: Source, threads: ThreadPoolExecutor) -> None:
    """`get` without a timeout wakes up for an event that another thread made."""
    watcher = source.watch()
    for n in range(20):
        waiting = threads.submit(watcher.get)
        source.set("g", str(n), "v")
        assert waiting.result(PATIENCE_S).key == str(n)


def test_iteration_waits(source: Source, threads: ThreadPoolExecutor) -> None:
    """Iterating waits for each event and ends when the watcher is closed."""
    watcher = source.watch()
    seen = threads.submit(lambda: [event.key for event in watcher])
    for n in range(10):
        source.set("g", str(n), "v")
        time.sleep(0.001)
    watcher.close()
    assert seen.result(PATIENCE_S) == [str(n) for n in range(10)]


def test_consumers_share_events_out(source: Source, threads: ThreadPoolExecutor) -> None:
    """Threads that read one watcher get each event once between them."""
    watcher = source.watch(capacity=1000)
    shares = [threads.submit(lambda: [event.key for event in watcher]) for _ in range(4)]
    for n in range(500):
        source.set("g", str(n), "v")
    watcher.close()
    seen = [str(key) for share in shares for key in share.result(PATIENCE_S)]
    assert sorted(seen, key=int) == [str(n) for n in range(500)]


@pytest.mark.parametrize("close", ["watcher", "unwatch", "store", "block"])
def test_closing(source: Source, close: str) -> None:
    """After closing, what is buffered can be read; then iteration ends and `get` raises."""
    store = source if isinstance(source, groupstore.Store) else source.store
    watcher = source.watch()
    source.set("g", "a", "v")
    source.set("g", "b", "v")
    if close == "block":
        with watcher as entered:
            assert entered is watcher
    else:
        {
            "watcher": watcher.close,
            "unwatch": lambda: source.unwatch(watcher),
            "store": store.close,
        }[close]()
    if close != "store":
        source.set("g", "after", "v")
    assert watcher.get(PATIENCE_S).key == "a"
    assert [event.key for event in watcher] == ["b"]
    assert list(watcher) == []
    for timeout in (None, 0):
        with pytest.raises(StoreClosedError):
            watcher.get(timeout)
    assert len(watcher) == 0
    assert watcher.dropped == 0


def test_closing_is_idempotent(source: Source) -> None:
    """`close` and `unwatch` may be called again, in any order, after the store's end too."""
    store = source if isinstance(source, groupstore.Store) else source.store
    watcher, other = source.watch(), source.watch()
    for _ in range(2):
        watcher.close()
        source.unwatch(watcher)
    source.set("g", "k", "v")
    assert len(other) == 1
    store.close()
    source.unwatch(other)
    source.unwatch(watcher)
    other.close()


@pytest.mark.parametrize("close", ["watcher", "store"])
def test_closing_wakes_who_waits(source: Source, close: str, threads: ThreadPoolExecutor) -> None:
    """Every thread that waits for an event is woken by the close and told of it."""
    store = source if isinstance(source, groupstore.Store) else source.store
    watcher = source.watch()
    getters = [threads.submit(watcher.get) for _ in range(3)]
    loops = [threads.submit(list, watcher) for _ in range(3)]
    time.sleep(0.02)
    (watcher if close == "watcher" else store).close()
    for getter in getters:
        with pytest.raises(StoreClosedError):
            getter.result(PATIENCE_S)
    for loop in loops:
        assert loop.result(PATIENCE_S) == []


def test_forgotten_watchers_are_collected(source: Source) -> None:
    """A watcher that nobody holds any more is no longer served."""
    store = source if isinstance(source, groupstore.Store) else source.store
    kept = source.watch()
    for _ in range(100):
        source.watch("g")
    gc.collect()
    assert store.stats().watchers == 1
    source.set("g", "k", "v")
    assert len(kept) == 1


def test_watcher_keeps_its_events_without_the_store() -> None:
    """A watcher outlives its store object and gives what it has."""
    store = groupstore.Store(purge_interval=None)
    watcher = store.watch()
    store.set("g", "k", "v")
    store.close()
    del store
    gc.collect()
    assert [event.key for event in watcher] == ["k"]


def test_watched_values_keep_their_type(source: Source) -> None:
    """Values arrive in the type that they were written in."""
    watcher = source.watch()
    source.set_many("g", {"a": "", "b": b"", "c": "\0", "d": b"\xff"})
    assert [change.value for change in drain(watcher)] == ["", b"", "\0", b"\xff"]


# --- Order -------------------------------------------------------------------------------------


def test_commit_order_of_many_threads(source: Source, threads: ThreadPoolExecutor) -> None:
    """A watcher sees the writes of all threads in the order in which they were committed."""
    watcher = source.watch(capacity=10_000)

    def count() -> None:
        for n in range(50):
            if n % 10:
                source.increment("g", "n")
            else:
                with source.transaction() as tx:
                    tx.increment("g", "n")
                    tx.increment("g", "n")

    for counter in [threads.submit(count) for _ in range(8)]:
        counter.result(PATIENCE_S)
    seen = [int(event.value or 0) for event in iter(watcher.get_nowait, None)]
    assert seen == list(range(1, 8 * 55 + 1))


def test_watchers_come_and_go_while_threads_write(
    source: Source, threads: ThreadPoolExecutor
) -> None:
    """Watchers opened and closed beside writers see an unbroken run of what was written."""
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            source.increment("g", "n")

    def watch() -> None:
        for _ in range(50):
            with source.watch("g", capacity=10_000) as watcher:
                watcher.get(PATIENCE_S)
            seen = [int(event.value or 0) for event in watcher]
            assert not seen or seen == list(range(seen[0], seen[0] + len(seen)))

    writers = [threads.submit(write) for _ in range(2)]
    watching = [threads.submit(watch) for _ in range(3)]
    try:
        for watches in watching:
            watches.result(PATIENCE_S)
    finally:
        done.set()
    for writer in writers:
        writer.result(PATIENCE_S)


# --- In an event loop --------------------------------------------------------------------------


def test_async_iteration(source: Source, threads: ThreadPoolExecutor) -> None:
    """`async for` is woken by other threads, lets the loop run, and ends when it is closed."""
    watcher = source.watch()
    written = threading.Semaphore(0)

    def write() -> None:
        for n in range(10):
            assert written.acquire(timeout=PATIENCE_S)
            source.set("g", str(n), "v")
        assert written.acquire(timeout=PATIENCE_S)
        watcher.close()

    async def main() -> list[str | None]:
        writing = threads.submit(write)
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0)
                ticks += 1

        ticking = asyncio.create_task(tick())
        asyncio.get_running_loop().call_later(0.01, written.release)
        seen = []
        async for event in watcher:
            seen.append(event.key)
            written.release()
        ticking.cancel()
        assert ticks > 0
        writing.result(PATIENCE_S)
        return seen

    assert asyncio.run(main()) == [str(n) for n in range(10)]


def test_async_iteration_in_the_writing_thread(source: Source) -> None:
    """A task is woken by what another task of the same loop writes."""

    async def main() -> list[Change]:
        watcher = source.watch()

        async def consume() -> list[Change]:
            return changes([event async for event in watcher])

        consumer = asyncio.create_task(consume())
        for n in range(3):
            await asyncio.sleep(0)
            source.set("g", str(n), "v")
        watcher.close()
        return await asyncio.wait_for(consumer, PATIENCE_S)

    assert [change.key for change in asyncio.run(main())] == ["0", "1", "2"]


def test_async_iteration_of_a_closed_watcher(source: Source) -> None:
    """What is buffered is given, then the iteration ends, more than once."""
    watcher = source.watch()
    source.set("g", "k", "v")
    watcher.close()

    async def main() -> list[list[str | None]]:
        return [[event.key async for event in watcher] for _ in range(2)]

    assert asyncio.run(main()) == [["k"], []]


@pytest.mark.parametrize("closer", ["task", "thread"])
def test_async_iteration_is_woken_by_close(
    source: Source, closer: str, threads: ThreadPoolExecutor
) -> None:
    """Tasks waiting in several loops are woken when the store is closed, by whomever."""
    store = source if isinstance(source, groupstore.Store) else source.store
    watcher = source.watch()
    waiting = threading.Semaphore(0)

    async def consume() -> int:
        waiting.release()
        return len([event async for event in watcher])

    consumers = [threads.submit(asyncio.run, consume()) for _ in range(2)]

    async def main() -> int:
        own = asyncio.create_task(consume())
        for _ in range(2):
            await asyncio.to_thread(waiting.acquire, timeout=PATIENCE_S)
        await asyncio.sleep(0.01)
        if closer == "task":
            store.close()
        else:
            await asyncio.to_thread(store.close)
        return await asyncio.wait_for(own, PATIENCE_S)

    assert asyncio.run(main()) == 0
    assert [consumer.result(PATIENCE_S) for consumer in consumers] == [0, 0]


def test_cancelled_wait_loses_nothing(source: Source) -> None:
    """A task cancelled while it waits takes no event with it."""

    async def main() -> None:
        watcher = source.watch()

        async def wait() -> Event:
            return await anext(aiter(watcher))

        for n in range(5):
            task = asyncio.create_task(wait())
            await asyncio.sleep(0.001)
            task.cancel()
            # Written after the cancellation was asked for, before the task has seen it.
            source.set("g", str(n), "v")
            try:
                event = await task
            except asyncio.CancelledError:
                event = await asyncio.wait_for(wait(), PATIENCE_S)
            assert event.key == str(n)
        assert len(watcher) == 0

    asyncio.run(main())


def test_async_consumer_that_timed_out_goes_on(source: Source) -> None:
    """After `wait_for` gave up on it, a watcher serves the next wait."""

    async def main() -> None:
        watcher = source.watch()
        for n in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(aiter(watcher)), 0.01)
            source.set("g", str(n), "v")
            event = await asyncio.wait_for(anext(aiter(watcher)), PATIENCE_S)
            assert event.key == str(n)

    asyncio.run(main())


def test_event_loop_that_ended_while_waiting(source: Source) -> None:
    """Writers are not disturbed by a consumer whose event loop is gone."""
    watcher = source.watch()

    async def give_up() -> None:
        waiting = asyncio.create_task(anext(aiter(watcher)))  # type: ignore[arg-type]
        await asyncio.sleep(0.001)
        waiting.cancel()

    asyncio.run(give_up())
    source.set("g", "k", "v")
    assert watcher.get(PATIENCE_S).key == "k"
