"""Where a store keeps the files that stand beside its database: workspaces and archives."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from groupstore import forking
from groupstore.config import MEMORY
from groupstore.file_system import storage_error

if TYPE_CHECKING:
    from groupstore.engine.engine import Engine


class DataFolder:
    """The configured folder, or `<database><suffix>`; for a store in memory a temporary one."""

    def __init__(
        self,
        engine: Engine,
        configured: str | os.PathLike[str] | None,
        suffix: str,
        attempted: str,
    ) -> None:
        """`attempted` is the call that errors speak of."""
        self._engine = engine
        self._attempted = attempted
        self._private: str | None = None
        self._path: str | None = None
        if configured is not None:
            try:
                # As of now: the working directory may change.
                self._path = os.path.abspath(configured)
            except OSError as error:
                raise storage_error(error, "open", os.fspath(configured)) from error
        elif engine.path != MEMORY:
            self._path = f"{engine.path}{suffix}"

    def path(self) -> str:
        """The folder's real path; a temporary one is made by the first call."""
        # Two threads would make two folders, and a lock of our own might be held in a fork.
        with forking.opening:
            return os.path.realpath(self._path or self._make_private())

    def _make_private(self) -> str:
        # Loads a dozen modules, for stores in memory alone.
        import shutil  # noqa: PLC0415
        import tempfile  # noqa: PLC0415

        self._remove_tree = shutil.rmtree
        self._maker = os.getpid()
        try:
            self._private = tempfile.mkdtemp(prefix="groupstore-")
        except OSError as error:
            raise storage_error(error, self._attempted, tempfile.gettempdir()) from error
        if self._engine.is_closed:
            # By another thread, which may have looked for the folder before it was there.
            self.close()
        self._engine.check_open(self._attempted)
        self._path = self._private
        return self._path

    def close(self) -> None:
        """Remove a temporary folder, in the process of its making.

        Imports nothing: it may be the interpreter's end.
        """
        if self._private is not None and self._maker == os.getpid():
            self._remove_tree(self._private, ignore_errors=True)


def of_workspaces(engine: Engine) -> DataFolder:
    """`state_directory`, or `<path>.state`."""
    return DataFolder(engine, engine.config.state_directory, ".state", "workspace")


def of_archives(engine: Engine) -> DataFolder:
    """`archive_directory`, or `<path>.archive`."""
    return DataFolder(engine, engine.config.archive_directory, ".archive", "compact")
