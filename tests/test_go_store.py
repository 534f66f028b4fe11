"""Files shared with go-store: left by it in any state, and written by both in turns and at once.

go-store is played by SQLite and its published statements, in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import groupstore
from conftest import Opener
from groupstore import Quota, QuotaExceededError, ReadOnlyError, StorageError
from test_schema import GO_ENTRIES, GO_INDEX, GO_JOURNAL, KV, KV_KEY

Start = Callable[..., "subprocess.Popen[str]"]
Run = Callable[..., str]

SET = """INSERT INTO entries (group_name, entry_key, entry_value, expires_at) VALUES (?, ?, ?, ?)
    ON CONFLICT(group_name, entry_key)
    DO UPDATE SET entry_value = excluded.entry_value, expires_at = excluded.expires_at"""
GET = "SELECT entry_value, expires_at FROM entries WHERE group_name = ? AND entry_key = ?"
DELETE = "DELETE FROM entries WHERE group_name = ? AND entry_key = ?"
DELETE_PREFIX = "DELETE FROM entries WHERE group_name LIKE ? ESCAPE '^'"
COUNT = """SELECT COUNT(*) FROM entries
    WHERE group_name LIKE ? ESCAPE '^' AND (expires_at IS NULL OR expires_at > ?)"""
GROUPS = """SELECT DISTINCT group_name FROM entries
    WHERE group_name LIKE ? ESCAPE '^' AND (expires_at IS NULL OR expires_at > ?) ORDER BY 1"""
PURGE = "DELETE FROM entries WHERE expires_at IS NOT NULL AND expires_at <= ?"
JOURNAL_APPEND = """INSERT INTO journal_entries
    (bucket_name, measurement, fields_json, tags_json, committed_at, archived_at)
    VALUES (?, ?, ?, ?, ?, NULL)"""

# What it does when it opens a file, then statement after statement, each committed by itself.
CLIENT = """
    import json, sqlite3, sys
    connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
    connection.execute("PRAGMA journal_mode=WAL")
    for statement in json.loads(sys.argv[2]):
        connection.execute(statement.replace("CREATE TABLE e", "CREATE TABLE IF NOT EXISTS e")
            .replace("CREATE TABLE j", "CREATE TABLE IF NOT EXISTS j"))
    assert [row[1] for row in connection.execute("PRAGMA table_info(entries)")] == [
        "group_name", "entry_key", "entry_value", "expires_at"]
    for line in sys.stdin:
        sql, parameters, times = json.loads(line)
        for number in range(times):
            rows = connection.execute(
                sql, [p.replace("#", str(number)) if isinstance(p, str) else p for p in parameters]
            ).fetchall()
        print(json.dumps(rows), flush=True)
    connection.close()
"""


class GoStore:
    """A process that has the file open as go-store would."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, sql: str, *parameters: object, times: int = 1) -> None:
        """Has it run a statement, `times` times with `#` for their number; to be answered."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([sql, parameters, times]) + "\n")
        self._process.stdin.flush()

    def answer(self) -> list[list[Any]]:
        """The last rows of what was asked."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self._process.stderr and self._process.stderr.read()
        rows: list[list[Any]] = json.loads(line)
        return rows

    def __call__(self, sql: str, *parameters: object) -> list[list[Any]]:
        self.ask(sql, *parameters)
        return self.answer()

    def close(self) -> None:
        """Ends the process, and has it close the file."""
        _, complaint = self._process.communicate()
        assert (self._process.returncode, complaint) == (0, "")


@pytest.fixture
def go_store(start: Start, path: Path) -> Callable[[], GoStore]:
    """Starts go-store on the store's file."""

    def start_it() -> GoStore:
        tables = json.dumps([GO_ENTRIES, GO_JOURNAL, GO_INDEX])
        return GoStore(start(CLIENT, path, tables))

    return start_it


def unix_ms() -> int:
    """The time as go-store reads it."""
    return time.time_ns() // 1_000_000


# --- Files in any state ------------------------------------------------------------------------

