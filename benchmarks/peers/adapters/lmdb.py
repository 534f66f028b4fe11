"""LMDB: a named database for the group, a transaction for each get and set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import lmdb

from benchmarks.peers.peer import GROUP, Durability, Pair, Peer, package_version

MAP_BYTES = 1 << 30
THREADS = 8


class Adapter(Peer):
    name = "lmdb"
    normal = "`sync=False`: never an fsync; power loss may damage the file"
    full = "its default: `sync=True`, `metasync=True`"
    batch = "`Cursor.getmulti`, `Cursor.putmulti` in one transaction"

    def __init__(self, folder: Path, durability: Durability) -> None:
        full = durability is Durability.FULL
        self._environment = lmdb.open(
            str(folder),
            map_size=MAP_BYTES,
            max_dbs=1,
            sync=full,
            metasync=full,
            max_spare_txns=THREADS,
        )
        self._database = self._environment.open_db(GROUP.encode())

    @classmethod
    def version(cls) -> str:
        return f"{package_version('lmdb')}, LMDB {'.'.join(map(str, lmdb.version()))}"

    def get_each(self, keys: Iterable[str]) -> str:
        begin, database = self._environment.begin, self._database
        for key in keys:
            with begin(database) as transaction:
                value = transaction.get(key.encode()).decode()
        return value

    def set_each(self, pairs: Sequence[Pair]) -> None:
        begin, database = self._environment.begin, self._database
        for key, value in pairs:
            with begin(database, write=True) as transaction:
                transaction.put(key.encode(), value.encode())

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        with self._environment.begin(self._database) as transaction:
            found = transaction.cursor().getmulti([key.encode() for key in keys])
        return {key.decode(): value.decode() for key, value in found}

    def set_many(self, pairs: Sequence[Pair]) -> None:
        with self._environment.begin(self._database, write=True) as transaction:
            transaction.cursor().putmulti([(key.encode(), value.encode()) for key, value in pairs])

    def close(self) -> None:
        self._environment.close()
