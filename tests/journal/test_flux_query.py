"""Flux through the store: transactions, archives, errors, iterators. Its stages have their own."""

from __future__ import annotations

import inspect
import random
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import groupstore
from groupstore import CorruptStoreError, QueryError

Foreign = Callable[..., list[list[Any]]]
Run = Callable[..., str]

ALL = 'from(bucket: "store")'
ENDLESS = ALL + " |> range(start: -1h)" + "|> filter(fn: (r) => r.pad =~ /(a|aa)+$/)" * 20


@pytest.fixture
def journal(store: groupstore.Store) -> Any:
    """A journal with three entries, on each storage."""
    store.journal.append_many(
        [("a", {"n": 1}, {"t": "x"}), ("b", {"n": 2}), ("a", {"n": 3}, {"t": "y"})]
    )
    return store.journal


def test_rows(journal: Any) -> None:
    """Whole entries have the shape of the empty query's rows."""
    assert journal.query(ALL) == list(journal.iter_query(ALL)) == journal.query()
    assert journal.query(f"// select\n{ALL} |> range(start: -1h, stop: 1h)") == journal.query()
    text = f'{ALL} |> filter(fn: (r) => r._measurement == "a" and r.n > 1)'
    assert journal.query(text) == journal.query()[2:]
    assert journal.query(f"{ALL} |> filter(fn: (r) => r.t =~ /^x$/) |> count()") == [{"_value": 1}]
    assert journal.query(f'{ALL} |> sum(column: "n")') == [{"n": 6}]
    assert journal.query('from(bucket: "none")') == []


def test_what_was_just_appended(store: groupstore.Store) -> None:
    """A range without an end goes up to now: an entry of this millisecond is in it."""
    for number in range(100):
        store.journal.append("m")
        found = store.journal.query(f"{ALL} |> range(start: -1h) |> count()")
        assert found == [{"_value": number + 1}]


def test_transaction(store: groupstore.Store) -> None:
    """In a transaction Flux sees what it wrote, and a wrong query undoes nothing."""
    with store.transaction():
        store.journal.append("m", {"n": 1})
        assert store.journal.query(f'{ALL} |> mean(column: "n")') == [{"n": 1.0}]
        with pytest.raises(QueryError):
            store.journal.query(f"{ALL} |> nothing()")
    assert len(store.journal.query(ALL)) == 1


def test_archives(store: groupstore.Store) -> None:
    """Archived entries are left out unless they are asked for."""
    store.journal.append("old")
    store.journal.compact(timedelta(days=-1))
    store.journal.append("new")
    names = [row["measurement"] for row in store.journal.query(ALL)]
    assert names == ["new"]
    names = [row["measurement"] for row in store.journal.query(ALL, archives=True)]
    assert names == ["old", "new"]


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("DELETE FROM journal_entries", 1, 8),
        ("PRAGMA user_version", 1, 8),
        (" ", 1, 1),
        (f"{ALL}\n  |> nothing()", 2, 6),
        ("selection", 1, 10),
    ],
)
def test_errors(store: groupstore.Store, text: str, line: int, column: int) -> None:
    """What is neither SQL to read by nor Flux is a QueryError with its place, from both methods."""
    for call in (store.journal.query, store.journal.iter_query):
        with pytest.raises(QueryError) as caught:
            call(text)
        assert (caught.value.line, caught.value.column) == (line, column)
        assert f"line {line}" in str(caught.value)


def test_parameters(journal: Any) -> None:
    """Flux takes no parameters."""
    with pytest.raises(QueryError, match="parameters"):
        journal.query(ALL, name=1)


def test_deep_stacks(journal: Any) -> None:
    """Conditions that go beyond what the caller's stack leaves are a QueryError."""
    text = f"{ALL} |> filter(fn: (r) => {'not ' * 100}exists r.t)"
    found = journal.query(text)

    def query_below(frames: int) -> Any:
        return query_below(frames - 1) if frames else journal.query(text)

    used = len(inspect.stack(0))
    assert query_below(10) == found
    with pytest.raises(QueryError, match="stack"):
        query_below(sys.getrecursionlimit() - used - 70)
    assert journal.query(text) == found


def test_timeout(store: groupstore.Store) -> None:
    """A query that takes longer than its timeout ends with a QueryError."""
    store.journal.append_many([("m", {"pad": "a" * 500}) for _ in range(300)])
    with pytest.raises(QueryError, match="timeout"):
        store.journal.query(ENDLESS, timeout=0.001)
    assert store.journal.query(f"{ALL} |> count()", timeout=60) == [{"_value": 300}]


def test_timeout_of_regular_expressions(store: groupstore.Store) -> None:
    """A regular expression that takes long, on one value too, ends when the timeout is over."""
    text = "".join(random.Random(1).choices("ab", k=6000))
    store.journal.append_many([("m", {"x": text})] * 3)
    slow = f"{ALL} |> filter(fn: (r) => r.x =~ /a(a|b){{300}}c/)"
    begin = time.monotonic()
    with pytest.raises(QueryError, match="timeout"):
        store.journal.query(slow, timeout=0.05)
    assert time.monotonic() - begin < 1
    # The timeout of one query is not that of the next.
    assert len(store.journal.query(f"{ALL} |> filter(fn: (r) => r.x =~ /ab/)")) == 3


