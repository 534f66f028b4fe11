"""Moving entries into archives so that a crash at any instant loses none and doubles none.

Under a lock that ends with its process: an intent is recorded in the store, the file is written
beside its place, put on the disk and renamed, and one transaction marks the entries and the intent
as done. Whoever gets the lock and finds an intent knows that its process is dead. A file that has
its name is complete, and its entries are marked; otherwise there is but a fragment to remove.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from groupstore import data_folder, file_lock
from groupstore.config import MEMORY
from groupstore.engine.expiry import now_ms
from groupstore.errors import CorruptStoreError, StoreBusyError, StoreError
from groupstore.file_system import storage_error
from groupstore.folder import make_folder, new_file, sync_folder
from groupstore.journal import recorded
from groupstore.journal.archive import ENDINGS, Archive, compressed, line_of, read_archive
from groupstore.journal.recorded import Intent
from groupstore.journal.room import with_room
from groupstore.log import logger

if TYPE_CHECKING:
    from groupstore.engine.engine import Engine


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

_BATCH_BYTES = 256 * 1024

_LOCK_NAME = "compact"
_NAP_S = 0.01

_BINARY: int = getattr(os, "O_BINARY", 0)

# Held where a store in memory, which no other process can have, is being compacted.
_in_memory: WeakKeyDictionary[Engine, threading.Lock] = WeakKeyDictionary()


class _ChangedError(StoreError):
    """The entries in the file are not those in the store any more."""


def cutoff_ms(before: object) -> int:
    """The Unix time in ms, exclusive, that `compact`'s argument stands for."""
    if isinstance(before, timedelta):
        return now_ms() - before // _MILLISECOND
    if not isinstance(before, datetime):
        raise TypeError(
            f"compact: before must be a datetime or a timedelta, not {type(before).__name__}"
        )
    if before.utcoffset() is None:
        raise ValueError(f"compact: before has no time zone: {before!r}")
    # Rounded up: what was committed within the same millisecond before it is older.
    return -((_EPOCH - before) // _MILLISECOND)


def compact(engine: Engine, folder: str, committed_before: int, format: str) -> Archive | None:
    """Archive what was committed before that time; None where there is nothing."""
    with _exclusively(engine):
        _recover(engine)
        with engine.read("compact") as connection:
            if recorded.last_entry(connection, committed_before) is None:
                return None
        try:
            make_folder(folder)
            path = _new_path(folder, format)
        except OSError as error:
            raise storage_error(error, "compact", folder) from error
        with _durable(engine), engine.write("compact", spares_entries=True) as connection:
            intent = recorded.record(connection, engine.path, path, format, committed_before)
        if intent is None:
            return None
        try:
            lines = _Lines(engine, intent)
            size = _write(intent, lines)
            if lines.count == 0:
                _undo(engine, intent)
                return None
            return _settle(engine, intent, lines, size)
        except BaseException:
            _undo_quietly(engine, intent)
            raise


def recover(engine: Engine) -> None:
    """Finish or undo what a dead process left, unless a living one is at it.

    What fails is logged, and left to the next compaction.
    """
    try:
        release = _acquire(engine)
        if release is None:
            return
        try:
            _recover(engine)
        finally:
            release()
    except StoreError as error:
        logger().warning("an unfinished archive of %s is left: %s", engine.path, error)


def _recover(engine: Engine) -> None:
    with engine.read("compact") as connection:
        if not recorded.has_table(connection):
            return
        intents = recorded.unfinished(connection)
    for intent in intents:
        if not _finish(engine, intent):
            # In a copy of the database, a backup say, the original's process may be at it.
            if intent.store_path == engine.path:
                _remove(_temporary(intent.path))
            with engine.write("compact", spares_entries=True) as connection:
                recorded.forget(connection, intent)


def _finish(engine: Engine, intent: Intent) -> bool:
    """Mark the entries of an archive that has its name, and so is complete, as archived."""
    path = _place(engine, intent)
    if path is None:
        return False
    intent = intent._replace(path=path)
    try:
        entries = sum(1 for _ in read_archive(intent.path))
        # Once more, to know what is in the file and what was left out of it.
        lines = _Lines(engine, intent)
        for _ in lines:
            pass
        if lines.count != entries:
            raise _changed(intent)
        _settle(engine, intent, lines, os.stat(intent.path).st_size)
    except (CorruptStoreError, _ChangedError) as error:
        # The file stays: what it holds may be nowhere else.
        logger().warning("the archive %s is left out of account: %s", intent.path, error)
        return False
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise storage_error(error, "compact", intent.path) from error
    return True


def _place(engine: Engine, intent: Intent) -> str | None:
    """Where the archive stands, if it has got its name and is this database's to count on."""
    places = [intent.path]
    if intent.store_path != engine.path:
        name = os.path.basename(intent.path)  # noqa: PTH119 (pathlib is costly to import)
        own = os.path.join(data_folder.of_archives(engine).path(), name)  # noqa: PTH118
        # Moved, its own folder may have been moved along, or the file be where it was. While
        # there is an original, its file may yet be undone, and is no place for a copy's entries.
        is_copy = os.path.lexists(intent.store_path)
        places = [place for place in (own, intent.path) if not is_copy or place != intent.path]
    return next(filter(os.path.lexists, places), None)


def _acquire(engine: Engine) -> Callable[[], object] | None:
    """Take the right to archive this store's entries; what gives it back, or None if taken."""
    if engine.path == MEMORY:
        lock = _in_memory.setdefault(engine, threading.Lock())
        return lock.release if lock.acquire(blocking=False) else None
    # Beside the database, where every process that has it open finds it.
    held = file_lock.acquire(f"{engine.path}-archive.lock", _LOCK_NAME)
    return None if held is None else held.release


@contextmanager
def _exclusively(engine: Engine) -> Iterator[None]:
    timeout = engine.config.busy_timeout
    assert isinstance(timeout, float)
    deadline = time.monotonic() + timeout
    while (release := _acquire(engine)) is None:
        if time.monotonic() >= deadline:
            raise StoreBusyError(
                f"compact: another thread or process has been archiving {engine.path}"
                f" for {timeout} s"
            )
        time.sleep(_NAP_S)
    try:
        yield
    finally:
        release()


def _new_path(folder: str, format: str) -> str:
    """A name that no file has, by the time as UTC."""
    while True:
        seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime(seconds))
        name = f"journal-{moment}.{nanoseconds:09}.{ENDINGS[format]}"
        path = os.path.join(folder, name)  # noqa: PTH118 (pathlib is costly to import)
        if not os.path.lexists(path):
            return path


