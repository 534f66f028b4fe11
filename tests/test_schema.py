"""The tables in the file: counts kept by triggers, older forms migrated, others refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Opener
from groupstore import CorruptStoreError, StoreConfig, schema
from groupstore.opening import open_database

Foreign = Callable[..., list[list[Any]]]

GO_ENTRIES = """CREATE TABLE entries (
    group_name TEXT NOT NULL, entry_key TEXT NOT NULL, entry_value TEXT NOT NULL,
    expires_at INTEGER, PRIMARY KEY (group_name, entry_key))"""
GO_JOURNAL = """CREATE TABLE journal_entries (
    entry_id INTEGER PRIMARY KEY AUTOINCREMENT, bucket_name TEXT NOT NULL,
    measurement TEXT NOT NULL, fields_json TEXT NOT NULL, tags_json TEXT NOT NULL,
    committed_at INTEGER NOT NULL, archived_at INTEGER)"""
GO_INDEX = """CREATE INDEX IF NOT EXISTS journal_entries_bucket_committed_at_idx
    ON journal_entries(bucket_name, committed_at)"""
GO_SET = """INSERT INTO entries (group_name, entry_key, entry_value, expires_at)
    VALUES (?, ?, ?, NULL) ON CONFLICT (group_name, entry_key)
    DO UPDATE SET entry_value = excluded.entry_value, expires_at = NULL"""
KV = "CREATE TABLE kv (grp TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL{}, {})"
KV_KEY = "PRIMARY KEY (grp, key)"


@pytest.fixture
def connection() -> Iterator[apsw.Connection]:
    """A database in memory that has the schema."""
    connection = open_database(StoreConfig()).first
    yield connection
    connection.close()


def assert_counted(connection: apsw.Connection) -> None:
    """The counts are what counting the rows now gives."""
    groups = Counter(row[0] for row in connection.execute("SELECT group_name FROM entries"))
    kept = dict(
        connection.execute("SELECT group_name, row_count FROM groupstore_groups").fetchall()
    )
    assert kept == groups
    expected: dict[str, list[int]] = {}
    for group, rows in groups.items():
        namespace, colon, _ = group.partition(":")
        # No scope is named like that, so what is kept for it does not matter.
        if colon and "\0" not in namespace:
            totals = expected.setdefault(namespace, [0, 0])
            totals[0] += rows
            totals[1] += 1
    found = {
        name: totals
        for name, *totals in connection.execute(
            "SELECT namespace, row_count, group_count FROM groupstore_namespaces"
        )
    }
    assert found == expected


GROUPS = st.sampled_from(
    [
        *("plain", "", "acme:a", "acme:b", "acme:", "ACME:a", "acme:a:b", ":x", "acme", "acme;a"),
        *("a\0b:c", "a:b\0c", "\0:x", "acme:\0", "é:x", "\U0010ffff:x"),
    ]
)
KEYS = st.sampled_from(["k1", "k2", "k3"])
STATEMENTS = st.one_of(
    st.tuples(st.just(GO_SET), st.tuples(GROUPS, KEYS, st.just("v"))),
    st.tuples(
        st.just("INSERT OR IGNORE INTO entries VALUES (?, ?, 'v', 5)"), st.tuples(GROUPS, KEYS)
    ),
    st.tuples(
        st.just("DELETE FROM entries WHERE group_name = ? AND entry_key = ?"),
        st.tuples(GROUPS, KEYS),
    ),
    st.tuples(st.just("DELETE FROM entries WHERE group_name = ?"), st.tuples(GROUPS)),
    st.tuples(st.just("DELETE FROM entries"), st.just(())),
    st.tuples(
        st.just("UPDATE OR IGNORE entries SET group_name = ? WHERE group_name = ?"),
        st.tuples(GROUPS, GROUPS),
    ),
    st.tuples(
        st.just(
            "UPDATE OR IGNORE entries SET group_name = ?, entry_key = 'k9' WHERE entry_key = ?"
        ),
        st.tuples(GROUPS, KEYS),
    ),
    st.tuples(st.just("UPDATE entries SET entry_value = 'w', expires_at = ?"), st.just((1,))),
)


@given(st.lists(STATEMENTS, max_size=30))
def test_counts_follow_any_statement(statements: list[tuple[str, tuple[str, ...]]]) -> None:
    """Whatever is inserted, overwritten, renamed or deleted by SQL, the counts are exact."""
    connection = open_database(StoreConfig()).first
    for sql, parameters in statements:
        connection.execute(sql, parameters)
        assert_counted(connection)
    connection.close()


@pytest.mark.parametrize(
    "clause", ["OR IGNORE", "OR REPLACE", "OR ABORT", "OR FAIL", "OR ROLLBACK"]
)
def test_conflict_clauses_do_not_reach_the_counts(connection: apsw.Connection, clause: str) -> None:
    """A new key counts once however the outer statement treats conflicts."""
    for group, key in [("acme:a", "1"), ("acme:a", "2"), ("acme:b", "1"), ("plain", "1")]:
        connection.execute(f"INSERT {clause} INTO entries VALUES (?, ?, 'v', NULL)", (group, key))
        assert_counted(connection)
    connection.execute(f"UPDATE {clause} entries SET group_name = 'acme:c' WHERE entry_key = '2'")
    assert_counted(connection)


def test_replace_is_mended_by_a_recount(connection: apsw.Connection) -> None:
    """A REPLACE of an existing key escapes the triggers; `recount` puts that right."""
    for _ in range(3):
        connection.execute("REPLACE INTO entries VALUES ('acme:a', 'k', 'v', NULL)")
    schema.recount(connection)
    assert_counted(connection)


@pytest.mark.parametrize("text", ["ff3a62", "c33a62", "e2823a62", "613aff", "61ff3a62", "6100ff"])
def test_names_that_are_no_utf8(connection: apsw.Connection, text: str) -> None:
    """Triggers take any bytes for a group's name, and count them in their group."""
    name = f"CAST(x'{text}' AS TEXT)"
    for key in ("1", "2"):
        connection.execute(f"INSERT INTO entries VALUES ({name}, ?, 'v', NULL)", (key,))
    counts = f"SELECT row_count FROM groupstore_groups WHERE group_name = {name}"
    assert connection.execute(counts).get == 2
    connection.execute(f"DELETE FROM entries WHERE group_name = {name}")
    tables = ("groupstore_groups", "groupstore_namespaces")
    assert [connection.execute(f"SELECT count(*) FROM {table}").get for table in tables] == [0, 0]


