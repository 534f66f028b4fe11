"""The folder that archives are put into where no other is asked for."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING

from groupstore.config import MEMORY
from groupstore.file_system import storage_error

if TYPE_CHECKING:
    from groupstore.engine.engine import Engine


class ArchiveFolder:
    """`archive_directory`, or `<path>.archive`; of a store in memory a private temporary folder."""

    def __init__(self, engine: Engine) -> None:
        self._private: str | None = None
        self._making = threading.Lock()
        configured = engine.config.archive_directory
        self._path: str | None
        if configured is not None:
            self._path = os.path.realpath(configured)
        elif engine.path == MEMORY:
            self._path = None
        else:
            self._path = f"{engine.path}.archive"

    def path(self) -> str:
        """The folder's real path; a private one is made by the first call."""
        with self._making:
            return self._path or self._make_private()

    def _make_private(self) -> str:
        # Loads a dozen modules, for stores in memory alone.
        import shutil  # noqa: PLC0415
        import tempfile  # noqa: PLC0415

        try:
            self._path = os.path.realpath(tempfile.mkdtemp(prefix="groupstore-"))
        except OSError as error:
            raise storage_error(error, "compact", tempfile.gettempdir()) from error
        self._private = self._path
        self._maker = os.getpid()
        self._remove_tree = shutil.rmtree
        return self._path

    def close(self) -> None:
        """Remove a private folder, in the process of its making.

        Imports nothing: it may be the interpreter's end.
        """
        if self._private is not None and self._maker == os.getpid():
            self._remove_tree(self._private, ignore_errors=True)


def make_folder(path: str) -> None:
    """Make a folder that its owner alone can use, and those above it, on the disk. Or `OSError`."""
    if os.path.isdir(path):  # noqa: PTH112 (pathlib is costly to import)
        return
    above = os.path.dirname(path)  # noqa: PTH120
    if above != path:
        make_folder(above)
    try:
        os.mkdir(path, 0o700)  # noqa: PTH102
    except FileExistsError:
        if not os.path.isdir(path):  # noqa: PTH112
            raise
        # Another thread or process was quicker.
        return
    sync_folder(above)


def sync_folder(path: str) -> None:
    """Have the names in a folder on the disk, where the system knows how."""
    if sys.platform == "win32":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
