"""Setting all that a dump holds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from groupstore import file_system, forking
from groupstore.dump_file import DumpReader, Entry
from groupstore.engine.expiry import now_ms
from groupstore.errors import QuotaExceededError, ReadOnlyError
from groupstore.progress import Progress, refuse_uncallable, unchanged

if TYPE_CHECKING:
    import apsw

    from groupstore.observing import OpenFace

# What is held in memory, and set by one call.
_BATCH_ENTRIES = 1000
_BATCH_LENGTH = 1024 * 1024

_EXPIRE = "UPDATE entries SET expires_at = ? WHERE group_name = ? AND entry_key = ?"


def load(face: OpenFace, path: str | os.PathLike[str], progress: Progress | None) -> int:
    """Set what the dump at `path` holds, through `face`; how many keys."""
    engine = face._engine
    engine.check_open("load")
    refuse_uncallable(progress, "load")
    if engine.read_only:
        raise ReadOnlyError(f"load: {engine.path} was opened read-only")
    source = file_system.locate_other(path, "load", engine.path)
    loaded = 0
    with (
        unchanged(progress) as report,
        forking.running_callbacks(),
        DumpReader(source, os.fspath(path)) as reader,
        engine.write("load") as connection,
    ):
        for batch in _batches(reader):
            _set(face, connection, batch)
            loaded += len(batch)
            if report is not None and reader.read_bytes < reader.size_bytes:
                report(reader.read_bytes, reader.size_bytes)
        if report is not None:
            report(reader.size_bytes, reader.size_bytes)
    return loaded


def _batches(reader: DumpReader) -> Iterator[list[Entry]]:
    """The entries that have not expired, in lists of one group each."""
    now = now_ms()
    batch: list[Entry] = []
    length = 0
    for entry in reader.entries():
        if entry.expires_at_ms is not None and entry.expires_at_ms <= now:
            continue
        if batch and (
            batch[0].group != entry.group or len(batch) == _BATCH_ENTRIES or length >= _BATCH_LENGTH
        ):
            yield batch
            batch, length = [], 0
        batch.append(entry)
        length += len(entry.key) + len(entry.value)
    if batch:
        yield batch


def _set(face: OpenFace, connection: apsw.Connection, batch: list[Entry]) -> None:
    group = batch[0].group
    try:
        face.set_many(group, [(entry.key, entry.value) for entry in batch])
    except QuotaExceededError as error:
        raise QuotaExceededError("load", error.namespace, error.limit, error.maximum) from error
    # A time to live is counted from the moment of the call, so that no `ttl` gives this very
    # expiry; the rows are still this transaction's own.
    connection.executemany(
        _EXPIRE,
        [
            (entry.expires_at_ms, face._prefix + group, entry.key)
            for entry in batch
            if entry.expires_at_ms is not None
        ],
    )
