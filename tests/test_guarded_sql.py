"""User SQL under guard: it reads what it may read, and does nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import apsw
import pytest

from groupstore import QueryError
from groupstore.guarded_sql import beginning, interrupted_after, run_guarded
from model import PATIENCE_S

OWN = frozenset({"t", "v"})


@pytest.fixture
def connection() -> Iterator[apsw.Connection]:
    """A database with a table, a view of it, and a table that is none of the query's business."""
    connection = apsw.Connection(":memory:")
    connection.execute("""
        CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 'x'), (2, 'y');
        CREATE VIEW v AS SELECT a AS n FROM t;
        CREATE TABLE secret (word); INSERT INTO secret VALUES ('swordfish');
        CREATE TEMP TABLE temporary (a); INSERT INTO temporary VALUES (1)""")
    yield connection
    connection.close()


def rows(
    connection: apsw.Connection,
    sql: str,
    parameters: Any = (),
    tables: frozenset[str] | None = OWN,
    timeout: float | None = None,
) -> list[dict[str, Any]]:
    """What the query gives, run to its end."""
    return list(
        run_guarded(connection, sql, parameters, tables=tables, timeout=timeout, attempted="query")
    )


@pytest.mark.parametrize(
    ("sql", "parameters", "expected"),
    [
        ("SELECT a, b FROM t ORDER BY a", (), [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]),
        ("SELECT n FROM v WHERE n > :low", {"low": 1}, [{"n": 2}]),
        ("SELECT a FROM t WHERE a = ?", (2,), [{"a": 2}]),
        ("SELECT :x AS x, @x AS y, $x AS z", {"x": b"\0"}, [dict.fromkeys("xyz", b"\0")]),
        ("SELECT a FROM T WHERE false", (), []),
        ("/* c */ SELECT 1 AS a; -- end\n ; /* end", (), [{"a": 1}]),
        ("SELECT count(*) AS n FROM t", {}, [{"n": 2}]),
        ("WITH q AS (SELECT a FROM t) SELECT count(*) AS n FROM q", (), [{"n": 2}]),
        ("SELECT count(*) AS n FROM (SELECT 1 FROM t) AS q", (), [{"n": 2}]),
        (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3)"
            " SELECT sum(i) AS s FROM n",
            (),
            [{"s": 6}],
        ),
        ("SELECT value FROM json_each('[1, 2]')", (), [{"value": 1}, {"value": 2}]),
        ("SELECT sum(a) OVER (ORDER BY a) AS s FROM t", (), [{"s": 1}, {"s": 3}]),
        (
            "SELECT json_extract('{\"a\": 5}', '$.a') AS a, upper('é') AS b",
            (),
            [{"a": 5, "b": "é"}],
        ),
    ],
)
def test_reading(
    connection: apsw.Connection, sql: str, parameters: Any, expected: list[dict[str, Any]]
) -> None:
    """A query that only reads gives its rows, by column name, with what is bound to it."""
    assert rows(connection, sql, parameters) == expected


@pytest.mark.parametrize("plan", ["", "QUERY PLAN "])
def test_explain(connection: apsw.Connection, plan: str) -> None:
    """A statement may be explained."""
    assert rows(connection, f"EXPLAIN {plan}SELECT * FROM t WHERE a = 1")


