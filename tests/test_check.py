"""check and vacuum: damage is named and never raised, and free pages are given back."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import groupstore
from conftest import Opener
from groupstore import CorruptStoreError, ReadOnlyError, StoreClosedError, StoreError
from test_dump import Enough
from test_schema import GO_ENTRIES, GO_INDEX, GO_JOURNAL

Foreign = Callable[..., list[list[Any]]]

JOURNAL = "INSERT INTO journal_entries VALUES ({}, 'b', 'm', {}, {}, 1, NULL)"


def test_sound(store: groupstore.Store) -> None:
    """Nothing is found in what the store itself has written."""
    store.set_many("acme:g", {str(n): b"\xff" for n in range(1000)}, ttl=100)
    store.delete("acme:g", "5")
    assert store.check() == []


def test_in_a_transaction(store: groupstore.Store) -> None:
    """It looks at what this thread's transaction has written, and leaves that open."""
    with store.transaction() as tx:
        tx.set("g", "k", "v")
        assert store.check() == []
        tx.rollback()
    assert store.count_all() == 0


ROWS = {
    "value": ("INSERT INTO entries VALUES ('g', 'k', {}, NULL)", ["x''"], None),
    "group": ("INSERT INTO entries VALUES ({}, 'k', 'v', NULL)", ["x'67'"], "not text in UTF-8"),
    "key": ("INSERT INTO entries VALUES ('g', {}, 'v', NULL)", ["x'67'"], "not text in UTF-8"),
    "no UTF-8": (
        "INSERT INTO entries VALUES ('g', CAST({} AS TEXT), 'v', NULL)",
        ["x'ff'"],
        "not text in UTF-8",
    ),
    "expiry": (
        "INSERT INTO entries VALUES ('g', 'k', 'v', {})",
        ["'soon'", "1.5", "x'01'"],
        "type",
    ),
    "fields": (JOURNAL.format(7, "{}", "'{{}}'"), ["'nonsense'", "'[]'", "x'7b7d'"], "entry 7 "),
    "tags": (
        JOURNAL.format(7, "'{{}}'", "{}"),
        ["''", "'5'", """CAST(x'7b2261223a22ff227d' AS TEXT)"""],
        "entry 7 ",
    ),
    "journal": (JOURNAL.format(7, "'{{}}'", "{}"), ["""'{"a": "b"}'"""], None),
}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        pytest.param(sql.format(value), expected, id=f"{name} {value}")
        for name, (sql, choices, expected) in ROWS.items()
        for value in choices
    ],
)
def test_foreign_rows(
    file_store: groupstore.Store, foreign: Foreign, sql: str, expected: str | None
) -> None:
    """Rows of another program that are of no use here are named, one sentence each."""
    foreign(sql)
    problems = file_store.check()
    if expected is None:
        assert problems == []
    else:
        assert len([problem for problem in problems if expected in problem]) == 1


def test_wrong_counts_are_mended(file_store: groupstore.Store, foreign: Foreign) -> None:
    """A count that another program has changed is named once and right afterwards."""
    file_store.set("acme:g", "k", "v")
    foreign("UPDATE groupstore_groups SET row_count = 7")
    (problem,) = file_store.check()
    assert "acme:g" in problem
    assert (file_store.check(), file_store.count_all()) == ([], 1)


