"""Files that are imported and exported: none that a database or a lock file of this process is.

Closing a descriptor of such a file would drop the locks that the process holds on it
(https://sqlite.org/howtocorrupt.html, section 2.2), and replacing it would lose what is written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from groupstore import file_lock, forking
from groupstore.config import MEMORY
from groupstore.errors import StoreError
from groupstore.file_system import locate_other
from groupstore.workspace import live

_SIDE_FILES = ("-wal", "-shm", "-journal")


def locate(path: str, attempted: str, own_path: str) -> str:
    """The absolute path of a file that is no database in use here, symbolic links resolved.

    `own_path` is that of the workspace's file. Raises `StoreError` where it is a database in use,
    a file beside one, or a lock file, and `StorageError` for what is no regular file.
    """
    _check(path, attempted)
    real_path = locate_other(path, attempted, own_path)
    for ending in _SIDE_FILES:
        if real_path.endswith(ending) and os.path.isfile(real_path.removesuffix(ending)):  # noqa: PTH113
            raise StoreError(f"{attempted}: {path}: this belongs to a database")
    try:
        status = os.stat(real_path)
    except FileNotFoundError:
        status = None
    for database in _databases():
        for used in (database, *(database + ending for ending in _SIDE_FILES)):
            if real_path == used or (status is not None and _is_file(used, status)):
                raise StoreError(f"{attempted}: {path}: this is in use as a database")
    if status is not None and file_lock.is_in_use(status):
        raise StoreError(f"{attempted}: {path}: this is a lock file in use")
    return real_path


def _check(path: str, attempted: str) -> None:
    if not isinstance(path, str):
        raise TypeError(f"{attempted}: path must be str, not {type(path).__name__}")
    try:
        has_zero = b"\0" in os.fsencode(path)
    except UnicodeEncodeError:
        raise ValueError(f"{attempted}: path holds a lone surrogate: {path!r}") from None
    if has_zero:
        raise ValueError(f"{attempted}: path must not contain NUL: {path!r}")


def _databases() -> Iterator[str]:
    for workspace in live.all_open():
        yield workspace._path
    for engine in list(forking._engines):
        if engine.path != MEMORY and not engine.is_closed:
            yield engine.path


def _is_file(path: str, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(path), status)
    except OSError:
        return False
