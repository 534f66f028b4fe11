"""Queries of the journal: all rows, SQL under guard, timeouts, iterators."""

from __future__ import annotations

import gc
import json
import os
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import groupstore
from conftest import Opener
from groupstore import CorruptStoreError, QueryError

Foreign = Callable[..., list[list[Any]]]

INSERT = """INSERT INTO journal_entries
    (bucket_name, measurement, fields_json, tags_json, committed_at, archived_at) VALUES """
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


@pytest.fixture
def journal(store: groupstore.Store) -> Any:
    """A journal with three entries, on each storage."""
    store.journal.append_many(
        [("a", {"n": 1}, {"t": "x"}), ("b", {"n": 2}), ("a", {"n": 3}, {"t": "y"})]
    )
    return store.journal


def test_all_rows(journal: Any) -> None:
    """The empty text gives every row with its seven columns and the decoded JSON."""
    rows = journal.query()
    assert journal.query("") == list(journal.iter_query()) == rows
    assert [row["entry_id"] for row in rows] == [1, 2, 3]
    assert list(rows[0]) == [
        *("entry_id", "bucket_name", "measurement", "fields_json", "tags_json"),
        *("committed_at", "archived_at", "fields", "tags"),
    ]
    assert rows[0]["fields"] == {"n": 1} == json.loads(rows[0]["fields_json"])
    assert rows[0]["tags"] == {"t": "x"}
    assert rows[0]["archived_at"] is None


@pytest.mark.parametrize("text", ["SELECT", "select", "-- c\n /* c */ SELECT", "\ufeff \tSeLeCt"])
def test_sql(journal: Any, text: str) -> None:
    """Text that starts with SELECT runs as SQL, with its parameters, and JSON is decoded."""
    sql = f"{text} * FROM journal_entries WHERE measurement = :m ORDER BY entry_id DESC"
    rows = journal.query(sql, m="a")
    assert rows == list(journal.iter_query(sql, m="a"))
    assert rows == [journal.query()[2], journal.query()[0]]


def test_sql_shapes(journal: Any) -> None:
    """WITH and EXPLAIN are SQL too; only the columns asked for are there."""
    assert journal.query("WITH q AS (SELECT 1 AS a) SELECT a FROM q") == [{"a": 1}]
    assert journal.query("EXPLAIN QUERY PLAN SELECT * FROM journal_entries")
    assert journal.query("explain SELECT 1")
    assert journal.query("SELECT tags_json FROM journal_entries WHERE entry_id = 1") == [
        {"tags_json": '{"t":"x"}', "tags": {"t": "x"}}
    ]
    assert journal.query("SELECT NULL AS fields_json, 7 AS tags, '{}' AS tags_json") == [
        {"fields_json": None, "tags": 7, "tags_json": "{}", "fields": None}
    ]
    total = "SELECT sum(json_extract(fields_json, '$.n')) AS total FROM journal_entries"
    assert journal.query(total) == [{"total": 6}]
    assert journal.query("SELECT :b AS b, :n AS n, :f AS f", b=b"\xff", n=None, f=0.5) == [
        {"b": b"\xff", "n": None, "f": 0.5}
    ]


def test_sql_reads_the_store(store: groupstore.Store) -> None:
    """SQL may read the other tables of the file as well."""
    store.set("g", "k", "v")
    assert store.journal.query("SELECT entry_value FROM entries") == [{"entry_value": "v"}]


