"""The C floor: bare loops in C over prepared statements of the same SQLite."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import apsw

from benchmarks.floor import Floor
from benchmarks.peers.peer import GROUP, Durability, Pair, Peer, Step, value
from benchmarks.peers.sql import get_many


class Adapter(Peer):
    name = "C floor"
    normal = "WAL, `synchronous=NORMAL`"
    full = "WAL, `synchronous=FULL`"
    batch = "upserts in one transaction"

    def __init__(self, folder: Path, durability: Durability) -> None:
        self._path, self._durability = str(folder / "data.db"), durability
        self._floor = Floor(self._path, durability)
        self._local = threading.local()
        self._floors = [self._floor]

    @classmethod
    def missing(cls) -> str | None:
        compiler = os.environ.get("CC", "gcc")
        return None if shutil.which(compiler) else f"there is no {compiler}"

    @classmethod
    def version(cls) -> str:
        return f"SQLite {apsw.sqlite_lib_version()}"

    def get_each(self, keys: Iterable[str]) -> str:
        numbers = [_number(key) for key in keys]
        self.inside_ns = self._floor.get(numbers)
        # The loop has checked that all of them were there, and returns no value.
        return self.get_many([f"key-{numbers[-1]:08}"]).popitem()[1]

    def set_each(self, pairs: Sequence[Pair]) -> None:
        self._set(pairs, together=False)

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        return get_many(self._floor.connection.execute, keys)

    def set_many(self, pairs: Sequence[Pair]) -> None:
        self._set(pairs, together=True)

    def _set(self, pairs: Sequence[Pair], *, together: bool) -> None:
        turn = _turn(pairs[0])
        numbers = [_number(key) for key, _ in pairs]
        # It makes the values itself: they are the ones that it was given.
        if pairs[-1][1] != value(turn, len(pairs) - 1):
            raise RuntimeError(f"the floor cannot write {pairs[-1]!r}")
        self.inside_ns = self._floor.set(numbers, turn, together=together, group=GROUP)

    def mixed(self, steps: Sequence[Step]) -> str:
        floor = getattr(self._local, "floor", None)
        if floor is None:
            floor = self._local.floor = Floor(self._path, self._durability)
            self._floors.append(floor)
        numbers = [
            _number(key) for keys, pairs in steps for key in (*keys, *(pair[0] for pair in pairs))
        ]
        floor.mixed(numbers, _turn(steps[0][1][0]), every=len(steps[0][0]) + 1)
        return steps[0][1][0][1]

    def close(self) -> None:
        for floor in self._floors:
            floor.close()


def _number(key: str) -> int:
    return int(key.removeprefix("key-"))


def _turn(pair: Pair) -> int:
    return int(pair[1][1::-1])
