"""A store's file before SQLite sees it: where it really is, that it may be there, and its making.

No descriptor of a database file is ever closed here: that would drop the locks which this process
may hold on it (https://sqlite.org/howtocorrupt.html, section 2.2).
"""

import errno
import os
import re
import stat
import sys
from contextlib import suppress

from groupstore.errors import ConfigError, CorruptStoreError, DiskFullError, StorageError

# https://docs.kernel.org/filesystems/proc.html, section 3.5
_MOUNTS = "/proc/self/mountinfo"
_NETWORK_TYPES = frozenset({"nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "9p"})

# What link() says where the file system, or the user's rights on it, know no hard links.
_NO_HARD_LINKS = frozenset(
    {errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV}
)


def locate(path: str) -> tuple[str, bool]:
    """The absolute path of a database file, symbolic links resolved, and whether it is there.

    SQLite's side files stand beside the real file, so that all who come by any name find them.
    Raises `StorageError` for what no database can be.
    """
    if path.endswith((os.sep, os.altsep or os.sep)):
        raise StorageError(f"open: {path}: the name of a folder, not of a file")
    try:
        real_path = os.path.realpath(path)
        folder, _ = os.path.split(real_path)
        os.stat(folder)
        status = os.stat(real_path) if os.path.lexists(real_path) else None
    except OSError as error:
        raise storage_error(error, "open", path) from error
    if status is None:
        return real_path, False
    if status.st_size == 1:
        # SQLite would take it for an empty file, and write over it.
        raise CorruptStoreError(f"open: {path}: a single byte is no database")
    mode = status.st_mode
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise StorageError(f"open: {path}: this is {kind}")
    return real_path, True


def refuse_network(path: str) -> None:
    """Raise `ConfigError` where an absolute path is on a network file system.

    Known from Linux's table of mounts and from Windows' UNC paths; elsewhere nothing is refused.
    """
    kind = _network_type(path)
    if kind is not None:
        raise ConfigError(
            f"path={path!r}: this is on a network file system ({kind}), where processes cannot"
            " share SQLite's memory; exclusive=True opens it for one process"
        )


def create(path: str) -> None:
    """Make an empty file that its owner alone can use, unless one is there by now.

    It is made under another name and linked, so that nobody can have it open when it is closed.
    """
    temporary = f"{path}-{os.urandom(8).hex()}.new"
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            _create_in_place(path)
        finally:
            os.unlink(temporary)  # noqa: PTH108 (pathlib is costly to import)
    except OSError as error:
        raise storage_error(error, "open", path) from error


def storage_error(error: OSError, attempted: str, path: str) -> StorageError | DiskFullError:
    """The exception to raise from an error of the operating system."""
    exception = DiskFullError if error.errno == errno.ENOSPC else StorageError
    return exception(f"{attempted}: {path}: {error.strerror or error}")


def _create_in_place(path: str) -> None:
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _network_type(path: str) -> str | None:
    if sys.platform == "win32":
        return "UNC" if path.startswith("\\\\") else None
    try:
        with open(_MOUNTS, "rb") as file:  # noqa: PTH123
            lines = file.read().splitlines()
    except OSError:
        return None
    longest, kind = b"", ""
    target = os.fsencode(path)
    for line in lines:
        mount, _, source = line.partition(b" - ")
        point = re.sub(rb"\\(\d{3})", lambda code: bytes([int(code[1], 8)]), mount.split(b" ")[4])
        # A later mount on the same point hides the earlier one.
        if len(point) >= len(longest) and (target + b"/").startswith(point.rstrip(b"/") + b"/"):
            longest, kind = point, source.split(b" ")[0].decode()
    return kind if kind in _NETWORK_TYPES else None