@pytest.mark.parametrize(
    "sql",
    [
        "WITH q AS (SELECT 1) INSERT INTO entries VALUES ('g', 'k', 'v', NULL)",
        "WITH q AS (SELECT 1) DELETE FROM journal_entries",
        "WITH q AS (SELECT 1) UPDATE journal_entries SET archived_at = 1",
        "EXPLAIN DELETE FROM journal_entries",
        "SELECT 1; DELETE FROM journal_entries",
        "SELECT * FROM pragma_database_list",
        "SELECT * FROM dbstat",
        "SELECT load_extension('x')",
        "SELECT writefile('x', 'y')",
        "SELECT :missing",
        "SELECT ?",
        "SELECT nothing",
        "SELECT",
        "SELECT zeroblob(1000000000)",
        "SELECT a.*, b.* FROM journal_entries AS a, journal_entries AS b",
    ],
)
def test_sql_refused(store: groupstore.Store, sql: str) -> None:
    """SQL that writes, looks elsewhere or is wrong is a QueryError; the store goes on as before."""
    store.journal.append("m")
    with pytest.raises(QueryError, match=r"^query: "):
        store.journal.query(sql)
    with pytest.raises(QueryError, match=r"^query: "):
        next(store.journal.iter_query(sql))
    with store.transaction(), pytest.raises(QueryError):
        store.journal.query(sql)
    store.set("g", "k", "v")
    store.delete("g", "k")
    store.journal.append("m")
    assert len(store.journal.query()) == 2
    assert store.count_all() == 0


def test_sql_tries_no_write_through_a_view(open_store: Opener, foreign: Foreign) -> None:
    """A view that another program made is read, but leads to nothing that is barred."""
    store = open_store()
    store.set("g", "k", "v")
    foreign(
        "CREATE VIEW good AS SELECT group_name FROM entries",
        "CREATE VIEW bad AS SELECT * FROM pragma_database_list",
    )
    assert store.journal.query("SELECT * FROM good") == [{"group_name": "g"}]
    with pytest.raises(QueryError):
        store.journal.query("SELECT * FROM bad")


@pytest.mark.parametrize(
    ("arguments", "options", "error"),
    [
        ((None,), {}, TypeError),
        ((b"SELECT 1",), {}, TypeError),
        ((), {"archives": 1}, TypeError),
        ((), {"timeout": "1"}, TypeError),
        ((), {"timeout": True}, TypeError),
        ((), {"timeout": 0}, ValueError),
        ((), {"timeout": -1}, ValueError),
        ((), {"timeout": float("nan")}, ValueError),
        ((), {"name": 1}, QueryError),
        (("SELECT 1",), {"name": 1}, QueryError),
        (("SELECT :a",), {"a": object()}, TypeError),
        (("SELECT :a",), {"a": "\ud800"}, QueryError),
        (("SELECT '\ud800'",), {}, QueryError),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_wrong_arguments(
    journal: Any, arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception]
) -> None:
    """Wrong arguments are refused by both methods alike."""
    with pytest.raises(error, match=r"^query: "):
        journal.query(*arguments, **options)
    with pytest.raises(error, match=r"^query: "):
        next(journal.iter_query(*arguments, **options))


def test_a_parameter_named_text(journal: Any) -> None:
    """Any name but `timeout` and `archives` is a parameter's."""
    sql = "SELECT :text AS a, :self AS b, :sql AS c"
    assert journal.query(sql, text=1, self=2, sql=3) == [{"a": 1, "b": 2, "c": 3}]


def test_timeout(store: groupstore.Store) -> None:
    """A query that takes longer than its timeout ends with a QueryError, and leaves no trace."""
    with pytest.raises(QueryError, match="timeout"):
        store.journal.query(ENDLESS, timeout=0.01)
    with pytest.raises(QueryError, match="timeout"):
        next(store.journal.iter_query(ENDLESS, timeout=0.01))
    store.journal.append_many([("m", {"n": n}) for n in range(2000)])
    with pytest.raises(QueryError, match="timeout"):
        store.journal.query(timeout=1e-9)
    assert len(store.journal.query(timeout=60)) == 2000


@pytest.mark.parametrize("text", ["", "SELECT * FROM journal_entries ORDER BY entry_id"])
def test_iterator_left_alone(store: groupstore.Store, text: str) -> None:
    """Between two rows an iterator holds nothing: everything may be done, and it is a snapshot."""
    store.journal.append_many([("m", {"n": n, "pad": "x" * 1000}) for n in range(3000)])
    rows = store.journal.iter_query(text)
    assert next(rows)["fields"]["n"] == 0
    store.journal.append("later")
    with store.transaction() as tx:
        tx.set("g", "k", "v")
    store.vacuum()
    store.close()
    assert [row["fields"]["n"] for row in rows] == list(range(1, 3000))


def test_iterator_dropped(store: groupstore.Store) -> None:
    """An iterator that is not run to its end leaves nothing open, whether it was begun or not."""
    store.journal.append_many([("m", {"pad": "x" * 10_000}) for _ in range(500)])
    rows = store.journal.iter_query()
    next(rows)
    del rows
    store.journal.iter_query()
    gc.collect()
    store.close()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="descriptors cannot be listed")
