"""RocksDB through rocksdict, with the group in front of the key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import rocksdict

from benchmarks.peers.peer import GROUP, Durability, Pair, Peer, package_version


class Adapter(Peer):
    name = "rocksdict"
    normal = "its default: a write-ahead log without fsync"
    full = "`WriteOptions.sync`"
    batch = "`get` of a list, `WriteBatch`"

    def __init__(self, folder: Path, durability: Durability) -> None:
        self._database = rocksdict.Rdict(str(folder))
        options = rocksdict.WriteOptions()
        options.sync = durability is Durability.FULL
        self._options = options
        self._database.set_write_options(options)

    @classmethod
    def version(cls) -> str:
        return package_version("rocksdict")

    def get_each(self, keys: Iterable[str]) -> str:
        database = self._database
        for key in keys:
            value = database[f"{GROUP}:{key}"]
        return value

    def set_each(self, pairs: Sequence[Pair]) -> None:
        database = self._database
        for key, value in pairs:
            database[f"{GROUP}:{key}"] = value

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        found = self._database[[f"{GROUP}:{key}" for key in keys]]
        return dict(zip(keys, found, strict=True))

    def set_many(self, pairs: Sequence[Pair]) -> None:
        batch = rocksdict.WriteBatch()
        for key, value in pairs:
            batch[f"{GROUP}:{key}"] = value
        self._database.write(batch, self._options)

    def close(self) -> None:
        self._database.close()
