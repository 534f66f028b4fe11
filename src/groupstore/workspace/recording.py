"""A commit's traces in the store: the journal entry, the summary, and that they were made.

The identity of a committed workspace stands in a table of its own from the transaction that
committed it until its file is gone, so that whoever finds the file after a crash knows.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from groupstore.engine.expiry import now_ms
from groupstore.errors import StoreError
from groupstore.json_values import to_json

if TYPE_CHECKING:
    import apsw

    from groupstore.store import Store

_logger = logging.getLogger("groupstore")

_TABLE: Final = """CREATE TABLE IF NOT EXISTS groupstore_workspaces (
    identity TEXT PRIMARY KEY
) WITHOUT ROWID"""

_HAS_TABLE: Final = "SELECT 1 FROM sqlite_schema WHERE name = 'groupstore_workspaces'"
_HAS_IDENTITY: Final = "SELECT 1 FROM groupstore_workspaces WHERE identity = ?"

_JOURNAL_ENTRY: Final = """INSERT INTO journal_entries
    (bucket_name, measurement, fields_json, tags_json, committed_at) VALUES (?, ?, ?, ?, ?)"""


def record(store: Store, identity: str, name: str, aggregate: dict[str, int]) -> None:
    """Write all that a commit leaves in the store, unless it was written before."""
    summary = to_json(aggregate)
    with store.transaction():
        with store._engine.write("commit", spares_entries=True) as connection:
            connection.execute(_TABLE)
            if connection.execute(_HAS_IDENTITY, (identity,)).fetchall():
                return
            connection.execute("INSERT INTO groupstore_workspaces VALUES (?)", (identity,))
            tags = to_json({"workspace": name})
            committed_at = now_ms()
            bucket = store.config.journal_bucket
            connection.execute(_JOURNAL_ENTRY, (bucket, name, summary, tags, committed_at))
        store.set(f"workspace:{name}", "summary", summary)


def is_recorded(store: Store, identity: str) -> bool:
    """Whether the workspace of this identity was committed to the store."""
    with store._engine.read("workspace") as connection:
        return _is_recorded(connection, identity)


def _is_recorded(connection: apsw.Connection, identity: str) -> bool:
    if not connection.execute(_HAS_TABLE).fetchall():
        return False
    return bool(connection.execute(_HAS_IDENTITY, (identity,)).fetchall())


def forget(store: Store, identities: list[str]) -> None:
    """Remove the identities of workspaces whose files are gone for good.

    What fails is left: it takes a row, and means nothing to anyone.
    """
    rows = [(identity,) for identity in identities]
    try:
        with store._engine.write("workspace", spares_entries=True) as connection:
            connection.executemany("DELETE FROM groupstore_workspaces WHERE identity = ?", rows)
    except StoreError as error:
        _logger.info("the identities of removed workspaces stay recorded: %s", error)