def test_a_nul_ends_no_namespace(connection: apsw.Connection) -> None:
    """A group whose part before the colon has a NUL counts in no namespace but its own."""
    connection.execute("INSERT INTO entries VALUES (?, 'k', 'v', NULL)", ("acme\0b:c",))
    named = "SELECT count(*) FROM groupstore_namespaces WHERE namespace = 'acme'"
    assert connection.execute(named).get == 0


def test_new_file(path: Path, open_store: Opener, foreign: Foreign) -> None:
    """A new file has go-store's tables, columns and index, and `entries` as one B-tree."""
    open_store().close()
    columns = foreign("SELECT name FROM pragma_table_info('entries')")
    assert columns == [["group_name"], ["entry_key"], ["entry_value"], ["expires_at"]]
    columns = foreign("SELECT name FROM pragma_table_info('journal_entries')")
    assert [name for (name,) in columns] == [
        *("entry_id", "bucket_name", "measurement", "fields_json"),
        *("tags_json", "committed_at", "archived_at"),
    ]
    index = "journal_entries_bucket_committed_at_idx"
    assert foreign(f"SELECT name FROM pragma_index_info('{index}')") == [
        ["bucket_name"],
        ["committed_at"],
    ]
    assert foreign("SELECT wr FROM pragma_table_list('entries')") == [[1]]
    assert foreign("PRAGMA journal_mode") == [["wal"]]


def objects(foreign: Foreign) -> list[list[Any]]:
    """What stands in a file's schema."""
    return foreign("SELECT type, name, sql FROM sqlite_master ORDER BY type, name")


def test_file_of_go_store(open_store: Opener, foreign: Foreign) -> None:
    """A file that go-store wrote opens with its rows, and go-store's tables stay as they are."""
    insert = "INSERT INTO entries VALUES ('acme:a', '{}', 'v', {})"
    foreign(
        "PRAGMA journal_mode = WAL",
        *(GO_ENTRIES, GO_JOURNAL, GO_INDEX),
        *(insert.format("k", "NULL"), insert.format("l", "99999999999999")),
        "INSERT INTO entries VALUES ('plain', 'old', 'v', 1)",
    )
    before = objects(foreign)
    store = open_store()
    assert store.get_all("acme:a") == {"k": "v", "l": "v"}
    assert (store.groups(), store.count_all()) == (["acme:a"], 2)
    after = objects(foreign)
    assert [item for item in before if item not in after] == []
    assert foreign("SELECT * FROM groupstore_namespaces") == [["acme", 2, 1]]


EXPECTED = {"a": {"k": "v", "l": "w"}, "b": {"k": "x"}}
FILL_KV = (
    "INSERT INTO kv (grp, key, value) VALUES ('a', 'k', 'v'), ('a', 'l', 'w'), ('b', 'k', 'x')"
)


