"""The class of workspaces."""

from __future__ import annotations

import enum
import logging
import os
import threading
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self

import apsw

from groupstore import file_lock
from groupstore.errors import StoreClosedError, StoreError
from groupstore.file_system import locate_other, named
from groupstore.folder import sync_folder
from groupstore.guarded_sql import Parameters, run_guarded
from groupstore.json_values import check_name
from groupstore.opening import Patience
from groupstore.workspace import buffer_file, live, recording
from groupstore.workspace.payload import encode, encode_rows

if TYPE_CHECKING:
    from types import TracebackType

    from groupstore.store import Store

_logger = logging.getLogger("groupstore")

LOCK_FILE: Final = ".lock"
"""In the folder of the workspaces; the lock on a name says that a living process uses its file."""

_READABLE: Final = ("entries", "workspace_entries")
"""The view that is offered to queries, and the table that it reads."""

_INSERT: Final = "INSERT INTO workspace_entries (kind, data, created_at) VALUES (?, ?, ?)"

_SELECT: Final = "SELECT kind, data, created_at FROM workspace_entries ORDER BY id"

# One call a batch: turning each row into values of SQLite by itself would take three times as long.
_INSERT_MANY: Final = """INSERT INTO workspace_entries (kind, data, created_at)
    SELECT ?, value, ? FROM json_each(?)"""


class State(enum.Enum):
    """What became of a workspace; the values end the sentences of errors."""

    OPEN = "is open"
    WRITING = "is in the middle of another call of this thread"
    COMMITTING = "is being committed"
    COMMITTED = "was committed"
    DISCARDED = "was discarded"
    CLOSED = "is closed"
    INHERITED = "stays with the process that this one was forked from"


