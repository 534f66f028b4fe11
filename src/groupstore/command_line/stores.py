"""The store that a command works on, and the arguments that name it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Annotated

import typer

from groupstore.errors import ReadOnlyError, StorageError
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
    with Store(path, read_only=True, purge_interval=None) as store:
        yield store


@contextmanager
def writing(path: str, *, makes: bool = False) -> Iterator[Store]:
    """The store in a file, which must be there unless the command `makes` it."""
    if not makes and not os.path.lexists(path):
        raise StorageError(f"open: {path}: No such file or directory")
    # What has expired is left to the programs that work with the file.
    with Store(path, purge_interval=None) as store:
        yield store


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