@pytest.mark.parametrize("tail", ["", " WITHOUT ROWID"])
@pytest.mark.parametrize(
    "table", [KV.format("", KV_KEY), KV.format(", expires_at INTEGER", KV_KEY)]
)
def test_kv_is_migrated(open_store: Opener, foreign: Foreign, table: str, tail: str) -> None:
    """The rows of a `kv` become entries, and the table goes."""
    foreign(table + tail, FILL_KV)
    store = open_store()
    assert {group: store.get_all(group) for group in store.groups()} == EXPECTED
    assert foreign("SELECT count(*) FROM sqlite_master WHERE name = 'kv'") == [[0]]


def test_kv_keeps_its_expiry(open_store: Opener, foreign: Foreign) -> None:
    """Expiry times of a `kv` are those of the entries."""
    rows = "INSERT INTO kv VALUES ('a', 'old', 'v', 1), ('a', 'new', 'v', 99999999999999)"
    foreign(KV.format(", expires_at INTEGER", KV_KEY), rows)
    assert list(open_store().keys("a")) == ["new"]
    assert foreign("SELECT expires_at FROM entries WHERE entry_key = 'old'") == [[1]]


def test_kv_beside_entries(open_store: Opener, foreign: Foreign) -> None:
    """Where both tables have a key the entry is the newer one; letter case of names is nothing."""
    foreign(
        GO_ENTRIES.replace("entries", "Entries"),
        "INSERT INTO entries VALUES ('a', 'k', 'newer', NULL)",
        KV.format("", KV_KEY).replace("kv", "KV"),
        FILL_KV,
    )
    store = open_store()
    assert store.get_all("a") == {"k": "newer", "l": "w"}
    assert store.get_all("b") == {"k": "x"}


@pytest.mark.parametrize(
    "table",
    [
        KV.format("", "PRIMARY KEY (key, grp)"),
        KV.format("", "PRIMARY KEY (grp)"),
        KV.format("", "UNIQUE (grp, key)"),
        KV.format(", colour TEXT", KV_KEY),
        "CREATE TABLE kv (grp TEXT, key TEXT, PRIMARY KEY (grp, key))",
        "CREATE VIEW kv AS SELECT 'a' AS grp, 'k' AS key, 'v' AS value",
        "CREATE TABLE kv (key TEXT PRIMARY KEY, value BLOB)",
    ],
)
def test_other_kv_is_left_alone(open_store: Opener, foreign: Foreign, table: str) -> None:
    """A `kv` of another shape is another program's."""
    foreign(table)
    before = objects(foreign)
    store = open_store()
    assert store.count_all() == 0
    assert [item for item in before if item not in objects(foreign)] == []


def test_entries_without_expiry(open_store: Opener, foreign: Foreign) -> None:
    """An `entries` without `expires_at` gets the column, and keeps its rows."""
    foreign(
        GO_ENTRIES.replace("expires_at INTEGER, ", ""),
        "INSERT INTO entries VALUES ('acme:a', 'k', 'v')",
    )
    store = open_store()
    assert store.get("acme:a", "k") == "v"
    assert store.expire("acme:a", "k", 100)
    assert foreign("SELECT * FROM groupstore_namespaces") == [["acme", 1, 1]]


def test_other_tables_are_kept(open_store: Opener, foreign: Foreign) -> None:
    """Another program's database keeps its tables and rows and gets ours."""
    foreign("CREATE TABLE colours (name TEXT)", "INSERT INTO colours VALUES ('blue')")
    open_store().set("g", "k", "v")
    assert foreign("SELECT name FROM colours") == [["blue"]]


def test_more_columns_with_defaults(open_store: Opener, foreign: Foreign) -> None:
    """More columns are no harm where an insert need not name them."""
    foreign(
        GO_ENTRIES,
        "ALTER TABLE entries ADD COLUMN colour TEXT",
        "ALTER TABLE entries ADD COLUMN size INTEGER NOT NULL DEFAULT 5",
        "ALTER TABLE entries ADD COLUMN length INTEGER AS (length(entry_value))",
    )
    open_store().set("g", "k", "value")
    assert foreign("SELECT colour, size, length FROM entries") == [[None, 5, 5]]


def entries(columns: str, tail: str = "PRIMARY KEY (group_name, entry_key)") -> str:
    """An `entries` of some other shape."""
    return f"CREATE TABLE entries ({columns}, {tail})"


