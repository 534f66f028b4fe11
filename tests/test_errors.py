"""Exceptions: their bases, their text, their pickles, and SQLite's codes turned into them."""

from __future__ import annotations

import errno
import pickle

import apsw
import pytest

import groupstore
from groupstore.errors import from_sqlite

ERRORS = [
    groupstore.StoreError("set: it went wrong"),
    groupstore.NotFoundError("get: no key 'colour' in group 'config'"),
    groupstore.QuotaExceededError("set", "tenant-42", "keys", 10),
    groupstore.ConfigError("cache_size=-1: must not be negative"),
    groupstore.StoreClosedError("get: the store is closed"),
    groupstore.StoreBusyError("set: locked"),
    groupstore.ReadOnlyError("set: the store was opened read-only"),
    groupstore.CorruptStoreError("open: app.db: file is not a database"),
    groupstore.TemplateError("render: line 3: unexpected end"),
    groupstore.QueryError("query: expected ')'", 2, 7),
    groupstore.QueryError("query: no such column: colour"),
    groupstore.WorkspaceExistsError("workspace: 'weekly' is there already"),
    groupstore.DiskFullError("set: app.db: database or disk is full"),
    groupstore.StorageError("set: app.db: disk I/O error"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_pickle(error: groupstore.StoreError) -> None:
    """An exception survives pickling with its type, text and attributes."""
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("NotFoundError", KeyError),
        ("ConfigError", ValueError),
        ("StoreBusyError", TimeoutError),
        ("QueryError", ValueError),
        ("DiskFullError", OSError),
        ("StorageError", OSError),
    ],
)
def test_standard_bases(name: str, base: type[Exception]) -> None:
    """What has a counterpart among Python's own exceptions is caught by that as well."""
    error = getattr(groupstore, name)
    assert issubclass(error, base)
    assert issubclass(error, groupstore.StoreError)


def test_not_found_is_not_quoted() -> None:
    """The text is the message itself, where a `KeyError` would show its repr."""
    message = "get: no key 'colour' in group 'config'"
    assert str(groupstore.NotFoundError(message)) == message


def test_quota_exceeded() -> None:
    """The text names call, namespace and limit, and the attributes hold them."""
    error = groupstore.QuotaExceededError("set_many", "tenant-42", "groups", 3)
    assert (error.namespace, error.limit, error.maximum) == ("tenant-42", "groups", 3)
    assert str(error) == "set_many: namespace 'tenant-42' is limited to 3 groups"


def test_query_error() -> None:
    """The place in a Flux query stands in the text; SQL has none."""
    flux = groupstore.QueryError("query: expected ')'", 2, 7)
    assert (str(flux), flux.line, flux.column) == ("query: expected ')' (line 2, column 7)", 2, 7)
    sql = groupstore.QueryError("query: no such column: colour")
    assert (str(sql), sql.line, sql.column) == ("query: no such column: colour", None, None)


def test_disk_full_has_its_number() -> None:
    """A full disk is told from other `OSError`s by `errno`, and its text is the message alone."""
    error = groupstore.DiskFullError("set: app.db: database or disk is full")
    assert (error.errno, str(error)) == (errno.ENOSPC, "set: app.db: database or disk is full")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (apsw.SQLITE_BUSY, groupstore.StoreBusyError),
        (apsw.SQLITE_BUSY_SNAPSHOT, groupstore.StoreBusyError),
        (apsw.SQLITE_LOCKED, groupstore.StoreBusyError),
        (apsw.SQLITE_PROTOCOL, groupstore.StoreBusyError),
        (apsw.SQLITE_READONLY, groupstore.ReadOnlyError),
        (apsw.SQLITE_READONLY_DIRECTORY, groupstore.ReadOnlyError),
        (apsw.SQLITE_READONLY_DBMOVED, groupstore.StorageError),
        (apsw.SQLITE_CORRUPT, groupstore.CorruptStoreError),
        (apsw.SQLITE_CORRUPT_INDEX, groupstore.CorruptStoreError),
        (apsw.SQLITE_NOTADB, groupstore.CorruptStoreError),
        (apsw.SQLITE_FULL, groupstore.DiskFullError),
        (apsw.SQLITE_TOOBIG, ValueError),
        (apsw.SQLITE_NOMEM, MemoryError),
        (apsw.SQLITE_IOERR_NOMEM, MemoryError),
        (apsw.SQLITE_IOERR, groupstore.StorageError),
        (apsw.SQLITE_IOERR_WRITE, groupstore.StorageError),
        (apsw.SQLITE_CANTOPEN_ISDIR, groupstore.StorageError),
        (apsw.SQLITE_PERM, groupstore.StorageError),
        (apsw.SQLITE_CONSTRAINT_TRIGGER, groupstore.StoreError),
        (apsw.SQLITE_INTERRUPT, groupstore.StoreError),
    ],
)
def test_from_sqlite(code: int, expected: type[Exception]) -> None:
    """Each of SQLite's codes, extended ones too, has its exception, which names call and path."""
    error = from_sqlite(apsw.exception_for(code), "set", "/srv/app.db")
    assert type(error) is expected
    assert str(error).startswith("set: /srv/app.db: ")
    assert not str(error).endswith(": ")


def test_text_that_says_nothing() -> None:
    """A backup's error has the text of a connection that saw none: the kind is named instead."""
    error = from_sqlite(apsw.FullError("not an error"), "backup", "/srv/app.db")
    assert str(error) == "backup: /srv/app.db: FullError"


def test_from_apsw_itself() -> None:
    """What APSW refuses without asking SQLite is a plain `StoreError`."""
    connection = apsw.Connection(":memory:")
    connection.close()
    with pytest.raises(apsw.ConnectionClosedError) as raised:
        connection.execute("SELECT 1")
    assert type(from_sqlite(raised.value, "check", ":memory:")) is groupstore.StoreError


def test_long_names_in_messages(store: groupstore.Store) -> None:
    """A message holds the beginning of a long name, and a short one as it is."""
    with pytest.raises(groupstore.NotFoundError) as caught:
        store.get("g", "k" * 1_000_000)
    assert str(caught.value) == f"get: no key '{'k' * 200}'… in group 'g'"
