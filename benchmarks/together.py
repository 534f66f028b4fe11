"""Durable sets of several threads, which share commits, and so waits for the disk."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import groupstore
from benchmarks.points import VALUE_BYTES
from benchmarks.rounds import Contender, Ratio, compare

SETS = 1600
ROUNDS = 9
THREADS = (1, 2, 8, 32)


def run(folder: Path) -> Iterator[Ratio]:
    """Every comparison of this subject: wall time a set, at `durability="full"`."""
    with groupstore.Store(folder / "together.db", durability="full") as store:

        def together(threads: int) -> Contender:
            def work(turn: int) -> float:
                def write(number: int) -> None:
                    for step in range(SETS // threads):
                        value = f"{turn}-{step}".ljust(VALUE_BYTES, "v")
                        store.set("g", f"{number}-{step % 50}", value)

                writers = [threading.Thread(target=write, args=(n,)) for n in range(threads)]
                begin = time.perf_counter_ns()
                for writer in writers:
                    writer.start()
                for writer in writers:
                    writer.join()
                return (time.perf_counter_ns() - begin) / SETS

            return work

        yield from compare(
            "set, file, full, wall a set",
            {f"{number} threads": together(number) for number in THREADS},
            {"32 threads": "at most 0.125"},
            rounds=ROUNDS,
        )
