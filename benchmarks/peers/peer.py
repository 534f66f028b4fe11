"""What every peer does: one interface over the ways in which each is used best."""

from __future__ import annotations

import importlib.metadata
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

from benchmarks.floor import VALUE_BYTES

GROUP = "g"

Pair = tuple[str, str]
Step = tuple[Sequence[str], Sequence[Pair]]
"""Keys to get, then pairs to set."""


class Durability(StrEnum):
    """What a write that has returned survives."""

    NORMAL = "normal"
    """A crash of the process, but perhaps not a loss of power."""
    FULL = "full"
    """A loss of power."""


def key(number: int) -> str:
    return f"key-{number:08}"


def value(turn: int, place: int) -> str:
    """What is written at `place` of a sequence of writes; `floor_run` in C makes the same."""
    return f"{turn % 10}{turn // 10 % 10}{place % 10}".ljust(VALUE_BYTES, "v")


class Peer(ABC):
    """A store of `str` values by group and key, open on a folder of its own.

    The loops are each peer's own, written as its user would write them, so that none pays for a
    common wrapper around its calls.
    """

    name: ClassVar[str]
    normal: ClassVar[str]
    """How it keeps the writes of `Durability.NORMAL`."""
    full: ClassVar[str | None]
    """How it keeps those of `Durability.FULL`; None where it cannot."""
    batch: ClassVar[str]
    """What it does for `get_many` and `set_many`."""

    inside_ns: int | None = None
    """What the last call took by a clock inside it, for a loop in C with preparations in Python."""

    @abstractmethod
    def __init__(self, folder: Path, durability: Durability) -> None: ...

    @classmethod
    def missing(cls) -> str | None:
        """What is missing, beside Python packages, to run it here."""
        return None

    @classmethod
    @abstractmethod
    def version(cls) -> str: ...

    @abstractmethod
    def get_each(self, keys: Iterable[str]) -> str:
        """Get one after the other; return the last value."""

    @abstractmethod
    def set_each(self, pairs: Sequence[Pair]) -> None:
        """Set one after the other, each kept for good when its call returns."""

    @abstractmethod
    def get_many(self, keys: Sequence[str]) -> dict[str, str]: ...

    @abstractmethod
    def set_many(self, pairs: Sequence[Pair]) -> None:
        """Set all of them or none."""

    def mixed(self, steps: Sequence[Step]) -> str:
        """Gets and sets in turn, in one of several threads; return the last value read."""
        for keys, pairs in steps:
            last = self.get_each(keys)
            self.set_each(pairs)
        return last

    @abstractmethod
    def close(self) -> None: ...


def package_version(*names: str) -> str:
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
