"""What a workspace's put takes beside a bare INSERT through APSW, and aggregate."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import apsw

import groupstore
from benchmarks.rounds import Contender, Ratio, compare

PUTS = 1000
ROWS = 10_000
ENTRIES = 1_000_000
DATA = {"user": 17, "name": "someone", "score": 0.5}

_INSERT = "INSERT INTO entries (kind, data, created_at) VALUES (?, ?, ?)"


def table(path: Path, locking_mode: str = "normal") -> apsw.Connection:
    """A connection to the same table without a workspace around it."""
    connection = apsw.Connection(str(path))
    connection.pragma("locking_mode", locking_mode)
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", "normal")
    connection.execute("""CREATE TABLE entries (id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL, data TEXT NOT NULL, created_at INTEGER NOT NULL)""")
    return connection


def inserts(connection: apsw.Connection) -> Contender:
    """Committed one by one, their JSON and time made before."""
    text = json.dumps(DATA)

    def work(_: int) -> float:
        begin = time.perf_counter_ns()
        for _ in range(PUTS):
            connection.execute(_INSERT, ("like", text, 1_700_000_000_000))
        return (time.perf_counter_ns() - begin) / PUTS

    return work


def puts(workspace: groupstore.Workspace) -> Contender:
    def work(_: int) -> float:
        begin = time.perf_counter_ns()
        for _ in range(PUTS):
            workspace.put("like", DATA)
        return (time.perf_counter_ns() - begin) / PUTS

    return work


def many(connection: apsw.Connection, *, is_ready: bool) -> Contender:
    """`executemany` in one transaction, the JSON made before or by the loop."""
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    ready = [("like", encode(DATA), 1_700_000_000_000)] * ROWS

    def work(_: int) -> float:
        begin = time.perf_counter_ns()
        rows = iter(ready) if is_ready else (("like", encode(DATA), 1) for _ in range(ROWS))
        with connection:
            connection.executemany(_INSERT, rows)
        return (time.perf_counter_ns() - begin) / ROWS

    return work


def put_many(workspace: groupstore.Workspace) -> Contender:
    rows = [dict(DATA) for _ in range(ROWS)]

    def work(_: int) -> float:
        begin = time.perf_counter_ns()
        workspace.put_many("like", rows)
        return (time.perf_counter_ns() - begin) / ROWS

    return work


def aggregates(workspace: groupstore.Workspace) -> Contender:
    def work(_: int) -> float:
        begin = time.perf_counter_ns()
        for _ in range(PUTS):
            workspace.aggregate()
        return (time.perf_counter_ns() - begin) / PUTS

    return work


def run(folder: Path) -> Iterator[Ratio]:
    """Every comparison of this subject."""
    store = groupstore.Store(folder / "workspace.db", purge_interval=None)
    shared, own = table(folder / "shared.db"), table(folder / "own.db", "exclusive")
    with store:
        small, large = store.workspace("small"), store.workspace("large")
        yield from compare(
            "put, one commit each",
            {"apsw": inserts(shared), "exclusive": inserts(own), "put": puts(small)},
            {"put": "at most 1.3"},
        )
        yield from compare(
            f"put_many of {ROWS:,}, a row",
            {
                "apsw": many(shared, is_ready=False),
                "JSON ready": many(own, is_ready=True),
                "put_many": put_many(small),
            },
            {"put_many": "at most 1.4"},
        )
        for number in range(10):
            large.put_many(f"kind-{number}", ({"n": n} for n in range(ENTRIES // 10)))
            small.put(f"kind-{number}")
        yield from compare(
            f"aggregate, 10 kinds, of {ENTRIES:,}",
            {"few": aggregates(small), "many": aggregates(large)},
            {"many": "as few"},
        )
        large.discard()
    shared.close()
    own.close()