FORMS = {
    "present": (GO_ENTRIES, "INSERT INTO entries VALUES (?, ?, ?, NULL)"),
    "no expiry": (
        GO_ENTRIES.replace("expires_at INTEGER, ", ""),
        "INSERT INTO entries VALUES (?, ?, ?)",
    ),
    "kv": (KV.format("", KV_KEY), "INSERT INTO kv VALUES (?, ?, ?)"),
    "kv with expiry": (
        KV.format(", expires_at INTEGER", KV_KEY),
        "INSERT INTO kv VALUES (?, ?, ?, NULL)",
    ),
}

# Writes a hundred keys, begins to change them all, and dies; `spill` has SQLite write some of the
# pages that are changed to the file, with what they held before in the journal.
DIE = """
    import os, sqlite3, sys
    path, mode, table, insert = sys.argv[1:]
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = " + mode)
    connection.execute(table)
    connection.execute("BEGIN")
    for n in range(100):
        connection.execute(insert, ("acme:g", f"k{n:02}", f"{n:02}" * 500))
    connection.execute("COMMIT")
    connection.execute("PRAGMA cache_size = 4")
    connection.execute("PRAGMA cache_spill = 4")
    connection.execute("BEGIN")
    name = table.split()[2]
    column = "value" if name == "kv" else "entry_value"
    connection.execute(f"UPDATE {name} SET {column} = 'torn' || {column}")
    os._exit(0)
"""
EXPECTED = {f"k{n:02}": f"{n:02}" * 500 for n in range(100)}


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Each form of its tables, and how rows are put into them."""
    return FORMS[str(request.param)]


def test_log_left_by_a_killed_process(
    open_store: Opener, run: Run, path: Path, form: tuple[str, str]
) -> None:
    """What was committed to the log alone is there, what was not is gone, in each older form."""
    run(DIE, path, "WAL", *form)
    assert Path(f"{path}-wal").stat().st_size > 100_000
    store = open_store()
    assert store.get_all("acme:g") == EXPECTED
    assert store.count_all() == store.scoped("acme").count("g") == 100
    assert store.check() == []


def test_hot_journal_left_by_a_killed_process(
    open_store: Opener, run: Run, path: Path, form: tuple[str, str]
) -> None:
    """Half a transaction in the file is rolled back before it is migrated."""
    run(DIE, path, "DELETE", *form)
    assert Path(f"{path}-journal").stat().st_size > 10_000
    assert b"torn" in path.read_bytes()
    store = open_store()
    assert store.get_all("acme:g") == EXPECTED
    assert not Path(f"{path}-journal").exists()
    assert store.check() == []


def test_hot_journal_is_not_read_over(open_store: Opener, run: Run, path: Path) -> None:
    """Opened read-only, which cannot roll back, such a file is refused, and as it was."""
    run(DIE, path, "DELETE", *FORMS["present"])
    torn = path.read_bytes()
    with pytest.raises((StorageError, ReadOnlyError)) as raised:
        open_store(read_only=True)
    assert str(path) in str(raised.value)
    assert path.read_bytes() == torn
    assert open_store().get_all("acme:g") == EXPECTED


def test_older_form_with_a_log_is_not_read(open_store: Opener, run: Run, path: Path) -> None:
    """An older form has to be migrated first, also when it stands in the log alone."""
    run(DIE, path, "WAL", *FORMS["kv"])
    with pytest.raises(ReadOnlyError, match="migrated"):
        open_store(read_only=True)
    assert open_store().get_all("acme:g") == EXPECTED


def test_backup_and_dump_of_its_file(
    open_store: Opener, run: Run, path: Path, tmp_path: Path
) -> None:
    """A file of its own, only read, can be copied and dumped; the copy is writable."""
    run(DIE, path, "WAL", *FORMS["present"])
    store = open_store(read_only=True)
    assert store.check() == []
    store.backup(tmp_path / "copy.db")
    assert store.dump(tmp_path / "d") == 100
    with groupstore.Store(tmp_path / "copy.db") as copy:
        assert copy.get_all("acme:g") == EXPECTED
        assert copy.load(tmp_path / "d") == 100
        assert copy.check() == []


# --- Both in turns -----------------------------------------------------------------------------


def test_our_file_serves_it(file_store: groupstore.Store, go_store: Callable[[], GoStore]) -> None:
    """It opens a file that we made and have open, and all its statements work there."""
    file_store.set("acme:g", "k", "ours")
    go = go_store()
    assert go(GET, "acme:g", "k") == [["ours", None]]
    go(SET, "acme:g", "k", "theirs", None)
    go(SET, "acme:h", "k", "v", unix_ms() + 100_000)
    go(SET, "acme:h", "old", "v", 1)
    assert file_store.get("acme:g", "k") == "theirs"
    assert 0 < (file_store.ttl("acme:h", "k") or 0) <= 100
    assert file_store.groups() == ["acme:g", "acme:h"]
    assert go(COUNT, "acme:%", unix_ms()) == [[file_store.count_all()]] == [[2]]
    go(PURGE, unix_ms())
    assert file_store.stats().rows == 2
    go(JOURNAL_APPEND, "store", "m", '{"a": 1}', '{"b": "c"}', unix_ms())
    file_store.delete("acme:g", "k")
    assert go(GROUPS, "acme:%", unix_ms()) == [["acme:h"]]
    go(DELETE_PREFIX, "acme:%")
    assert (file_store.count_all(), file_store.groups()) == (0, [])
    go.close()
    assert file_store.check() == []


def test_a_text_that_is_no_utf8(file_store: groupstore.Store, go_store: Any) -> None:
    """Go's strings are any bytes: such a value comes back as bytes."""
    go = go_store()
    go(SET.replace("(?, ?, ?, ?)", "(?, ?, CAST(x'ff00' AS TEXT), ?)"), "g", "k", None)
    assert file_store.get("g", "k") == b"\xff\x00"