class Workspace:
    """A named buffer of JSON objects in a file of its own, until `commit`, `discard` or `close`.

    Made by `Store.workspace` and `Store.recover_workspaces`. A `put` that returned survives the
    death of the process. Safe to use from many threads; a forked child cannot use its parent's.
    Leaving its `with` block closes it and keeps the file; one that is forgotten closes itself and
    emits a `ResourceWarning`.

    A call on a workspace that is closed, or was committed, raises `StoreError`, but for
    `discard`, `close` and the properties.
    """

    __slots__ = (
        *("__weakref__", "_connection", "_counts", "_identity", "_lock", "_name"),
        *("_path", "_state", "_store", "_turn", "_was_closed"),
    )

    def __init__(self, store: Store, name: str, path: str, lock: file_lock.FileLock) -> None:
        """`lock` is the one on `name` in the lock file beside `path`, the workspace's from now."""
        self._state = State.CLOSED
        self._store = store
        self._name = name
        self._path = path
        self._lock = lock
        self._turn = threading.RLock()
        self._connection: apsw.Connection | None = None
        self._identity = ""
        # None where an interrupt may have put them wrong. Nobody else can write to the file.
        self._counts: dict[str, int] | None = {}
        self._was_closed = False
        live.add(self)
        self._state = State.OPEN

    @property
    def name(self) -> str:
        """The name that the workspace was made by."""
        return self._name

    @property
    def path(self) -> str:
        """The absolute path of its file."""
        return self._path

    @property
    def closed(self) -> bool:
        """Whether it was closed, committed or discarded."""
        return self._state not in (State.OPEN, State.WRITING, State.COMMITTING)

    def put(self, kind: str, data: Mapping[str, Any] | None = None) -> None:
        """Append a JSON object, `{}` for None, under `kind`.

        Raises `TypeError` where `kind` is no `str`, or `data` no mapping with keys of `str` and
        values of JSON; `ValueError` for an empty `kind`, NaN, infinities and lone surrogates.
        """
        check_name(kind, "put", "kind")
        text = encode(data, "put")
        with self._turn:
            connection = self._connected("put")
            try:
                connection.execute(_INSERT, (kind, text, time.time_ns() // 1_000_000))
                if self._counts is not None:
                    self._counts[kind] = self._counts.get(kind, 0) + 1
            except BaseException as error:
                self._counts = None
                self._raise_ours(error, "put")

    def put_many(self, kind: str, rows: Iterable[Mapping[str, Any] | None]) -> int:
        """Append the rows under `kind`, all of them or none; how many they were.

        Raises what `put` raises, with the number of the row, from 0.
        """
        check_name(kind, "put_many", "kind")
        # Before the lock: the caller's iterator may do anything.
        arrays = list(encode_rows(rows, "put_many"))
        with self._writing("put_many") as connection:
            before = connection.total_changes()
            now_ms = time.time_ns() // 1_000_000
            for array in arrays:
                connection.execute(_INSERT_MANY, (kind, now_ms, array))
            added = connection.total_changes() - before
            if added:
                self._count(kind, added)
        return added

    def import_file(self, path: str | os.PathLike[str], kind: str | None = None) -> int:
        """Append the records of a file, all of them or none; how many they were.

        The suffix names the format: `.json` (an array of objects, one object, or an object with
        an array under `entries`, `records` or `data`), `.csv` (the first row names the columns;
        the values are text), JSON Lines otherwise; `.gz` or `.zst` after it the compression. The
        kind of a record is `kind` or, where that is None, the file's name without its suffixes;
        entries that `export_file` wrote as JSON keep their time, and their kind where none is
        given. One record at a time is in memory, and other threads' calls wait.

        Raises `ValueError` with the path and line of a bad record, `StorageError` where the file
        cannot be read.
        """
        if kind is not None:
            check_name(kind, "import_file", "kind")
        # Loaded, with the compressions, by files alone.
        from groupstore.workspace import file_format, importing  # noqa: PLC0415

        given = named(path, "import_file", "path")
        source = locate_other(given, "import_file", self._path)
        counts: dict[str, int] = {}
        rows = importing.read_rows(source, file_format.parse(given), kind)
        with closing(rows), self._writing("import_file") as connection:
            for row in rows:
                connection.execute(_INSERT, row)
                counts[row.kind] = counts.get(row.kind, 0) + 1
            for one, number in counts.items():
                self._count(one, number)
        return sum(counts.values())

    def export_file(self, path: str | os.PathLike[str]) -> int:
        """Write all entries, in their order, to a file that appears complete or not at all.

        It takes the place of one that is there; the suffix names the format as in `import_file`.
        JSON Lines and JSON hold objects of `kind`, `data` and `created_at`, which `import_file`
        takes back as they were. CSV holds the data alone, with a column for each key; what is no
        text stands there as JSON. Other threads' calls wait. Returns how many entries there are.

        Raises `StorageError`, or `DiskFullError`, where the file cannot be written.
        """
        # As in import_file().
        from groupstore.workspace import exporting, file_format  # noqa: PLC0415

        given = named(path, "export_file", "path")
        target = locate_other(given, "export_file", self._path)
        with self._turn:
            connection = self._connected("export_file")
            with buffer_file.errors_of("export_file", self._path):
                return exporting.write_file(
                    target, file_format.parse(given), lambda: connection.execute(_SELECT)
                )

    def query(self, sql: str, parameters: Parameters = ()) -> list[dict[str, Any]]:
        """The rows of a SELECT over the view `entries(id, kind, data, created_at)`, as dicts.

        `id` counts from 1 in the order of the entries, `data` is JSON text, `created_at` Unix
        milliseconds. `parameters` is a sequence for `?` or a mapping for `:name`. Other threads'
        calls wait. Raises `QueryError` for what is wrong, or does more than to read.
        """
        if not isinstance(sql, str):
            raise TypeError(f"query: sql must be str, not {type(sql).__name__}")
        with self._turn:
            connection = self._connected("query")
            return list(
                run_guarded(
                    connection,
                    sql,
                    parameters,
                    tables=_READABLE,
                    timeout=None,
                    attempted="query",
                )
            )

    def count(self) -> int:
        """How many entries there are, of all kinds."""
        return sum(self._counted("count").values())

    def aggregate(self) -> dict[str, int]:
        """How many entries there are of each kind, in the order of the kinds' names."""
        return self._counted("aggregate")

    def commit(self) -> dict[str, int]:
        """Append the aggregate to the store's journal, and remove the file; the aggregate.

        One transaction of the store takes a journal entry (measurement: the name; fields: the
        aggregate; tags: `{"workspace": name}`) and the aggregate as JSON under the key `summary`
        of the group `workspace:<name>`, with its `SET`. It is done exactly once, even where the
        process dies in the middle: `Store.recover_workspaces` then removes the file, or gives the
        workspace back.

        Raises `StoreError` inside a transaction of the store, whose end could not bring the file
        back. After an error the workspace is as it was, unless the error came after the commit.
        """
        with self._turn:
            self._check_open("commit")
            self._store._engine.refuse_in_transaction("commit")
            aggregate = self.aggregate()
        has_begun = False
        try:
            with self._turn:
                self._check_open("commit")
                # Without the turn from here on: the callbacks of the SET may do anything.
                has_begun = True
                self._state = State.COMMITTING
            recording.record(self._store, self._identity, self._name, aggregate)
        except BaseException:
            if has_begun:
                self._end_failed_commit()
            raise
        self._end_commit()
        return aggregate

    def discard(self) -> None:
        """Remove the file with all entries. Idempotent.

        Of a closed workspace it removes the file that was kept, unless another workspace took its
        name since. Raises `StoreError` while it is being committed, and where the file is in use
        again.
        """
        with self._turn:
            if self._state in (State.WRITING, State.COMMITTING, State.INHERITED):
                raise self._unusable("discard")
            if self._state is State.CLOSED:
                self._discard_closed()
            elif self._state is State.OPEN:
                self._remove("discard")
                self._leave(State.DISCARDED)

    def close(self) -> None:
        """Keep the file, for `Store.recover_workspaces`. Idempotent."""
        with self._turn:
            if self._state in (State.WRITING, State.COMMITTING):
                # The writing or committing thread leaves, and keeps the file until then.
                self._was_closed = True
            elif self._state is State.OPEN:
                if self._connection is not None:
                    buffer_file.close_tidily(self._connection)
                    self._connection = None
                self._leave(State.CLOSED)

    def __enter__(self) -> Self:
        with self._turn:
            self._check_open("enter")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # An interrupt may have kept __init__ from its end.
        if getattr(self, "_state", State.CLOSED) not in (State.OPEN, State.COMMITTING):
            return
        try:
            # A recovered one that was looked at only holds nothing but its name.
            if self._connection is not None:
                warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)
        finally:
            self.close()

    def __repr__(self) -> str:
        suffix = "" if self._state is State.OPEN else f", {self._state.value}"
        return f"<Workspace {self._name!r}{suffix}>"

    # The file.

    def _make(self, identity: str) -> None:
        """Make and open the file of a new workspace."""
        with self._turn, buffer_file.errors_of("workspace", self._path):
            buffer_file.create(self._path, identity)
            self._identity = identity
            self._connected("workspace")

    def _examine(self) -> None:
        """Take over a file that is there already. Raises `CorruptStoreError` for a bad one.

        No connection stays open, as there may be thousands of files.
        """
        with self._turn, buffer_file.errors_of("recover_workspaces", self._path):
            connection = buffer_file.connect(self._path)
            try:
                content = buffer_file.examine(connection, self._path)
            finally:
                connection.close()
        self._identity = content.identity
        self._counts = content.counts

    def _connected(self, attempted: str) -> apsw.Connection:
        if self._connection is not None and self._state is State.OPEN:
            return self._connection
        self._check_open(attempted)
        with buffer_file.errors_of(attempted, self._path):
            # Another program may be looking at the file.
            connection = Patience(self._store.config)(lambda: buffer_file.connect(self._path))
            buffer_file.prepare_to_write(connection)
        self._connection = connection
        return connection

    @contextmanager
    def _writing(self, attempted: str) -> Iterator[apsw.Connection]:
        """One transaction on the file."""
        with self._turn:
            connection = self._connected(attempted)
            try:
                # A signal's handler may come in here, and what it puts could be rolled back.
                self._state = State.WRITING
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except BaseException as error:
                self._counts = None
                if self._connection is connection and connection.in_transaction:
                    connection.execute("ROLLBACK")
                self._raise_ours(error, attempted)
            finally:
                if self._state is State.WRITING:
                    self._state = State.OPEN
                    if self._was_closed:
                        self.close()

    def _raise_ours(self, error: BaseException, attempted: str) -> NoReturn:
        with buffer_file.errors_of(attempted, self._path):
            raise error
        raise AssertionError

    def _count(self, kind: str, added: int) -> None:
        if self._counts is not None:
            self._counts[kind] = self._counts.get(kind, 0) + added

    def _counted(self, attempted: str) -> dict[str, int]:
        """The counts by kind."""
        with self._turn:
            self._check_open(attempted)
            if self._counts is None:
                connection = self._connected(attempted)
                with buffer_file.errors_of(attempted, self._path):
                    self._counts = buffer_file.count_kinds(connection)
            return dict(sorted(self._counts.items()))

    # Its ends.

    def _unusable(self, attempted: str) -> StoreError:
        exception = StoreClosedError if self._state is State.CLOSED else StoreError
        return exception(f"{attempted}: workspace {self._name!r} {self._state.value}")

    def _check_open(self, attempted: str) -> None:
        if self._state is not State.OPEN:
            raise self._unusable(attempted)

    def _leave(self, state: State) -> None:
        """Stop using the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._state = state
        self._lock.release()
        live.drop(self)

    def _leave_to_parent(self) -> None:
        """In a forked child: close what it has inherited, which its parent does not notice."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if not self.closed:
            self._state = State.INHERITED

    def _remove(self, attempted: str) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        with buffer_file.errors_of(attempted, self._path):
            buffer_file.remove(self._path)

    def _discard_closed(self) -> None:
        """Remove the file that `close` kept, if it is still there."""
        folder = os.path.dirname(self._path)  # noqa: PTH120
        if not buffer_file.is_regular(self._path):
            self._state = State.DISCARDED
            return
        lock = file_lock.acquire(os.path.join(folder, LOCK_FILE), self._name)  # noqa: PTH118
        if lock is None:
            raise StoreError(f"discard: {self._path} is in use again")
        try:
            if self._is_own_file():
                self._remove("discard")
            self._state = State.DISCARDED
        finally:
            lock.release()

    def _is_own_file(self) -> bool:
        with buffer_file.errors_of("discard", self._path):
            connection = buffer_file.connect(self._path)
            try:
                return buffer_file.examine(connection, self._path).identity == self._identity
            finally:
                connection.close()

    def _end_failed_commit(self) -> None:
        """Go on where nothing was recorded; else the commit is done, whatever came after it."""
        # Where nobody can say: recovery will find out.
        is_recorded: bool | None = None
        try:
            is_recorded = recording.is_recorded(self._store, self._identity)
        except StoreError:
            pass
        finally:
            # After an interrupt too: a workspace that stays half-way could never be closed.
            if is_recorded:
                self._end_commit()
            else:
                self._go_on(keeps_open=is_recorded is not None)

    def _go_on(self, *, keeps_open: bool) -> None:
        with self._turn:
            if self._state is State.COMMITTING:
                self._state = State.OPEN
                if self._was_closed or not keeps_open:
                    self.close()

    def _end_commit(self) -> None:
        """Remove the file, for good, and only then the note that it was committed."""
        is_gone = False
        with self._turn:
            if self._state is not State.COMMITTING:
                raise self._unusable("commit")
            try:
                self._remove("commit")
                sync_folder(os.path.dirname(self._path))  # noqa: PTH120
                is_gone = True
            except (StoreError, OSError) as error:
                _logger.warning(
                    "workspace %r was committed; recovery will remove its file: %s",
                    *(self._name, error),
                )
            finally:
                self._leave(State.COMMITTED)
        if is_gone:
            recording.forget(self._store, [self._identity])
