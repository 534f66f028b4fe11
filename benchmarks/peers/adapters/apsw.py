"""apsw without groupstore."""

from __future__ import annotations

import apsw

from benchmarks.peers.peer import package_version
from benchmarks.peers.sql import PlainSQLite


class Adapter(PlainSQLite):
    name = "apsw"

    @classmethod
    def version(cls) -> str:
        return f"{package_version('apsw')}, SQLite {apsw.sqlite_lib_version()}"

    def connect(self, path: str) -> apsw.Connection:
        return apsw.Connection(path)