@pytest.mark.parametrize(
    "damage",
    [
        "DROP TABLE groupstore_groups",
        "DROP TABLE groupstore_namespaces",
        "DROP TRIGGER groupstore_entry_added",
        "ALTER TABLE groupstore_groups ADD COLUMN colour TEXT",
        "ALTER TABLE groupstore_groups RENAME COLUMN row_count TO rows",
    ],
)
def test_lost_counts_are_made_again(
    file_store: groupstore.Store, foreign: Foreign, damage: str
) -> None:
    """Tables and triggers that another program took are named, and there afterwards."""
    file_store.set("acme:g", "k", "v")
    foreign(damage)
    assert any("missing or were altered" in problem for problem in file_store.check())
    assert file_store.check() == []
    file_store.set("acme:g", "l", "w")
    assert file_store.count_all() == 2
    assert file_store.scoped("acme").groups() == ["g"]


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        ("DROP TABLE journal_entries", "'journal_entries' is missing"),
        ("DROP TABLE entries", "'entries' is missing"),
        ("DROP INDEX entries_expires_at_idx", "an index"),
        ("DROP INDEX journal_entries_bucket_committed_at_idx", "an index"),
    ],
)
def test_lost_parts_are_made_again(
    file_store: groupstore.Store, foreign: Foreign, damage: str, expected: str
) -> None:
    """A table or index that another program dropped is named, and there afterwards."""
    file_store.set("g", "k", "v")
    foreign(damage)
    assert any(expected in problem for problem in file_store.check())
    assert file_store.check() == []
    file_store.set("g", "l", "w", ttl=100)
    assert file_store.get("g", "l") == "w"
    file_store.journal.append("m", {"n": 1})


@pytest.mark.parametrize("column", ["type", "name", "tbl_name"])
@pytest.mark.parametrize("value", ["NULL", "5", "CAST(x'ff' AS TEXT)"])
def test_damaged_schema(
    file_store: groupstore.Store, foreign: Foreign, column: str, value: str
) -> None:
    """A schema in which a name is none is reported, while the store is open and at the next."""
    file_store.set("g", "k", "v")
    foreign(
        "PRAGMA writable_schema = ON",
        f"UPDATE sqlite_schema SET {column} = {value} WHERE name = 'groupstore_entry_moved'",
    )
    for _ in range(2):
        problems = file_store.check()
        assert problems
        assert all(isinstance(problem, str) for problem in problems)


def varint(number: int) -> bytes:
    """SQLite's form of an integer (https://sqlite.org/fileformat2.html, section 1.6)."""
    parts = [number & 0x7F]
    while number := number >> 7:
        parts.append(number & 0x7F | 0x80)
    return bytes(reversed(parts))


def with_endless_group(content: bytes) -> bytes:
    """A database in which the group of the only row, `MARK`, claims 1.5 GB."""
    page_bytes = 4096
    page = content.index(b"MARK") // page_bytes * page_bytes
    claimed_bytes = 1_500_000_000
    # A text, a text of one byte (the key), one of one byte (the value), and NULL.
    types = varint(13 + 2 * claimed_bytes) + bytes([15, 15, 0])
    header = bytes([len(types) + 1]) + types
    payload_bytes = len(header) + claimed_bytes + 2
    usable = page_bytes
    longest, shortest = (usable - 12) * 64 // 255 - 23, (usable - 12) * 32 // 255 - 23
    local = shortest + (payload_bytes - shortest) % (usable - 4)
    local = local if local <= longest else shortest
    overflow_page = content[page + page_bytes - 4 : page + page_bytes]
    record = (header + b"MARK").ljust(local, b"c")
    cell = varint(payload_bytes) + record + overflow_page
    start = page_bytes - len(cell)
    body = bytearray(content)
    body[page + start : page + page_bytes] = cell
    body[page + 5 : page + 7] = body[page + 8 : page + 10] = start.to_bytes(2, "big")
    return bytes(body)


