"""Looking after a store: figures, checks, copies, compaction."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import apsw

from groupstore import schema
from groupstore.errors import CorruptStoreError
from groupstore.opening import Patience

if TYPE_CHECKING:
    from groupstore.engine.engine import Engine
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
        if engine.path == ":memory:":
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


@contextmanager
def _snapshot(connection: apsw.Connection) -> Iterator[None]:
    """A read transaction, unless the connection is in one."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


def check(engine: Engine) -> list[str]:
    """What is wrong with the file, and with what this package keeps in it; mends the counts."""
    problems: list[str] = []
    is_miscounted = False
    try:
        with engine.read("check") as connection, _snapshot(connection):
            problems += [
                f"SQLite: {problem}"
                for (problem,) in connection.execute("PRAGMA integrity_check")
                if problem != "ok"
            ]
            problems += schema.unlisted(connection)
            if engine.counted:
                wrong = schema.miscounted(connection)
                is_miscounted = bool(wrong)
                problems += wrong
    except CorruptStoreError as error:
        problems.append(str(error))
    if is_miscounted and not engine.read_only:
        with engine.write("check") as connection:
            schema.recount(connection)
    return problems


def vacuum(engine: Engine) -> None:
    """Rebuild the file without its free pages."""
    engine.refuse_in_transaction("vacuum")
    with engine.alone("vacuum") as connection:
        Patience(engine.config)(lambda: connection.execute("VACUUM"))
