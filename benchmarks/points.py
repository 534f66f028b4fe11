"""Single gets and sets, uncached, beside the C floor and APSW's `execute`."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import groupstore
from benchmarks.floor import SELECT, UPSERT, VALUE_BYTES, Floor
from benchmarks.rounds import Ratio, compare

KEYS = 20_000

GET_GOALS = {":memory:": "at most 1.25", "file": "at most 1.15"}
SET_GOALS = {"normal": "at most 1.15", "full": "at most 1.05"}


def key(number: int) -> str:
    return f"key-{number:08}"


def fill(store: groupstore.Store, floor: Floor, plain: Floor, number: int) -> None:
    store.set_many("g", ((key(n), "v" * VALUE_BYTES) for n in range(number)))
    floor.set(range(number), 0, together=True)
    plain.set(range(number), 0, together=True)


def gets(folder: Path, storage: str) -> list[Ratio]:
    floor_path, plain_path, path = paths(folder, storage, "get")
    floor, plain = Floor(floor_path), Floor(plain_path)
    numbers = random.Random(1).sample(range(KEYS), KEYS)
    keys = [key(number) for number in numbers]
    with groupstore.Store(path, durability="normal", cache_size=0) as store:
        fill(store, floor, plain, KEYS)

        def through_store(_: int) -> float:
            get = store.get
            begin = time.perf_counter_ns()
            for name in keys:
                get("g", name)
            return (time.perf_counter_ns() - begin) / KEYS

        def through_apsw(_: int) -> float:
            execute = plain.connection.execute
            begin = time.perf_counter_ns()
            for name in keys:
                execute(SELECT, ("g", name)).fetchone()
            return (time.perf_counter_ns() - begin) / KEYS

        results = compare(
            f"get, uncached, {storage}",
            {
                "C floor": lambda _: floor.get(numbers) / KEYS,
                "groupstore": through_store,
                "apsw": through_apsw,
            },
            {"groupstore": GET_GOALS[storage]},
        )
    floor.close()
    plain.close()
    return results


def sets(folder: Path, storage: str, durability: str, number: int) -> list[Ratio]:
    floor_path, plain_path, path = paths(folder, storage, f"set-{durability}")
    floor, plain = Floor(floor_path, durability), Floor(plain_path, durability)
    order = random.Random(2).sample(range(KEYS), number)
    keys = [key(one) for one in order]
    with groupstore.Store(path, durability=durability, cache_size=0) as store:
        fill(store, floor, plain, KEYS)

        def values(turn: int) -> list[str]:
            return [f"{turn}-{n}".ljust(VALUE_BYTES, "v") for n in range(number)]

        def through_store(turn: int) -> float:
            put, new = store.set, values(turn)
            begin = time.perf_counter_ns()
            for name, value in zip(keys, new, strict=True):
                put("g", name, value)
            return (time.perf_counter_ns() - begin) / number

        def through_apsw(turn: int) -> float:
            execute, new = plain.connection.execute, values(turn)
            begin = time.perf_counter_ns()
            for name, value in zip(keys, new, strict=True):
                execute(UPSERT, ("g", name, value))
            return (time.perf_counter_ns() - begin) / number

        results = compare(
            f"set, {storage}" + (f", {durability}" if storage == "file" else ""),
            {
                "C floor": lambda turn: floor.set(order, turn) / number,
                "groupstore": through_store,
                "apsw": through_apsw,
            },
            {"groupstore": SET_GOALS[durability]} if storage == "file" else {},
        )
    floor.close()
    plain.close()
    return results


def paths(folder: Path, storage: str, name: str) -> tuple[str, str, str]:
    """Where the data of the floor, of APSW's turn and of the store go.

    A file each: in a common one, the checkpoint at every 1,000th page would keep step with the
    rounds and always fall to the same contender.
    """
    if storage == ":memory:":
        return storage, storage, storage
    floor, plain, store = (str(folder / f"{who}-{name}.db") for who in ("floor", "apsw", "store"))
    return floor, plain, store


def run(folder: Path) -> Iterator[Ratio]:
    """Every comparison of this subject."""
    for storage in (":memory:", "file"):
        yield from gets(folder, storage)
    yield from sets(folder, ":memory:", "normal", 5000)
    yield from sets(folder, "file", "normal", 2000)
    yield from sets(folder, "file", "full", 100)