THREE = "group_name TEXT NOT NULL, entry_key TEXT NOT NULL, entry_value TEXT NOT NULL"
FOUR = f"{THREE}, expires_at INTEGER"
INCOMPATIBLE = {
    "view": ["CREATE VIEW entries AS SELECT 'g' AS group_name, 'k' AS entry_key"],
    "virtual": ["CREATE VIRTUAL TABLE entries USING fts5(group_name, entry_key, entry_value)"],
    "missing column": [entries("group_name TEXT NOT NULL, entry_key TEXT NOT NULL")],
    "required column": [entries(f"{FOUR}, colour TEXT NOT NULL")],
    "generated column": [entries(f"{THREE}, expires_at INTEGER AS (5)")],
    "numeric value": [entries(FOUR.replace("entry_value TEXT", "entry_value INTEGER"))],
    "textual expiry": [entries(FOUR.replace("expires_at INTEGER", "expires_at TEXT"))],
    "no key": [f"CREATE TABLE entries ({FOUR})"],
    "unique only": [entries(FOUR, "UNIQUE (group_name, entry_key)")],
    "key reversed": [entries(FOUR, "PRIMARY KEY (entry_key, group_name)")],
    "key too short": [entries(FOUR, "PRIMARY KEY (group_name)")],
    "key too long": [entries(FOUR, "PRIMARY KEY (group_name, entry_key, entry_value)")],
    "no letter case": [entries(FOUR.replace("group_name TEXT", "group_name TEXT COLLATE NOCASE"))],
    "strict": [f"{GO_ENTRIES} STRICT"],
    "upper case": ["CREATE TABLE ENTRIES (id INTEGER PRIMARY KEY)"],
    "utf-16": ["PRAGMA encoding = 'UTF-16le'", GO_ENTRIES],
    "journal": [GO_ENTRIES, "CREATE TABLE journal_entries (entry_id INTEGER PRIMARY KEY)"],
    "journal key": [GO_ENTRIES, GO_JOURNAL.replace("INTEGER PRIMARY KEY AUTOINCREMENT", "INTEGER")],
    "journal column": [GO_ENTRIES, GO_JOURNAL.replace("archived_at", "colour")],
    "index": ["CREATE TABLE t (a)", "CREATE INDEX entries ON t (a)"],
    "journal index": ["CREATE TABLE t (a)", "CREATE INDEX Journal_Entries ON t (a)"],
    "view of counts": [GO_ENTRIES, "CREATE VIEW groupstore_groups AS SELECT 1 AS row_count"],
    "index of counts": [GO_ENTRIES, "CREATE INDEX groupstore_namespaces ON entries (expires_at)"],
    "table as index": ["CREATE TABLE entries_expires_at_idx (a)"],
    "index elsewhere": [
        GO_ENTRIES,
        "CREATE TABLE t (a)",
        "CREATE INDEX entries_expires_at_idx ON t (a)",
    ],
    "kv null": [
        "CREATE TABLE kv (grp TEXT, key TEXT, value TEXT, PRIMARY KEY (grp, key))",
        "INSERT INTO kv VALUES ('a', 'k', 'v'), ('a', 'l', NULL)",
    ],
}


@pytest.mark.parametrize("statements", INCOMPATIBLE.values(), ids=INCOMPATIBLE)
@pytest.mark.parametrize("read_only", [False, True], ids=["writing", "read-only"])
def test_incompatible(
    path: Path, open_store: Opener, foreign: Foreign, statements: list[str], read_only: bool
) -> None:
    """What is no store's under our names is refused, and not a byte of the file is changed."""
    foreign(*statements)
    before = path.read_bytes()
    with pytest.raises(CorruptStoreError) as raised:
        open_store(read_only=read_only)
    assert str(path) in str(raised.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "damage",
    [
        "DROP TRIGGER groupstore_entry_added",
        "DROP TRIGGER groupstore_group_counted",
        "DROP TABLE groupstore_groups",
        "DROP TABLE groupstore_namespaces",
        "DROP INDEX entries_expires_at_idx",
        "ALTER TABLE groupstore_groups ADD COLUMN colour TEXT",
    ],
)
def test_missing_parts_are_made_again(open_store: Opener, foreign: Foreign, damage: str) -> None:
    """What another program took from counts or indexes is made again, and counted, at opening."""
    store = open_store()
    store.set("acme:a", "k", "v")
    store.close()
    before = objects(foreign)
    # Without the triggers on it nothing counts these rows.
    foreign(
        damage,
        "DROP TRIGGER groupstore_entry_removed",
        "DELETE FROM entries",
        "DROP TRIGGER IF EXISTS groupstore_entry_added",
        "INSERT INTO entries VALUES ('b:c', 'k', 'v', NULL), ('b:d', 'k', 'v', NULL)",
    )
    store = open_store()
    assert store.groups() == ["b:c", "b:d"]
    assert objects(foreign) == before
    assert foreign("SELECT * FROM groupstore_namespaces") == [["b", 2, 2]]
