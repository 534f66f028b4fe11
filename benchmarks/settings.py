"""SQLite's settings that the store leaves alone, beside others: page size, page cache, memory map.

The C floor's loops over 200,000 keys, more than SQLite's own cache of 2 MB holds.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import apsw

from benchmarks.floor import Floor
from benchmarks.rounds import Contender, Ratio, compare

ROWS = 200_000
CALLS = 2000
ROUNDS = 9

SETTINGS: dict[str, dict[str, int]] = {
    "as it is": {},
    "page 8192": {"page_size": 8192},
    "page 16384": {"page_size": 16384},
    "cache 64M": {"cache_size": -64 * 1024},
    "mmap 256M": {"mmap_size": 256 * 1024 * 1024},
}


def run(folder: Path) -> Iterator[Ratio]:
    """Every comparison of this subject."""
    floors = {
        name: _floor(str(folder / f"settings-{number}.db"), settings)
        for number, (name, settings) in enumerate(SETTINGS.items())
    }
    randomly = random.Random(7)
    numbers = [randomly.randrange(ROWS) for _ in range(CALLS)]

    def gets(floor: Floor) -> Contender:
        return lambda _: floor.get(numbers) / CALLS

    def sets(floor: Floor) -> Contender:
        return lambda turn: floor.set(numbers, turn) / CALLS

    yield from compare(
        "get, 200k keys", {name: gets(floor) for name, floor in floors.items()}, rounds=ROUNDS
    )
    yield from compare(
        "set, 200k keys", {name: sets(floor) for name, floor in floors.items()}, rounds=ROUNDS
    )
    for floor in floors.values():
        floor.close()


def _floor(path: str, settings: dict[str, int]) -> Floor:
    # The size of pages is settled with the first of them.
    connection = apsw.Connection(path)
    connection.pragma("page_size", settings.get("page_size", 4096))
    connection.execute("VACUUM")
    connection.close()
    floor = Floor(path)
    for name, value in settings.items():
        if name != "page_size":
            floor.connection.pragma(name, value)
    floor.set(range(ROWS), 0, together=True)
    return floor
