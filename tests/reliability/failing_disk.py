"""A disk of which one call fails: the n-th that SQLite makes, in one of the ways that it may."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import apsw

_BASE = "win32" if os.name == "nt" else "unix"

FAULTS: dict[str, tuple[int, ...]] = {
    "xRead": (apsw.SQLITE_IOERR_READ,),
    "xWrite": (apsw.SQLITE_IOERR_WRITE, apsw.SQLITE_FULL),
    "xSync": (apsw.SQLITE_IOERR_FSYNC,),
    "xTruncate": (apsw.SQLITE_IOERR_TRUNCATE,),
    "xLock": (apsw.SQLITE_BUSY, apsw.SQLITE_IOERR_LOCK),
    "xUnlock": (apsw.SQLITE_IOERR_UNLOCK,),
    "xFileSize": (apsw.SQLITE_IOERR_FSTAT,),
    "xOpen": (apsw.SQLITE_CANTOPEN,),
    "xDelete": (apsw.SQLITE_IOERR_DELETE,),
    "xAccess": (apsw.SQLITE_IOERR_ACCESS,),
}
"""What each call may say where it fails, https://sqlite.org/rescode.html."""


class ShortReadError(Exception):
    """The file is taken to end in the middle of what was to be read."""


class Fault:
    """Which call fails, with what, and whether those after it fail as well."""

    def __init__(self, call: str = "", number: int = -1, code: int = 0, *, lasts: bool = False):
        self._call = call
        self._number = number
        self._code = code
        self._lasts = lasts
        self.calls = dict.fromkeys(FAULTS, 0)
        self.struck = False
        self.mended = False

    def meet(self, call: str) -> None:
        """Count a call; raise where it is to fail."""
        number = self.calls[call]
        self.calls[call] += 1
        if self.mended or call != self._call or number < self._number:
            return
        if number == self._number or self._lasts:
            self.struck = True
            if self._code == apsw.SQLITE_IOERR_SHORT_READ:
                raise ShortReadError
            raise apsw.exception_for(self._code)


class _File(apsw.VFSFile):
    def __init__(self, fault: Fault, name: Any, flags: list[int]) -> None:
        super().__init__(_BASE, name, flags)
        self._fault = fault

    def xRead(self, amount: int, offset: int) -> bytes:
        try:
            self._fault.meet("xRead")
        except ShortReadError:
            return super().xRead(amount // 2, offset)
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._fault.meet("xWrite")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        self._fault.meet("xSync")
        super().xSync(flags)

    def xTruncate(self, newsize: int) -> None:
        self._fault.meet("xTruncate")
        super().xTruncate(newsize)

    def xLock(self, level: int) -> None:
        self._fault.meet("xLock")
        super().xLock(level)

    def xUnlock(self, level: int) -> None:
        super().xUnlock(level)
        self._fault.meet("xUnlock")

    def xFileSize(self) -> int:
        self._fault.meet("xFileSize")
        return super().xFileSize()


class _Disk(apsw.VFS):
    def __init__(self, fault: Fault) -> None:
        super().__init__("groupstore-failing", _BASE)
        self._fault = fault

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        self._fault.meet("xOpen")
        return _File(self._fault, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self._fault.meet("xDelete")
        super().xDelete(filename, syncdir)

    def xAccess(self, pathname: str, flags: int) -> bool:
        self._fault.meet("xAccess")
        return super().xAccess(pathname, flags)


@contextmanager
def failing(fault: Fault) -> Iterator[None]:
    """Databases that are opened within meet `fault`."""
    before = apsw.vfs_names()[0]
    disk = _Disk(fault)
    apsw.set_default_vfs("groupstore-failing")
    try:
        yield
    finally:
        apsw.set_default_vfs(before)
        disk.unregister()