INSERT = """INSERT INTO journal_entries (bucket_name, measurement, fields_json, tags_json,
    committed_at) VALUES ('store', {}, '{}', '{{}}', 1)"""


@pytest.mark.parametrize(
    "stages",
    [
        "",
        "|> filter(fn: (r) => r.n == 1)",
        '|> group(columns: ["n"]) |> count()',
        '|> sort(columns: ["n"])',
        '|> sum(column: "n")',
    ],
)
def test_what_is_no_json(file_store: groupstore.Store, foreign: Foreign, stages: str) -> None:
    """JSON that another program has put wrong is an error of the store, at whatever stage."""
    foreign(INSERT.format("'m'", "{"))
    with pytest.raises(CorruptStoreError):
        file_store.journal.query(f"{ALL} {stages}")


@pytest.mark.parametrize(
    "stages",
    ['sum(column: "n")', 'group(columns: ["n"]) |> count()', 'distinct(column: "n")'],
)
def test_integers_that_cannot_be_read(
    file_store: groupstore.Store, foreign: Foreign, stages: str
) -> None:
    """An integer of more digits than Python reads is an error of the store."""
    foreign(INSERT.format("'m'", f'{{"n": {"9" * 5000}}}'))
    with pytest.raises(CorruptStoreError, match="integer"):
        file_store.journal.query(f"{ALL} |> {stages}")


def test_sums_beyond_what_can_be_written(store: groupstore.Store) -> None:
    """Sums are exact up to the digits that Python writes, and then floats."""
    most = 10**4300 - 1
    store.journal.append_many([("m", {"n": most - 1, "t": most}), ("m", {"n": 1, "t": 1})])
    assert store.journal.query(f'{ALL} |> sum(column: "n")') == [{"n": most}]
    assert store.journal.query(f'{ALL} |> sum(column: "t")') == [{"t": float("inf")}]


def test_texts_that_are_not_utf8(file_store: groupstore.Store, foreign: Foreign) -> None:
    """Such a text is given as bytes, like those of the empty query, and harms no other row."""
    foreign(INSERT.format("CAST(x'ff61' AS TEXT)", "{}"), INSERT.format("x'6d'", "{}"))
    journal = file_store.journal
    assert journal.query(ALL) == journal.query()
    assert [row["measurement"] for row in journal.query(ALL)] == [b"\xffa", "m"]
    kept = journal.query(f'{ALL} |> keep(columns: ["measurement"])')
    assert kept == [{"measurement": b"\xffa"}, {"measurement": "m"}]
    counted = journal.query(f'{ALL} |> group(columns: ["measurement"]) |> count()')
    assert counted == [{"measurement": b"\xffa", "_value": 1}, {"measurement": "m", "_value": 1}]
    first = f'{ALL} |> limit(n: 1) |> distinct(column: "measurement")'
    assert journal.query(first) == [{"_value": b"\xffa"}]
    # A blob stands for a boolean, array or object there, and this one is none.
    with pytest.raises(CorruptStoreError):
        journal.query(f'{ALL} |> distinct(column: "measurement")')


def test_half_of_a_surrogate_pair(file_store: groupstore.Store, foreign: Foreign) -> None:
    """An escape that JSON allows and UTF-8 does not is a string like others."""
    foreign(INSERT.format("'m'", r'{"n": "\ud800", "o": 1}'), INSERT.format("'m'", '{"n": 2}'))
    journal = file_store.journal
    assert journal.query(f'{ALL} |> sum(column: "n")') == [{"n": 2}]
    assert journal.query(f'{ALL} |> mean(column: "n")') == [{"n": 2.0}]
    found = journal.query(f'{ALL} |> distinct(column: "n")')
    assert found == list(journal.iter_query(f'{ALL} |> distinct(column: "n")'))
    assert found == [{"_value": "\ud800"}, {"_value": 2}]
    dropped = f'{ALL} |> drop(columns: ["o"])'
    assert journal.query(dropped)[0]["fields_json"] == r'{"n":"\ud800"}'
    assert len(journal.query(dropped + " |> filter(fn: (r) => r.fields_json =~ /ud800/)")) == 1


def test_sql_with_the_names_of_json(store: groupstore.Store) -> None:
    """A number that SQL gives the name of a column of JSON stands for itself."""
    assert store.journal.query("SELECT 5 AS fields_json") == [{"fields_json": 5, "fields": 5}]


def test_the_parser_is_loaded_for_flux_alone(run: Run, path: Path) -> None:
    """Flux loads its parser on its first use; a child of a fork queries as well."""
    run(
        """
import os, sys, groupstore
with groupstore.Store(sys.argv[1], purge_interval=None) as store:
    store.journal.append("m", {"n": 1})
    assert "lark" not in sys.modules
    text = 'from(bucket: "store") |> sum(column: "n")'
    assert store.journal.query(text) == [{"n": 1}]
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            assert store.journal.query(text) == [{"n": 1}]
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
""",
        path,
    )
