"""From a path to connections that are ready for use."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

import apsw

from groupstore import file_system, schema
from groupstore.config import MEMORY, StoreConfig
from groupstore.errors import (
    CorruptStoreError,
    ReadOnlyError,
    StorageError,
    from_sqlite,
)

_T = TypeVar("_T")

# Every connection is used by one thread at a time, so SQLite's own mutex would be locked in vain.
_READ_WRITE = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOMUTEX
_READ_ONLY = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_NOMUTEX

_LONGEST_LOG_BYTES = 32 * 1024 * 1024

# By measurement, docs/benchmarks.md: with SQLite's 2 MB gets ask the system for pages.
_PAGE_CACHE_KIB = 8000

_SHORTEST_WAIT_S = 0.001
_LONGEST_WAIT_S = 0.05


class Database(NamedTuple):
    """What opening has established."""

    path: str
    """Absolute, symbolic links resolved, or ":memory:"."""
    config: StoreConfig
    first: apsw.Connection
    """The connection that writes, or reads where the store is read-only."""
    shared: bool
    """Whether other connections to the same data are possible."""
    immutable: bool
    """Whether SQLite takes the file for one that nobody changes, and neither locks nor looks."""
    counted: bool
    """Whether the counts per group are kept; False for go-store's own files opened read-only."""
    has_unfinished_archives: bool = False
    """Whether an archive is being made, or was when a process died."""

    def connect(self) -> apsw.Connection:
        """One more connection to a shared database, ready for use.

        Raises what `open_database` raises.
        """
        with _errors_of(self.path):
            connection = _connect(self.path, self.config, Patience(self.config), self.immutable)
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, False)
            return connection


def open_database(config: StoreConfig) -> Database:
    """Open, and where necessary make or migrate, the database that `config` names.

    Waits up to `busy_timeout` for other processes. Raises `StorageError`, `ReadOnlyError`,
    `CorruptStoreError`, `StoreBusyError`, or `ConfigError` for a path on a network file system;
    a file that raised `CorruptStoreError` was not modified. Everything opened is closed then.
    """
    if config.path == MEMORY:
        return _open_memory(config)
    path, is_there = file_system.locate(os.fspath(config.path))
    if not config.exclusive:
        file_system.refuse_network(path)
    if config.read_only:
        if not is_there:
            raise StorageError(f"open: {path}: no such file to read")
        with _errors_of(path):
            return _open_read_only(path, config)
    if not is_there:
        file_system.create(path)
    with _errors_of(path):
        return _open_read_write(path, config)


class Patience:
    """Tries again what finds the database busy, until `busy_timeout` is over.

    SQLite's own busy handler would not let a KeyboardInterrupt through.
    """

    def __init__(self, config: StoreConfig) -> None:
        assert isinstance(config.busy_timeout, float)
        self._deadline = time.monotonic() + config.busy_timeout

    def __call__(self, attempt: Callable[[], _T]) -> _T:
        wait_s = _SHORTEST_WAIT_S
        while True:
            try:
                return attempt()
            except (apsw.BusyError, apsw.LockedError):
                remaining_s = self._deadline - time.monotonic()
                if remaining_s <= 0:
                    raise
                time.sleep(min(wait_s, remaining_s))
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)


@contextmanager
def _errors_of(path: str) -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        if str(error) == "unsupported file format":
            # SQLite's code for a header that no version writes is the one for wrong SQL.
            raise CorruptStoreError(f"open: {path}: {error}") from error
        raise from_sqlite(error, "open", path) from error
    except UnicodeDecodeError as error:
        raise CorruptStoreError(f"open: {path}: the schema is not text in UTF-8") from error