class Turns:
    """One file written by both sides, beside a dict that says what is in it."""

    def __init__(self, store: groupstore.Store, go: GoStore) -> None:
        self.store = store
        self.go = go
        self.rows: dict[tuple[str, str], str] = {}

    def set(self, ours: bool, group: str, key: str, value: str) -> None:
        """One side sets a key."""
        if ours:
            self.store.set(group, key, value)
        else:
            self.go(SET, group, key, value, None)
        self.rows[group, key] = value

    def delete(self, ours: bool, group: str, key: str) -> None:
        """One side deletes a key."""
        if ours:
            assert self.store.delete(group, key) == ((group, key) in self.rows)
        else:
            self.go(DELETE, group, key)
        self.rows.pop((group, key), None)

    def delete_prefix(self, ours: bool, prefix: str) -> None:
        """One side deletes the groups of a namespace."""
        if ours:
            self.store.delete_prefix(prefix)
        else:
            self.go(DELETE_PREFIX, f"{prefix}%")
        self.rows = {
            place: value for place, value in self.rows.items() if not place[0].startswith(prefix)
        }

    def look(self, group: str, key: str) -> None:
        """Both sides see what is in the dict, in values, counts, groups and quotas."""
        value = self.rows.get((group, key))
        assert self.store.get(group, key, None) == value
        assert [row[0] for row in self.go(GET, group, key)] == ([] if value is None else [value])
        groups = sorted({group for group, _ in self.rows})
        assert self.store.groups() == groups
        assert self.store.count_all() == len(self.rows)
        mine = [place for place in self.rows if place[0].startswith("acme:")]
        assert self.go(COUNT, "acme:%", unix_ms()) == [[len(mine)]]
        if mine:
            full = self.store.scoped("acme", Quota(max_keys=len(mine)))
            with pytest.raises(QuotaExceededError):
                full.add("new", "new", "v")
        self.store.scoped("acme", Quota(max_keys=len(mine) + 1)).add("new", "new", "v")
        self.go(DELETE, "acme:new", "new")


GROUP_NAMES = st.sampled_from(["acme:a", "acme:b", "other:a", "plain"])
KEY_NAMES = st.sampled_from(["1", "2", "3"])
STEPS = st.one_of(
    st.tuples(st.just("set"), st.booleans(), GROUP_NAMES, KEY_NAMES, st.sampled_from("vw")),
    st.tuples(st.just("delete"), st.booleans(), GROUP_NAMES, KEY_NAMES),
    st.tuples(st.just("delete_prefix"), st.booleans(), st.sampled_from(["acme:", "other:"])),
)


