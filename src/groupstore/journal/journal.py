"""What `Store.journal` offers."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from groupstore.engine.expiry import now_ms
from groupstore.errors import ReadOnlyError
from groupstore.file_system import named
from groupstore.journal.entry import (
    Document,
    JournalEntry,
    encode_fields,
    encode_tags,
)
from groupstore.journal.query import Query
from groupstore.json_values import check_name

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from groupstore.journal.archive import Archive
    from groupstore.store import Store

_INSERT = """INSERT INTO journal_entries
    (bucket_name, measurement, fields_json, tags_json, committed_at) VALUES (?, ?, ?, ?, ?)"""
_INSERT_MANY = f"{_INSERT} RETURNING entry_id"

_NAMES = ("measurement", "fields", "tags")


class Journal:
    """Append-only records in the file of a store. Made by `Store.journal`.

    Inside a transaction of the store by the same thread, `append` and `append_many` take part in
    it, and queries see what it wrote.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._engine = store._engine
        self._bucket = self._engine.config.journal_bucket

    def append(
        self,
        measurement: str,
        fields: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> JournalEntry:
        """Append a record to the bucket `StoreConfig.journal_bucket`.

        `fields` are JSON values by name, `tags` strings by name. Raises `ValueError` for an empty
        measurement, NaN, infinities, lone surrogates, circles and nesting deeper than 500;
        `TypeError` for what JSON cannot hold, keys that are no `str` included.
        """
        check_name(measurement, "append", "measurement")
        fields_json, own_fields = encode_fields(fields, "append")
        tags_json, own_tags = encode_tags(tags, "append")
        self._engine.check_open("append")
        self._refuse_read_only("append")
        with self._engine.write("append", spares_entries=True) as connection:
            # Read with the write lock held, so that times follow the order of commits.
            committed_at = now_ms()
            connection.execute(
                _INSERT, (self._bucket, measurement, fields_json, tags_json, committed_at)
            )
            entry_id = connection.last_insert_rowid()
        return JournalEntry(entry_id, self._bucket, measurement, own_fields, own_tags, committed_at)

    def append_many(
        self, entries: Iterable[Mapping[str, Any] | tuple[Any, ...]]
    ) -> list[JournalEntry]:
        """Append all of `entries` in one commit, or none of them.

        An entry is a mapping of `measurement` and, where there are any, `fields` and `tags`; or a
        tuple of one to three of them in that order. Raises what `append` does, naming the entry
        by its index from 0.
        """
        if not isinstance(entries, Iterable):
            raise TypeError(
                f"append_many: entries must be an iterable, not {type(entries).__name__}"
            )
        prepared = [_prepared(entry, index) for index, entry in enumerate(entries)]
        self._engine.check_open("append_many")
        self._refuse_read_only("append_many")
        if not prepared:
            return []
        with self._engine.write("append_many", spares_entries=True) as connection:
            committed_at = now_ms()
            rows = [
                (self._bucket, measurement, fields.text, tags.text, committed_at)
                for measurement, fields, tags in prepared
            ]
            ids = [entry_id for (entry_id,) in connection.executemany(_INSERT_MANY, rows)]
        return [
            JournalEntry(
                entry_id, self._bucket, measurement, fields.content, tags.content, committed_at
            )
            for entry_id, (measurement, fields, tags) in zip(ids, prepared, strict=True)
        ]

    def query(
        self,
        text: str = "",
        /,
        *,
        timeout: float | None = None,
        archives: bool = False,
        **parameters: Any,
    ) -> list[dict[str, Any]]:
        """The rows that `text` asks for, as dicts.

        Empty text: every entry that is not archived, in commit order. A text that starts with
        SELECT, WITH or EXPLAIN is SQL, which may read every table of the store's file and do
        nothing else; `parameters` bind its `:name` places. Anything else is Flux. With `archives`,
        which SQL has no need of, entries that were archived are not left out.

        A row has the columns `entry_id`, `bucket_name`, `measurement`, `fields_json`,
        `tags_json`, `committed_at` and `archived_at` (Unix ms), and beside their JSON the decoded
        `fields` and `tags`, which SQL that has those columns gets as well. A text that is not
        valid UTF-8 is given as `bytes`, but in SQL, which has to CAST it AS BLOB.

        Raises `QueryError` for what cannot be run, what does more than to read, a missing or
        unknown parameter, columns of the same name, and a query that takes longer than `timeout`
        seconds; `CorruptStoreError` for `fields_json` or `tags_json` that are no JSON.
        """
        return list(self._query(text, timeout, archives, parameters).run())

    def iter_query(
        self,
        text: str = "",
        /,
        *,
        timeout: float | None = None,
        archives: bool = False,
        **parameters: Any,
    ) -> Iterator[dict[str, Any]]:
        """Iterate over the rows that `query` would give, in bounded memory.

        The first `next()` runs the query to its end, into a temporary file where the rows are
        many. An iterator that is left alone holds no lock, no transaction and no connection.
        """
        return self._query(text, timeout, archives, parameters).iterate()

    def compact(
        self,
        before: datetime | timedelta,
        *,
        output: str | os.PathLike[str] | None = None,
        format: str = "gzip",
    ) -> Archive | None:
        """Move the entries that were committed before a time into a new compressed file.

        `before` is an aware `datetime`, or a `timedelta` ago. The file's name is
        `journal-YYYYmmdd-HHMMSS.nnnnnnnnn.jsonl.gz` (UTC; `.zst` of the `format` `"zstd"`), in
        the folder `output`, made if missing, or else in `StoreConfig.archive_directory`. It
        holds a JSON object a line: `bucket`, `measurement`, `fields`, `tags`, `committed_at`
        (Unix ms), in commit order. The rows stay in the table, marked as archived. None where
        no entry is as old.

        The entries are in one archive each, whatever fails and however the process ends: what it
        leaves unfinished is finished or undone when the store is next opened, or by the next
        compaction. While another thread or process archives this store the call waits.

        Raises `ValueError` for a time without zone and an unknown format, `StoreError` inside a
        transaction, `StoreBusyError` after waiting for `busy_timeout`, `StorageError` and
        `DiskFullError` where the file cannot be written; nothing is archived then. An entry of
        another program whose texts are no UTF-8 or no JSON is left out, with a warning in the log.
        """
        # Here, not above: appending and querying need none of it.
        from groupstore.journal import compaction  # noqa: PLC0415
        from groupstore.journal.archive import ENDINGS  # noqa: PLC0415

        committed_before = compaction.cutoff_ms(before)
        if not isinstance(format, str):
            raise TypeError(f"compact: format must be str, not {type(format).__name__}")
        if format not in ENDINGS:
            names = " or ".join(map(repr, ENDINGS))
            raise ValueError(f"compact: format must be {names}, not {format!r}")
        folder = None if output is None else os.path.realpath(named(output, "compact", "output"))
        self._engine.check_open("compact")
        self._refuse_read_only("compact")
        self._engine.refuse_in_transaction("compact")
        return compaction.compact(
            self._engine,
            folder or self._store._archive_folder.path(),
            committed_before,
            format,
        )

    def archives(self) -> list[Archive]:
        """The archives that `compact` has made of this store, in the order of creation.

        Those in an `output` folder are among them, and those that moved with the store from
        folder to folder of archives; those whose file is gone, and files of other stores or
        programs, are not. No file is read.
        """
        from groupstore.journal import recorded  # noqa: PLC0415 (as in compact)

        with self._engine.read("archives") as connection:
            if not recorded.has_table(connection):
                return []
            made = recorded.finished(connection)
        return [archive for archive in map(self._placed, made) if archive is not None]

    def _placed(self, archive: Archive) -> Archive | None:
        """The archive where its file is now."""
        if os.path.isfile(archive.path):  # noqa: PTH113 (pathlib is costly to import)
            return archive
        name = os.path.basename(archive.path)  # noqa: PTH119
        moved = os.path.join(self._store._archive_folder.path(), name)  # noqa: PTH118
        return dataclasses.replace(archive, path=moved) if os.path.isfile(moved) else None  # noqa: PTH113

    def _query(
        self, text: str, timeout: float | None, archives: bool, parameters: dict[str, Any]
    ) -> Query:
        self._engine.check_open("query")
        return Query(self._store, text, timeout, archives, parameters)

    def _refuse_read_only(self, attempted: str) -> None:
        if self._engine.read_only:
            raise ReadOnlyError(f"{attempted}: {self._engine.path} was opened read-only")


def _prepared(entry: object, index: int) -> tuple[str, Document, Document]:
    attempted = f"append_many: entry {index}"
    if isinstance(entry, Mapping):
        unknown = [name for name in entry if name not in _NAMES]
        if unknown:
            raise TypeError(f"{attempted}: {unknown[0]!r} is none of {', '.join(_NAMES)}")
        if "measurement" not in entry:
            raise TypeError(f"{attempted}: measurement is missing")
        values = tuple(entry.get(name) for name in _NAMES)
    elif isinstance(entry, tuple) and 1 <= len(entry) <= len(_NAMES):
        values = (*entry, None, None)[: len(_NAMES)]
    else:
        raise TypeError(f"{attempted}: must be a mapping, or a tuple of one to three: {entry!r}")
    measurement: Any
    measurement, fields, tags = values
    check_name(measurement, attempted, "measurement")
    return measurement, encode_fields(fields, attempted), encode_tags(tags, attempted)