@contextmanager
def _closed_on_failure(connection: apsw.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise


def _open_memory(config: StoreConfig) -> Database:
    connection = apsw.Connection(MEMORY, _READ_WRITE | apsw.SQLITE_OPEN_CREATE)
    with _errors_of(MEMORY), _closed_on_failure(connection):
        _set_up(connection, config)
        _migrate(connection)
    return Database(MEMORY, config, connection, shared=False, immutable=False, counted=True)


def _open_read_write(path: str, config: StoreConfig) -> Database:
    patience = Patience(config)
    connection = _connect(path, config, patience)
    with _closed_on_failure(connection):
        # Before anything is written: the journal mode stands in the file's header.
        found = patience(lambda: _inspect(connection))
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, False)
        if patience(lambda: connection.pragma("page_count")) == 0:
            # What `vacuum` needs to go by steps; possible before the first page is written alone.
            patience(lambda: connection.execute("PRAGMA auto_vacuum = incremental").fetchall())
        mode = patience(lambda: connection.pragma("journal_mode", "wal"))
        if mode != "wal":
            raise StorageError(f"open: {path}: no write-ahead log is possible here, only {mode!r}")
        if not found.is_current:
            patience(lambda: _migrate(connection))
        if config.exclusive:
            # The lock is taken by the first access to the log, and kept.
            patience(lambda: _inspect(connection))
        has_unfinished = patience(lambda: schema.has_unfinished_archives(connection))
    return Database(
        path,
        config,
        connection,
        shared=not config.exclusive,
        immutable=False,
        counted=True,
        has_unfinished_archives=has_unfinished,
    )


def _open_read_only(path: str, config: StoreConfig) -> Database:
    patience = Patience(config)
    immutable = False
    try:
        connection = _connect(path, config, patience)
    except (apsw.CantOpenError, apsw.ReadOnlyError):
        _refuse_pending_writes(path)
        connection = _connect(path, config, patience, immutable=True)
        immutable = True
    with _closed_on_failure(connection):
        found = patience(lambda: _inspect(connection))
        if not found.is_readable:
            raise ReadOnlyError(
                f"open: {path}: no store of the present form: to be migrated, it has to be opened"
                " without read_only first"
            )
    return Database(
        path, config, connection, shared=True, immutable=immutable, counted=found.counted
    )


def _connect(
    path: str, config: StoreConfig, patience: Patience, immutable: bool = False
) -> apsw.Connection:
    """A connection that has read the schema once, and so found out whether it can."""
    if immutable:
        connection = apsw.Connection(_immutable_uri(path), _READ_ONLY | apsw.SQLITE_OPEN_URI)
    else:
        connection = apsw.Connection(path, _READ_ONLY if config.read_only else _READ_WRITE)
    with _closed_on_failure(connection):
        # SQLite opens for reading in silence what it may not open for writing.
        if connection.readonly("main") and not config.read_only:
            raise ReadOnlyError(f"open: {path}: no permission to write to the file")
        # A file that turns out not to be ours is closed as it was found, its log left beside it.
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, True)
        patience(lambda: _set_up(connection, config))
    return connection


def _set_up(connection: apsw.Connection, config: StoreConfig) -> None:
    # Waiting is the engine's: a busy handler of SQLite holds up signals.
    connection.set_busy_timeout(0)
    if config.exclusive and config.path != MEMORY:
        # Before the first access, so that the log's index stays in memory of this process
        # (https://sqlite.org/wal.html, section 8).
        connection.pragma("locking_mode", "exclusive")
    connection.pragma("trusted_schema", 0)
    connection.pragma("temp_store", "memory")
    connection.pragma("cache_size", -_PAGE_CACHE_KIB)
    connection.pragma("fullfsync", int(config.durability == "full"))
    connection.pragma("synchronous", config.durability)
    # What one large transaction has made of the log is given back when it begins anew.
    connection.pragma("journal_size_limit", _LONGEST_LOG_BYTES)
    connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()


def _inspect(connection: apsw.Connection) -> schema.Schema:
    connection.execute("BEGIN")
    try:
        return schema.inspect(connection)
    finally:
        connection.execute("ROLLBACK")


def _migrate(connection: apsw.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have done it since.
        found = schema.inspect(connection)
        if not found.is_current:
            schema.migrate(connection, found)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _immutable_uri(path: str) -> str:
    """As https://sqlite.org/uri.html, section 3.1, has it."""
    for character in "%?#":
        path = path.replace(character, f"%{ord(character):02x}")
    if os.sep == "\\":
        path = "/" + path.replace(os.sep, "/")
    return f"file://{path}?immutable=1"


def _refuse_pending_writes(path: str) -> None:
    """Raise `StorageError` where the file without its log would be an old or a torn state."""
    for side_file in (f"{path}-wal", f"{path}-journal"):
        try:
            size_bytes = os.stat(side_file).st_size
        except FileNotFoundError:
            continue
        if size_bytes:
            raise StorageError(
                f"open: {path}: {side_file} holds writes that only a store that may write, to the"
                " file and its folder, can recover"
            )
