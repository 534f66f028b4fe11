"""The options of a store and of a namespace, checked where they are made."""

import enum
import math
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from groupstore.errors import ConfigError

DEFAULT_GROUP = "default"
"""The group of `ScopedStore.group()` called without a name."""

MEMORY = ":memory:"
"""The path of a store that lives in memory alone."""


class Keep(enum.Enum):
    """The type of `KEEP`: an enumeration, so that copies and pickles of it are the same object."""

    KEEP = "groupstore.KEEP"

    def __repr__(self) -> str:
        return self.value


KEEP = Keep.KEEP
"""As a `ttl`: leave the key's expiry as it is."""


@dataclass(frozen=True, kw_only=True)
class StoreConfig:
    """How to open a store. What is wrong is a `ConfigError` that names the field and its value.

    Paths are kept as `str`, durations as `float` seconds.
    """

    path: str | os.PathLike[str] = MEMORY
    """The database file, never read as a URI, or `":memory:"`."""

    purge_interval: float | timedelta | None = 60.0
    """Seconds between purges in the background; 0 or None: never."""

    durability: str = "full"
    """`"full"`: a write that returned survives power loss; `"normal"`: a crash of the process."""

    busy_timeout: float | timedelta = 5.0
    """Seconds to wait for a lock that another thread or process holds."""

    cache_size: int = 64 * 1024 * 1024
    """Bytes of the read cache; 0: none."""

    exclusive: bool = False
    """Whether this process keeps the file to itself."""

    read_only: bool = False
    """Whether writes are refused."""

    journal_bucket: str = "store"
    """The bucket of journal entries; not empty."""

    state_directory: str | os.PathLike[str] | None = None
    """The folder of workspaces; None: `<path>.state`, in memory a private temporary one."""

    archive_directory: str | os.PathLike[str] | None = None
    """The folder of journal archives; None: `<path>.archive`, in memory a private temporary one."""

    archive_after: float | timedelta | None = None
    """Seconds after which each background purge archives journal entries; None: never."""

    def __post_init__(self) -> None:
        for field, normal in _NORMAL_FORMS.items():
            _normalise(self, field, normal)
        if self.read_only and self.path == MEMORY:
            raise ConfigError("read_only=True: a store in memory would stay empty")
        if self.read_only and self.exclusive:
            raise ConfigError("read_only=True: exclusive=True locks the file for writing")
        if self.archive_after is not None and not self.purge_interval:
            raise ConfigError(
                f"archive_after={self.archive_after!r}: purge_interval={self.purge_interval!r}"
                " means that no background purge archives"
            )


@dataclass(frozen=True)
class Quota:
    """The most that a namespace may hold; 0 is unlimited."""

    max_keys: int = 0
    """Live keys in all of its groups."""

    max_groups: int = 0
    """Groups with live keys."""

    def __post_init__(self) -> None:
        _normalise(self, "max_keys", _whole)
        _normalise(self, "max_groups", _whole)


def _normalise(config: object, field: str, normal: Callable[[Any], object]) -> None:
    value = getattr(config, field)
    try:
        object.__setattr__(config, field, normal(value))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{field}={value!r}: {error}") from None


def _path(value: Any) -> str:
    path = os.fspath(value)
    if not isinstance(path, str):
        raise TypeError("must be a path of str, not bytes")
    if not path:
        raise ValueError("must not be empty")
    if "\0" in path:
        raise ValueError("must not contain NUL")
    return _encodable(path)


def _optional_path(value: Any) -> str | None:
    return None if value is None else _path(value)


def _seconds(value: Any) -> float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError("must be a number of seconds or a timedelta")
    # The comparison is exact for any int, and false for NaN.
    if not 0 <= seconds <= threading.TIMEOUT_MAX:
        raise ValueError(f"must be between 0 and {math.floor(threading.TIMEOUT_MAX)} seconds")
    return float(seconds)


def _optional_seconds(value: Any) -> float | None:
    return None if value is None else _seconds(value)


def _optional_positive_seconds(value: Any) -> float | None:
    seconds = _optional_seconds(value)
    if seconds == 0:
        raise ValueError("must be positive")
    return seconds


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("must be an int")
    if not 0 <= value <= sys.maxsize:
        raise ValueError(f"must be between 0 and {sys.maxsize}")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("must be True or False")
    return value


def _durability(value: Any) -> str:
    if value not in ("full", "normal"):
        raise ValueError('must be "full" or "normal"')
    return str(value)


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("must be a str")
    if not value:
        raise ValueError("must not be empty")
    return _encodable(value)


def _encodable(text: str) -> str:
    """SQLite takes names and paths in UTF-8 alone."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("must be encodable in UTF-8") from None
    return text


_NORMAL_FORMS: dict[str, Callable[[Any], object]] = {
    "path": _path,
    "purge_interval": _optional_seconds,
    "durability": _durability,
    "busy_timeout": _seconds,
    "cache_size": _whole,
    "exclusive": _flag,
    "read_only": _flag,
    "journal_bucket": _name,
    "state_directory": _optional_path,
    "archive_directory": _optional_path,
    "archive_after": _optional_positive_seconds,
}
