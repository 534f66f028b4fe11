"""What once went wrong, each with the least that shows it."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import groupstore
from groupstore import CorruptStoreError, StoreError

Run = Callable[..., str]


def block(store: groupstore.Store) -> Iterator[None]:
    with store.transaction() as tx:
        tx.set("g", "uncommitted", "v")
        yield


def in_thread(call: Callable[[], Any]) -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    thread.join()
    return found[0]


def test_transaction_of_a_dead_thread(open_store: Callable[..., groupstore.Store]) -> None:
    """A new thread is no heir of a dead one's open transaction, whatever number it is given."""
    store = open_store(busy_timeout=0.05)
    left: list[Iterator[None]] = []

    def leave_open() -> None:
        left.append(block(store))
        next(left[0])

    def write() -> type[BaseException] | None:
        try:
            store.set("g", "mine", "v")
        except StoreError as error:
            return type(error)
        return None

    in_thread(leave_open)
    assert in_thread(write) is groupstore.StoreBusyError
    left.clear()
    gc.collect()
    assert in_thread(write) is None
    assert store.get_all("g") == {"mine": "v"}


def test_increment_at_the_moment_of_expiry(file_store: groupstore.Store) -> None:
    """A counter either keeps its expiry or starts anew: none goes on without one."""
    for _ in range(30):
        file_store.set("g", "n", "1000", ttl=0.002)
        while (count := file_store.increment("g", "n")) > 1000:
            assert count < 100_000
        assert count == 1


def test_transaction_of_a_store_without_other_references(path: Path) -> None:
    """A transaction keeps its store alive."""
    with groupstore.Store(path, purge_interval=None).transaction() as tx:
        tx.set("g", "k", "v")
        store = tx._source
    assert store.get("g", "k") == "v"
    store.close()  # type: ignore[attr-defined]


def test_savepoint_left_after_its_transaction(file_store: groupstore.Store) -> None:
    """What was undone because the outer block was left first is no quiet success."""
    outer, inner = file_store.transaction(), file_store.transaction()
    outer.__enter__()
    inner.__enter__()
    inner.set("g", "k", "v")
    outer.__exit__(None, None, None)
    with pytest.raises(StoreError):
        inner.__exit__(None, None, None)
    assert file_store.get("g", "k", None) is None


def test_block_left_by_another_task(file_store: groupstore.Store) -> None:
    """It is rolled back and raises; the store goes on."""

    async def main() -> None:
        tx = file_store.transaction()

        async def enter() -> None:
            tx.__enter__()
            tx.set("g", "k", "v")

        await asyncio.create_task(enter())
        with pytest.raises(StoreError):
            tx.__exit__(None, None, None)
        file_store.set("g", "after", "v")

    asyncio.run(main())
    assert file_store.get_all("g") == {"after": "v"}


def test_schema_that_is_no_text(path: Path) -> None:
    """A damaged schema, even one that is no UTF-8, is a CorruptStoreError, and left as it is."""
    groupstore.Store(path, purge_interval=None).close()
    damaged = path.read_bytes().replace(
        b"WHEN NEW.group_name IS NOT", b"WHEN NEW.group\xffname IS NOT"
    )
    path.write_bytes(damaged)
    with pytest.raises(CorruptStoreError, match=str(path)):
        groupstore.Store(path)
    assert path.read_bytes() == damaged


def test_watcher_of_no_store() -> None:
    """A watcher is made by a store alone."""
    with pytest.raises(TypeError):
        groupstore.Watcher()  # type: ignore[call-arg]


def test_callback_that_is_cancelled(file_store: groupstore.Store) -> None:
    """What is no Exception goes on to the writer, after the other callbacks were called."""
    seen: list[groupstore.Event] = []

    def cancelled(_: groupstore.Event) -> None:
        raise asyncio.CancelledError

    file_store.on_change(cancelled)
    file_store.on_change(seen.append)
    with pytest.raises(asyncio.CancelledError):
        file_store.set("g", "k", "v")
    assert len(seen) == 1
    assert file_store.get("g", "k") == "v"


def test_handler_that_calls_while_the_store_reopens(run: Run, path: Path) -> None:
    """A call from a signal handler finds the store in use, or is served; it never crashes."""
    run(
        """
import os, signal, sys, time, groupstore
store = groupstore.Store(sys.argv[1], purge_interval=None, durability="normal")
store.set("g", "k", "v")

def handler(*_):
    try:
        store.get("g", "k")
    except groupstore.StoreError:
        pass

signal.signal(signal.SIGALRM, handler)
for n in range(60):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    signal.setitimer(signal.ITIMER_REAL, 0.0001)
    store.set("g", "k", str(n))
    time.sleep(0.001)
store.close()
""",
        path,
    )


def test_two_stores_on_one_file_in_a_child(run: Run, path: Path) -> None:
    """A transaction open on one store at the fork makes every store on its file unusable there."""
    run(
        """
import os, sys, groupstore
first = groupstore.Store(sys.argv[1], purge_interval=None)
second = groupstore.Store(sys.argv[1], purge_interval=None)
tx = first.transaction()
tx.__enter__()
pid = os.fork()
if pid == 0:
    try:
        second.get("g", "k", None)
    except groupstore.StoreError:
        os._exit(0)
    os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
tx.__exit__(None, None, None)
second.set("g", "k", "v")
first.close()
second.close()
""",
        path,
    )


def test_names_that_are_no_utf8_end_no_iteration(
    file_store: groupstore.Store, foreign: Callable[..., Any]
) -> None:
    """A page with such a name in it is followed by the next."""
    file_store.set_many("g", {f"k{n:04}": "v" for n in range(500)})
    insert = "INSERT INTO entries (group_name, entry_key, entry_value) VALUES "
    foreign(insert + "('g', CAST(x'6b30303130ff' AS TEXT), 'v')")
    foreign(insert + ", ".join(f"('g', CAST(x'6b{n:04x}ff' AS TEXT), 'v')" for n in range(200)))
    expected = [f"k{n:04}" for n in range(500)]
    assert list(file_store.keys("g")) == expected
    assert list(file_store.keys("g", reverse=True)) == expected[::-1]
    assert [item.key for item in file_store.items("g")] == expected


def test_foreign_triggers_run_in_bulk(
    file_store: groupstore.Store, foreign: Callable[..., Any]
) -> None:
    """A bulk write leaves another program's triggers on."""
    foreign(
        "CREATE TABLE audit (k)",
        "CREATE TRIGGER audited AFTER INSERT ON entries BEGIN"
        " INSERT INTO audit VALUES (NEW.entry_key); END",
    )
    file_store.set_many("g", {str(n): "v" for n in range(1000)})
    assert foreign("SELECT count(*) FROM audit") == [[1000]]
    assert file_store.count("g") == 1000
    assert file_store.check() == []
