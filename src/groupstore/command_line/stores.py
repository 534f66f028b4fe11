"""The store that a command works on, and the arguments that name it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Annotated

import apsw
import typer

from groupstore.config import MEMORY
from groupstore.errors import ConfigError, ReadOnlyError, StorageError, StoreError
from groupstore.folder import sync_folder
from groupstore.scope import ScopedStore
from groupstore.store import Store

File = Annotated[str, typer.Argument(metavar="FILE", help="The store's file.", show_default=False)]
Group = Annotated[str, typer.Argument(help="The group's name.", show_default=False)]
Namespace = Annotated[
    str | None,
    typer.Option("--namespace", "-n", metavar="NAME", help="Work inside this namespace."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]


@contextmanager
def reading(path: str) -> Iterator[Store]:
    """The store in an existing file, which is not changed."""
    log = Path(f"{os.path.realpath(path)}-wal")
    had_log = log.exists()
    try:
        with Store(path, read_only=True, purge_interval=None) as store:
            yield store
    finally:
        if not had_log and log.exists():
            _remove_log(path)


def _remove_log(path: str) -> None:
    """Have SQLite remove the empty log, and its index, that it made for a reader.

    It leaves them to the next who may write to the file, and backups take it for one in use until
    then.
    """
    with suppress(apsw.Error), closing(apsw.Connection(path, apsw.SQLITE_OPEN_READWRITE)) as last:
        last.execute("SELECT 1 FROM sqlite_schema").fetchone()


@contextmanager
def writing(path: str) -> Iterator[Store]:
    """The store in an existing file."""
    try:
        os.stat(path)
    except OSError as error:
        raise StorageError(f"open: {path}: {error.strerror}") from error
    with _opened(path) as store:
        yield store


def change(path: str, work: Callable[[Store], object]) -> None:
    """Do some work on the store in a file; where it fails, no new file is left behind."""
    if path == MEMORY:
        raise ConfigError(f"open: {path}: a store in memory would be gone with the command")
    if os.path.lexists(path) or not _made(path, work):
        with _opened(path) as store:
            work(store)


def _opened(path: str) -> Store:
    # What has expired is left to the programs that work with the file.
    return Store(path, purge_interval=None)


def _made(path: str, work: Callable[[Store], object]) -> bool:
    """Make a store that has its name only once the work is done; whether it could be named.

    It takes no other's place: another process may have made one meanwhile.
    """
    folder, name = os.path.split(os.path.abspath(path))
    try:
        hidden = tempfile.TemporaryDirectory(prefix=".groupstore-", dir=folder)
    except OSError as error:
        raise StorageError(f"open: {path}: {error.strerror}") from error
    with hidden as place:
        made = os.path.join(place, name)  # noqa: PTH118
        try:
            with _opened(made) as store:
                work(store)
        except StoreError as error:
            # The hidden name means nothing to anybody.
            raise type(error)(str(error).replace(os.path.realpath(made), path)) from error
        try:
            os.link(made, path)
        except OSError:
            # Or the file system knows no links, as FAT.
            return False
    sync_folder(folder)
    return True


@contextmanager
def examining(path: str) -> Iterator[Store]:
    """The store in an existing file, which is mended where this may write to it."""
    with ExitStack() as stack:
        try:
            store = stack.enter_context(writing(path))
        except ReadOnlyError:
            store = stack.enter_context(reading(path))
        yield store


def face(store: Store, namespace: str | None) -> Store | ScopedStore:
    """The whole store, or one namespace of it."""
    return store if namespace is None else store.scoped(namespace)
