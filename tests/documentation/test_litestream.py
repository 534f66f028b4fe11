"""Beside a process that does to the file what Litestream documents that it does."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import groupstore

STAND_IN = """
    import sqlite3, sys
    path = sys.argv[1]
    connection = sqlite3.connect(path, isolation_level=None, timeout=5)

    def salts():
        with open(path + "-wal", "rb") as log:
            return log.read(32)[16:24].hex()

    def hold():
        # A write first: else the reader would not be one of the log, and would not hold it.
        connection.execute("INSERT INTO _litestream_seq VALUES (1, 1)"
                           " ON CONFLICT (id) DO UPDATE SET seq = seq + 1")
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM _litestream_seq").fetchall()

    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)")
    connection.execute("CREATE TABLE _litestream_lock (id INTEGER)")
    hold()
    print(salts(), flush=True)
    for line in sys.stdin:
        if line == "salts\\n":
            print(salts(), flush=True)
        elif line == "checkpoint\\n":
            connection.execute("ROLLBACK")
            print(*connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone(), flush=True)
            hold()
        elif line == "count\\n":
            connection.execute("ROLLBACK")
            print(*connection.execute("SELECT count(*) FROM entries").fetchone(), flush=True)
            hold()
        else:
            break
"""


def test_the_log_is_kept_for_who_holds_a_read_transaction(
    start: Callable[..., subprocess.Popen[str]], path: Path
) -> None:
    """The store's checkpoints and closing begin no new log before the other has read it all."""
    with groupstore.Store(path, durability="normal") as store:
        store.set("config", "colour", "blue")
        process = start(STAND_IN, path)
        assert process.stdin is not None
        assert process.stdout is not None

        def ask(question: str) -> str:
            process.stdin.write(f"{question}\n")
            process.stdin.flush()
            return process.stdout.readline().strip()

        salts = process.stdout.readline().strip()
        assert store.get("config", "colour") == "blue"
        # Well over what makes the checkpoint thread act, in several commits.
        for batch in range(8):
            store.set_many("large", {f"{batch}-{i}": "x" * 4000 for i in range(1100)})
        assert store.stats().wal_size > 32 * 1024 * 1024
        store.set("config", "colour", "green")
        assert ask("salts") == salts
        # Each of its checkpoints may meet one of the store's, or a reader, and then ends early.
        checkpoints = (ask("checkpoint").split() for _ in range(1000))
        assert any(busy == "0" and in_log == copied for busy, in_log, copied in checkpoints)
        assert store.get("config", "colour") == "green"
        salts = ask("salts")
        store.set("config", "colour", "red")
    assert path.with_name(f"{path.name}-wal").exists()
    assert ask("salts") == salts
    assert ask("count") == "8801"
    assert ask("end") == ""
    assert process.wait(timeout=30) == 0
    with groupstore.Store(path) as store:
        assert store.get("config", "colour") == "red"
        assert store.check() == []
