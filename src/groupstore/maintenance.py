"""Looking after a store: checks and compaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import apsw

from groupstore import file_system, schema
from groupstore.config import MEMORY
from groupstore.errors import CorruptStoreError, StoreBusyError, StoreError
from groupstore.opening import Patience
from groupstore.progress import Progress, refuse_uncallable
from groupstore.snapshot import snapshot

if TYPE_CHECKING:
    from groupstore.engine.engine import Engine

# https://sqlite.org/pragma.html#pragma_auto_vacuum
_INCREMENTAL = 2

# Writers wait for no more than that.
_PAGES_PER_STEP = 256


def check(engine: Engine, progress: Progress | None) -> list[str]:
    """What is wrong with the file, and with what this package keeps in it; mends the counts."""
    engine.check_open("check")
    refuse_uncallable(progress, "check")
    examinations = [*_EXAMINATIONS, _miscounted] if engine.counted else _EXAMINATIONS
    problems: list[str] = _leftovers(engine)
    found: list[str] = []
    for done, examination in enumerate(examinations, 1):
        found = _examine(engine, examination)
        # One damaged page may stop several.
        problems += [problem for problem in found if problem not in problems]
        if progress is not None:
            progress(done, len(examinations))
    if engine.counted and found and not engine.read_only:
        problems += _mend_counts(engine)
    return problems


def _examine(engine: Engine, examination: Callable[[apsw.Connection], Iterable[str]]) -> list[str]:
    """What an examination finds, and what it trips over."""
    problems: list[str] = []
    try:
        with engine.read("check") as connection, snapshot(connection):
            problems.extend(examination(connection))
    except _DAMAGE as error:
        problems.append(_reported(error, engine))
    return problems


# Text that is no UTF-8, and lengths which no value can have, are no StoreErrors.
_DAMAGE: Final = (StoreError, ValueError, MemoryError)


def _reported(error: Exception, engine: Engine) -> str:
    """What an error says of the file; raises it where the moment or the caller is at fault."""
    if not isinstance(error, StoreError):
        if isinstance(error.__cause__, apsw.Error):
            return str(error)
        return f"check: {engine.path}: {str(error) or type(error).__name__}"
    if not _tells_of_damage(error):
        raise error
    return str(error)


def _tells_of_damage(error: StoreError) -> bool:
    return isinstance(error, CorruptStoreError) or (
        isinstance(error.__cause__, apsw.Error) and not isinstance(error, StoreBusyError)
    )


def _unsound(connection: apsw.Connection) -> Iterator[str]:
    for (problem,) in connection.execute("PRAGMA integrity_check"):
        if problem != "ok":
            yield f"SQLite: {problem}"


def _malformed_entries(connection: apsw.Connection) -> Iterator[str]:
    rows = connection.execute("""
        SELECT CAST(group_name AS BLOB), CAST(entry_key AS BLOB),
               typeof(entry_value), typeof(expires_at) FROM entries
        WHERE typeof(entry_value) NOT IN ('text', 'blob')
        OR typeof(expires_at) NOT IN ('integer', 'null')""")
    for group, key, value_type, expiry_type in rows:
        yield (
            f"the row with group {group!r} and key {key!r} has a value of type {value_type} and an"
            f" expiry of type {expiry_type}"
        )


def _malformed_journal(connection: apsw.Connection) -> Iterator[str]:
    # go-store's files that are opened read-only may lack it.
    named = "SELECT 1 FROM sqlite_schema WHERE lower(name) = 'journal_entries'"
    if not connection.execute(named).fetchall():
        return
    for column in ("fields_json", "tags_json"):
        # As text: a blob may hold SQLite's own binary form.
        rows = connection.execute(f"""
            SELECT entry_id, CAST({column} AS BLOB), CASE WHEN typeof({column}) = 'text'
            AND json_valid({column}) THEN json_type({column}) END FROM journal_entries""")
        for entry_id, data, kind in rows:
            if kind != "object" or not schema.is_utf8(data):
                yield f"the journal entry {entry_id} has {column} that are no JSON object"


def _miscounted(connection: apsw.Connection) -> Iterator[str]:
    yield from schema.missing(schema.inspect(connection))
    yield from schema.miscounted(connection)


_EXAMINATIONS: Final = [_unsound, schema.unlisted, _malformed_entries, _malformed_journal]


def _leftovers(engine: Engine) -> list[str]:
    if engine.path == MEMORY:
        return []
    try:
        found = file_system.leftovers(engine.path)
    except OSError as error:
        return [f"the folder cannot be listed: {error}"]
    return [f"{path} was left by a process that died, and can be deleted" for path in found]


def _mend_counts(engine: Engine) -> list[str]:
    try:
        with engine.write("check") as connection:
            found = schema.inspect(connection)
            if found.counted:
                schema.recount(connection)
            if not found.is_current:
                schema.migrate(connection, found)
    except _DAMAGE as error:
        return [f"the counts could not be mended: {_reported(error, engine)}"]
    return []


def vacuum(engine: Engine, progress: Progress | None) -> None:
    """Give free pages back: by steps where the file allows it, else by a rebuild."""
    engine.check_open("vacuum")
    engine.refuse_in_transaction("vacuum")
    refuse_uncallable(progress, "vacuum")
    with engine.alone("vacuum") as connection:
        total = connection.pragma("freelist_count")
        by_steps = connection.pragma("auto_vacuum") == _INCREMENTAL
    if by_steps:
        _vacuum_by_steps(engine, total, progress)
    else:
        _rebuild(engine, total, progress)
    if engine.path != MEMORY:
        _shorten(engine)


def _vacuum_by_steps(engine: Engine, total: int, progress: Progress | None) -> None:
    if not total and progress is not None:
        progress(0, 0)
    for start in range(0, total, _PAGES_PER_STEP):
        pages = min(_PAGES_PER_STEP, total - start)
        sql = f"PRAGMA incremental_vacuum({pages})"
        with engine.alone("vacuum") as connection:
            Patience(engine.config)(lambda: connection.execute(sql).fetchall())  # noqa: B023
        if progress is not None:
            progress(start + pages, total)


def _rebuild(engine: Engine, total: int, progress: Progress | None) -> None:
    if total and progress is not None:
        progress(0, total)
    with engine.alone("vacuum") as connection:
        Patience(engine.config)(lambda: connection.execute("VACUUM"))
    if progress is not None:
        progress(total, total)


def _shorten(engine: Engine) -> None:
    """Have the file itself end where the database does, which a checkpoint sees to."""
    with engine.alone("vacuum") as connection, suppress(apsw.BusyError):
        # Where a reader is in the way, a later checkpoint does it. One that is under way, as of our
        # own thread, may have begun too early, and ends soon.
        Patience(engine.config)(
            lambda: connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        )