ATTACKS = (
    "INSERT INTO t VALUES (3, 'z')",
    "INSERT INTO t VALUES (3, 'z') RETURNING a",
    "WITH q AS (SELECT 1) INSERT INTO t SELECT 1, 2 FROM q",
    "WITH q AS (SELECT 1) DELETE FROM t RETURNING a",
    "UPDATE t SET a = 1",
    "DELETE FROM t",
    "REPLACE INTO t VALUES (1, 2)",
    "EXPLAIN DELETE FROM t",
    "CREATE TABLE u (a)",
    "CREATE TEMP TABLE u (a)",
    "CREATE TABLE u AS SELECT 1",
    "CREATE TEMP VIEW u AS SELECT 1",
    "CREATE TEMP TRIGGER tr AFTER INSERT ON t BEGIN DELETE FROM t; END",
    "CREATE VIRTUAL TABLE temp.u USING fts5(a)",
    "CREATE INDEX i ON t (a)",
    "DROP TABLE t",
    "ALTER TABLE t ADD COLUMN c",
    "ANALYZE",
    "REINDEX",
    "VACUUM",
    "VACUUM INTO '/dev/null'",
    "BEGIN",
    "COMMIT",
    "SAVEPOINT s",
    "ATTACH ':memory:' AS other",
    "EXPLAIN ATTACH ':memory:' AS other",
    "DETACH temp",
    "PRAGMA user_version",
    "PRAGMA user_version = 7",
    "EXPLAIN PRAGMA user_version",
    "SELECT * FROM pragma_user_version",
    "SELECT count(*) FROM pragma_table_info('t')",
    "SELECT count(*) FROM Pragma_table_info('t')",
    "WITH v AS (SELECT * FROM pragma_database_list) SELECT * FROM v",
    "SELECT * FROM dbstat",
    "SELECT count(*) FROM main.dbstat",
    'SELECT count(*) FROM "DBSTAT"',
    "SELECT * FROM sqlite_dbpage",
    "SELECT * FROM sqlite_stmt",
    "SELECT * FROM fts3tokenize('simple')",
    "SELECT * FROM secret",
    "SELECT (SELECT word FROM secret) AS w",
    "SELECT count(*) FROM secret",
    "SELECT count(*) FROM Secret",
    "SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM secret)",
    "SELECT a FROM t UNION SELECT word FROM secret",
    "WITH v AS (SELECT word FROM secret) SELECT * FROM v",
    "WITH t AS (SELECT count(*) FROM secret) SELECT * FROM t",
    "SELECT * FROM temporary",
    "SELECT count(*) FROM temp.temporary",
    "SELECT * FROM temp.sqlite_schema",
    "SELECT count(*) FROM sqlite_temp_schema",
    "SELECT load_extension('x')",
    "SELECT fts3_tokenizer('simple')",
    "SELECT sqlite_log(1, 'x')",
    "SELECT fts5(NULL)",
    "SELECT rtreecheck('secret')",
    "SELECT readfile('/etc/passwd')",
    "SELECT writefile('x', 'y')",
    "SELECT last_insert_rowid()",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE t",
    "SELECT 1;\n/* c */ ; DELETE FROM t",
)


@pytest.mark.parametrize("sql", ATTACKS)
def test_attacks_are_refused(connection: apsw.Connection, sql: str) -> None:
    """Whatever does more than to read the tables named is refused, and has done nothing."""
    with pytest.raises(QueryError, match=r"^query: "):
        rows(connection, sql)
    assert connection.changes() == 1
    assert connection.execute("SELECT count(*), sum(a) FROM t").fetchall() == [(2, 3)]
    assert connection.execute("SELECT count(*) FROM secret").fetchall() == [(1,)]
    assert connection.pragma("user_version") == 0
    assert not connection.in_transaction


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("", ()),
        (" -- nothing", ()),
        (";", ()),
        ("SELEKT 1", ()),
        ("SELECT * FROM nowhere", ()),
        ("SELECT x FROM t", ()),
        ("SELECT abs(-9223372036854775808)", ()),
        ("SELECT 1\0", ()),
        ("SELECT '\ud800'", ()),
        ("SELECT :a", {"a": "\ud800"}),
        ("SELECT :a", {"a": 1 << 63}),
        ("SELECT :a", {}),
        ("SELECT :a", ()),
        ("SELECT :a", {"b": 1}),
        ("SELECT :a", {"a": 1, "b": 1}),
        ("SELECT ?", ()),
        ("SELECT ?", {"a": 1}),
        ("SELECT ?", (1, 2)),
        ("SELECT 1", (1,)),
        ("SELECT a, b AS a FROM t", ()),
        ("SELECT t.*, u.* FROM t, t AS u", ()),
        ("SELECT CAST(x'ff' AS TEXT)", ()),
        ("SELECT length(zeroblob(1000000000))", ()),
        ("SELECT randomblob(1000000000)", ()),
        ("SELECT printf('%1000000000d', 1)", ()),
        ("SELECT replace(printf('%10000000d', 1), ' ', '0123456789')", ()),
        ("SELECT '" + "x" * 2_000_000 + "'", ()),
        ("SELECT " + "(" * 5_000 + "1" + ")" * 5_000, ()),
        ("SELECT " + "+".join(["1"] * 5_000), ()),
        ("SELECT 1 " + "UNION SELECT 1 " * 1_000, ()),
        ("SELECT json_each('[1]')", ()),
        ("SELECT json('[')", ()),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_wrong_queries(connection: apsw.Connection, sql: str, parameters: Any) -> None:
    """What SQLite, the limits or the parameters do not allow is a QueryError."""
    with pytest.raises(QueryError, match=r"^query: "):
        rows(connection, sql, parameters)


