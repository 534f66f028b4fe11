"""Many entries at once: set_many, get_all, purge_expired, beside the C floor."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import groupstore
from benchmarks.floor import DELETE, SCAN, UPSERT, VALUE_BYTES, Floor
from benchmarks.points import fill, key, paths
from benchmarks.rounds import Ratio, compare

ENTRIES = 10_000


def set_many(folder: Path, storage: str, new_keys: bool) -> list[Ratio]:
    name = "new" if new_keys else "over"
    floor_path, plain_path, path = paths(folder, storage, f"many-{name}")
    floor, plain = Floor(floor_path), Floor(plain_path)
    order = random.Random(3).sample(range(ENTRIES), ENTRIES)
    with groupstore.Store(path, durability="normal", cache_size=0) as store:
        fill(store, floor, plain, ENTRIES)

        def through_store(turn: int) -> float:
            pairs = [(key(n), f"{turn}-{n}".ljust(VALUE_BYTES, "v")) for n in order]
            if new_keys:
                store.delete_group("g")
            begin = time.perf_counter_ns()
            store.set_many("g", pairs)
            return (time.perf_counter_ns() - begin) / ENTRIES

        def through_floor(turn: int) -> float:
            if new_keys:
                floor.connection.execute("DELETE FROM entries")
            return floor.set(order, turn, together=True) / ENTRIES

        def through_apsw(turn: int) -> float:
            rows = [("g", key(n), f"{turn}-{n}".ljust(VALUE_BYTES, "a")) for n in order]
            if new_keys:
                plain.connection.execute("DELETE FROM entries")
            begin = time.perf_counter_ns()
            with plain.connection:
                plain.connection.executemany(UPSERT, rows)
            return (time.perf_counter_ns() - begin) / ENTRIES

        results = compare(
            f"set_many, {'new keys' if new_keys else 'overwriting'}, {storage}",
            {"C floor": through_floor, "groupstore": through_store, "apsw": through_apsw},
            {"groupstore": "at most 1.6" if new_keys else "at most 1.3"},
        )
    floor.close()
    plain.close()
    return results


def get_all(folder: Path, storage: str) -> list[Ratio]:
    floor_path, plain_path, path = paths(folder, storage, "all")
    floor, plain = Floor(floor_path), Floor(plain_path)
    with groupstore.Store(path, durability="normal", cache_size=0) as store:
        fill(store, floor, plain, ENTRIES)

        def through_store(_: int) -> float:
            begin = time.perf_counter_ns()
            found = store.get_all("g")
            taken = time.perf_counter_ns() - begin
            if len(found) != ENTRIES:
                raise RuntimeError(f"{len(found)} entries came back")
            return taken / ENTRIES

        def through_apsw(_: int) -> float:
            begin = time.perf_counter_ns()
            found = dict(plain.connection.execute(SCAN, ("g",)))
            taken = time.perf_counter_ns() - begin
            if len(found) != ENTRIES:
                raise RuntimeError(f"{len(found)} entries came back")
            return taken / ENTRIES

        results = compare(
            f"get_all, {storage}",
            {
                "C floor": lambda _: floor.scan(ENTRIES) / ENTRIES,
                "groupstore": through_store,
                "apsw": through_apsw,
            },
            {"groupstore": "at most 1.5"},
        )
    floor.close()
    plain.close()
    return results


def purge(folder: Path, storage: str) -> list[Ratio]:
    floor_path, plain_path, path = paths(folder, storage, "purge")
    floor, plain = Floor(floor_path), Floor(plain_path)
    order = random.Random(4).sample(range(ENTRIES), ENTRIES)
    options = {"durability": "normal", "cache_size": 0, "purge_interval": 0}
    with groupstore.Store(path, **options) as store:

        def through_store(_: int) -> float:
            store.set_many("g", ((key(n), "v" * VALUE_BYTES) for n in order), ttl=0.001)
            time.sleep(0.005)
            begin = time.perf_counter_ns()
            purged = store.purge_expired()
            taken = time.perf_counter_ns() - begin
            if purged != ENTRIES:
                raise RuntimeError(f"{purged} rows were purged")
            return taken / ENTRIES

        def through_floor(turn: int) -> float:
            floor.set(order, turn, together=True)
            return floor.delete(order) / ENTRIES

        def through_apsw(turn: int) -> float:
            plain.set(order, turn, together=True)
            keys = [("g", key(n)) for n in order]
            begin = time.perf_counter_ns()
            with plain.connection:
                plain.connection.executemany(DELETE, keys)
            return (time.perf_counter_ns() - begin) / ENTRIES

        results = compare(
            f"purge_expired, {storage}",
            {"C floor": through_floor, "groupstore": through_store, "apsw": through_apsw},
            {"groupstore": "at most 1.5"},
        )
    floor.close()
    plain.close()
    return results


def run(folder: Path) -> Iterator[Ratio]:
    """Every comparison of this subject."""
    for storage in (":memory:", "file"):
        yield from set_many(folder, storage, new_keys=False)
        yield from set_many(folder, storage, new_keys=True)
        yield from get_all(folder, storage)
        yield from purge(folder, storage)
