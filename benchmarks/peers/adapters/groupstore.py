"""groupstore: a file that other processes may use beside this one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

import apsw

import groupstore
from benchmarks.peers.peer import GROUP, Durability, Pair, Peer


class Adapter(Peer):
    name = "groupstore"
    normal = '`durability="normal"`: WAL, `synchronous=NORMAL`'
    full = '`durability="full"`: WAL, `synchronous=FULL`'
    batch = "`get_many`, `set_many`"
    options: ClassVar[dict[str, int]] = {}

    def __init__(self, folder: Path, durability: Durability) -> None:
        self._store = groupstore.Store(folder / "data.db", durability=durability, **self.options)

    @classmethod
    def version(cls) -> str:
        return f"{groupstore.__version__}, apsw {apsw.apsw_version()}"

    def get_each(self, keys: Iterable[str]) -> str:
        get = self._store.get
        for key in keys:
            value = get(GROUP, key)
        return value

    def set_each(self, pairs: Sequence[Pair]) -> None:
        put = self._store.set
        for key, value in pairs:
            put(GROUP, key, value)

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        return self._store.get_many(GROUP, keys)

    def set_many(self, pairs: Sequence[Pair]) -> None:
        self._store.set_many(GROUP, pairs)

    def close(self) -> None:
        self._store.close()


class Uncached(Adapter):
    """Without its cache of values: every get asks SQLite."""

    options: ClassVar[dict[str, int]] = {"cache_size": 0}
