"""What the adapters over plain SQLite have in common."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.floor import ENTRIES, SELECT, UPSERT
from benchmarks.peers.peer import GROUP, Durability, Pair, Peer

BUSY_MS = 5000


def get_many(execute: Callable[..., Iterable[Pair]], keys: Sequence[str]) -> dict[str, str]:
    marks = ", ".join("?" * len(keys))
    sql = (
        "SELECT entry_key, entry_value FROM entries"
        f" WHERE group_name = ? AND entry_key IN ({marks})"
    )
    return dict(execute(sql, (GROUP, *keys)))


class PlainSQLite(Peer):
    """The table of the C floor through an interface in Python, a connection for each thread."""

    normal = "WAL, `synchronous=NORMAL`; a connection a thread"
    full = "WAL, `synchronous=FULL`"
    batch = "`SELECT … IN`, `executemany` in one transaction"

    def __init__(self, folder: Path, durability: Durability) -> None:
        self._path, self._durability = str(folder / "data.db"), durability
        self._local = threading.local()
        self._connections: list[Any] = []
        self._connection.execute(ENTRIES)

    @abstractmethod
    def connect(self, path: str) -> Any:
        """A connection in autocommit, which any thread may close."""

    @property
    def _connection(self) -> Any:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self.connect(self._path)
            connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
            connection.execute("PRAGMA journal_mode = wal").fetchall()
            connection.execute(f"PRAGMA synchronous = {self._durability}")
            self._connections.append(connection)
        return connection

    def get_each(self, keys: Iterable[str]) -> str:
        execute = self._connection.execute
        for key in keys:
            value = execute(SELECT, (GROUP, key)).fetchone()[0]
        return value

    def set_each(self, pairs: Sequence[Pair]) -> None:
        execute = self._connection.execute
        for key, value in pairs:
            execute(UPSERT, (GROUP, key, value))

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        return get_many(self._connection.execute, keys)

    def set_many(self, pairs: Sequence[Pair]) -> None:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(UPSERT, ((GROUP, key, value) for key, value in pairs))
        connection.execute("COMMIT")

    def close(self) -> None:
        for connection in self._connections:
            connection.close()