def test_no_descriptor_stays_open(file_store: groupstore.Store) -> None:
    """SQL on a file opens a connection and closes it, however the query ends."""
    file_store.journal.append("m")
    # SQLite keeps the descriptor of a closed connection for the next one, as long as it has locks.
    file_store.journal.query("SELECT 1 AS a")
    before = set(os.listdir("/proc/self/fd"))
    file_store.journal.query("SELECT * FROM journal_entries")
    with pytest.raises(QueryError):
        file_store.journal.query("SELECT x")
    rows = file_store.journal.iter_query("SELECT * FROM journal_entries")
    next(rows)
    assert set(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("text", ["", "SELECT * FROM journal_entries"])
def test_iterating_takes_bounded_memory(file_store: groupstore.Store, text: str) -> None:
    """The rows of a large result are never in memory together."""
    file_store.journal.append_many([("m", {"pad": "x" * 1000}) for _ in range(8000)])
    tracemalloc.start()
    try:
        assert sum(1 for _ in file_store.journal.iter_query(text)) == 8000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The result has twice 8 MB of text.
    assert peak < 4_000_000


def test_queries_beside_a_transaction(
    file_store: groupstore.Store, threads: ThreadPoolExecutor
) -> None:
    """Other threads' queries neither wait for a transaction nor see what is in it."""
    with file_store.transaction():
        file_store.journal.append("m")
        sql = "SELECT * FROM journal_entries"
        for text in ("", sql):
            assert len(file_store.journal.query(text)) == 1
            assert threads.submit(file_store.journal.query, text).result(timeout=30) == []


def test_a_failed_query_leaves_the_transaction(store: groupstore.Store) -> None:
    """In a transaction a query that is refused undoes nothing, and the rest goes on."""
    with store.transaction() as tx:
        tx.set("g", "k", "v")
        store.journal.append("m")
        with pytest.raises(QueryError):
            store.journal.query("SELECT x")
        with pytest.raises(QueryError, match="timeout"):
            store.journal.query(ENDLESS, timeout=0.01)
        assert tx.get("g", "k") == "v"
        tx.set("g", "l", "w")
    assert store.get_all("g") == {"k": "v", "l": "w"}
    assert len(store.journal.query()) == 1


def test_text_that_is_not_utf8(file_store: groupstore.Store, foreign: Foreign) -> None:
    """Such a text is given as bytes; SQL that selects it is told to cast it."""
    foreign(INSERT + "('b', CAST(x'ff' AS TEXT), '{}', '{}', 1, NULL)")
    assert file_store.journal.query()[0]["measurement"] == b"\xff"
    with pytest.raises(QueryError, match="CAST"):
        file_store.journal.query("SELECT measurement FROM journal_entries")
    cast = "SELECT CAST(measurement AS BLOB) AS m FROM journal_entries"
    assert file_store.journal.query(cast) == [{"m": b"\xff"}]


@pytest.mark.parametrize("bad", ["x", "", "{", '{"a":' * 15_000 + "1" + "}" * 15_000])
def test_what_is_no_json(file_store: groupstore.Store, foreign: Foreign, bad: str) -> None:
    """JSON that another program has put wrong is an error that names the entry."""
    foreign(INSERT + f"('b', 'm', '{bad}', '{{}}', 1, NULL)")
    with pytest.raises(CorruptStoreError, match="fields_json of entry 1"):
        file_store.journal.query()
    with pytest.raises(CorruptStoreError, match="fields_json"):
        file_store.journal.query("SELECT fields_json FROM journal_entries")
    assert file_store.journal.query("SELECT fields_json AS text FROM journal_entries")


def test_archived_rows(file_store: groupstore.Store, foreign: Foreign) -> None:
    """Rows that are marked archived are left out unless they are asked for."""
    foreign(INSERT + "('b', 'old', '{}', '{}', 1, 9), ('b', 'new', '{}', '{}', 2, NULL)")
    journal = file_store.journal
    assert [row["measurement"] for row in journal.query()] == ["new"]
    rows = journal.query(archives=True)
    assert rows == list(journal.iter_query(archives=True))
    assert [(row["measurement"], row["archived_at"]) for row in rows] == [("old", 9), ("new", None)]
    assert journal.query("SELECT count(*) AS n FROM journal_entries") == [{"n": 2}]


def test_long_rows(file_store: groupstore.Store) -> None:
    """An entry over the limit of SQL's values is read by the other queries."""
    file_store.journal.append("m", {"long": "x" * 17_000_000})
    assert len(file_store.journal.query()[0]["fields"]["long"]) == 17_000_000
    with pytest.raises(QueryError):
        file_store.journal.query("SELECT fields_json FROM journal_entries")


def test_read_only_folder(tmp_path: Path, run: Callable[..., str]) -> None:
    """On a file opened as immutable, as its folder cannot be written, all queries run."""
    for parent in [tmp_path, *tmp_path.parents][:3]:
        parent.chmod(parent.stat().st_mode | 0o011)
    folder = tmp_path / "folder"
    folder.mkdir()
    with groupstore.Store(folder / "store.db", purge_interval=None) as store:
        store.journal.append("m", {"n": 1})
    (folder / "store.db").chmod(0o444)
    folder.chmod(0o555)
    # Whoever runs the tests, root too: only the imports need what others may not read.
    script = """
import os, sys, groupstore, groupstore.journal.journal, groupstore.journal.recorded
os.chdir(sys.argv[1])
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
with groupstore.Store("store.db", read_only=True) as store:
    sql = "SELECT json_extract(fields_json, '$.n') AS n FROM journal_entries"
    assert store.journal.query(sql) == list(store.journal.iter_query(sql)) == [{"n": 1}]
    assert len(store.journal.query()) == 1
    assert store.journal.archives() == []
"""
    try:
        run(script, folder)
    finally:
        folder.chmod(0o700)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_between_two_rows(run: Callable[..., str], path: Path) -> None:
    """Parent and child each get the rest of the rows, whichever reads first."""
    script = """
import os, sys, groupstore
store = groupstore.Store(sys.argv[1], purge_interval=None, durability="normal")
store.journal.append_many([("m", {"n": n, "pad": "x" * 1000}) for n in range(3000)])
rows = store.journal.iter_query()
next(rows)
pid = os.fork()
seen = [row["fields"]["n"] for row in rows] if pid == 0 else []
if pid == 0:
    os._exit(0 if seen == list(range(1, 3000)) else 1)
assert os.waitpid(pid, 0)[1] == 0
assert [row["fields"]["n"] for row in rows] == list(range(1, 3000))
store.close()
"""
    run(script, path)


@pytest.mark.parametrize("timeout", [10**400, float("inf")])
def test_endless_timeouts(journal: Any, timeout: float) -> None:
    """A timeout longer than any machine runs is none."""
    for text in ("", "SELECT * FROM journal_entries", 'from(bucket: "store")'):
        assert len(journal.query(text, timeout=timeout)) == 3
