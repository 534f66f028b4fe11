"""Histories of operations by threads and processes, and whether one order explains them.

The search is Wing and Gong's with Lowe's memoisation: an operation may come next if it began before
any other of those left had ended, and no pair of (operations done, state) is tried twice.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier, Thread
from typing import Any, NamedTuple, Protocol

import groupstore

GROUP = "g"


class Operation(NamedTuple):
    """A call with its answer; nanoseconds of CLOCK_MONOTONIC, common to all processes."""

    start: int
    end: int
    name: str
    key: str
    arguments: tuple[Any, ...]
    answer: Any


class Timed(Protocol):
    """What began and ended."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


# The next state, or None where this answer can't come from this state.
Model = Callable[[Any, Any], Hashable | None]


def explained(history: Iterable[Timed], model: Model, initial: Hashable) -> bool:
    """Whether an order that keeps to the times gives every answer of `history`."""
    operations = sorted(history, key=lambda one: one.start)
    everything = (1 << len(operations)) - 1
    waiting: list[tuple[int, Hashable]] = [(0, initial)]
    seen = set(waiting)
    while waiting:
        done, state = waiting.pop()
        if done == everything:
            return True
        first_end = None
        # From the first that is left: the lowest bit not set.
        for index in range((~done & (done + 1)).bit_length() - 1, len(operations)):
            if done >> index & 1:
                continue
            one = operations[index]
            if first_end is not None and one.start > first_end:
                break
            first_end = one.end if first_end is None else min(first_end, one.end)
            after = model(state, one)
            following = (done | 1 << index, after)
            if after is not None and following not in seen:
                seen.add(following)
                waiting.append(following)
    return False


def key_model(state: tuple[str | None], one: Operation) -> tuple[str | None] | None:
    """What a key's value, or None, is after an operation, boxed."""
    (value,) = state
    match one.name:
        case "get":
            after, answer = value, value
        case "set":
            after, answer = one.arguments[0], None
        case "add":
            after, answer = (one.arguments[0], True) if value is None else (value, False)
        case "compare_and_set":
            equal = value == one.arguments[0]
            after, answer = (one.arguments[1] if equal else value), equal
        case "increment":
            number = int(value or 0) + 1
            after, answer = str(number), number
        case "delete":
            after, answer = None, value is not None
        case _:
            assert one.name == "pop"
            after, answer = None, value
    return (after,) if answer == one.answer else None


def unexplained_keys(history: Sequence[Operation]) -> list[str]:
    """The keys whose histories no order explains; a history is right where every key's is."""
    keys = sorted({one.key for one in history})
    return [
        key
        for key in keys
        if not explained((one for one in history if one.key == key), key_model, (None,))
    ]


def call(store: Any, dice: random.Random, worker: int, number: int, keys: int) -> Operation:
    """One operation by chance, with its times."""
    key = f"k{dice.randrange(keys)}"
    # No two workers ever set the same.
    value = str((worker + 1) * 10**9 + number * 10**4)
    name = dice.choice(
        ("get", "get", "get", "get", "set", "set", "add", "compare_and_set")
        + ("increment", "delete", "pop")
    )
    arguments: tuple[Any, ...] = ()
    if name in {"set", "add"}:
        arguments = (value,)
    elif name == "compare_and_set":
        arguments = (store.get(GROUP, key, None), value)
    given = (*arguments, None) if name in {"get", "pop"} else arguments
    start = time.monotonic_ns()
    answer = getattr(store, name)(GROUP, key, *given)
    return Operation(start, time.monotonic_ns(), name, key, arguments, answer)


@contextmanager
def switching_often() -> Iterator[None]:
    """Threads take turns every 10 microseconds: a whole history fits into the usual 5 ms."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def record_threads(
    store: Any, seed: int, *, threads: int, operations: int, keys: int, first: int = 0
) -> list[Operation]:
    """What `threads` threads did at once, `operations` each."""
    histories: list[list[Operation]] = [[] for _ in range(threads)]
    barrier = Barrier(threads)

    def work(worker: int) -> None:
        dice = random.Random(f"{seed} {first + worker}")
        barrier.wait()
        for number in range(operations):
            histories[worker].append(call(store, dice, first + worker, number, keys))

    workers = [Thread(target=work, args=(worker,)) for worker in range(threads)]
    with switching_often():
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    history = [one for each in histories for one in each]
    assert len(history) == threads * operations
    return history


_together: Any = None


def start_together(barrier: Any) -> None:
    """Have this process's histories begin with those of the others at `barrier`."""
    global _together  # noqa: PLW0603
    _together = barrier


def record_process(
    path: Path, options: dict[str, Any], seed: int, first: int, operations: int, keys: int
) -> list[Operation]:
    """What two threads of a process of its own did."""
    with groupstore.Store(path, purge_interval=None, busy_timeout=60, **options) as store:
        _together.wait()
        return record_threads(store, seed, threads=2, operations=operations, keys=keys, first=first)


class Block(NamedTuple):
    """A transaction that committed: what it read, and then wrote."""

    start: int
    end: int
    reads: tuple[tuple[str, str | None], ...]
    writes: tuple[tuple[str, str], ...]


class _Undo(Exception):
    """Rolls a transaction back."""


def record_blocks(store: Any, seed: int, *, threads: int, blocks: int, keys: int) -> list[Block]:
    """The transactions that committed; a third are rolled back, and must never be seen."""
    histories: list[list[Block]] = [[] for _ in range(threads)]
    barrier = Barrier(threads)

    def work(worker: int) -> None:
        dice = random.Random(f"{seed} {worker}")
        barrier.wait()
        for number in range(blocks):
            names = dice.sample([f"k{key}" for key in range(keys)], 2)
            writes = tuple(
                (name, f"{worker} {number} {name}") for name in names[: dice.randrange(3)]
            )
            undone = dice.random() < 1 / 3
            start = time.monotonic_ns()
            try:
                with store.transaction() as tx:
                    reads = tuple((name, tx.get(GROUP, name, None)) for name in names)
                    for name, value in writes:
                        tx.set(GROUP, name, value)
                    if undone:
                        raise _Undo
            except _Undo:
                continue
            histories[worker].append(Block(start, time.monotonic_ns(), reads, writes))

    workers = [Thread(target=work, args=(worker,)) for worker in range(threads)]
    with switching_often():
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    return [one for each in histories for one in each]


def block_model(events: Sequence[tuple[str, str]]) -> Model:
    """Of all keys and the events told so far: every write must be the next event."""

    def model(state: tuple[int, frozenset[tuple[str, str]]], one: Block) -> Hashable | None:
        told, values = state
        held = dict(values)
        if any(held.get(key) != value for key, value in one.reads):
            return None
        after = told + len(one.writes)
        if tuple(events[told:after]) != one.writes:
            return None
        return after, frozenset((held | dict(one.writes)).items())

    return model
