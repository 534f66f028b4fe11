"""Uncached gets on a file from several threads, alone and beside a writer."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import groupstore
from benchmarks.points import KEYS, VALUE_BYTES, key
from benchmarks.rounds import Contender, Ratio, compare

GETS = 4000


def run(folder: Path) -> Iterator[Ratio]:
    """Every comparison of this subject."""
    store = groupstore.Store(folder / "threads.db", durability="normal", cache_size=0)
    store.set_many("g", ((key(n), "v" * VALUE_BYTES) for n in range(KEYS)))
    keys = [key(n) for n in random.Random(5).sample(range(KEYS), GETS)]

    def read() -> None:
        for name in keys:
            store.get("g", name)

    def together(threads: int, *, beside_writer: bool = False) -> Contender:
        def work(turn: int) -> float:
            stop = threading.Event()

            def write() -> None:
                number = 0
                while not stop.is_set():
                    store.set("other", "k", f"{turn}-{number}")
                    number += 1

            writer = threading.Thread(target=write)
            readers = [threading.Thread(target=read) for _ in range(threads)]
            if beside_writer:
                writer.start()
            begin = time.perf_counter_ns()
            for reader in readers:
                reader.start()
            for reader in readers:
                reader.join()
            taken = time.perf_counter_ns() - begin
            stop.set()
            if beside_writer:
                writer.join()
            return taken / (GETS * threads)

        return work

    with store:
        yield from compare(
            "get, file, threads, wall a get",
            {
                "1 thread": together(1),
                "2 threads": together(2),
                "4 threads": together(4),
                "1 + writer": together(1, beside_writer=True),
            },
        )
