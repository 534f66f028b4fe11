"""Queries: which connection they run on, and rows that outlive it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import apsw

from groupstore.engine.expiry import now_ms
from groupstore.errors import CorruptStoreError, QueryError, from_sqlite
from groupstore.guarded_sql import beginning, interrupted_after, run_guarded
from groupstore.journal.rows import all_rows, inflate
from groupstore.journal.spool import Spool
from groupstore.opening import Patience

if TYPE_CHECKING:
    from groupstore.journal.flux_functions import Deadline
    from groupstore.journal.flux_sql import CompiledFlux
    from groupstore.store import Store

_SQL = re.compile(r"(?:SELECT|WITH|EXPLAIN)\b", re.IGNORECASE)


class Query:
    """One query, checked: `rows` gives its rows on a connection, which `connection` chooses."""

    def __init__(
        self,
        store: Store,
        text: str,
        timeout: float | None,
        archives: bool,
        parameters: dict[str, Any],
    ) -> None:
        if not isinstance(text, str):
            raise TypeError(f"query: text must be str, not {type(text).__name__}")
        if not isinstance(archives, bool):
            raise TypeError(f"query: archives must be bool, not {type(archives).__name__}")
        _check_timeout(timeout)
        self._is_sql = _SQL.match(text, beginning(text)) is not None
        if parameters and not self._is_sql:
            raise QueryError("query: only SQL takes parameters")
        self._flux = None if self._is_sql or not text else _compiled(text, archives)
        # Kept alive until the query has run.
        self._store = store
        self._engine = store._engine
        self._text = text
        self._timeout = timeout
        self._archives = archives
        self._parameters = parameters

    def run(self) -> Generator[dict[str, Any], None, None]:
        """The rows, while a connection is held; to be run to the end at once."""
        with (
            self._engine.read("query") as lent,
            self._own_connection(lent) as connection,
            _snapshot(connection, Patience(self._engine.config)),
            # Closed before its connection is, also where a row cannot be decoded.
            closing(self._rows(connection)) as rows,
        ):
            for row in rows:
                yield inflate(row, "query") if self._flux is None else row

    def iterate(self) -> Generator[dict[str, Any], None, None]:
        """The rows out of a temporary file: nothing of the store is held between two of them."""
        with closing(Spool()) as spool:
            with closing(self.run()) as rows:
                for row in rows:
                    spool.put(row)
            yield from spool.rows()

    @contextmanager
    def _own_connection(self, lent: apsw.Connection) -> Iterator[apsw.Connection]:
        # An authorizer makes a connection compile all of its statements anew.
        if not self._is_sql or not self._engine.shared or lent.in_transaction:
            yield lent
            return
        connection = self._engine.database.connect()
        try:
            connection.pragma("query_only", 1)
            yield connection
        finally:
            connection.close()

    def _rows(self, connection: apsw.Connection) -> Generator[dict[str, Any], None, None]:
        if self._flux is not None:
            return self._timed(connection, _flux_rows(connection, self._flux, self._timeout))
        if not self._is_sql:
            return self._timed(connection, all_rows(connection, self._archives))
        return run_guarded(
            connection,
            self._text,
            self._parameters,
            tables=None,
            timeout=self._timeout,
            attempted="query",
        )

    def _timed(
        self, connection: apsw.Connection, rows: Generator[dict[str, Any], None, None]
    ) -> Generator[dict[str, Any], None, None]:
        try:
            with interrupted_after(connection, self._timeout):
                yield from rows
        except apsw.InterruptError as error:
            raise QueryError("query: the timeout is over") from error
        except apsw.SQLError as error:
            raise QueryError(f"query: {error}") from error
        except apsw.Error as error:
            raise from_sqlite(error, "query", self._engine.path) from error


def _compiled(text: str, archives: bool) -> CompiledFlux:
    # Here, not above: appending and SQL need no parser.
    from groupstore.journal.flux_parser import parse  # noqa: PLC0415
    from groupstore.journal.flux_sql import compile_flux  # noqa: PLC0415

    try:
        return compile_flux(parse(text), now_ms=now_ms(), archives=archives)
    except RecursionError as error:
        raise QueryError("query: the caller's stack leaves no room to read it") from error


_deadlines: WeakKeyDictionary[apsw.Connection, Deadline] = WeakKeyDictionary()


def _flux_rows(
    connection: apsw.Connection, flux: CompiledFlux, timeout: float | None
) -> Generator[dict[str, Any], None, None]:
    from groupstore.journal.flux_regexp import check_deadline  # noqa: PLC0415 (as above)
    from groupstore.journal.flux_sql import register_functions  # noqa: PLC0415 (as above)

    # Once: SQLite does not replace a function while a statement is being run.
    if connection not in _deadlines:
        _deadlines[connection] = register_functions(connection)
    # The bound: an int may be too large for a float.
    lasts_s = threading.TIMEOUT_MAX if timeout is None else min(timeout, threading.TIMEOUT_MAX)
    deadline = time.monotonic() + lasts_s
    _deadlines[connection].at = deadline
    with closing(connection.cursor()) as cursor:
        try:
            for values in cursor.execute(flux.sql, flux.bindings, can_cache=False):
                yield flux.decode_row(values)
            # SQLite looks only every so many steps, and never into a function.
            check_deadline(deadline)
        except UnicodeDecodeError as error:
            raise CorruptStoreError("query: an entry's text is not valid UTF-8") from error
        except apsw.SQLError as error:
            if "malformed JSON" not in str(error):
                raise
            raise CorruptStoreError(f"query: an entry cannot be read: {error}") from error


def _check_timeout(timeout: object) -> None:
    if timeout is None:
        return
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError(f"query: timeout must be seconds, not {type(timeout).__name__}")
    # False for NaN.
    if not timeout > 0:
        raise ValueError(f"query: timeout must be positive, not {timeout!r}")


@contextmanager
def _snapshot(connection: apsw.Connection, patience: Patience) -> Iterator[None]:
    """A read transaction: from here on the query meets no lock of another process."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN")
    try:
        patience(lambda: connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall())
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
