"""A dict of dicts: what the language itself takes, with nothing kept."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.peers.peer import GROUP, Durability, Pair, Peer


class Adapter(Peer):
    name = "dict of dicts"
    normal = "in memory alone: nothing survives"
    full = None
    batch = "a comprehension, `dict.update`"

    def __init__(self, folder: Path, durability: Durability) -> None:
        del folder, durability
        self._groups: dict[str, dict[str, str]] = {GROUP: {}}

    @classmethod
    def version(cls) -> str:
        return f"Python {platform.python_version()}"

    def get_each(self, keys: Iterable[str]) -> str:
        groups = self._groups
        for key in keys:
            value = groups[GROUP][key]
        return value

    def set_each(self, pairs: Sequence[Pair]) -> None:
        groups = self._groups
        for key, value in pairs:
            groups[GROUP][key] = value

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        group = self._groups[GROUP]
        return {key: group[key] for key in keys}

    def set_many(self, pairs: Sequence[Pair]) -> None:
        self._groups[GROUP].update(pairs)

    def close(self) -> None:
        self._groups.clear()
