"""The read cache: no read returns what a finished commit of anyone has made old."""

from __future__ import annotations

import json
import os
import random
import subprocess
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import groupstore
from conftest import Opener
from model import Clock

Start = Callable[..., "subprocess.Popen[str]"]
Run = Callable[..., str]
Foreign = Callable[..., list[list[Any]]]

# Another process with a connection of its own, which does SQL as it is told and answers a line.
SQL_SERVER = """
    import json, sqlite3, sys
    connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)
    for line in sys.stdin:
        rows = [connection.execute(text).fetchall() for text in json.loads(line)]
        print(json.dumps(rows[-1]), flush=True)
"""


class Other:
    """Another process that has the file open by sqlite3."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, *statements: str) -> list[list[Any]]:
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps(statements), file=self._process.stdin, flush=True)
        rows: list[list[Any]] = json.loads(self._process.stdout.readline())
        return rows

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def other(start: Start, path: Path, file_store: groupstore.Store) -> Other:
    """Another process, which stays connected."""
    return Other(start(SQL_SERVER, path))


def warm(face: Any, group: str, *keys: str) -> list[object]:
    """Read keys twice: what the second reading, from the cache, has found."""
    hits = []
    for _ in range(2):
        before = _hits(face)
        found = [face.get(group, key, None) for key in keys]
        hits.append(_hits(face) - before)
    assert hits[1] == len(keys), "the second reading was not served by the cache"
    return found


def _hits(face: Any) -> int:
    store = face if isinstance(face, groupstore.Store) else face.store
    hits: int = store.stats().cache_hits
    return hits


@pytest.fixture(params=("memory", "file", "exclusive", "scope"))
def cached(request: pytest.FixtureRequest, open_store: Opener) -> Any:
    """A store on each storage, and a scope."""
    if request.param == "scope":
        return open_store("file").scoped("tenant")
    return open_store(request.param)


def test_second_read_is_a_hit(cached: Any) -> None:
    """A key, live or absent, that was read once is then served from memory."""
    cached.set("g", "k", "v")
    assert warm(cached, "g", "k", "absent") == ["v", None]
    with pytest.raises(groupstore.NotFoundError):
        cached.get("g", "absent")
    assert cached.exists("g", "k")
    assert not cached.exists("g", "absent")
    assert cached.ttl("g", "k") is None
    assert cached.get_many("g", ["absent", "k"]) == {"k": "v"}


MUTATIONS: dict[str, tuple[Callable[[Any], object], object]] = {
    "set": (lambda face: face.set("g", "k", "new"), "new"),
    "set with a ttl": (lambda face: face.set("g", "k", "new", ttl=50), "new"),
    "set keeping": (lambda face: face.set("g", "k", "new", ttl=groupstore.KEEP), "new"),
    "set_many": (lambda face: face.set_many("g", {"a": "1", "k": "new"}), "new"),
    "large set_many": (
        lambda face: face.set_many("g", {str(n): "1" for n in range(300)} | {"k": b"new"}),
        b"new",
    ),
    "compare_and_set": (lambda face: face.compare_and_set("g", "k", "5", "new"), "new"),
    "compare and delete": (lambda face: face.compare_and_set("g", "k", "5", None), None),
    "increment": (lambda face: face.increment("g", "k"), "6"),
    "pop": (lambda face: face.pop("g", "k"), None),
    "delete": (lambda face: face.delete("g", "k"), None),
    "delete_many": (lambda face: face.delete_many("g", ["a", "k"]), None),
    "delete_group": (lambda face: face.delete_group("g"), None),
    "delete_prefix": (lambda face: face.delete_prefix("g"), None),
    "view": (lambda face: face.group("g").update(k="new"), "new"),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.parametrize("way", ["alone", "transaction", "savepoint", "rollback", "inner rollback"])
def test_own_writes(cached: Any, mutation: str, way: str) -> None:
    """The next read sees what each method has written, and not what was rolled back."""
    mutate, after = MUTATIONS[mutation]
    cached.set_many("g", {"k": "5", "x": "stays", "a": "0"})
    assert warm(cached, "g", "k", "x") == ["5", "stays"]
    if way == "alone":
        mutate(cached)
    elif way == "rollback":
        with pytest.raises(ZeroDivisionError), cached.transaction() as tx:
            mutate(tx)
            assert cached.get("g", "k", None) == after
            raise ZeroDivisionError
        after = "5"
    else:
        with cached.transaction() as tx:
            tx.set("g", "x", "stays")
            with cached.transaction() as inner:
                mutate(inner)
                assert cached.get("g", "k", None) == after
                if way == "inner rollback":
                    inner.rollback()
        after = "5" if way == "inner rollback" else after
    assert cached.get("g", "k", None) == after
    assert cached.get("g", "k", None) == after
    expected = None if after is None and "_group" in mutation else cached.get("g", "x", None)
    assert cached.get("g", "x", None) == expected


def test_absence_is_overwritten(cached: Any) -> None:
    """A key that was cached as absent is seen once it is added."""
    assert warm(cached, "g", "k") == [None]
    assert cached.add("g", "k", "v")
    assert cached.get("g", "k") == "v"


def test_expiry_in_the_cache(cached: Any, clock: Clock) -> None:
    """A cached key expires on time, comes back with the clock, but not after a purge."""
    cached.set("g", "k", "v", ttl=10)
    cached.set("g", "other", "v", ttl=10)
    assert warm(cached, "g", "k") == ["v"]
    clock.advance(9.999)
    assert cached.get("g", "k") == "v"
    clock.advance(0.001)
    assert not cached.exists("g", "k")
    with pytest.raises(groupstore.NotFoundError):
        cached.ttl("g", "k")
    clock.advance(-5)
    assert cached.get("g", "k") == "v"
    clock.advance(5)
    assert cached.purge_expired() == 2
    clock.advance(-5)
    assert cached.get("g", "k", None) is None


def test_expire_and_ttl(cached: Any, clock: Clock) -> None:
    """A changed expiry is seen, the value staying."""
    cached.set("g", "k", "v")
    assert warm(cached, "g", "k") == ["v"]
    assert cached.expire("g", "k", 5)
    assert cached.ttl("g", "k") == 5
    assert warm(cached, "g", "k") == ["v"]
    clock.advance(5)
    assert cached.get("g", "k", None) is None


def test_expired_row_that_get_removes(cached: Any, clock: Clock) -> None:
    """A get that meets an expired row removes it: then the clock cannot bring it back."""
    cached.set("g", "k", "v", ttl=1)
    assert warm(cached, "g", "k") == ["v"]
    clock.advance(2)
    assert cached.get("g", "k", None) is None
    clock.advance(-2)
    assert cached.get("g", "k", None) is None


def test_local_names(file_store: groupstore.Store) -> None:
    """A scope and the store share what is cached under their own names for it."""
    scope = file_store.scoped("a")
    scope.set("g", "k", "1")
    assert warm(scope, "g", "k") == warm(file_store, "a:g", "k") == ["1"]
    file_store.set("a:g", "k", "2")
    assert scope.get("g", "k") == "2"
    file_store.set("g", "k", "outside")
    assert warm(file_store, "g", "k") == ["outside"]
    assert warm(scope, "g", "k") == ["2"]
    assert file_store.delete_prefix("a:") == 1
    assert scope.get("g", "k", None) is None


def test_many_groups_of_a_scope(file_store: groupstore.Store) -> None:
    """A scope with more groups than it remembers reads them right."""
    scope = file_store.scoped("a")
    with scope.transaction():
        for number in range(5000):
            scope.set(f"g{number}", "k", str(number))
    for _ in range(2):
        for number in range(5000):
            assert scope.get(f"g{number}", "k") == str(number)


def test_open_transaction(file_store: groupstore.Store, threads: ThreadPoolExecutor) -> None:
    """What a transaction wrote is seen by its own thread alone until it commits."""
    file_store.set("g", "k", "old")
    assert warm(file_store, "g", "k") == ["old"]

    def read_elsewhere() -> object:
        return threads.submit(file_store.get, "g", "k").result(30)

    with file_store.transaction() as tx:
        tx.set("g", "k", "new")
        assert (tx.get("g", "k"), file_store.get("g", "k")) == ("new", "new")
        assert read_elsewhere() == "old"
        before = file_store.stats().cache_hits
        assert read_elsewhere() == "old"
        assert file_store.stats().cache_hits == before + 1
    assert file_store.get("g", "k") == read_elsewhere() == "new"


FOREIGN_CHANGES = {
    "update": ["UPDATE entries SET entry_value = 'new' WHERE entry_key = 'k'"],
    "delete": ["DELETE FROM entries"],
    "transaction": ["BEGIN", "UPDATE entries SET entry_value = 'new'", "COMMIT"],
    "checkpoint before": [
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "UPDATE entries SET entry_value = 'new'",
    ],
    "checkpoint after": [
        "UPDATE entries SET entry_value = 'new'",
        "PRAGMA wal_checkpoint(RESTART)",
    ],
    "vacuum": ["UPDATE entries SET entry_value = 'new'", "VACUUM"],
    "rolled back": ["BEGIN IMMEDIATE", "UPDATE entries SET entry_value = 'no'", "ROLLBACK"],
}


@pytest.mark.parametrize("change", FOREIGN_CHANGES)
def test_another_process(file_store: groupstore.Store, other: Other, change: str) -> None:
    """The very next read sees what another process has committed, again and again."""
    for number in range(5):
        file_store.set_many("g", {"k": f"old {number}", "x": "stays"})
        assert warm(file_store, "g", "k", "x") == [f"old {number}", "stays"]
        other(*FOREIGN_CHANGES[change])
        [*found] = other("SELECT entry_value FROM entries WHERE entry_key = 'k'")
        assert [[file_store.get("g", "k", None)]] == (found or [[None]])


def test_program_that_comes_and_goes(file_store: groupstore.Store, foreign: Foreign) -> None:
    """A program that opens the file, writes and closes it is seen each time."""
    for number in range(3):
        file_store.set("g", "k", f"old {number}")
        assert warm(file_store, "g", "k") == [f"old {number}"]
        foreign(f"UPDATE entries SET entry_value = 'new {number}'")
        assert file_store.get("g", "k") == f"new {number}"


def test_last_close_deletes_the_log(open_store: Opener, foreign: Foreign) -> None:
    """After the store was closed, changed by others and opened again, nothing old is left."""
    store = open_store()
    store.set("g", "k", "old")
    assert warm(store, "g", "k") == ["old"]
    store.close()
    foreign("UPDATE entries SET entry_value = 'new'")
    store = open_store()
    assert warm(store, "g", "k") == ["new"]


def test_two_stores_of_one_process(open_store: Opener) -> None:
    """Two stores on one file see each other's commits, as two processes do."""
    one, two = open_store(), open_store()
    for number in range(20):
        one.set("g", "k", f"{number}")
        assert warm(two, "g", "k") == [f"{number}"]
        two.set("g", "k", f"-{number}")
        assert warm(one, "g", "k") == [f"-{number}"]


