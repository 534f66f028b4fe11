"""Files and folders made for their owner alone, and their names kept through a loss of power."""

from __future__ import annotations

import os
import sys


def make_folder(path: str) -> None:
    """Make a folder that its owner alone can use, and those above it, on the disk. Or `OSError`."""
    if os.path.isdir(path):  # noqa: PTH112 (pathlib is costly to import)
        return
    above = os.path.dirname(path)  # noqa: PTH120
    if above != path:
        make_folder(above)
    try:
        os.mkdir(path, 0o700)  # noqa: PTH102
        # What a umask has taken from the owner too.
        os.chmod(path, 0o700)  # noqa: PTH101
    except FileExistsError:
        if not os.path.isdir(path):  # noqa: PTH112
            raise
        # Another thread or process was quicker.
        return
    sync_folder(above)


def new_file(path: str, flags: int = 0) -> int:
    """A descriptor to write to a new file of its owner's alone. Raises `OSError`."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | flags, 0o600)
    give_to_owner(descriptor)
    return descriptor


def give_to_owner(descriptor: int) -> None:
    """Let the owner read and write a file, whatever the umask was at its making. Or `OSError`."""
    if sys.platform != "win32" and os.fstat(descriptor).st_mode & 0o600 != 0o600:
        os.fchmod(descriptor, 0o600)


def sync_folder(path: str) -> None:
    """Have what was named, renamed or removed in a folder on the disk. Raises `OSError`.

    Windows has no such call: NTFS keeps a journal of its names.
    """
    if sys.platform == "win32":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
