"""diskcache, told to evict nothing: it has to keep what it is given."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

import diskcache

from benchmarks.peers.peer import GROUP, Durability, Pair, Peer, package_version

SYNCHRONOUS = {Durability.NORMAL: 1, Durability.FULL: 2}


class Adapter(Peer):
    name = "diskcache"
    normal = "its default: WAL, `synchronous=NORMAL`"
    full = "WAL, `sqlite_synchronous=2`"
    batch = "single calls inside `transact()`"

    def __init__(self, folder: Path, durability: Durability) -> None:
        self._cache = diskcache.Cache(
            str(folder), eviction_policy="none", sqlite_synchronous=SYNCHRONOUS[durability]
        )

    @classmethod
    def version(cls) -> str:
        return f"{package_version('diskcache')}, SQLite {sqlite3.sqlite_version}"

    def get_each(self, keys: Iterable[str]) -> str:
        cache = self._cache
        for key in keys:
            value = cache[f"{GROUP}:{key}"]
        return value

    def set_each(self, pairs: Sequence[Pair]) -> None:
        cache = self._cache
        for key, value in pairs:
            cache[f"{GROUP}:{key}"] = value

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        cache = self._cache
        with cache.transact():
            return {key: cache[f"{GROUP}:{key}"] for key in keys}

    def set_many(self, pairs: Sequence[Pair]) -> None:
        with self._cache.transact():
            self.set_each(pairs)

    def close(self) -> None:
        self._cache.close()
