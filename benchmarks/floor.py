"""The C floor: what a bare C loop over the same SQLite takes for the same work."""

from __future__ import annotations

import ctypes
import functools
import subprocess
import sysconfig
import tempfile
from array import array
from collections.abc import Sequence
from pathlib import Path

import apsw

SOURCE = Path(__file__).with_name("c_floor.c")

ENTRIES = """CREATE TABLE entries (
    group_name TEXT NOT NULL, entry_key TEXT NOT NULL, entry_value TEXT NOT NULL,
    expires_at INTEGER, PRIMARY KEY (group_name, entry_key)) WITHOUT ROWID"""


@functools.cache
def _library() -> ctypes.PyDLL:
    target = Path(tempfile.mkdtemp(prefix="c-floor-"), "cfloor.so")
    include = sysconfig.get_paths()["include"]
    subprocess.run(
        ["gcc", "-O2", "-shared", "-fPIC", f"-I{include}", str(SOURCE), "-o", str(target)],
        check=True,
    )
    connection = apsw.Connection(":memory:")
    connection.enable_load_extension(True)
    connection.load_extension(str(target))
    library = ctypes.PyDLL(str(target))
    for name in ("floor_get", "floor_set", "floor_delete", "floor_scan"):
        getattr(library, name).restype = ctypes.c_longlong
    # Kept: closing it would let SQLite unload the library.
    library.connection = connection  # type: ignore[attr-defined]
    return library


class Floor:
    """A database of the floor, in memory or a file in WAL mode; times are nanoseconds."""

    def __init__(self, path: str, durability: str = "normal") -> None:
        self.library = _library()
        self.connection = apsw.Connection(path)
        if path != ":memory:":
            self.connection.pragma("journal_mode", "wal")
        self.connection.pragma("synchronous", durability)
        self.connection.execute(ENTRIES)
        self._database = ctypes.c_void_p(self.connection.sqlite3_pointer())

    def _call(self, name: str, *arguments: object) -> int:
        taken = int(getattr(self.library, name)(self._database, *arguments))
        if taken < 0:
            raise RuntimeError(f"{name} failed with SQLite's code {-taken}")
        return taken

    def _numbers(self, numbers: Sequence[int]) -> tuple[object, int]:
        held = array("i", numbers)
        return (ctypes.c_int * len(held)).from_buffer(held), len(held)

    def get(self, numbers: Sequence[int]) -> int:
        return self._call("floor_get", *self._numbers(numbers))

    def set(self, numbers: Sequence[int], value_bytes: int, turn: int, together: bool) -> int:
        return self._call("floor_set", *self._numbers(numbers), value_bytes, turn, int(together))

    def delete(self, numbers: Sequence[int]) -> int:
        return self._call("floor_delete", *self._numbers(numbers))

    def scan(self, expected: int) -> int:
        return self._call("floor_scan", expected)

    def close(self) -> None:
        self.connection.close()
