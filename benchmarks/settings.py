"""SQLite's settings: page size, page cache, memory map.

The C floor's loops over 20,000 keys, whose 2.7 MB are more than SQLite's usual cache of 2 MB holds,
and over 200,000.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import apsw

from benchmarks.floor import Floor
from benchmarks.rounds import Contender, Ratio, compare

ROWS = (20_000, 200_000)
CALLS = 2000
ROUNDS = 9

SETTINGS: dict[str, dict[str, int]] = {
    "as it is": {},
    "page 8192": {"page_size": 8192},
    "page 16384": {"page_size": 16384},
    "cache 8M": {"cache_size": -8000},
    "cache 64M": {"cache_size": -64 * 1024},
    "mmap 256M": {"mmap_size": 256 * 1024 * 1024},
}


def run(folder: Path) -> Iterator[Ratio]:
    """Every comparison of this subject."""
    for rows in ROWS:
        yield from _compare(folder, rows)


def _compare(folder: Path, rows: int) -> Iterator[Ratio]:
    floors = {
        name: _floor(str(folder / f"settings-{rows}-{number}.db"), rows, settings)
        for number, (name, settings) in enumerate(SETTINGS.items())
    }
    randomly = random.Random(7)
    numbers = [randomly.randrange(rows) for _ in range(CALLS)]

    def gets(floor: Floor) -> Contender:
        return lambda _: floor.get(numbers) / CALLS

    def sets(floor: Floor) -> Contender:
        return lambda turn: floor.set(numbers, turn) / CALLS

    for call, contender in {"get": gets, "set": sets}.items():
        contenders = {name: contender(floor) for name, floor in floors.items()}
        yield from compare(f"{call}, {rows:,} keys", contenders, rounds=ROUNDS)
    for floor in floors.values():
        floor.close()


def _floor(path: str, rows: int, settings: dict[str, int]) -> Floor:
    # The size of pages is settled with the first of them.
    connection = apsw.Connection(path)
    connection.pragma("page_size", settings.get("page_size", 4096))
    connection.execute("VACUUM")
    connection.close()
    floor = Floor(path)
    for name, value in settings.items():
        if name != "page_size":
            floor.connection.pragma(name, value)
    floor.set(range(rows), 0, together=True)
    return floor
