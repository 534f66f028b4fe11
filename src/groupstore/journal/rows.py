"""The rows that queries give: the columns, and what their JSON holds beside it."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import closing
from typing import Any

import apsw

from groupstore.errors import CorruptStoreError
from groupstore.journal.room import with_room

COLUMNS = (
    *("entry_id", "bucket_name", "measurement", "fields_json", "tags_json"),
    *("committed_at", "archived_at"),
)

_DECODED = (("fields_json", "fields"), ("tags_json", "tags"))

# Texts as blobs: another program's need not be UTF-8.
_ALL = """SELECT entry_id, CAST(bucket_name AS BLOB), CAST(measurement AS BLOB),
    CAST(fields_json AS BLOB), CAST(tags_json AS BLOB), committed_at, archived_at
    FROM journal_entries {}ORDER BY entry_id"""
_KEPT = _ALL.format("WHERE archived_at IS NULL ")
_WITH_ARCHIVED = _ALL.format("")


def all_rows(connection: apsw.Connection, archives: bool) -> Generator[dict[str, Any], None, None]:
    """Every row in commit order; those that are archived only with `archives`."""
    with closing(connection.cursor()) as cursor:
        for entry_id, bucket, measurement, fields, tags, *times in cursor.execute(
            _WITH_ARCHIVED if archives else _KEPT
        ):
            texts = map(text_or_blob, (bucket, measurement, fields, tags))
            yield dict(zip(COLUMNS, (entry_id, *texts, *times), strict=True))


def inflate(row: dict[str, Any], attempted: str) -> dict[str, Any]:
    """Put `fields` and `tags` beside the JSON of the row, where it has that and not those.

    Raises `CorruptStoreError` for what is no JSON.
    """
    for column, name in _DECODED:
        if column in row and name not in row:
            text = row[column]
            try:
                # Null and numbers, which SQL may give such a name, are what they stand for.
                is_text = isinstance(text, str | bytes)
                row[name] = with_room(json.loads, text) if is_text else text
            except (ValueError, RecursionError) as error:
                which = f" of entry {row['entry_id']}" if "entry_id" in row else ""
                raise CorruptStoreError(
                    f"{attempted}: the {column}{which} cannot be read as JSON: {error}"
                ) from error
    return row


def text_or_blob(value: Any) -> Any:
    """A text that was selected as a blob; bytes where it is not UTF-8, and no blob as it is."""
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value
