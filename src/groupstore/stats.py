"""The figures of a store."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from groupstore.config import MEMORY

if TYPE_CHECKING:
    from groupstore.observing import OpenFace


@dataclass(frozen=True, kw_only=True)
class Stats:
    """What a store holds and does. Sizes are in bytes."""

    file_size: int
    """Of the database file, or the pages in memory."""
    wal_size: int
    """Of the write-ahead log beside it, 0 where there is none."""
    rows: int
    """Entries, expired ones that are not purged yet included."""
    groups: int
    """Groups with live keys."""
    expired_rows: int
    """Expired entries that wait for the purge."""
    cache_hits: int
    """Reads of a key that the cache has answered since the store was opened."""
    cache_misses: int
    """Reads of keys that had to ask SQLite, though there is a cache."""
    watchers: int
    dropped_events: int
    """Events that watchers had no room for, since the store was opened."""


def _size(path: str) -> int:
    try:
        # By name: a descriptor of the file, once closed, would drop this process's locks on it.
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def collect_stats(store: OpenFace) -> Stats:
    """The figures of `store` as of now."""
    engine = store._engine
    with engine.read("stats") as connection:
        if engine.path == MEMORY:
            file_size = connection.pragma("page_count") * connection.pragma("page_size")
            wal_size = 0
        else:
            file_size, wal_size = _size(engine.path), _size(f"{engine.path}-wal")
    expired = store._expired_total()
    return Stats(
        file_size=file_size,
        wal_size=wal_size,
        rows=store.count_all() + expired,
        groups=len(store.groups()),
        expired_rows=expired,
        cache_hits=engine.cache.hits,
        cache_misses=engine.cache.misses,
        watchers=len(engine.dispatcher.rings()),
        dropped_events=engine.dispatcher.dropped,
    )