def test_read_only_store(open_store: Opener) -> None:
    """A store that only reads follows the one that writes."""
    writer = open_store()
    reader = open_store(read_only=True)
    for number in range(5):
        writer.set("g", "k", str(number))
        assert warm(reader, "g", "k") == [str(number)]


def test_foreign_trigger(file_store: groupstore.Store, foreign: Foreign) -> None:
    """What another program's trigger changes along with our writes is seen as well."""
    file_store.set_many("g", {"k": "1", "shadow": "old"})
    foreign(
        """CREATE TRIGGER theirs AFTER UPDATE ON entries WHEN NEW.entry_key = 'k' BEGIN
        UPDATE entries SET entry_value = NEW.entry_value WHERE entry_key = 'shadow'; END"""
    )
    for number in range(3):
        warm(file_store, "g", "k", "shadow")
        file_store.set("g", "k", f"new {number}")
        assert file_store.get("g", "shadow") == f"new {number}"
    foreign("DROP TRIGGER theirs")
    warm(file_store, "g", "k", "shadow")
    file_store.set("g", "k", "newest")
    assert warm(file_store, "g", "k", "shadow") == ["newest", "new 2"]


def test_writer_that_dies_in_a_transaction(file_store: groupstore.Store, start: Start) -> None:
    """What a killed process had not committed is never seen, what it had committed always."""
    for number in range(3):
        file_store.set("g", "k", "old")
        assert warm(file_store, "g", "k") == ["old"]
        process = Other(start(SQL_SERVER, file_store.path))
        process("UPDATE entries SET entry_value = 'committed'")
        process("PRAGMA cache_size = 1")
        process("BEGIN", "UPDATE entries SET entry_value = 'lost'")
        # Larger than its cache, so that it has spilled to the log.
        process(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)"
            " INSERT INTO entries SELECT 'lost', i, randomblob(3000), NULL FROM n"
        )
        process.kill()
        assert file_store.get("g", "k") == "committed", number
        assert not file_store.group_exists("lost")


