"""A workspace's file: its making, what must be in it, its removal and quarantine.

Nothing here opens a file that SQLite may have open but by SQLite (see groupstore.file_system).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, NamedTuple

import apsw

from groupstore.errors import CorruptStoreError, StoreError, from_sqlite
from groupstore.file_system import storage_error
from groupstore.folder import make_folder, new_file

_SCHEMA: Final = {
    "workspace_entries": """CREATE TABLE workspace_entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    data TEXT NOT NULL,
    created_at INTEGER NOT NULL
)""",
    "entries": "CREATE VIEW entries AS SELECT id, kind, data, created_at FROM workspace_entries",
    "workspace_identity": "CREATE TABLE workspace_identity (identity TEXT NOT NULL)",
}

_OBJECTS: Final = "SELECT name, sql FROM sqlite_schema WHERE name NOT GLOB 'sqlite_*'"
_COUNTS: Final = "SELECT kind, count(*) FROM workspace_entries GROUP BY kind"

_UNREADABLE_ROW: Final = """SELECT id FROM workspace_entries
    WHERE typeof(kind) <> 'text' OR kind = '' OR typeof(created_at) <> 'integer'
    OR typeof(data) <> 'text'
    OR CASE WHEN json_valid(data) THEN json_type(data) <> 'object' ELSE 1 END LIMIT 1"""

_NEW: Final = "-new"
_SIDE_FILES: Final = ("-wal", "-shm", "-journal", _NEW)

# Links are resolved in the folder's path; a link in the file's place is not followed.
_OPEN_FLAGS: Final = (
    apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOMUTEX | apsw.SQLITE_OPEN_NOFOLLOW
)


class Content(NamedTuple):
    """What a sound file holds."""

    identity: str
    """Random, so that no other file has it, of the same name neither."""
    counts: dict[str, int]
    """How many entries of each kind."""


@contextmanager
def errors_of(attempted: str, path: str) -> Iterator[None]:
    """Raise SQLite's and the system's errors as ours."""
    try:
        yield
    except apsw.Error as error:
        raise from_sqlite(error, attempted, path) from error
    except UnicodeDecodeError as error:
        raise CorruptStoreError(f"{attempted}: {path}: holds text that is not UTF-8") from error
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise storage_error(error, attempted, path) from error


def create(path: str, identity: str) -> None:
    """Make an empty workspace's file, complete or not at all, in the place of what a dead one left.

    Raises `OSError`. The caller has the lock on the name, and knows that no file is at `path`.
    """
    for addition in _SIDE_FILES:
        _unlink(path + addition)
    descriptor = new_file(path + _NEW)
    with open(descriptor, "wb") as file:  # noqa: PTH123
        file.write(_image(identity))
        file.flush()
        os.fsync(descriptor)
    os.rename(path + _NEW, path)  # noqa: PTH104


def _image(identity: str) -> bytes:
    connection = apsw.Connection(":memory:")
    try:
        for statement in _SCHEMA.values():
            connection.execute(statement)
        connection.execute("INSERT INTO workspace_identity VALUES (?)", (identity,))
        return connection.serialize("main")
    finally:
        connection.close()


def connect(path: str) -> apsw.Connection:
    """A connection that has the file to itself, and has not written to it. Never waits.

    The write-ahead log's index is in this process's memory then, so that a forked child, which
    closes the connection, cannot disturb it. Raises APSW's errors.
    """
    connection = apsw.Connection(path, _OPEN_FLAGS)
    try:
        connection.set_busy_timeout(0)
        # A child, or one who finds the file damaged, closes it without touching it.
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, True)
        connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, True)
        connection.pragma("locking_mode", "exclusive")
        connection.pragma("trusted_schema", 0)
        connection.pragma("temp_store", "memory")
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
    except apsw.SQLError as error:
        connection.close()
        if "unsupported file format" in str(error):
            raise CorruptStoreError(f"workspace: {path}: {error}") from error
        raise
    except BaseException:
        connection.close()
        raise
    return connection


def prepare_to_write(connection: apsw.Connection) -> None:
    """Put a connection into the mode in which a commit is a write to the log, and no sync."""
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", "normal")


def close_tidily(connection: apsw.Connection) -> None:
    """Close with everything written to the one file, no log beside it."""
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, False)
    connection.close()


def examine(connection: apsw.Connection, path: str) -> Content:
    """What the file holds. Raises `CorruptStoreError` where it is damaged or no workspace's."""

    def refuse(reason: str) -> CorruptStoreError:
        return CorruptStoreError(f"recover_workspaces: {path}: {reason}")

    if connection.readonly("main"):
        raise refuse("its header asks for a newer version of SQLite")
    [(first_problem,)] = connection.execute("PRAGMA quick_check(1)").fetchall()
    if first_problem != "ok":
        raise refuse(str(first_problem))
    objects = dict(_rows(connection, _OBJECTS))
    if "workspace_identity" not in objects:
        raise StoreError(f"recover_workspaces: {path}: this is a sound database, but no workspace")
    if objects != _SCHEMA:
        raise refuse("these are not the tables of a workspace")
    identities = connection.execute("SELECT identity FROM workspace_identity").fetchall()
    if len(identities) != 1 or not isinstance(identities[0][0], str):
        raise refuse("it has no identity")
    for (entry,) in connection.execute(_UNREADABLE_ROW).fetchall():
        raise refuse(f"entry {entry} is not a JSON object under a kind")
    for _ in connection.execute("SELECT data FROM workspace_entries"):
        # Read for what is not UTF-8, which SQLite does not look for.
        pass
    return Content(identities[0][0], count_kinds(connection))


def count_kinds(connection: apsw.Connection) -> dict[str, int]:
    """How many entries of each kind there are, by reading them all."""
    return {str(kind): int(number) for kind, number in _rows(connection, _COUNTS)}


def _rows(connection: apsw.Connection, sql: str) -> list[tuple[Any, ...]]:
    return connection.execute(sql).fetchall()


def is_openable(path: str) -> bool:
    """Whether SQLite may be let near the file: no links, not too short, readable and writable."""
    for addition in _SIDE_FILES:
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(os.lstat(path + addition).st_mode):
                return False
    # SQLite would take a shorter one for empty, and remove its log.
    return os.stat(path).st_size >= 512 and os.access(path, os.R_OK | os.W_OK)


def is_regular(path: str) -> bool:
    """Whether there is a file at `path`, and no link or folder."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def remove(path: str) -> None:
    """Remove the file, and then SQLite's files beside it. Raises `OSError`."""
    for addition in ("", *_SIDE_FILES):
        _unlink(path + addition)


def quarantine(path: str) -> str:
    """Move the file and those beside it into `quarantine/`; its new path. Raises `OSError`.

    The caller has the lock on the name, so that nobody else looks for a free one like it.
    """
    folder, file_name = os.path.split(path)
    target_folder = os.path.join(folder, "quarantine")  # noqa: PTH118
    make_folder(target_folder)
    if not stat.S_ISDIR(os.lstat(target_folder).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "a link is not followed", target_folder)
    target = free = os.path.join(target_folder, file_name)  # noqa: PTH118
    number = 0
    while any(os.path.lexists(free + addition) for addition in ("", *_SIDE_FILES)):
        number += 1
        free = f"{target}.{number}"
    for addition in ("", *_SIDE_FILES):
        with suppress(FileNotFoundError):
            os.rename(path + addition, free + addition)  # noqa: PTH104
    return free


def _unlink(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108
