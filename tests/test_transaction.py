"""Transactions: all or nothing, nested, seen by their own thread and task alone."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import pytest

import groupstore
from conftest import Opener
from groupstore import StoreBusyError, StoreError
from model import CALLS, PATIENCE_S, WRITES, Call, Change, Source, drain


class TooMany(Exception):
    """The caller's own exception."""


def test_commit(source: Source) -> None:
    """What was written in the block is there after it."""
    source.set("accounts", "carol", "1")
    with source.transaction() as tx:
        assert isinstance(tx, groupstore.Transaction)
        tx.set("accounts", "alice", "10")
        tx.set_many("accounts", {"bob": "12"})
        tx.delete("accounts", "carol")
    assert source.get_all("accounts") == {"alice": "10", "bob": "12"}


def test_rollback_on_exception(source: Source) -> None:
    """Any exception undoes the block and propagates unchanged."""
    source.set_many("g", {"k": "old", "k2": "old"})
    failure = TooMany("101")
    with pytest.raises(TooMany) as raised, source.transaction() as tx:
        tx.set("g", "k", "new")
        tx.delete("g", "k2")
        tx.set("h", "k", "new")
        tx.delete_prefix("g")
        raise failure
    assert raised.value is failure
    assert raised.value.__cause__ is None
    assert source.get_all("g") == {"k": "old", "k2": "old"}
    assert source.groups() == ["g"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_rollback_on_any_exception(store: groupstore.Store, failure: type[BaseException]) -> None:
    """Exceptions that are no `Exception` undo the block as well."""
    with pytest.raises(failure), store.transaction() as tx:
        tx.set("g", "k", "v")
        raise failure
    assert store.count_all() == 0
    store.set("g", "k", "v")


def test_reads_see_own_writes(source: Source) -> None:
    """Every read through the transaction sees what it has written, over what was read before."""
    source.set_many("g", {"a": "1", "b": "2"})
    assert source.get("g", "a") == "1"
    with source.transaction() as tx:
        tx.set("g", "a", "changed")
        tx.set("new", "k", "v")
        tx.delete("g", "b")
        assert tx.get("g", "a") == "changed"
        assert tx.get("g", "b", None) is None
        assert tx.get_all("g") == {"a": "changed"}
        assert tx.get_many("g", ["a", "b"]) == {"a": "changed"}
        assert [k for k, _ in tx.items("g")] == list(tx.keys("g")) == ["a"]
        assert tx.count("g") == 1
        assert tx.count_all() == 2
        assert tx.groups() == ["g", "new"]
        assert tx.exists("new", "k")
        assert tx.increment("g", "n") == 1
        assert tx.increment("g", "n") == 2


def test_calls_on_the_store_take_part(source: Source) -> None:
    """Calls on the store and its scopes by the same thread see the block and fall with it."""
    store = source if isinstance(source, groupstore.Store) else source.store
    other = store.scoped("other")
    with pytest.raises(TooMany), source.transaction() as tx:
        tx.set("g", "k", "v")
        assert source.get("g", "k") == "v"
        source.set("g", "k2", "v")
        other.set("g", "k", "v")
        store.group("plain")["k"] = "v"
        assert tx.get_all("g") == {"k": "v", "k2": "v"}
        assert store.count_all() == 4
        raise TooMany
    assert store.count_all() == 0
    with source.transaction():
        source.set("g", "k", "v")
        other.set("g", "k", "v")
    assert store.count_all() == 2


def test_read_after_rollback(store: groupstore.Store) -> None:
    """No read cached inside the block outlives its rollback."""
    store.set("g", "k", "old")
    scope = store.scoped("acme")
    for _ in range(3):
        with pytest.raises(TooMany), store.transaction() as tx:
            tx.set("g", "k", "new")
            tx.set("acme:g", "k", "new")
            assert store.get("g", "k") == tx.get("g", "k") == "new"
            assert scope.get("g", "k") == "new"
            raise TooMany
        assert store.get("g", "k") == "old"
        assert scope.get("g", "k", None) is None


# --- Nesting -----------------------------------------------------------------------------------


def test_nested_failure_undoes_itself_alone(source: Source) -> None:
    """A failed inner block leaves what the outer one wrote before and after it."""
    with source.transaction() as outer:
        outer.set("g", "before", "v")
        with pytest.raises(TooMany), source.transaction() as inner:
            inner.set("g", "before", "changed")
            inner.set("g", "inner", "v")
            raise TooMany
        assert outer.get_all("g") == {"before": "v"}
        outer.set("g", "after", "v")
    assert source.get_all("g") == {"before": "v", "after": "v"}


def test_outer_failure_undoes_inner(source: Source) -> None:
    """What an inner block committed falls with the outer one."""
    with pytest.raises(TooMany), source.transaction():
        with source.transaction() as inner:
            inner.set("g", "k", "v")
        assert source.get("g", "k") == "v"
        raise TooMany
    assert source.count_all() == 0


def test_deep_nesting(store: groupstore.Store) -> None:
    """Blocks nest deeply, those of scopes in those of the store, each undoing its own part."""

    def descend(depth: int) -> None:
        face = store.scoped("acme") if depth % 2 else store
        with pytest.raises(TooMany) if depth % 3 == 0 else nullcontext(), face.transaction() as tx:
            tx.set("g", str(depth), "v")
            if depth < 30:
                descend(depth + 1)
            if depth % 3 == 0:
                raise TooMany

    with store.transaction() as tx:
        tx.set("g", "top", "v")
        descend(1)
    # 1 and 2 stand; 3 undid all below itself.
    assert store.groups() == ["acme:g", "g"]
    assert store.get_all("acme:g") == {"1": "v"}
    assert store.get_all("g") == {"2": "v", "top": "v"}


def test_outer_transaction_inside_an_inner_block(store: groupstore.Store) -> None:
    """The outer transaction stays usable inside an inner block, and is undone with that block."""
    with store.transaction() as outer:
        with pytest.raises(TooMany), store.transaction() as inner:
            outer.set("g", "k", "v")
            assert inner.get("g", "k") == "v"
            raise TooMany
        assert outer.get("g", "k", None) is None


def test_inner_transaction_ends_with_its_block(store: groupstore.Store) -> None:
    """An inner transaction used after its block raises, though the outer one is open."""
    with store.transaction() as outer:
        with store.transaction() as inner:
            inner.set("g", "k", "v")
        with pytest.raises(StoreError):
            inner.get("g", "k")
        assert outer.get("g", "k") == "v"


# --- rollback() --------------------------------------------------------------------------------


def test_explicit_rollback(source: Source) -> None:
    """`rollback` undoes at once; the rest of the block runs, and the block is left quietly."""
    source.set("g", "k", "old")
    watcher = source.watch()
    reached = False
    with source.transaction() as tx:
        tx.set("g", "k", "new")
        tx.rollback()
        assert source.get("g", "k") == "old"
        for use in (lambda: tx.get("g", "k"), lambda: tx.set("g", "k", "v"), tx.rollback):
            with pytest.raises(StoreError):
                use()
        reached = True
    assert reached
    assert source.get("g", "k") == "old"
    assert drain(watcher) == []


def test_explicit_rollback_lets_others_write(
    store: groupstore.Store, threads: ThreadPoolExecutor
) -> None:
    """The write lock is free as soon as `rollback` returns."""
    with store.transaction() as tx:
        tx.set("g", "k", "v")
        tx.rollback()
        threads.submit(store.set, "g", "k", "theirs").result(PATIENCE_S)
    assert store.get("g", "k") == "theirs"


def test_exception_after_explicit_rollback(store: groupstore.Store) -> None:
    """An exception after `rollback` propagates."""
    with pytest.raises(TooMany), store.transaction() as tx:
        tx.rollback()
        raise TooMany
    store.set("g", "k", "v")


def test_explicit_rollback_of_a_nested_block(source: Source) -> None:
    """In a nested block only that savepoint is undone, and the outer one goes on."""
    with source.transaction() as outer:
        outer.set("g", "before", "v")
        with source.transaction() as inner:
            inner.set("g", "inner", "v")
            inner.rollback()
            assert outer.get_all("g") == {"before": "v"}
            outer.set("g", "between", "v")
            with pytest.raises(StoreError):
                inner.exists("g", "inner")
        outer.set("g", "after", "v")
    assert source.get_all("g") == {"before": "v", "between": "v", "after": "v"}


# --- Events ------------------------------------------------------------------------------------


def test_events_leave_in_order_after_the_commit(source: Source) -> None:
    """Nothing is told inside the block; after it everything, in the order of the writes."""
    source.set("old", "k", "v")
    watcher = source.watch()
    called: list[str | None] = []
    source.on_change(lambda event: called.append(event.key))
    with source.transaction() as tx:
        tx.set("g", "a", "1")
        source.set("g", "b", "2")
        tx.delete("g", "a")
        tx.delete_group("old")
        tx.set("g", "a", "3")
        assert len(watcher) == 0
        assert called == []
    expected = [
        Change("set", "g", "a", "1", "set"),
        Change("set", "g", "b", "2", "set"),
        Change("delete", "g", "a", None, "delete"),
        Change("delete_group", "old", None, None, "delete"),
        Change("set", "g", "a", "3", "set"),
    ]
    assert drain(watcher) == expected
    assert called == [change.key for change in expected]


def test_no_events_after_a_rollback(source: Source) -> None:
    """A block that failed tells nothing, not even later."""
    watcher = source.watch()
    with pytest.raises(TooMany), source.transaction() as tx:
        tx.set("g", "k", "v")
        raise TooMany
    assert drain(watcher) == []
    source.set("g", "k2", "v")
    assert [change.key for change in drain(watcher)] == ["k2"]


def test_events_of_a_failed_savepoint_are_dropped(source: Source) -> None:
    """The events of inner blocks leave with the outer commit, those of failed ones never."""
    watcher = source.watch()
    with source.transaction() as outer:
        outer.set("g", "1", "v")
        with pytest.raises(TooMany), source.transaction() as inner:
            inner.set("g", "2", "v")
            with source.transaction() as innermost:
                innermost.set("g", "3", "v")
            raise TooMany
        with source.transaction() as inner:
            inner.set("g", "4", "v")
        with source.transaction() as inner:
            inner.set("g", "5", "v")
            inner.rollback()
        outer.set("g", "6", "v")
        assert drain(watcher) == []
    assert [change.key for change in drain(watcher)] == ["1", "4", "6"]


def test_failed_write_in_a_block_tells_nothing(source: Source) -> None:
    """A write that failed inside a block undoes itself alone, its events with it."""
    watcher = source.watch()
    with source.transaction() as tx:
        tx.set("g", "counter", "x")
        with pytest.raises(ValueError):
            tx.increment("g", "counter")
        with pytest.raises(TypeError):
            tx.set_many("g", [("a", "1"), ("b", 2)])  # type: ignore[list-item]
        tx.set("g", "k", "v")
    assert source.get_all("g") == {"counter": "x", "k": "v"}
    assert [change.key for change in drain(watcher)] == ["counter", "k"]


# --- Who may use it ----------------------------------------------------------------------------


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_use_after_the_block(source: Source, call: Call) -> None:
    """Every call on a transaction after its block raises `StoreError` and does nothing."""
    source.set("g", "k", "5")
    with source.transaction() as tx:
        pass
    with pytest.raises(StoreError):
        call(tx)
    with pytest.raises(StoreError):
        tx.rollback()
    assert source.get_all("g") == {"k": "5"}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_use_by_another_thread(source: Source, call: Call, threads: ThreadPoolExecutor) -> None:
    """Every call on a transaction by another thread raises `StoreError` at once."""
    with source.transaction() as tx:
        tx.set("g", "k", "5")
        used = threads.submit(call, tx)
        with pytest.raises(StoreError):
            used.result(PATIENCE_S)
        assert tx.get_all("g") == {"k": "5"}
    assert source.get_all("g") == {"k": "5"}


def test_transaction_is_entered_once(store: groupstore.Store) -> None:
    """A transaction's block can't be entered a second time."""
    block = store.transaction()
    with block as tx:
        tx.set("g", "k", "v")
    with pytest.raises(StoreError), block:
        pass
    assert store.get("g", "k") == "v"


def test_unentered_transaction_does_nothing(
    store: groupstore.Store, threads: ThreadPoolExecutor
) -> None:
    """`transaction()` alone takes no lock: the block does."""
    block = store.transaction()
    threads.submit(store.set, "g", "k", "v").result(PATIENCE_S)
    assert store.get("g", "k") == "v"
    del block


def test_close_inside_a_block(source: Source) -> None:
    """`close` inside a transaction raises, and the transaction goes on."""
    store = source if isinstance(source, groupstore.Store) else source.store
    with source.transaction() as tx:
        tx.set("g", "k", "v")
        with pytest.raises(StoreError):
            store.close()
        assert not store.closed
        tx.set("g", "k2", "v")
    assert source.count("g") == 2


def test_every_write_takes_part(source: Source) -> None:
    """Every writing method takes part: a rollback undoes each of them."""
    source.set_many("g", {"k": "5", "k2": "v"})
    before = source.get_all("g")
    for call in WRITES.values():
        with pytest.raises(TooMany), source.transaction() as tx:
            call(tx, value="9")
            call(source, value="10")
            raise TooMany
        assert source.get_all("g") == before, call.method


# --- Other threads -----------------------------------------------------------------------------


def test_other_threads_read_what_is_committed(
    file_store: groupstore.Store, threads: ThreadPoolExecutor
) -> None:
    """On a shared file other threads' reads neither wait nor see uncommitted data."""
    file_store.set("g", "k", "old")
    scope = file_store.scoped("acme")
    with file_store.transaction() as tx:
        tx.set("g", "k", "new")
        tx.set("g", "k2", "new")
        tx.set("acme:g", "k", "new")
        reads: list[tuple[Callable[[], Any], Any]] = [
            (lambda: file_store.get("g", "k"), "old"),
            (lambda: file_store.get("g", "k2", None), None),
            (lambda: file_store.get_all("g"), {"k": "old"}),
            (lambda: list(file_store.keys("g")), ["k"]),
            (lambda: file_store.count("g"), 1),
            (lambda: file_store.count_all(), 1),
            (lambda: file_store.groups(), ["g"]),
            (lambda: file_store.exists("g", "k2"), False),
            (lambda: file_store.get_many("g", ["k", "k2"]), {"k": "old"}),
            (lambda: scope.get("g", "k", None), None),
            (lambda: scope.count_all(), 0),
        ]
        for read, expected in reads:
            assert threads.submit(read).result(PATIENCE_S) == expected
    for read, expected in reads:
        assert threads.submit(read).result(PATIENCE_S) != expected


def test_other_threads_never_see_uncommitted_data(
    store: groupstore.Store, threads: ThreadPoolExecutor
) -> None:
    """On any storage a read beside an open block gives the old value, or waits for the commit."""

    def read(began: threading.Event) -> str | bytes:
        began.set()
        return store.get("g", "k")

    for fail in (True, False):
        store.set("g", "k", "old")
        began = threading.Event()
        try:
            with store.transaction() as tx:
                tx.set("g", "k", "new")
                reader = threads.submit(read, began)
                assert began.wait(PATIENCE_S)
                time.sleep(0.02)
                if fail:
                    raise TooMany
        except TooMany:
            pass
        assert reader.result(PATIENCE_S) in (["old"] if fail else ["old", "new"])
        assert store.get("g", "k") == ("old" if fail else "new")


def test_other_threads_writes_wait(store: groupstore.Store, threads: ThreadPoolExecutor) -> None:
    """A write by another thread waits for the end of the block, and is no part of it."""
    with store.transaction() as tx:
        writer = threads.submit(store.set, "g", "k", "theirs")
        tx.set("g", "k", "ours")
        time.sleep(0.05)
        assert not writer.done()
        assert tx.get("g", "k") == "ours"
    writer.result(PATIENCE_S)
    assert store.get("g", "k") == "theirs"


def test_busy_timeout_between_threads(
    open_store: Opener, storage: str, threads: ThreadPoolExecutor
) -> None:
    """A write that has waited `busy_timeout` for a block raises, and can be retried."""
    store = open_store(storage, busy_timeout=0.1)

    def write() -> float:
        began = time.monotonic()
        with pytest.raises(StoreBusyError) as raised:
            store.set("g", "k", "theirs")
        assert isinstance(raised.value, TimeoutError)
        return time.monotonic() - began

    with store.transaction() as tx:
        tx.set("g", "k", "ours")
        assert 0.09 < threads.submit(write).result(PATIENCE_S) < 5
    threads.submit(store.set, "g", "k", "theirs").result(PATIENCE_S)
    assert store.get("g", "k") == "theirs"


def test_transactions_of_many_threads(store: groupstore.Store, threads: ThreadPoolExecutor) -> None:
    """Read-modify-write blocks of many threads lose no update."""
    store.set("g", "n", "0")

    def add(times: int) -> None:
        for _ in range(times):
            with store.transaction() as tx:
                tx.set("g", "n", str(int(tx.get("g", "n")) + 1))

    for adder in [threads.submit(add, 25) for _ in range(8)]:
        adder.result(PATIENCE_S)
    assert store.get("g", "n") == "200"


# --- Tasks -------------------------------------------------------------------------------------


def test_tasks_do_not_share_a_transaction(source: Source) -> None:
    """While a task's block is open, calls by another task of the thread raise `StoreError`."""

    async def main() -> None:
        opened, tried = asyncio.Event(), asyncio.Event()

        async def owner() -> None:
            with source.transaction() as tx:
                tx.set("g", "k", "owner")
                opened.set()
                await tried.wait()
                tx.set("g", "k2", "owner")
                source.set("g", "k3", "owner")

        async def other() -> None:
            await opened.wait()
            for call in CALLS.values():
                if call.method == "group":
                    continue
                with pytest.raises(StoreError):
                    call(source)
            with pytest.raises(StoreError), source.transaction():
                pass
            tried.set()

        await asyncio.gather(owner(), other())
        source.set("g", "k4", "after")

    asyncio.run(main())
    assert list(source.keys("g")) == ["k", "k2", "k3", "k4"]


def test_task_uses_another_tasks_transaction(store: groupstore.Store) -> None:
    """A transaction handed to another task raises there."""

    async def use(tx: groupstore.Transaction) -> None:
        with pytest.raises(StoreError):
            tx.get("g", "k")
        with pytest.raises(StoreError):
            tx.set("g", "k", "v")

    async def main() -> None:
        with store.transaction() as tx:
            tx.set("g", "k", "mine")
            await asyncio.create_task(use(tx))
            assert tx.get("g", "k") == "mine"

    asyncio.run(main())
    assert store.get("g", "k") == "mine"


def test_cancelled_task_rolls_back(store: groupstore.Store) -> None:
    """A task cancelled inside its block undoes it, and the store is free for the others."""

    async def hang() -> None:
        with store.transaction() as tx:
            tx.set("g", "k", "v")
            await asyncio.sleep(3600)

    async def main() -> None:
        task = asyncio.create_task(hang())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        store.set("g", "k2", "v")

    asyncio.run(main())
    assert store.get_all("g") == {"k2": "v"}