def test_replaced_file(
    open_store: Opener, path: Path, run: Run, tmp_path: Path, clock: Clock
) -> None:
    """Once another file stands in the place of the store's, a read that is no hit says so."""
    store = open_store()
    store.set("g", "k", "old")
    copy = tmp_path / "copy.db"
    run(
        "import sqlite3, sys; a = sqlite3.connect(sys.argv[1]); b = sqlite3.connect(sys.argv[2]);"
        "a.backup(b); b.close(); a.close()",
        path,
        copy,
    )
    os.replace(copy, path)  # noqa: PTH105
    clock.advance(1)
    for _ in range(3):
        with pytest.raises(groupstore.StorageError, match=r"store\.db"):
            store.get("g", "k")
        with pytest.raises(groupstore.StorageError, match=r"store\.db"):
            store.set("g", "k", "lost")


def test_restored_backup(open_store: Opener, path: Path, run: Run) -> None:
    """Content that another process restores through SQLite's own backup is seen at once."""
    store = open_store()
    store.set("g", "k", "kept")
    backup = path.with_name("backup.db")
    copy = (
        "import sqlite3, sys; a = sqlite3.connect(sys.argv[1]); b = sqlite3.connect(sys.argv[2]);"
        "a.backup(b); b.close(); a.close()"
    )
    run(copy, path, backup)
    store.set("g", "k", "later")
    assert warm(store, "g", "k") == ["later"]
    run(copy, backup, path)
    assert store.get("g", "k") == "kept"


