"""The C floor: what a bare C loop over the same SQLite takes for the same work."""

from __future__ import annotations

import atexit
import ctypes
import functools
import os
import shutil
import subprocess
import sysconfig
import tempfile
from array import array
from collections.abc import Sequence
from pathlib import Path

import apsw

SOURCE = Path(__file__).with_name("c_floor.c")
ENGINE = Path(__file__).parents[1] / "src" / "groupstore" / "engine"

VALUE_BYTES = 100
BUSY_MS = 5000

ENTRIES = """CREATE TABLE entries (
    group_name TEXT NOT NULL, entry_key TEXT NOT NULL, entry_value TEXT NOT NULL,
    expires_at INTEGER, PRIMARY KEY (group_name, entry_key)) WITHOUT ROWID"""
SELECT = "SELECT entry_value, expires_at FROM entries WHERE group_name = ?1 AND entry_key = ?2"
UPSERT = """INSERT INTO entries VALUES (?1, ?2, ?3, NULL) ON CONFLICT (group_name, entry_key)
DO UPDATE SET entry_value = excluded.entry_value, expires_at = excluded.expires_at"""
DELETE = "DELETE FROM entries WHERE group_name = ?1 AND entry_key = ?2"
SCAN = "SELECT entry_key, entry_value FROM entries WHERE group_name = ?1 ORDER BY entry_key"


class _Work(ctypes.Structure):
    """`work` of c_floor.c."""

    _fields_ = (
        ("sql", ctypes.c_char_p),
        ("group", ctypes.c_char_p),
        ("numbers", ctypes.c_void_p),
        ("count", ctypes.c_int),
        ("parameters", ctypes.c_int),
        ("columns", ctypes.c_int),
        ("value_bytes", ctypes.c_int),
        ("turn", ctypes.c_int),
        ("together", ctypes.c_int),
        ("every", ctypes.c_int),
        ("write_sql", ctypes.c_char_p),
        ("rows", ctypes.c_longlong),
    )


@functools.cache
def _library() -> ctypes.PyDLL:
    folder = tempfile.mkdtemp(prefix="c-floor-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    target = Path(folder, "cfloor.so")
    includes = [f"-I{sysconfig.get_paths()['include']}", f"-I{ENGINE}"]
    compiler = os.environ.get("CC", "gcc")
    subprocess.run(
        [compiler, "-O2", "-Wall", "-shared", "-fPIC", *includes, str(SOURCE), "-o", str(target)],
        check=True,
    )
    connection = apsw.Connection(":memory:")
    connection.enable_load_extension(True)
    connection.load_extension(str(target))
    library = ctypes.PyDLL(str(target))
    # Without the GIL, as its threads are to run at once.
    library.floor_mixed = ctypes.CDLL(str(target)).floor_mixed
    for name in ("floor_run", "floor_scan", "floor_mixed"):
        getattr(library, name).restype = ctypes.c_longlong
    # Kept: closing it would let SQLite unload the library.
    library.connection = connection  # type: ignore[attr-defined]
    return library


class Floor:
    """A plain database, in memory or a file in WAL mode, of `entries` alone.

    Its methods run a bare C loop and return nanoseconds; `connection` is there for APSW's turn.
    """

    def __init__(self, path: str, durability: str = "normal") -> None:
        self.path = path
        self.library = _library()
        self.connection = apsw.Connection(path)
        self.connection.set_busy_timeout(BUSY_MS)
        if path != ":memory:":
            self.connection.pragma("journal_mode", "wal")
        self.connection.pragma("synchronous", durability)
        if not self.connection.table_exists(None, "entries"):
            self.connection.execute(ENTRIES)
        self._database = ctypes.c_void_p(self.connection.sqlite3_pointer())

    def run(
        self,
        sql: str,
        numbers: Sequence[int],
        *,
        parameters: int,
        columns: int = 0,
        group: str = "g",
        turn: int = 0,
        together: bool = False,
        rows: int | None = None,
    ) -> int:
        """Run `sql` for the key of each number; `rows` is how many in all have to come back."""
        held = array("i", numbers)
        work = _Work(
            sql.encode(), group.encode(), held.buffer_info()[0], len(held), parameters, columns
        )
        work.value_bytes, work.turn, work.together = VALUE_BYTES, turn, together
        return self._call("floor_run", work, rows)

    def get(self, numbers: Sequence[int]) -> int:
        return self.run(SELECT, numbers, parameters=2, columns=2, rows=len(numbers))

    def set(
        self, numbers: Sequence[int], turn: int, together: bool = False, group: str = "g"
    ) -> int:
        return self.run(
            UPSERT, numbers, parameters=3, turn=turn, together=together, group=group, rows=0
        )

    def delete(self, numbers: Sequence[int]) -> int:
        return self.run(DELETE, numbers, parameters=2, together=True, rows=0)

    def mixed(self, numbers: Sequence[int], turn: int, *, every: int) -> int:
        """Get the keys, but set each `every`th; for one of several threads with a floor each."""
        held = array("i", numbers)
        work = _Work(SELECT.encode(), b"g", held.buffer_info()[0], len(held), columns=2)
        work.value_bytes, work.turn, work.every = VALUE_BYTES, turn, every
        work.write_sql = UPSERT.encode()
        return self._call("floor_mixed", work, len(held) - len(held) // every)

    def scan(self, expected: int) -> int:
        return self._call("floor_scan", _Work(SCAN.encode(), b"g"), expected)

    def _call(self, name: str, work: _Work, rows: int | None) -> int:
        taken = int(getattr(self.library, name)(self._database, ctypes.byref(work)))
        if taken < 0:
            raise RuntimeError(f"{name} failed with SQLite's code {-taken}")
        if rows is not None and work.rows != rows:
            raise RuntimeError(f"{name}: {work.rows} rows came back, not {rows}: {work.sql!r}")
        return taken

    def close(self) -> None:
        self.connection.close()
