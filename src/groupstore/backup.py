"""A copy of the database, made while it is in use."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import apsw

from groupstore import file_system, forking, schema
from groupstore.errors import from_sqlite
from groupstore.progress import Progress, refuse_uncallable, unchanged
from groupstore.snapshot import snapshot

if TYPE_CHECKING:
    from groupstore.engine.engine import Engine

_PAGES_PER_STEP = 256


def backup(engine: Engine, path: str | os.PathLike[str], progress: Progress | None) -> None:
    """Copy the database of `engine` to a file."""
    engine.check_open("backup")
    engine.refuse_in_transaction("backup")
    refuse_uncallable(progress, "backup")
    target = file_system.locate_other(path, "backup", engine.path)
    with (
        unchanged(progress) as report,
        forking.running_callbacks(),
        file_system.replacement(target, "backup") as temporary,
        # In one read transaction: a write by another connection would else start the copy anew,
        # and steady writers keep it from ever ending.
        engine.read("backup") as source,
        snapshot(source),
    ):
        try:
            _copy(source, temporary, report)
        except apsw.Error as error:
            raise from_sqlite(error, f"backup to {target}", engine.path) from error


def _copy(source: apsw.Connection, temporary: str, progress: Progress | None) -> None:
    copy = apsw.Connection(temporary, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOMUTEX)
    try:
        # The file has no use, and no reader, before it is complete.
        copy.pragma("journal_mode", "off")
        copy.pragma("synchronous", "off")
        with copy.backup("main", source, "main") as job:
            while not job.done:
                job.step(_PAGES_PER_STEP)
                if progress is not None:
                    progress(job.page_count - job.remaining, job.page_count)
        # An archive that is being made is the original's; here its entries are not archived.
        if schema.has_unfinished_archives(source):
            schema.forget_unfinished_archives(copy)
    finally:
        copy.close()
