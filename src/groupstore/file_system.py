"""Files before SQLite sees them: where they really are, that they may be there, and their making.

No descriptor of a database file is ever closed here: that would drop the locks which this process
may hold on it (https://sqlite.org/howtocorrupt.html, section 2.2).
"""

import errno
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from groupstore.config import MEMORY
from groupstore.errors import (
    ConfigError,
    CorruptStoreError,
    DiskFullError,
    StorageError,
    StoreError,
)
from groupstore.folder import new_file, sync_folder

# https://docs.kernel.org/filesystems/proc.html, section 3.5
_MOUNTS = "/proc/self/mountinfo"
_NETWORK_TYPES = frozenset({"nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "9p"})

_SIDE_FILES = ("-wal", "-shm", "-journal")

# Replaced or closed under a process that holds locks in it, it would lock nobody out.
LOCK_FILE = ".lock"

# Of most file systems.
_LONGEST_NAME_BYTES = 255

in_use: list[Callable[[str, os.stat_result | None], bool]] = []
"""Each tells whether this process has a database or lock file open that is at a real path.

Also called with what `os.stat` says of it, None where nothing is there.
"""

# What link() says where the file system, or the user's rights on it, know no hard links.
_NO_HARD_LINKS = frozenset(
    {errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV}
)


def locate(path: str) -> tuple[str, bool]:
    """The absolute path of a database file, symbolic links resolved, and whether it is there.

    SQLite's side files stand beside the real file, so that all who come by any name find them.
    Raises `StorageError` for what no database can be.
    """
    real_path, status = _look_up(path, "open")
    if status is not None and status.st_size == 1:
        # SQLite would take it for an empty file, and write over it.
        raise CorruptStoreError(f"open: {path}: a single byte is no database")
    return real_path, status is not None


def named(path: str | os.PathLike[str], attempted: str, what: str) -> str:
    """The text of a path that was given as `what`.

    Raises `TypeError` for other types, `ValueError` for what can be no name.
    """
    given = os.fspath(path)
    if not isinstance(given, str):
        raise TypeError(
            f"{attempted}: {what} must be str or os.PathLike, not {type(given).__name__}"
        )
    if not given or "\0" in given:
        raise ValueError(f"{attempted}: {what} is no name of a file or folder: {given!r}")
    try:
        os.fsencode(given)
    except UnicodeEncodeError:
        raise ValueError(f"{attempted}: {what} holds a lone surrogate: {given!r}") from None
    return given


def locate_other(path: str | os.PathLike[str], attempted: str, own_path: str) -> str:
    """The absolute path of a file that is not the store's own, symbolic links resolved.

    `own_path` is that of the store's database. Raises `StoreError` where the path is one of its
    files, a database or a lock file that is in use, or the side file of a database, and
    `StorageError` for what is no file.
    """
    given = named(path, attempted, "path")
    real_path, status = _look_up(given, attempted)
    if own_path != MEMORY and is_of(own_path, real_path, status):
        raise StoreError(f"{attempted}: {given}: this is the store's own file")
    if any(is_in_use(real_path, status) for is_in_use in in_use):
        raise StoreError(f"{attempted}: {given}: this file is in use by this process")
    if os.path.basename(real_path) == LOCK_FILE:  # noqa: PTH119
        raise StoreError(f"{attempted}: {given}: this is the name of a lock file")
    for ending in _SIDE_FILES:
        base = real_path.removesuffix(ending)
        if base != real_path and os.path.lexists(base):
            raise StoreError(f"{attempted}: {given}: this belongs to the database {base}")
    for ending in ("-wal", "-journal"):
        # Its writes would be taken for writes to what replaces the database; and to read one that
        # this process has open would drop its locks.
        if os.path.lexists(real_path + ending):
            raise StoreError(
                f"{attempted}: {given}: beside it stands {real_path}{ending}: this is a database"
                " in use, or was left by a crash"
            )
    return real_path


@contextmanager
def replacement(path: str, attempted: str) -> Iterator[str]:
    """The name of a new empty file that takes the place of `path` when the block is left.

    Until then `path` stays as it was, and an exception leaves nothing behind. The file is its
    owner's alone, and on the disk before it gets its name.
    """
    temporary = _temporary_name(path)
    try:
        # Inside: an interrupt may come when the file has just been made.
        with _translated(attempted, path):
            os.close(new_file(temporary))
        yield temporary
        with _translated(attempted, path):
            _sync(temporary)
            os.replace(temporary, path)  # noqa: PTH105
            sync_folder(os.path.dirname(path))  # noqa: PTH120
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        raise


def leftovers(path: str) -> list[str]:
    """The temporary files that processes which died have left beside `path`."""
    folder, name = os.path.split(path)
    pattern = re.compile(re.escape(_shortened(name)) + "-[0-9a-f]{16}\\.new")
    return sorted(
        os.path.join(folder, found)  # noqa: PTH118
        for found in os.listdir(folder)  # noqa: PTH208
        if pattern.fullmatch(found)
    )


def _temporary_name(path: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(folder, f"{_shortened(name)}-{os.urandom(8).hex()}.new")  # noqa: PTH118


def _shortened(name: str) -> str:
    """As much of a file's name as leaves room for what makes it a temporary one."""
    encoded = os.fsencode(name)
    longest_bytes = _LONGEST_NAME_BYTES - len("-0123456789abcdef.new")
    if len(encoded) <= longest_bytes:
        return name
    return encoded[:longest_bytes].decode(errors="ignore")


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
    temporary = _temporary_name(path)
    try:
        os.close(new_file(temporary))
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


def _look_up(path: str, attempted: str) -> tuple[str, os.stat_result | None]:
    """The absolute path of what is, or may become, a regular file, and what is there now."""
    if path.endswith((os.sep, os.altsep or os.sep)):
        raise StorageError(f"{attempted}: {path}: the name of a folder, not of a file")
    status = None
    try:
        real_path = os.path.realpath(path)
        folder, _ = os.path.split(real_path)
        os.stat(folder)
        with suppress(FileNotFoundError):
            status = os.stat(real_path)
    except OSError as error:
        raise storage_error(error, attempted, path) from error
    if status is not None and not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise StorageError(f"{attempted}: {path}: this is {kind}")
    return real_path, status


def is_of(database: str, path: str, status: os.stat_result | None) -> bool:
    """Whether the real path is that of a database or one of its side files, by name or by link."""
    for own in (database, *(database + ending for ending in _SIDE_FILES)):
        if path == own:
            return True
        if status is not None:
            with suppress(OSError):
                if os.path.samestat(os.stat(own), status):
                    return True
    return False


@contextmanager
def _translated(attempted: str, path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise storage_error(error, attempted, path) from error


def _sync(path: str) -> None:
    # For writing: Windows syncs no other descriptors.
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _create_in_place(path: str) -> None:
    with suppress(FileExistsError):
        os.close(new_file(path))


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
