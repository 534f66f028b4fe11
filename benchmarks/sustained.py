"""Sets without a pause: the mean beside the C floor's, the tail of the latencies, and the log.

The C floor checkpoints on the writer's way, which is SQLite's default; the store on a thread of its
own. Alone, and beside readers that keep reading.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import groupstore
from benchmarks.floor import VALUE_BYTES, Floor
from benchmarks.points import KEYS, key
from benchmarks.rounds import Contender, Ratio, compare

SETS = 20_000
ROUNDS = 7
SHARES = {"median": 0.5, "99 %": 0.99, "99.9 %": 0.999}
MIB = 1024 * 1024


def run(folder: Path) -> Iterator[Ratio]:
    """Every comparison of this subject; the figures that are no ratios are printed."""
    order = [random.Random(3).randrange(KEYS) for _ in range(SETS)]
    floor = Floor(str(folder / "sustained-floor.db"))
    floor.set(range(KEYS), 0, together=True)
    with groupstore.Store(folder / "sustained.db", durability="normal") as store:
        store.set_many("g", ((key(n), "v" * VALUE_BYTES) for n in range(KEYS)))
        for beside in (0, 2):
            latencies: list[int] = []
            with _readers(store, beside):
                yield from compare(
                    f"set, sustained, {beside} readers",
                    {
                        "C floor": lambda turn: floor.set(order, turn) / SETS,
                        "groupstore": _sets(store, order, latencies),
                    },
                    {"groupstore": "at most 0.8"},
                    rounds=ROUNDS,
                )
            latencies.sort()
            at = {name: latencies[int(len(latencies) * share)] for name, share in SHARES.items()}
            print(
                f"  latencies in ns: {at}, longest {latencies[-1]}; 99.9 % is "
                f"{at['99.9 %'] / at['median']:.1f} x the median (at most 20); "
                f"log {store.stats().wal_size / MIB:.1f} MiB"
            )
    floor.close()


def _sets(store: groupstore.Store, order: list[int], latencies: list[int]) -> Contender:
    def work(turn: int) -> float:
        clock, put = time.perf_counter_ns, store.set
        begin = clock()
        for step, number in enumerate(order):
            value = f"{turn}-{step}".ljust(VALUE_BYTES, "v")
            before = clock()
            put("g", key(number), value)
            latencies.append(clock() - before)
        return (clock() - begin) / SETS

    return work


@contextmanager
def _readers(store: groupstore.Store, number: int) -> Iterator[None]:
    """Threads that list the whole group again and again, a pause between."""
    stop = threading.Event()

    def read() -> None:
        while not stop.wait(0.05):
            store.get_all("g")

    threads = [threading.Thread(target=read) for _ in range(number)]
    for thread in threads:
        thread.start()
    yield
    stop.set()
    for thread in threads:
        thread.join()
