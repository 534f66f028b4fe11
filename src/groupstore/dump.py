"""Writing the live keys of a store or of a namespace to a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import apsw

from groupstore import file_system, forking
from groupstore.dump_file import DumpWriter, Entry
from groupstore.engine.expiry import now_ms
from groupstore.errors import CorruptStoreError
from groupstore.progress import Progress, refuse_uncallable, unchanged
from groupstore.snapshot import snapshot

if TYPE_CHECKING:
    from groupstore.observing import OpenFace

_ENTRIES_PER_PROGRESS = 1000

# Names and values as blobs: not all that another program calls text is UTF-8.
_COLUMNS = """CAST(group_name AS BLOB), CAST(entry_key AS BLOB),
    typeof(entry_value) = 'text', CAST(entry_value AS BLOB), expires_at"""


def dump(
    face: OpenFace, path: str | os.PathLike[str], prefix: str, progress: Progress | None
) -> int:
    """Write the live keys of `face` in groups that start with `prefix`; how many."""
    engine = face._engine
    engine.check_open("dump")
    refuse_uncallable(progress, "dump")
    condition, bindings = _selection(face._prefix, prefix)
    target = file_system.locate_other(path, "dump", engine.path)
    with (
        unchanged(progress) as report,
        forking.running_callbacks(),
        file_system.replacement(target, "dump") as temporary,
        DumpWriter(temporary, os.fspath(path)) as writer,
        engine.read("dump") as connection,
        snapshot(connection),
    ):
        total = 0 if report is None else _count(connection, condition, bindings)
        for done, row in enumerate(_rows(connection, condition, bindings)):
            if report is not None and done % _ENTRIES_PER_PROGRESS == 0 < done:
                report(done, total)
            entry = _entry(row, len(face._prefix))
            if entry is not None:
                writer.write(entry)
        writer.finish()
        if report is not None:
            report(total, total)
    return writer.entries


def _selection(face_prefix: str, prefix: str) -> tuple[str, tuple[object, ...]]:
    """The condition of the rows to dump, and what it binds."""
    if not isinstance(prefix, str):
        raise TypeError(f"dump: prefix must be str, not {type(prefix).__name__}")
    try:
        first = (face_prefix + prefix).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"dump: prefix holds a lone surrogate: {prefix[:80]!r}") from error
    condition = """typeof(group_name) = 'text' AND typeof(entry_key) = 'text'
        AND (expires_at IS NULL OR typeof(expires_at) = 'integer' AND expires_at > ?)"""
    if not first:
        return condition, (now_ms(),)
    # UTF-8 has no byte 0xff, so the last one can be stepped up.
    beyond = first[:-1] + bytes([first[-1] + 1])
    condition += " AND group_name >= CAST(? AS TEXT) AND group_name < CAST(? AS TEXT)"
    return condition, (now_ms(), first, beyond)


def _count(connection: apsw.Connection, condition: str, bindings: tuple[Any, ...]) -> int:
    sql = f"SELECT count(*) FROM entries WHERE {condition}"
    number: int = connection.execute(sql, bindings).get
    return number


def _rows(
    connection: apsw.Connection, condition: str, bindings: tuple[Any, ...]
) -> Iterator[tuple[Any, ...]]:
    sql = f"SELECT {_COLUMNS} FROM entries WHERE {condition} ORDER BY group_name, entry_key"
    with closing(connection.cursor()) as cursor:
        try:
            yield from cursor.execute(sql, bindings)
        except apsw.TooBigError as error:
            # No row was written so: a damaged one claims a length that none can have.
            path = connection.db_filename("main")
            raise CorruptStoreError(f"dump: {path}: {error}") from error


def _entry(row: tuple[Any, ...], prefix_length: int) -> Entry | None:
    """The entry of a row; None where its name is no UTF-8, so that no listing shows it."""
    group, key, is_text, data, expires_at_ms = row
    try:
        name = group.decode()[prefix_length:]
        key_name = key.decode()
    except UnicodeDecodeError:
        return None
    return Entry(name, key_name, _value(is_text, data), expires_at_ms)


def _value(is_text: bool, data: bytes) -> str | bytes:
    if not is_text:
        return data
    try:
        return data.decode()
    except UnicodeDecodeError:
        # go-store's values may be any bytes; `get` gives them as such, too.
        return data
