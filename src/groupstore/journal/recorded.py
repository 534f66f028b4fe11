"""The archives of a store in its own table: those that are made, and one that is being made."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from typing import Final, NamedTuple

import apsw

from groupstore.journal.archive import Archive

_TABLE: Final = """CREATE TABLE IF NOT EXISTS groupstore_archives (
    archive_id INTEGER PRIMARY KEY,
    store_path TEXT NOT NULL,
    path TEXT NOT NULL,
    format TEXT NOT NULL,
    committed_before INTEGER NOT NULL,
    last_entry_id INTEGER NOT NULL,
    entries INTEGER,
    size INTEGER,
    first_committed_at INTEGER,
    last_committed_at INTEGER
)"""

# Holds what is not archived alone, in the order of commits: what was archived before is passed
# over at once, and an append adds to its end.
_INDEX: Final = """CREATE INDEX IF NOT EXISTS groupstore_journal_kept_idx
    ON journal_entries (entry_id, committed_at) WHERE archived_at IS NULL"""

_SELECTED: Final = "archived_at IS NULL AND committed_at < ? AND entry_id <= ?"

_LAST: Final = """SELECT max(entry_id) FROM journal_entries
    WHERE archived_at IS NULL AND committed_at < ?"""
_INSERT: Final = """INSERT INTO groupstore_archives
    (store_path, path, format, committed_before, last_entry_id) VALUES (?, ?, ?, ?, ?)"""
# Texts as blobs: another program's need not be UTF-8.
_NEXT: Final = f"""SELECT entry_id, CAST(bucket_name AS BLOB), CAST(measurement AS BLOB),
    CAST(fields_json AS BLOB), CAST(tags_json AS BLOB), committed_at FROM journal_entries
    WHERE {_SELECTED} AND entry_id > ? ORDER BY entry_id"""
_MARK: Final = f"""UPDATE journal_entries SET archived_at = ? WHERE {_SELECTED}
    AND entry_id NOT IN (SELECT value FROM json_each(?))"""

Row = tuple[int, bytes, bytes, bytes, bytes, int]


class Intent(NamedTuple):
    """An archive that is being made: of which entries, and where."""

    archive_id: int
    store_path: str
    """The database that it is of: this one may be a copy, or have been moved."""
    path: str
    format: str
    committed_before: int
    """Unix ms, exclusive."""
    last_entry_id: int


def has_table(connection: apsw.Connection) -> bool:
    """Whether the store ever made an archive."""
    sql = "SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = 'groupstore_archives'"
    return bool(connection.execute(sql).fetchall())


def last_entry(connection: apsw.Connection, committed_before: int) -> int | None:
    """The last entry to archive; None where there is none."""
    last: int | None = connection.execute(_LAST, (committed_before,)).get
    return last


def record(
    connection: apsw.Connection, store_path: str, path: str, format: str, committed_before: int
) -> Intent | None:
    """Note, in a transaction, what is about to be archived; None where there is nothing."""
    last_entry_id = last_entry(connection, committed_before)
    if last_entry_id is None:
        return None
    connection.execute(_TABLE)
    connection.execute(_INDEX)
    paths = (_storable(store_path), _storable(path))
    connection.execute(_INSERT, (*paths, format, committed_before, last_entry_id))
    archive_id = connection.last_insert_rowid()
    return Intent(archive_id, store_path, path, format, committed_before, last_entry_id)


def unfinished(connection: apsw.Connection) -> list[Intent]:
    """The archives that were not finished: being made now, or left by a process that died."""
    rows = connection.execute("""SELECT archive_id, store_path, path, format, committed_before,
        last_entry_id FROM groupstore_archives WHERE entries IS NULL ORDER BY archive_id""")
    return [
        Intent(archive_id, os.fsdecode(store_path), os.fsdecode(path), *rest)
        for archive_id, store_path, path, *rest in rows
    ]


def finished(connection: apsw.Connection) -> list[Archive]:
    """The archives that are made, in the order of creation."""
    rows = connection.execute("""SELECT path, entries, format, size,
        first_committed_at, last_committed_at
        FROM groupstore_archives WHERE entries IS NOT NULL ORDER BY archive_id""")
    return [Archive(os.fsdecode(path), *rest) for path, *rest in rows]


def rows_after(
    connection: apsw.Connection, intent: Intent, entry_id: int, bytes_wanted: int
) -> list[Row]:
    """The next entries to archive after that one, until they hold `bytes_wanted` or all do."""
    batch: list[Row] = []
    size_bytes = 0
    cursor = connection.cursor()
    bindings = (intent.committed_before, intent.last_entry_id, entry_id)
    for row in cursor.execute(_NEXT, bindings):
        batch.append(row)
        # Small rows cost more than their texts.
        size_bytes += 500 + sum(map(len, row[1:5]))
        if size_bytes >= bytes_wanted:
            break
    cursor.close()
    return batch


def mark(
    connection: apsw.Connection, intent: Intent, left_out: Collection[int], now_ms: int
) -> int:
    """Mark all entries but those left out as archived, in a transaction; how many."""
    ids = json.dumps(list(left_out))
    connection.execute(_MARK, (now_ms, intent.committed_before, intent.last_entry_id, ids))
    return connection.changes()


def finish(connection: apsw.Connection, intent: Intent, archive: Archive) -> None:
    """Note that the archive is made, and stands at the intent's path."""
    connection.execute(
        """UPDATE groupstore_archives SET path = ?, entries = ?, size = ?,
        first_committed_at = ?, last_committed_at = ? WHERE archive_id = ?""",
        (
            *(_storable(archive.path), archive.entries, archive.size),
            *(archive.first_committed_at, archive.last_committed_at, intent.archive_id),
        ),
    )


def forget(connection: apsw.Connection, intent: Intent) -> None:
    """Note that the archive is not made."""
    connection.execute("DELETE FROM groupstore_archives WHERE archive_id = ?", (intent.archive_id,))


def _storable(path: str) -> str | bytes:
    """A name that is not in the file system's encoding is stored as its bytes."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return os.fsencode(path)
    return path
