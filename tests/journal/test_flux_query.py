"""Flux through the store: transactions, archives, errors, iterators. Its stages have their own."""

from __future__ import annotations

import random
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


def test_another_programs_entries(file_store: groupstore.Store, foreign: Foreign) -> None:
    """Texts that are no JSON or no UTF-8 are errors of the store."""
    insert = """INSERT INTO journal_entries (bucket_name, measurement, fields_json, tags_json,
        committed_at) VALUES ('store', {}, {}, '{{}}', 1)"""
    foreign(insert.format("'m'", "'{'"))
    with pytest.raises(CorruptStoreError):
        file_store.journal.query(ALL)
    foreign("DELETE FROM journal_entries", insert.format("CAST(x'ff' AS TEXT)", "'{}'"))
    with pytest.raises(CorruptStoreError):
        file_store.journal.query(ALL)


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