@pytest.fixture(params=["ours", "theirs"])
def turns(
    request: pytest.FixtureRequest, open_store: Opener, go_store: Callable[[], GoStore]
) -> Iterator[Turns]:
    """A file that either side has made."""
    if request.param == "ours":
        store, go = open_store(), go_store()
    else:
        go = go_store()
        go(SET, "g", "k", "v", None)
        store = open_store()
        go(DELETE, "g", "k")
    yield Turns(store, go)
    go.close()


@given(st.lists(st.tuples(STEPS, GROUP_NAMES, KEY_NAMES), max_size=12))
def test_in_turns(turns: Turns, steps: list[tuple[tuple[Any, ...], str, str]]) -> None:
    """Whichever side writes, the next look of both sides finds it, and no count is wrong."""
    turns.delete_prefix(True, "")
    for (method, *arguments), group, key in steps:
        getattr(turns, method)(*arguments)
        turns.look(group, key)
    assert turns.store.check() == []


# --- Both at once ------------------------------------------------------------------------------


def test_at_once(file_store: groupstore.Store, go_store: Callable[[], GoStore]) -> None:
    """No write of either side is lost while both write, and the counts are exact after it."""
    go = go_store()
    go.ask(SET, "acme:g", "theirs #", "v#", None, times=300)
    for n in range(300):
        file_store.set("acme:g", f"ours {n}", f"v{n}")
        file_store.set("acme:g", "both", f"v{n}")
    go.answer()
    go.ask(DELETE, "acme:g", "theirs #", times=100)
    for n in range(100):
        assert file_store.delete("acme:g", f"ours {n}")
    go.answer()
    expected = {f"{side} {n}": f"v{n}" for side in ("ours", "theirs") for n in range(100, 300)}
    assert file_store.get_all("acme:g") == expected | {"both": "v299"}
    assert go(COUNT, "acme:%", unix_ms()) == [[401]] == [[file_store.count_all()]]
    assert go(GET, "acme:g", "both") == [["v299", None]]
    assert file_store.check() == []
    go.close()


def test_quota_beside_it(file_store: groupstore.Store, go_store: Callable[[], GoStore]) -> None:
    """What it has written counts at once: the side with a quota adds nothing beyond the limit."""
    go = go_store()
    scope = file_store.scoped("acme", Quota(max_keys=400))
    go.ask(SET, "acme:theirs", "#", "v", None, times=250)
    added = 0
    with pytest.raises(QuotaExceededError):
        for n in range(401):
            scope.set("ours", str(n), "v")
            added += 1
    go.answer()
    # It knows no quota of ours and may have gone on after we were full.
    assert scope.count("ours") == added
    assert 150 <= added <= 400
    assert scope.count_all() == added + 250
    with pytest.raises(QuotaExceededError):
        scope.set("ours", "one more", "v")
    scope.set("theirs", "0", "overwriting is allowed")
    go.ask(DELETE, "acme:theirs", "#", times=250)
    go.answer()
    assert scope.count_all() == added
    assert file_store.check() == []
    go.close()


def test_backup_beside_it(
    file_store: groupstore.Store, go_store: Callable[[], GoStore], tmp_path: Path
) -> None:
    """A copy and a dump made while it writes are whole, and of one state each."""
    go = go_store()
    go.ask(SET, "acme:g", "#", "v", None, times=400)
    for n in range(5):
        file_store.backup(tmp_path / f"{n}.db")
        file_store.dump(tmp_path / str(n))
    go.answer()
    go.close()
    counts = []
    for n in range(5):
        with groupstore.Store(tmp_path / f"{n}.db") as copy, groupstore.Store() as loaded:
            assert copy.check() == []
            counts += [copy.count_all(), loaded.load(tmp_path / str(n))]
            assert sorted(copy.keys("acme:g"), key=int) == [str(k) for k in range(counts[-2])]
    assert counts == sorted(counts)
