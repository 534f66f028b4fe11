"""sqlitedict, with texts as they are instead of pickled."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

import sqlitedict

from benchmarks.peers.peer import GROUP, Durability, Pair, Peer, package_version


class Adapter(Peer):
    name = "sqlitedict"
    normal = "WAL, `synchronous=NORMAL`, `commit()` after each set"
    full = "WAL, `synchronous=FULL`, `commit()` after each set"
    batch = "single gets, `update()` and one `commit()`"

    def __init__(self, folder: Path, durability: Durability) -> None:
        self._dict = sqlitedict.SqliteDict(
            str(folder / "data.db"),
            tablename=GROUP,
            journal_mode="WAL",
            encode=sqlitedict.identity,
            decode=sqlitedict.identity,
            outer_stack=False,
        )
        # It sets OFF itself, with which even a checkpoint never syncs.
        self._dict.conn.execute(f"PRAGMA synchronous = {durability}")
        level = self._dict.conn.select_one("PRAGMA synchronous")[0]
        if level != {Durability.NORMAL: 1, Durability.FULL: 2}[durability]:
            raise RuntimeError(f"synchronous is {level}")

    @classmethod
    def version(cls) -> str:
        return f"{package_version('sqlitedict')}, SQLite {sqlite3.sqlite_version}"

    def get_each(self, keys: Iterable[str]) -> str:
        entries = self._dict
        for key in keys:
            value = entries[key]
        return value

    def set_each(self, pairs: Sequence[Pair]) -> None:
        entries = self._dict
        for key, value in pairs:
            entries[key] = value
            entries.commit()

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        entries = self._dict
        return {key: entries[key] for key in keys}

    def set_many(self, pairs: Sequence[Pair]) -> None:
        self._dict.update(pairs)
        self._dict.commit()

    def close(self) -> None:
        self._dict.close()