@contextmanager
def _durable(engine: Engine) -> Iterator[None]:
    """Commits survive power loss: without its intent a file would be nobody's.

    Its entries would then be archived a second time.
    """
    if engine.config.durability == "full" or engine.path == MEMORY:
        yield
        return
    with engine.alone("compact") as connection:
        connection.pragma("synchronous", "full")
    try:
        yield
    finally:
        with engine.alone("compact") as connection:
            connection.pragma("synchronous", engine.config.durability)


def _temporary(path: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.new")  # noqa: PTH118


def _write(intent: Intent, lines: _Lines) -> int:
    """Write the file and, unless it is empty, give it its name; how many bytes it has."""
    temporary = _temporary(intent.path)
    try:
        descriptor = new_file(temporary, _BINARY)
        with os.fdopen(descriptor, "wb") as file:
            with compressed(file, intent.format) as target:
                for line in lines:
                    target.write(line)
            file.flush()
            os.fsync(descriptor)
            size = os.fstat(descriptor).st_size
        if lines.count == 0:
            return size
        os.rename(temporary, intent.path)  # noqa: PTH104
        sync_folder(os.path.dirname(intent.path))  # noqa: PTH120
    except OSError as error:
        # One of ours has been told already.
        if isinstance(error, StoreError):
            raise
        raise storage_error(error, "compact", intent.path) from error
    return size


class _Lines:
    """The lines of an archive, and what could not be made one, known once all were iterated over.

    Another program's row that is no UTF-8 or JSON is left out, and stays in the table: else it
    would keep all others from ever being archived.
    """

    def __init__(self, engine: Engine, intent: Intent) -> None:
        self._engine = engine
        self._intent = intent
        self.count = 0
        self.first_committed_at = 2**63 - 1
        self.last_committed_at = -(2**63)
        self.left_out: list[int] = []

    def __iter__(self) -> Iterator[bytes]:
        last_id = -(2**63)
        while batch := self._batch_after(last_id):
            for entry_id, *texts, committed_at in batch:
                try:
                    bucket, measurement, fields, tags = (text.decode() for text in texts)
                    line = with_room(line_of, bucket, measurement, fields, tags, committed_at)
                except (ValueError, RecursionError) as error:
                    self._leave_out(entry_id, error)
                    continue
                self.count += 1
                # Not in the order of commits where the clock was set back.
                self.first_committed_at = min(committed_at, self.first_committed_at)
                self.last_committed_at = max(committed_at, self.last_committed_at)
                yield line
            last_id = batch[-1][0]

    def _batch_after(self, entry_id: int) -> list[recorded.Row]:
        with self._engine.read("compact") as connection:
            return recorded.rows_after(connection, self._intent, entry_id, _BATCH_BYTES)

    def _leave_out(self, entry_id: int, error: Exception) -> None:
        # One: a row stays, and is met by each compaction.
        if not self.left_out:
            logger().warning(
                "compact: %s: entry %d cannot be archived: %s", self._engine.path, entry_id, error
            )
        self.left_out.append(entry_id)


def _settle(engine: Engine, intent: Intent, lines: _Lines, size: int) -> Archive:
    times = (lines.first_committed_at, lines.last_committed_at)
    archive = Archive(intent.path, lines.count, intent.format, size, *times)
    with engine.write("compact", spares_entries=True) as connection:
        if recorded.mark(connection, intent, lines.left_out, now_ms()) != lines.count:
            raise _changed(intent)
        recorded.finish(connection, intent, archive)
    return archive


def _changed(intent: Intent) -> _ChangedError:
    return _ChangedError(f"compact: another program changed the entries that are in {intent.path}")


def _undo_quietly(engine: Engine, intent: Intent) -> None:
    """Undo it after a failure; where that fails too it is left for the next recovery."""
    with suppress(StoreError):
        with engine.read("compact") as connection:
            # An interrupt may have come after the commit that finished it.
            is_unfinished = intent in recorded.unfinished(connection)
        if is_unfinished:
            _undo(engine, intent)


def _undo(engine: Engine, intent: Intent) -> None:
    # The intent last: until it is gone this can be done again.
    _remove(_temporary(intent.path))
    _remove(intent.path)
    with engine.write("compact", spares_entries=True) as connection:
        recorded.forget(connection, intent)


def _remove(path: str) -> None:
    try:
        os.unlink(path)  # noqa: PTH108
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise storage_error(error, "compact", path) from error
