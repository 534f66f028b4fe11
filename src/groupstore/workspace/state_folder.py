"""The folder of a store's workspaces."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from groupstore import forking
from groupstore.config import MEMORY
from groupstore.file_system import storage_error
from groupstore.workspace import live
from groupstore.workspace.buffer_file import make_folder

if TYPE_CHECKING:
    from groupstore.store import Store


class StateFolder:
    """`state_directory`, or `<path>.state`, or for a store in memory a private temporary folder."""

    def __init__(self, store: Store) -> None:
        self._private: str | None = None
        configured = store.config.state_directory
        if configured is not None:
            self._path: str | None = os.path.realpath(configured)
        elif store._engine.path == MEMORY:
            self._path = None
        else:
            self._path = os.path.realpath(f"{store._engine.path}.state")

    def path(self) -> str:
        """The folder's real path; a private one is made by the first call."""
        # Two threads would make two folders.
        with forking.opening:
            return self._path or self._make_private()

    def _make_private(self) -> str:
        # Loads a dozen modules, for stores in memory alone.
        import shutil  # noqa: PLC0415
        import tempfile  # noqa: PLC0415

        try:
            self._path = os.path.realpath(tempfile.mkdtemp(prefix="groupstore-"))
        except OSError as error:
            raise storage_error(error, "workspace", tempfile.gettempdir()) from error
        self._private = self._path
        self._maker = os.getpid()
        self._remove_tree = shutil.rmtree
        return self._path

    def made(self) -> str:
        """The folder's path, the folder made if missing. Raises `StorageError`."""
        path = self.path()
        try:
            make_folder(path)
        except OSError as error:
            raise storage_error(error, "workspace", path) from error
        return path

    def close(self, store: Store) -> None:
        """Close the store's workspaces, and remove a temporary folder in the process of its making.

        Imports nothing: it may be the interpreter's end.
        """
        live.close_all(store)
        if self._private is not None and self._maker == os.getpid():
            self._remove_tree(self._private, ignore_errors=True)
