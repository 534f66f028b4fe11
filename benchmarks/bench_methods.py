"""Every hot method by itself, in memory and on a file: `pytest benchmarks/bench_methods.py`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import groupstore

KEYS = [f"key-{n:08}" for n in range(1000)]


@pytest.fixture(params=[":memory:", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[groupstore.Store]:
    path = ":memory:" if request.param == ":memory:" else tmp_path / "bench.db"
    with groupstore.Store(path, durability="normal", cache_size=0) as store:
        store.set_many("g", dict.fromkeys(KEYS, "v" * 100))
        store.set("g", "counter", "0")
        yield store


CALLS: dict[str, Callable[[groupstore.Store, str], Any]] = {
    "get": lambda s, k: s.get("g", k),
    "get of an absent key": lambda s, _: s.get("g", "absent", None),
    "exists": lambda s, k: s.exists("g", k),
    "ttl": lambda s, k: s.ttl("g", k),
    "set": lambda s, k: s.set("g", k, "w" + k),
    "add": lambda s, k: s.add("g", k, "w"),
    "increment": lambda s, _: s.increment("g", "counter"),
    "compare_and_set": lambda s, k: s.compare_and_set("g", k, "other", "w"),
    "expire": lambda s, k: s.expire("g", k, 60),
    "delete of an absent key": lambda s, _: s.delete("g", "absent"),
    "count": lambda s, _: s.count("g"),
    "count_all": lambda s, _: s.count_all(),
    "groups": lambda s, _: s.groups(),
    "get_all": lambda s, _: s.get_all("g"),
    "get_many": lambda s, _: s.get_many("g", KEYS[:100]),
    "get_page": lambda s, _: s.get_page("g", 100, 50),
    "items": lambda s, _: sum(1 for _ in s.items("g")),
    "set_many": lambda s, _: s.set_many("g", dict.fromkeys(KEYS, "x")),
}


@pytest.mark.parametrize("method", CALLS)
def test_method(method: str, store: groupstore.Store, benchmark: BenchmarkFixture) -> None:
    """One method, over keys in turn."""
    keys = itertools.cycle(KEYS)
    call = CALLS[method]
    benchmark(lambda: call(store, next(keys)))


SELECT = "SELECT entry_value, expires_at FROM entries WHERE group_name = 'g' AND entry_key = ?"


@pytest.mark.parametrize("path", [":memory:", "file"])
def test_get_through_apsw(path: str, tmp_path: Path, benchmark: BenchmarkFixture) -> None:
    """For comparison: a get through `Connection.execute`."""
    connection = apsw.Connection(path if path == ":memory:" else str(tmp_path / "plain.db"))
    connection.pragma("journal_mode", "wal")
    connection.execute(
        "CREATE TABLE entries (group_name TEXT, entry_key TEXT, entry_value TEXT, expires_at"
        " INTEGER, PRIMARY KEY (group_name, entry_key)) WITHOUT ROWID"
    )
    rows = [("g", key, "v" * 100) for key in KEYS]
    with connection:
        connection.executemany("INSERT INTO entries VALUES (?, ?, ?, NULL)", rows)
    keys = itertools.cycle(KEYS)
    benchmark(lambda: connection.execute(SELECT, (next(keys),)).fetchone())
    connection.close()
