"""The calls of a workspace by themselves: `pytest benchmarks/bench_workspace.py`.

The times are of a round of calls. `python -m benchmarks.report workspace` prints ratios.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import groupstore
from benchmarks.rounds import ROUNDS, Contender
from benchmarks.workspace import aggregates, inserts, many, put_many, puts, table


@pytest.fixture
def contenders(tmp_path: Path) -> Iterator[dict[str, Contender]]:
    """What is timed, by name, each on a file of its own."""
    connection = table(tmp_path / "bare.db")
    with groupstore.Store(tmp_path / "store.db", purge_interval=None) as store:
        workspace = store.workspace("job")
        yield {
            "INSERT": inserts(connection),
            "put": puts(workspace),
            "executemany": many(connection, is_ready=False),
            "put_many": put_many(workspace),
            "aggregate": aggregates(workspace),
        }
    connection.close()


@pytest.mark.parametrize("name", ["INSERT", "put", "executemany", "put_many", "aggregate"])
def test_workspace(
    name: str, contenders: dict[str, Contender], benchmark: BenchmarkFixture
) -> None:
    """One call."""
    benchmark.pedantic(contenders[name], args=(0,), rounds=ROUNDS, warmup_rounds=1)