@pytest.mark.parametrize("parameters", ["a", b"a", 1, None, {"a"}, (object(),), {"a": []}])
def test_parameters_of_wrong_types(connection: apsw.Connection, parameters: Any) -> None:
    """Parameters that SQLite has no type for are a TypeError."""
    with pytest.raises(TypeError, match=r"^query: "):
        rows(connection, "SELECT 1", parameters)


def test_all_own_tables(connection: apsw.Connection) -> None:
    """Without a list of tables the query reads all of the file's, and its schema, but no others."""
    assert rows(connection, "SELECT word FROM secret", tables=None) == [{"word": "swordfish"}]
    found = rows(connection, "SELECT name FROM sqlite_schema ORDER BY name", tables=None)
    assert [row["name"] for row in found] == ["secret", "t", "v"]
    assert rows(connection, "SELECT count(*) AS n FROM main.sqlite_master", tables=None)
    for table in ("temporary", "temp.sqlite_schema", "dbstat", "pragma_user_version"):
        for columns in ("*", "count(*)"):
            with pytest.raises(QueryError):
                rows(connection, f"SELECT {columns} FROM {table}", tables=None)


def test_a_view_over_what_is_barred(connection: apsw.Connection) -> None:
    """A view is read only where what stands behind it may be."""
    connection.execute("CREATE VIEW w AS SELECT word FROM secret")
    with pytest.raises(QueryError, match="READ 'secret'"):
        rows(connection, "SELECT * FROM w", tables=frozenset({"w"}))
    assert rows(connection, "SELECT * FROM w", tables=frozenset({"w", "secret"}))


def test_timeout(connection: apsw.Connection) -> None:
    """A query that takes too long ends with a QueryError that says so."""
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
    endless = numbers + "SELECT max(i) FROM n"
    with pytest.raises(QueryError, match=r"^query: the timeout is over$"):
        rows(connection, endless, timeout=0.01)
    assert rows(connection, "SELECT a FROM t WHERE a = 1", timeout=60) == [{"a": 1}]


def test_a_row_is_bounded(connection: apsw.Connection) -> None:
    """Many columns have a part each of what a row may have, few what a value may."""
    few = ", ".join(f"zeroblob(16000000) AS a{n}" for n in range(2))
    assert len(rows(connection, f"SELECT {few}")) == 1
    many = ", ".join(f"zeroblob(3000000) AS a{n}" for n in range(100))
    with pytest.raises(QueryError, match="too big"):
        rows(connection, f"SELECT {many}")
    less = ", ".join(f"zeroblob(2000) AS a{n}" for n in range(100))
    assert len(rows(connection, f"SELECT {less}")) == 1


