"""sqlite3 of the standard library."""

from __future__ import annotations

import sqlite3

from benchmarks.peers.sql import PlainSQLite


class Adapter(PlainSQLite):
    name = "sqlite3"

    @classmethod
    def version(cls) -> str:
        return f"SQLite {sqlite3.sqlite_version}"

    def connect(self, path: str) -> sqlite3.Connection:
        return sqlite3.connect(path, isolation_level=None, check_same_thread=False)
