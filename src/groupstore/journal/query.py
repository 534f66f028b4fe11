"""Queries: which connection they run on, and rows that outlive it."""

from __future__ import annotations

import marshal
import re
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any

import apsw

from groupstore.errors import QueryError, from_sqlite
from groupstore.guarded_sql import beginning, interrupted_after, run_guarded
from groupstore.journal.rows import all_rows, inflate
from groupstore.opening import Patience

if TYPE_CHECKING:
    from groupstore.engine.engine import Engine

_SQL = re.compile(r"(?:SELECT|WITH|EXPLAIN)\b", re.IGNORECASE)

_SPOOLED_IN_MEMORY_BYTES = 1024 * 1024
_LENGTH_BYTES = 8


class Query:
    """One query, checked: `rows` gives its rows on a connection, which `connection` chooses."""

    def __init__(
        self,
        engine: Engine,
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
        self._engine = engine
        self._text = text
        self._timeout = timeout
        self._archives = archives
        self._parameters = parameters

    def run(self) -> Iterator[dict[str, Any]]:
        """The rows, while a connection is held; to be run to the end at once."""
        with (
            self._engine.read("query") as lent,
            self._own_connection(lent) as connection,
            _snapshot(connection, Patience(self._engine.config)),
        ):
            for row in self._rows(connection):
                yield inflate(row, "query")

    def iterate(self) -> Iterator[dict[str, Any]]:
        """The rows out of a temporary file: nothing of the store is held between two of them."""
        with SpooledTemporaryFile(_SPOOLED_IN_MEMORY_BYTES) as spool:
            for row in self.run():
                _put(spool, row)
            spool.seek(0)
            yield from _taken(spool)

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

    def _rows(self, connection: apsw.Connection) -> Iterator[dict[str, Any]]:
        if self._is_sql:
            return run_guarded(
                connection,
                self._text,
                self._parameters,
                tables=None,
                timeout=self._timeout,
                attempted="query",
            )
        if not self._text:
            return self._timed(connection, all_rows(connection, self._archives))
        raise QueryError("query: this is no SQL")

    def _timed(
        self, connection: apsw.Connection, rows: Iterator[dict[str, Any]]
    ) -> Iterator[dict[str, Any]]:
        try:
            with interrupted_after(connection, self._timeout):
                yield from rows
        except apsw.InterruptError as error:
            raise QueryError("query: the timeout is over") from error
        except apsw.Error as error:
            raise from_sqlite(error, "query", self._engine.path) from error


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


def _put(spool: IO[bytes], row: dict[str, Any]) -> None:
    record = marshal.dumps(row)
    spool.write(len(record).to_bytes(_LENGTH_BYTES, "big"))
    spool.write(record)


def _taken(spool: IO[bytes]) -> Iterator[dict[str, Any]]:
    while header := spool.read(_LENGTH_BYTES):
        yield marshal.loads(spool.read(int.from_bytes(header, "big")))