def test_slow_functions_are_refused(connection: apsw.Connection) -> None:
    """One call of them takes longer than any timeout."""
    with pytest.raises(QueryError, match="json_patch"):
        rows(connection, "SELECT json_patch('{}', '{}') AS x")


@pytest.mark.parametrize("end", ["exhausted", "dropped", "failed"])
def test_the_connection_is_as_before(connection: apsw.Connection, end: str) -> None:
    """However a query ends, the connection's limits are as before and it may do everything."""
    before = [connection.limit(limit) for limit in range(12)]
    if end == "exhausted":
        rows(connection, "SELECT * FROM t")
    elif end == "dropped":
        found = run_guarded(
            connection, "SELECT * FROM t", (), tables=None, timeout=9, attempted="query"
        )
        assert next(found) == {"a": 1, "b": "x"}
        del found
    else:
        with pytest.raises(QueryError):
            rows(connection, "DROP TABLE t")
    assert [connection.limit(limit) for limit in range(12)] == before
    assert connection.authorizer is None
    connection.execute("DROP TABLE t")


def test_the_same_text_is_guarded_anew(connection: apsw.Connection) -> None:
    """A text that ran without a guard, and is kept compiled, is not run with one."""
    connection.execute("SELECT word FROM secret").fetchall()
    with pytest.raises(QueryError):
        rows(connection, "SELECT word FROM secret")


def test_sql_is_begun_after_comments() -> None:
    """White space and comments before the first word are skipped, in time linear in the text."""
    for blank in ("", " \n\t", "-- x\n", "/* SELECT */", "--\n/**/ --\n", "\ufeff", "/*/ */"):
        assert beginning(blank + "SELECT") == len(blank)
    assert beginning("/* open SELECT") == len("/* open SELECT")
    assert beginning("- SELECT") == 0
    assert beginning("/**/" * 100_000 + "x") == 400_000


HEAVY = """WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t)
    SELECT sum(length(hex(randomblob(4000000 + x % 2)))) AS s FROM t"""


def test_timeout_of_heavy_steps(connection: apsw.Connection) -> None:
    """The timeout is kept where few steps do much, and the connection goes on as before."""
    begun = time.monotonic()
    with pytest.raises(QueryError, match="timeout"):
        rows(connection, HEAVY, timeout=0.05)
    # Ten thousand steps of it take some 10 s.
    assert time.monotonic() - begun < 3
    assert rows(connection, "SELECT count(*) AS n FROM t", timeout=5) == [{"n": 2}]


def test_timeout_beside_a_busy_thread(
    connection: apsw.Connection, threads: ThreadPoolExecutor
) -> None:
    """The timeout is kept where another thread keeps the interpreter busy."""
    ended = threading.Event()

    def spin() -> None:
        while not ended.is_set():
            pass

    busy = threads.submit(spin)
    try:
        with pytest.raises(QueryError, match="timeout"):
            rows(connection, HEAVY, timeout=0.05)
    finally:
        ended.set()
    busy.result(PATIENCE_S)


@pytest.mark.parametrize("timeout", [10**400, float("inf"), 1e300])
def test_endless_timeouts(connection: apsw.Connection, timeout: float) -> None:
    """A timeout longer than any machine runs is none."""
    assert rows(connection, "SELECT a FROM t", timeout=timeout) == [{"a": 1}, {"a": 2}]


def test_a_timeout_before_the_first_step(connection: apsw.Connection) -> None:
    """A statement that is begun when its time is over already is ended as well."""
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    with pytest.raises(apsw.InterruptError), interrupted_after(connection, 0.001):
        # SQLite forgets an interrupt that meets no statement.
        time.sleep(0.02)
        connection.execute(endless)


def test_a_timeout_that_no_step_met(connection: apsw.Connection) -> None:
    """What took longer is refused, even though it ended before it was interrupted."""
    with pytest.raises(QueryError, match="timeout"):
        rows(connection, "SELECT a FROM t", timeout=1e-9)
