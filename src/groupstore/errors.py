"""What can go wrong: every exception of the package, and SQLite's result codes turned into them."""

import errno

import apsw


class StoreError(Exception):
    """Base of every error that the package raises on purpose, but for wrong arguments."""


class NotFoundError(StoreError, KeyError):
    """No live key of that name."""

    # KeyError's own would show the message in quotes.
    __str__ = Exception.__str__


class QuotaExceededError(StoreError):
    """A write would have added more to a namespace than its quota allows; nothing was written."""

    def __init__(self, attempted: str, namespace: str, limit: str, maximum: int) -> None:
        """`attempted` names the call; `limit` is `"keys"` or `"groups"`, `maximum` the quota's."""
        super().__init__(attempted, namespace, limit, maximum)
        self.namespace = namespace
        self.limit = limit
        self.maximum = maximum

    def __str__(self) -> str:
        attempted = self.args[0]
        return (
            f"{attempted}: namespace {self.namespace!r} is limited to {self.maximum} {self.limit}"
        )


class ConfigError(StoreError, ValueError):
    """An option is wrong, or asks for what does not go together."""


class StoreClosedError(StoreError):
    """The store, or the watcher, was closed before."""


class StoreBusyError(StoreError, TimeoutError):
    """Another thread or process held the lock for longer than `busy_timeout`."""


class ReadOnlyError(StoreError):
    """A write to a store, or a file, that can only be read."""


class CorruptStoreError(StoreError):
    """The file is not a database, is damaged, or holds something else under our names.

    Of a dump: it is none, it ends early, or it was altered.
    """


class TemplateError(StoreError):
    """A template is wrong, failed, or tried what the sandbox refuses."""

    line: int | None = None
    """Where, from 1; None where it is no line's fault."""


class QueryError(StoreError, ValueError):
    """A journal or workspace query is wrong, or tried more than to read."""

    def __init__(self, message: str, line: int | None = None, column: int | None = None) -> None:
        """`line` and `column` count from 1 and are None where the query is SQL."""
        super().__init__(message, line, column)
        self.line = line
        self.column = column

    def __str__(self) -> str:
        message = str(self.args[0])
        return (
            message if self.line is None else f"{message} (line {self.line}, column {self.column})"
        )


class WorkspaceExistsError(StoreError):
    """A workspace of that name is there already."""


class DiskFullError(StoreError, OSError):
    """No room left on the disk."""

    errno = errno.ENOSPC


class StorageError(StoreError, OSError):
    """The operating system could not open, read or write a file."""


# A primary code stands for all its extended codes but for those listed by themselves.
_EXCEPTIONS: dict[int, type[StoreError | ValueError | MemoryError]] = {
    apsw.SQLITE_BUSY: StoreBusyError,
    apsw.SQLITE_LOCKED: StoreBusyError,
    apsw.SQLITE_PROTOCOL: StoreBusyError,
    apsw.SQLITE_READONLY: ReadOnlyError,
    # The file was moved or deleted under the connection: not a question of permission.
    apsw.SQLITE_READONLY_DBMOVED: StorageError,
    apsw.SQLITE_CORRUPT: CorruptStoreError,
    apsw.SQLITE_NOTADB: CorruptStoreError,
    apsw.SQLITE_FORMAT: CorruptStoreError,
    apsw.SQLITE_IOERR_CORRUPTFS: CorruptStoreError,
    apsw.SQLITE_IOERR_DATA: CorruptStoreError,
    apsw.SQLITE_FULL: DiskFullError,
    apsw.SQLITE_TOOBIG: ValueError,
    apsw.SQLITE_NOMEM: MemoryError,
    apsw.SQLITE_IOERR_NOMEM: MemoryError,
    apsw.SQLITE_IOERR: StorageError,
    apsw.SQLITE_CANTOPEN: StorageError,
    apsw.SQLITE_PERM: StorageError,
    apsw.SQLITE_NOLFS: StorageError,
}


def from_sqlite(
    error: apsw.Error, attempted: str, path: str
) -> StoreError | ValueError | MemoryError:
    """The exception to raise from `error`.

    `attempted` starts the message ("set", "open"); `path` is the database's absolute path or
    ":memory:". APSW's errors of its own, which carry no result code, become a plain StoreError.
    """
    extended = getattr(error, "extendedresult", 0)
    exception = _EXCEPTIONS.get(extended) or _EXCEPTIONS.get(extended & 0xFF, StoreError)
    text = str(error)
    if not text or text == "not an error":
        # Made for a bare code, or by a backup, whose connection does not know of the error.
        text = type(error).__name__
    return exception(f"{attempted}: {path}: {text}")