def test_size_is_bounded(open_store: Opener) -> None:
    """However much is read, the cache stays within its size, and what it serves is right."""
    store = open_store(cache_size=100_000)
    values = {str(number): str(number) * 20 for number in range(3000)}
    store.set_many("g", values)
    randomly = random.Random(1)
    for _ in range(20_000):
        key = str(int(randomly.paretovariate(0.5)) % 3000)
        assert store.get("g", key) == values[key]
        assert store._engine.cache.size_bytes <= 100_000
    assert store.stats().cache_hits > 5000


@pytest.mark.parametrize("length", [10, 900, 200_000])
def test_names_are_bounded(length: int) -> None:
    """Reads of ever new groups of a scope keep no names beyond what the cache has room for."""
    with groupstore.Store(cache_size=1 << 18, purge_interval=None) as store:
        scope = store.scoped("tenant")
        tracemalloc.start()
        for number in range(20_000_000 // max(length, 5000)):
            scope.get("n" * length + str(number), "k", None)
        traced, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert traced < 1 << 20


@pytest.mark.parametrize("size", [0, 1, 400, 2000])
def test_edges_of_the_size(open_store: Opener, size: int) -> None:
    """A cache too small for an entry, or for one group, holds nothing that breaks a read."""
    store = open_store(cache_size=size)
    for number in range(50):
        store.set(f"g{number % 5}", "k", str(number))
        assert store.get(f"g{number % 5}", "k") == str(number)
        assert store.get(f"g{(number + 1) % 5}", "k", None) in (None, str(number - 4))


def test_large_values_are_not_kept(open_store: Opener) -> None:
    """A value that would push out everything else is read from the file each time."""
    store = open_store(cache_size=1_000_000)
    store.set("g", "large", "x" * 500_000)
    store.set("g", "small", "v")
    assert warm(store, "g", "small") == ["v"]
    assert store.get("g", "large") == store.get("g", "large") == "x" * 500_000
    assert store._engine.cache.size_bytes < 10_000


def test_replacing_by_a_large_value(open_store: Opener) -> None:
    """A cached key that grows too large for the cache is read right."""
    store = open_store(cache_size=1_000_000)
    store.set("g", "k", "v")
    assert warm(store, "g", "k") == ["v"]
    store.set("g", "k", "x" * 500_000)
    assert store.get("g", "k") == "x" * 500_000


def test_closed_store(cached: Any) -> None:
    """A closed store serves nothing from memory."""
    cached.set("g", "k", "v")
    assert warm(cached, "g", "k") == ["v"]
    (cached if isinstance(cached, groupstore.Store) else cached.store).close()
    with pytest.raises(groupstore.StoreClosedError):
        cached.get("g", "k")


def test_names_of_subclasses(cached: Any) -> None:
    """A str of a subclass that compares as it likes finds what plain text would find."""

    class Liar(str):
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = str.__hash__

    cached.set("g", "k", "v")
    assert warm(cached, "g", "k") == ["v"]
    assert cached.get(Liar("g"), Liar("absent"), None) is None
    assert cached.get(Liar("g"), Liar("k")) == "v"
    with pytest.raises(TypeError):
        cached.get("g", 1)
    with pytest.raises(ValueError, match="surrogate"):
        cached.get("g", "\ud800")


def test_a_long_group_is_kept_once(open_store: Opener) -> None:
    """However many keys of a group are cached, its name takes memory once."""
    tenant = open_store().scoped("tenant")
    group = "g" * 100_000
    tracemalloc.start()
    try:
        for number in range(300):
            assert tenant.get(group, f"k{number}", None) is None
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 20 * len(group)


def test_threads_see_what_was_written(open_store: Opener, threads: ThreadPoolExecutor) -> None:
    """A read that begins after a write has returned never finds an older number."""
    store = open_store()
    keys = [f"k{number}" for number in range(4)]
    store.set_many("g", dict.fromkeys(keys, "0"))
    written = dict.fromkeys(keys, 0)
    rounds = 400

    def write(key: str) -> None:
        for number in range(1, rounds + 1):
            store.set("g", key, str(number))
            written[key] = number

    def read() -> int:
        reads = 0
        while min(written.values()) < rounds:
            for key in keys:
                least = written[key]
                assert int(store.get("g", key)) >= least
                reads += 1
        return reads

    readers = [threads.submit(read) for _ in range(3)]
    for writer in [threads.submit(write, key) for key in keys]:
        writer.result(60)
    assert all(reader.result(60) for reader in readers)


COUNTING_WRITER = """
    import sys, groupstore
    with groupstore.Store(sys.argv[1], durability="normal", purge_interval=None) as store:
        for line in sys.stdin:
            store.set("g", "k", line.strip())
            store.set("g", "other", line.strip())
            print(line.strip(), flush=True)
"""


def test_processes_see_what_was_written(file_store: groupstore.Store, start: Start) -> None:
    """What another process was told to have been written is what the next read finds."""
    process = start(COUNTING_WRITER, file_store.path)
    assert process.stdin
    assert process.stdout
    for number in range(300):
        print(number, file=process.stdin, flush=True)
        if number % 3 == 0:
            file_store.set("g", "mine", str(number))
            file_store.get("g", "mine")
        assert process.stdout.readline().strip() == str(number)
        assert file_store.get("g", "k") == str(number)
        assert file_store.get_many("g", ["k", "other"]) == {"k": str(number), "other": str(number)}


def test_fork(run: Run, path: Path) -> None:
    """Parent and child each see what the other writes after a fork with a warm cache."""
    out = run(
        """
        import os, sys, groupstore
        store = groupstore.Store(sys.argv[1], durability="normal", purge_interval=None)
        store.set("g", "k", "before")
        assert [store.get("g", "k") for _ in range(3)] == ["before"] * 3
        to_child, to_parent = os.pipe(), os.pipe()
        if os.fork() == 0:
            # The parent may be ahead already.
            assert store.get("g", "k") in ("before", "parent")
            os.read(to_child[0], 1)
            assert store.get("g", "k") == "parent"
            store.set("g", "k", "child")
            os.write(to_parent[1], b".")
            store.close()
            os._exit(0)
        assert store.get("g", "k") == "before"
        store.set("g", "k", "parent")
        os.write(to_child[1], b".")
        os.read(to_parent[0], 1)
        print(store.get("g", "k"))
        assert os.wait()[1] == 0
        store.close()
        """,
        path,
    )
    assert out.strip() == "child"


def test_no_memory_for_the_note_of_a_change(open_store: Opener) -> None:
    """Where memory runs out after a statement of a transaction, the cache forgets what it held."""
    testcapi = pytest.importorskip("_testcapi")
    store = open_store()
    store.set("g", "k", "0")
    for failing in range(60):
        store.get("g", "k")
        with store.transaction() as tx:
            try:
                testcapi.set_nomemory(failing, failing + 1)
                tx.set("g", "k", str(failing))
            except MemoryError:
                pass
            finally:
                testcapi.remove_mem_hooks()
        assert store.get("g", "k") == store.get_all("g")["k"]
