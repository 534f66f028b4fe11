"""Locks on names, which the operating system drops when their process ends, however it ends.

A name is a byte of a lock file that many share, so that thousands of locks need one descriptor. The
locks are POSIX's, which belong to a process: a forked child inherits none, and what this process
holds itself is known from a table. Closing any descriptor of a lock file would drop all of them
(https://sqlite.org/howtocorrupt.html, section 2.2), so there is only one, and nobody else's.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sys
import threading

from groupstore.file_system import in_use, storage_error
from groupstore.folder import give_to_owner

if sys.platform == "win32":
    import msvcrt

    # The C library's positions may be of 32 bits.
    _OFFSETS = 2**31 - 1

    def _lock(descriptor: int, offset: int) -> None:
        os.lseek(descriptor, offset, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _unlock(descriptor: int, offset: int) -> None:
        os.lseek(descriptor, offset, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    _OFFSETS = 2**62

    def _lock(descriptor: int, offset: int) -> None:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, offset)

    def _unlock(descriptor: int, offset: int) -> None:
        fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, offset)


_TAKEN = frozenset({errno.EACCES, errno.EAGAIN, errno.EDEADLK})


class FileLock:
    """A lock on one name of a lock file, held until `release` or the end of the process."""

    __slots__ = ("_file", "_name")

    def __init__(self, file: _LockFile, name: str) -> None:
        self._file = file
        self._name = name

    def release(self) -> None:
        """Let the name go. Idempotent, and without effect in a forked child."""
        with _guard:
            # In a child, or once it was closed, the file is not in the table.
            if _files.get(self._file.key) is self._file and self._name in self._file.held:
                _unlock(self._file.descriptor, _offset(self._name))
                self._file.let_go(self._name)


class _LockFile:
    """The only descriptor of a lock file in this process, and the names it holds there."""

    def __init__(self, path: str) -> None:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        self.descriptor = os.open(path, flags, 0o600)
        give_to_owner(self.descriptor)
        self.key = _key(os.fstat(self.descriptor))
        self.held: set[str] = set()

    def let_go(self, name: str) -> None:
        """Forget a name, and close the file with the last one."""
        self.held.discard(name)
        if not self.held and _files.pop(self.key, None) is self:
            os.close(self.descriptor)


# Reentrant: a garbage collection inside may release a lock.
_guard = threading.RLock()
_files: dict[tuple[int, int], _LockFile] = {}


def _is_in_use(path: str, status: os.stat_result | None) -> bool:
    # By what it is: it may have got another name.
    return status is not None and _key(status) in _files


in_use.append(_is_in_use)


def acquire(path: str, name: str) -> FileLock | None:
    """The lock on `name` in the lock file `path`, made if missing; None where it is held.

    Held by another process, or by this one. Never waits. Raises `StorageError` where the file
    cannot be made or locked.
    """
    try:
        with _guard:
            file = _reserve(path, name)
            if file is None:
                return None
            try:
                _lock(file.descriptor, _offset(name))
            except OSError as error:
                file.let_go(name)
                if error.errno in _TAKEN:
                    return None
                raise
            return FileLock(file, name)
    except OSError as error:
        raise storage_error(error, "lock", path) from error


def _reserve(path: str, name: str) -> _LockFile | None:
    """The open lock file with `name` entered as held; None where it was entered before."""
    while True:
        file = _open(path)
        if name in file.held:
            return None
        file.held.add(name)
        # A garbage collection in between may have released the last other name.
        if _files.get(file.key) is file:
            return file


def _open(path: str) -> _LockFile:
    # By name: a second descriptor, once closed, would drop the locks.
    try:
        known = _files.get(_key(os.lstat(path)))
    except FileNotFoundError:
        known = None
    if known is None:
        known = _LockFile(path)
        _files[known.key] = known
    return known


def _key(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _offset(name: str) -> int:
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % _OFFSETS


def _in_child() -> None:
    global _guard  # noqa: PLW0603 (the old one may be held by a thread that does not exist here)
    _guard = threading.RLock()
    for file in _files.values():
        # Drops this process's locks on the file, of which it has none.
        os.close(file.descriptor)
    _files.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