def test_length_that_no_value_can_have(open_store: Opener, path: Path, tmp_path: Path) -> None:
    """It is damage, for check as for dump, which leaves nothing behind."""
    with open_store() as store:
        store.set("MARK", "b", "c" * 5000)
    path.write_bytes(with_endless_group(path.read_bytes()))
    store = open_store()
    problems = store.check()
    assert any("too big" in problem for problem in problems)
    assert any("could not be mended" in problem for problem in problems)
    with pytest.raises(CorruptStoreError, match=r"dump: .*too big"):
        store.dump(tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_read_only_reports(open_store: Opener, foreign: Foreign) -> None:
    """A store that is only read names wrong counts too, and leaves them."""
    open_store().close()
    foreign("INSERT INTO groupstore_groups VALUES ('g', 5)")
    store = open_store(read_only=True)
    problems = store.check()
    assert len(problems) == 1
    assert store.check() == problems


def test_file_of_go_store_read_only(open_store: Opener, foreign: Foreign) -> None:
    """A file without our counts, or without a journal, is not blamed for that."""
    foreign("PRAGMA journal_mode = WAL", GO_ENTRIES)
    assert open_store(read_only=True).check() == []


def test_leftover(file_store: groupstore.Store, path: Path) -> None:
    """What a process that died while it made the file has left beside it is named."""
    left = Path(f"{path}-0123456789abcdef.new")
    left.touch()
    Path(f"{path}-colour.new").touch()
    (problem,) = file_store.check()
    assert str(left) in problem
    left.unlink()
    assert file_store.check() == []


def damage(run: Callable[..., str], path: Path, at: int, data: bytes) -> None:
    """Has another process write over a closed store's file."""
    run(
        """
        import sys
        with open(sys.argv[1], "r+b") as file:
            file.seek(int(sys.argv[2]))
            file.write(bytes.fromhex(sys.argv[3]))
        """,
        path,
        at,
        data.hex(),
    )


@given(st.data())
def test_damaged_pages(tmp_path: Path, data: st.DataObject) -> None:
    """Whatever is written over a file: it is refused at opening, or checked without an error."""
    path = tmp_path / "damaged.db"
    for ending in ("", "-wal", "-shm"):
        Path(f"{path}{ending}").unlink(missing_ok=True)
    with groupstore.Store(path, durability="normal", purge_interval=None) as store:
        store.set_many("acme:g", {f"k{n:03}": f"{n:0100}" for n in range(400)})
        store.set("h", "long", "v" * 20_000)
    sound = path.read_bytes()
    at = data.draw(st.integers(0, len(sound) - 1))
    noise = data.draw(st.one_of(st.binary(min_size=1, max_size=64), st.just(bytes(4096))))
    path.write_bytes((sound[:at] + noise + sound[at + len(noise) :])[: len(sound)])
    try:
        store = groupstore.Store(path, durability="normal", purge_interval=None)
    except (CorruptStoreError, groupstore.StorageError):
        return
    with store:
        problems = store.check()
        assert all(isinstance(problem, str) for problem in problems)


def test_damaged_counts(open_store: Opener, path: Path, run: Callable[..., str]) -> None:
    """Where the counts' own pages are damaged they cannot be mended, which is reported too."""
    with open_store() as store:
        store.set_many("acme:g", {f"k{n}": "v" for n in range(10)})
        with store._engine.read("test") as connection:
            roots = "SELECT name, rootpage FROM sqlite_schema WHERE type = 'table'"
            pages = dict(connection.execute(roots).fetchall())
    damage(run, path, (pages["groupstore_groups"] - 1) * 4096, b"\xee" * 4096)
    store = open_store()
    for _ in range(2):
        problems = store.check()
        assert any("malformed" in problem or "error" in problem for problem in problems)
        assert any("could not be mended" in problem for problem in problems)
    assert store.get("acme:g", "k1") == "v"


def test_truncated(open_store: Opener, path: Path, run: Callable[..., str]) -> None:
    """A file that loses its end while it is open is reported as damaged."""
    with open_store() as store:
        store.set_many("g", {f"k{n}": "v" * 100 for n in range(1000)})
    store = open_store()
    run("import os, sys; os.truncate(sys.argv[1], 4096 * 20)", path)
    assert store.check() != []


def test_progress(store: groupstore.Store) -> None:
    """It is called after each examination; what it raises comes out, and the store goes on."""
    seen: list[tuple[int, int]] = []
    assert store.check(lambda done, total: seen.append((done, total))) == []
    assert [done for done, _ in seen] == list(range(1, len(seen) + 1))
    assert {total for _, total in seen} == {len(seen)}

    for error in (Enough(), CorruptStoreError("of the caller")):

        def progress(done: int, total: int, error: Exception = error) -> None:
            store.set("g", "k", "a callback may use the store")
            raise error

        with pytest.raises(type(error)) as raised:
            store.check(progress)
        assert raised.value is error
    assert store.check() == []


def test_wrong_arguments(store: groupstore.Store) -> None:
    """A progress that cannot be called is a TypeError."""
    with pytest.raises(TypeError):
        store.check(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        store.vacuum(5)  # type: ignore[arg-type]


def pages(foreign: Foreign) -> int:
    """How many pages the database has."""
    return int(foreign("PRAGMA page_count")[0][0])


def test_vacuum(store: groupstore.Store) -> None:
    """What was deleted makes the file smaller at once, and what is there stays."""
    store.set_many("gone", {f"k{n}": "v" * 100 for n in range(5000)})
    store.set_many("kept", {f"k{n}": b"\xff" * 100 for n in range(100)}, ttl=1000)
    kept = store.get_all("kept")
    # The first one moves all from the log to the file.
    store.vacuum()
    before = store.stats().file_size
    store.delete_group("gone")
    store.vacuum()
    assert store.stats().file_size * 5 < before
    assert store.get_all("kept") == kept
    assert store.check() == []


def test_vacuum_goes_by_steps(
    file_store: groupstore.Store, threads: ThreadPoolExecutor, foreign: Foreign
) -> None:
    """Between two steps other threads and this one write, and progress counts pages."""
    file_store.set_many("gone", {f"k{n}": "v" * 1000 for n in range(5000)})
    file_store.delete_group("gone")
    seen: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        seen.append((done, total))
        threads.submit(file_store.set, "g", str(len(seen)), "v").result()

    file_store.vacuum(progress)
    assert seen == sorted(seen)
    assert len(seen) > 3
    assert seen[-1][0] == seen[-1][1] > 1000
    assert file_store.count("g") == len(seen)
    assert pages(foreign) < 100
    assert file_store.check() == []


def test_vacuum_ended_by_progress(file_store: groupstore.Store) -> None:
    """What progress raises comes out unchanged; the content stays."""
    file_store.set_many("gone", {f"k{n}": "v" * 1000 for n in range(5000)})
    file_store.set("g", "k", "v")
    file_store.delete_group("gone")
    error = Enough()

    def progress(done: int, total: int) -> None:
        raise error

    with pytest.raises(Enough) as raised:
        file_store.vacuum(progress)
    assert raised.value is error
    assert file_store.get("g", "k") == "v"
    assert file_store.check() == []


def test_vacuum_of_a_foreign_file(open_store: Opener, foreign: Foreign, path: Path) -> None:
    """A file that another program made is rebuilt, and shrinks as well."""
    foreign(GO_ENTRIES, GO_JOURNAL, GO_INDEX)
    store = open_store()
    store.set_many("gone", {f"k{n}": "v" * 1000 for n in range(5000)})
    store.set("g", "k", "v")
    store.delete_group("gone")
    seen: list[tuple[int, int]] = []
    store.vacuum(lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == [0, seen[0][1]]
    assert os.stat(path).st_size < 200_000
    assert (store.get("g", "k"), store.check()) == ("v", [])


def test_nothing_to_vacuum(store: groupstore.Store) -> None:
    """A store without free pages stays as it is, which progress is told once."""
    seen: list[tuple[int, int]] = []
    store.vacuum(lambda done, total: seen.append((done, total)))
    assert seen == [(0, 0)]
    store.set("g", "k", "v")
    store.vacuum()
    assert store.get("g", "k") == "v"


def test_vacuum_in_a_transaction(store: groupstore.Store) -> None:
    """Inside a transaction it is refused."""
    with store.transaction(), pytest.raises(StoreError, match=r"vacuum: .*inside a transaction"):
        store.vacuum()


def test_vacuum_read_only(open_store: Opener) -> None:
    """On a store that is only read it is refused, and after its close that is what is said."""
    open_store().close()
    store = open_store(read_only=True)
    with pytest.raises(ReadOnlyError, match="vacuum: "):
        store.vacuum()
    store.close()
    with pytest.raises(StoreClosedError, match="vacuum: "):
        store.vacuum()
