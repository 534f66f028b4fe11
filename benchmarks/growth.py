"""How the cost of each method grows with the number of rows in the file.

`python -m benchmarks.growth 10000 100000 1000000` fills one file to each size in turn, in groups of
10,000 keys, and prints the median of each method's calls there, in microseconds. With
`--value-bytes 10000` a million rows make 10 GB.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import groupstore
from benchmarks.floor import VALUE_BYTES

GROUP_KEYS = 10_000
CALLS = 300
BATCH = 100

# The store, a group, a key of it and a new value.
Call = Callable[[groupstore.Store, str, str, str], object]

METHODS: dict[str, Call] = {
    "get, uncached": lambda store, group, key, _: store.get(group, key),
    "exists": lambda store, group, key, _: store.exists(group, key),
    "set, overwriting": lambda store, group, key, value: store.set(group, key, value),
    "set, new": lambda store, group, _, value: store.set(
        group, f"n{time.perf_counter_ns()}", value
    ),
    "set, quota": lambda store, group, key, value: store.scoped(
        "t", groupstore.Quota(max_keys=10**9)
    ).set(group.removeprefix("t:"), key, value),
    "increment": lambda store, group, *_: store.increment(group, "counter"),
    "get_many of 100": lambda store, group, key, _: store.get_many(
        group, [f"{int(key) + n:012}" for n in range(BATCH)]
    ),
    "items, first 100": lambda store, group, *_: store.get_page(group, 0, BATCH),
    "count": lambda store, group, *_: store.count(group),
    "count_all": lambda store, *_: store.count_all(),
    "group_exists": lambda store, group, *_: store.group_exists(group),
    "delete": lambda store, group, key, _: store.delete(group, key),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth")
    parser.add_argument("rows", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--value-bytes", type=int, default=VALUE_BYTES)
    arguments = parser.parse_args()
    sizes: list[int] = arguments.rows
    value_bytes: int = arguments.value_bytes
    randomly = random.Random(6)
    table: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "growth.db")
        with groupstore.Store(path, durability="normal", cache_size=0, purge_interval=0) as store:
            rows = 0
            for size in sizes:
                begin = time.perf_counter()
                while rows < size:
                    number = rows // GROUP_KEYS
                    value = "v" * value_bytes
                    store.set_many(f"t:{number}", {f"{n:012}": value for n in range(GROUP_KEYS)})
                    rows += GROUP_KEYS
                print(f"{rows:,} rows, filled in {time.perf_counter() - begin:.0f} s", flush=True)
                for name, call in METHODS.items():
                    table.setdefault(name, []).append(
                        measure(store, rows, call, value_bytes, randomly)
                    )
            print(store.stats())
    print(f"| {'microseconds':20} | " + " | ".join(f"{size:>12,}" for size in sizes) + " |")
    for name, medians in table.items():
        print(f"| {name:20} | " + " | ".join(f"{median:12.1f}" for median in medians) + " |")


def measure(
    store: groupstore.Store, rows: int, call: Call, value_bytes: int, randomly: random.Random
) -> float:
    """The median of calls on groups and keys at random, in microseconds."""
    taken = []
    for _ in range(CALLS):
        group = f"t:{randomly.randrange(rows // GROUP_KEYS)}"
        key = f"{randomly.randrange(GROUP_KEYS - BATCH):012}"
        value = str(time.perf_counter_ns()).ljust(value_bytes, "v")
        begin = time.perf_counter_ns()
        call(store, group, key, value)
        taken.append(time.perf_counter_ns() - begin)
    return statistics.median(taken) / 1000


if __name__ == "__main__":
    main()
