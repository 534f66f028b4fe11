"""Every hot method by itself, in memory and on a file: `pytest benchmarks/bench_methods.py`.

The times are of a round: `calls` of the method. `make bench` prints the time of one, and ratios.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.methods import METHODS, Round, bench
from benchmarks.rounds import ROUNDS


@pytest.mark.parametrize("contender", ["C floor", "groupstore", "apsw"])
@pytest.mark.parametrize("storage", [":memory:", "file"])
@pytest.mark.parametrize("method", METHODS)
def test_method(
    method: str, storage: str, contender: str, tmp_path: Path, benchmark: BenchmarkFixture
) -> None:
    """One method through one contender."""
    benchmark.group = f"{method}, {storage}"
    with bench(method, tmp_path, storage) as one:
        turns = itertools.count()

        def setup() -> tuple[tuple[Round], dict[str, object]]:
            return (one.round(contender, next(turns)),), {}

        benchmark.pedantic(_call, setup=setup, rounds=ROUNDS, warmup_rounds=1)


def _call(calls: Round) -> None:
    calls()
