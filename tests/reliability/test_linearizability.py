"""Operations of threads and processes at once have an order that explains every answer."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from linearizability import (
    GROUP,
    Block,
    Operation,
    block_model,
    explained,
    record_blocks,
    record_process,
    record_threads,
    start_together,
    unexplained_keys,
)

import groupstore

SLOW = os.environ.get("GROUPSTORE_SLOW") == "1"
ROUNDS = 100 if SLOW else 2
OPERATIONS = 300
KEYS = 12

OPTIONS: dict[str, dict[str, Any]] = {
    "cached": {"durability": "normal"},
    "uncached": {"durability": "normal", "cache_size": 0},
    "full": {"durability": "full"},
    "exclusive": {"durability": "normal", "exclusive": True},
    "memory": {},
}
SHARED = ("cached", "uncached", "full")


def opened(path: Path, kind: str) -> groupstore.Store:
    """A store of a kind, on a file unless it is in memory."""
    place = ":memory:" if kind == "memory" else path
    return groupstore.Store(place, purge_interval=None, busy_timeout=60, **OPTIONS[kind])


@pytest.mark.parametrize("kind", OPTIONS)
def test_threads(tmp_path: Path, kind: str, seed: int) -> None:
    """Each key's history by four threads is linearizable."""
    for round in range(ROUNDS):
        with opened(tmp_path / f"{round}.db", kind) as store:
            history = record_threads(
                store, seed + round, threads=4, operations=OPERATIONS, keys=KEYS
            )
        assert unexplained_keys(history) == []


@pytest.mark.parametrize("kind", SHARED)
def test_processes(tmp_path: Path, kind: str, seed: int) -> None:
    """Each key's history by two threads in each of three processes is linearizable."""
    spawn = multiprocessing.get_context("spawn")
    together = spawn.Barrier(3)
    with ProcessPoolExecutor(
        3, mp_context=spawn, initializer=start_together, initargs=(together,)
    ) as pool:
        for round in range(ROUNDS):
            path = tmp_path / f"{round}.db"
            running = [
                pool.submit(
                    record_process, path, OPTIONS[kind], seed + round, first, OPERATIONS, KEYS
                )
                for first in (0, 2, 4)
            ]
            history = [one for each in running for one in each.result()]
            assert unexplained_keys(history) == []


@pytest.mark.parametrize("kind", OPTIONS)
def test_transactions_and_their_events(tmp_path: Path, kind: str, seed: int) -> None:
    """Transactions are strictly serialisable, in the order in which a watcher hears of them."""
    for round in range(ROUNDS):
        with opened(tmp_path / f"{round}.db", kind) as store:
            watcher = store.watch(GROUP, capacity=10_000)
            history = record_blocks(store, seed + round, threads=4, blocks=100, keys=6)
            events = []
            while (event := watcher.get_nowait()) is not None:
                events.append((event.key, event.value))
        assert explained(history, block_model(events), (0, frozenset()))
        assert len(events) == sum(len(one.writes) for one in history)


class Stale:
    """A store that answers every twentieth `get` of a key with what it gave before."""

    def __init__(self, store: groupstore.Store) -> None:
        self._store = store
        self._gets = 0
        self._given: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def get(self, group: str, key: str, default: Any) -> Any:
        """The value, or an old one."""
        self._gets += 1
        value = self._store.get(group, key, default)
        if self._gets % 20 == 0:
            return self._given.get(key, value)
        self._given[key] = value
        return value


def test_stale_reads_are_found(seed: int) -> None:
    """A store that gives an old value now and then has no history that can be explained."""
    with groupstore.Store(purge_interval=None) as store:
        history = record_threads(Stale(store), seed, threads=1, operations=1000, keys=KEYS)
    assert unexplained_keys(history)


def test_a_read_after_a_write_must_see_it() -> None:
    """An old value is right while the write goes on, and wrong once it has ended."""
    first = Operation(0, 1, "set", "k", ("1",), None)
    second = Operation(2, 5, "set", "k", ("2",), None)
    during = Operation(3, 4, "get", "k", (), "1")
    after = Operation(6, 7, "get", "k", (), "1")
    assert unexplained_keys([first, second, during]) == []
    assert unexplained_keys([first, second, after]) == ["k"]


def test_write_skew_is_found() -> None:
    """Two transactions that each miss the other's write have no order."""
    events = [("a", "1"), ("b", "1")]
    one = Block(0, 9, (("a", None), ("b", None)), (("a", "1"),))
    other = Block(0, 9, (("a", None), ("b", None)), (("b", "1"),))
    assert not explained([one, other], block_model(events), (0, frozenset()))
    aware = other._replace(reads=(("a", "1"), ("b", None)))
    assert explained([one, aware], block_model(events), (0, frozenset()))
    assert not explained([one, aware], block_model(events[::-1]), (0, frozenset()))
