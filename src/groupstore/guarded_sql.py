"""SQL that a user wrote, run so that it can read and do nothing else."""

import functools
import re
import threading
import time
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import apsw

from groupstore.errors import QueryError, from_sqlite

Parameters = Mapping[str, Any] | Sequence[Any]

_LIMITS = {
    # One call of a function, printf('%1000000000d') say, is over before any timeout is looked at.
    apsw.SQLITE_LIMIT_LENGTH: 16 * 1024 * 1024,
    apsw.SQLITE_LIMIT_SQL_LENGTH: 1024 * 1024,
    apsw.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1000,
    # SQLite walks expressions by recursion, and threads may have small stacks.
    apsw.SQLITE_LIMIT_EXPR_DEPTH: 200,
    apsw.SQLITE_LIMIT_COMPOUND_SELECT: 200,
    apsw.SQLITE_LIMIT_VDBE_OP: 1_000_000,
    apsw.SQLITE_LIMIT_ATTACHED: 0,
}

# A row is in memory as a whole, in SQLite and as Python's objects.
_LARGEST_ROW_BYTES = 256 * 1024 * 1024

_PLAIN_ACTIONS = frozenset({apsw.SQLITE_SELECT, apsw.SQLITE_RECURSIVE})

_SCHEMA_TABLES = frozenset({"sqlite_schema", "sqlite_master"})
_TEMPORARY_SCHEMA_TABLES = frozenset({"sqlite_temp_schema", "sqlite_temp_master"})

_TABLES_OF = "SELECT name FROM {}.sqlite_schema WHERE type IN ('table', 'view')"

# The virtual tables that are there without being made: these compute, all others show the file.
_TABLE_FUNCTIONS = frozenset({"json_each", "json_tree", "jsonb_each", "jsonb_tree"})

# Virtual tables that SQLite may have been built with, and lists at their first use only.
_MODULES = frozenset({"sqlite_dbpage", "sqlite_stmt", "dbstat", "bytecode", "tables_used"})

# Built in and not marked as for direct use only: what they tell is of other statements.
_OTHER_STATEMENTS_FUNCTIONS = frozenset({"changes", "total_changes", "last_insert_rowid"})

# Quadratic in the members of an object, and one call is not interrupted.
_SLOW_FUNCTIONS = frozenset({"json_patch", "jsonb_patch"})

# https://sqlite.org/pragma.html#pragma_function_list
_DIRECT_ONLY = 0x80000

_BLANK = re.compile(r"(?:[ \t\n\f\r\ufeff]|--[^\n]*|/\*(?s:.*?)(?:\*/|\Z))*+")
_BLANK_OR_END = re.compile(r"(?:[ \t\n\f\r\ufeff;]|--[^\n]*|/\*(?s:.*?)(?:\*/|\Z))*+")

_STEPS_BETWEEN_LOOKS = 10_000

_BETWEEN_INTERRUPTS_S = 0.01

# What SQLite says of a statement that is wrong, and not of the file or the machine.
_FAULTS_OF_THE_QUERY = (
    apsw.AuthError,
    apsw.SQLError,
    apsw.TooBigError,
    apsw.MismatchError,
    apsw.BindingsError,
)


def beginning(sql: str) -> int:
    """The index at which `sql` begins, after white space and comments."""
    match = _BLANK.match(sql)
    assert match is not None
    return match.end()


def run_guarded(
    connection: apsw.Connection,
    sql: str,
    parameters: Parameters,
    *,
    tables: Collection[str] | None,
    timeout: float | None,
    attempted: str,
) -> Generator[dict[str, Any], None, None]:
    """The rows of one SELECT, WITH or EXPLAIN, as dicts by column name.

    `parameters` is a mapping for `:name` or a sequence for `?`. `tables` are the names of tables
    and views that may be read; None: all that are in the database's main file, its schema too.
    Where a view is among them, so has to be every table that it reads: SQLite does not tell a view
    from a WITH clause of the same name. `timeout` is in seconds.

    Raises `QueryError`, with `attempted` before it, for what is wrong, writes, or takes longer;
    for two columns of the same name; and for TEXT that is not valid UTF-8. A parameter of a type
    that SQLite has not is a `TypeError`.

    The connection is to be used for nothing else until the generator ends or is closed: limits,
    authorizer and progress handler are set on it until then.
    """
    _check_parameters(parameters, attempted)
    guard = _Guard(connection, tables)
    statement = _Statement(sql, parameters)
    with (
        _faults_as_query_errors(connection, attempted, guard),
        _limited(connection),
        interrupted_after(connection, timeout),
        guard,
    ):
        cursor = connection.cursor()
        cursor.exec_trace = statement.check
        try:
            for row in cursor.execute(sql, statement.bindings, can_cache=False):
                yield dict(zip(statement.columns, row, strict=True))
        finally:
            cursor.close(True)
        if not statement.was_run:
            raise _RefusedError("there is no statement in it")


@contextmanager
def interrupted_after(connection: apsw.Connection, timeout: float | None) -> Iterator[None]:
    """Have statements raise `apsw.InterruptError` once `timeout` seconds are over.

    Without a timeout too, a KeyboardInterrupt gets through to a statement that runs for long.
    """

    def goes_on() -> bool:
        return False

    connection.set_progress_handler(goes_on, _STEPS_BETWEEN_LOOKS, id=goes_on)
    try:
        if timeout is None:
            yield
        else:
            with _alarm(connection, timeout):
                yield
    finally:
        connection.set_progress_handler(None, id=goes_on)


@contextmanager
def _alarm(connection: apsw.Connection, timeout: float) -> Iterator[None]:
    """Interrupt what the connection does after that time, from a thread of its own.

    A progress handler that looks at a clock would have to be called every few steps, each of which
    may work on 16 MiB, and would wait for the interpreter each time that another thread is busy.
    """
    ended = threading.Event()
    lasts_s = min(timeout, threading.TIMEOUT_MAX)
    deadline = time.monotonic() + lasts_s

    def wait() -> None:
        wait_s = lasts_s
        # Again and again: an interrupt between two statements is lost.
        while not ended.wait(wait_s):
            connection.interrupt()
            wait_s = _BETWEEN_INTERRUPTS_S

    thread = threading.Thread(target=wait, name="groupstore-timeout", daemon=True)
    thread.start()
    try:
        yield
        if time.monotonic() > deadline:
            raise apsw.InterruptError("over before it was interrupted")
    finally:
        ended.set()
        # Until it has ended it might interrupt what comes after.
        thread.join()


class _RefusedError(Exception):
    """Why a query is not run; the message lacks what was attempted."""


class _Statement:
    """The query's only statement, checked between its compilation and its first step."""

    def __init__(self, sql: str, parameters: Parameters) -> None:
        self._sql = sql
        self.bindings = dict(parameters) if isinstance(parameters, Mapping) else tuple(parameters)
        self.columns: tuple[str, ...] = ()
        self.was_run = False

    def check(self, cursor: apsw.Cursor, statement: str, bindings: object) -> bool:
        """The cursor's hook: called before each statement of the text is run."""
        if self.was_run:
            # What follows is blank.
            return True
        rest = _BLANK_OR_END.match(self._sql, len(statement))
        assert rest is not None
        if rest.end() != len(self._sql):
            raise _RefusedError("one statement is allowed, and there is a second")
        if not cursor.is_readonly:
            raise _RefusedError("only reading is allowed")
        if isinstance(self.bindings, dict):
            unknown = sorted(map(repr, self.bindings.keys() - set(cursor.bindings_names)))
            if unknown:
                raise _RefusedError(f"it has no parameter {', '.join(unknown)}")
        self.columns = tuple(str(column[0]) for column in cursor.get_description())
        if not self.columns:
            raise _RefusedError("it is no SELECT")
        doubled = {name for name in self.columns if self.columns.count(name) > 1}
        if doubled:
            names = ", ".join(map(repr, sorted(doubled)))
            raise _RefusedError(
                f"several columns are named {names}: give each a name of its own by AS"
            )
        longest = _LARGEST_ROW_BYTES // len(self.columns)
        if longest < _LIMITS[apsw.SQLITE_LIMIT_LENGTH]:
            cursor.connection.limit(apsw.SQLITE_LIMIT_LENGTH, longest)
        self.was_run = True
        return True


class _Guard:
    """Lets a statement read the tables named and call harmless functions."""

    def __init__(self, connection: apsw.Connection, tables: Collection[str] | None) -> None:
        self.refused: str | None = None
        """What the statement tried, for the message."""
        self._connection = connection
        self._tables = tables

    def __enter__(self) -> None:
        modules, self._functions = _built_in()
        # By a statement of our own, and so before the guard stands.
        found, temporary = (
            {name.lower() for (name,) in self._connection.execute(_TABLES_OF.format(database))}
            for database in ("main", "temp")
        )
        found |= _SCHEMA_TABLES
        self._existing = found | temporary | _TEMPORARY_SCHEMA_TABLES | modules
        self._readable = _TABLE_FUNCTIONS | (
            found if self._tables is None else {name.lower() for name in self._tables}
        )
        self._connection.authorizer = self._authorize

    def __exit__(self, *_: object) -> None:
        self._connection.authorizer = None

    def _authorize(
        self, action: int, first: str | None, second: str | None, database: str | None, _: object
    ) -> int:
        if action in _PLAIN_ACTIONS:
            return apsw.SQLITE_OK
        if action == apsw.SQLITE_READ and self._is_readable(
            (first or "").lower(), second, database
        ):
            return apsw.SQLITE_OK
        if action == apsw.SQLITE_FUNCTION and (second or "").lower() in self._functions:
            return apsw.SQLITE_OK
        name = str(apsw.mapping_authorizer_function[action]).removeprefix("SQLITE_")
        self.refused = " ".join([name, *(repr(part) for part in (first, second) if part)])
        return apsw.SQLITE_DENY

    def _is_readable(self, table: str, column: str | None, database: str | None) -> bool:
        if database not in (None, "main"):
            return False
        table = table.lower()
        if table in self._readable:
            return True
        # A table of which no column is read is named as the statement wrote it, and so is the name
        # of a WITH clause or of a subquery, which stands for tables that are asked for themselves.
        return not column and table not in self._existing and not table.startswith("pragma_")


@functools.cache
def _built_in() -> tuple[frozenset[str], frozenset[str]]:
    """SQLite's own modules of virtual tables, and its harmless functions, on every connection."""
    connection = apsw.Connection(":memory:")
    modules = {str(name).lower() for (name,) in connection.execute("PRAGMA module_list")}
    functions = set()
    barred = set(_OTHER_STATEMENTS_FUNCTIONS | _SLOW_FUNCTIONS)
    for name, is_built_in, _, _, _, flags in connection.execute("PRAGMA function_list"):
        if is_built_in:
            functions.add(str(name))
        if flags & _DIRECT_ONLY:
            barred.add(str(name))
    connection.close()
    return frozenset(modules | _MODULES), frozenset(functions - barred)


@contextmanager
def _limited(connection: apsw.Connection) -> Iterator[None]:
    before = {limit: connection.limit(limit) for limit in _LIMITS}
    with ExitStack() as stack:
        for limit, value in _LIMITS.items():
            stack.callback(connection.limit, limit, before[limit])
            connection.limit(limit, min(value, before[limit]))
        yield


@contextmanager
def _faults_as_query_errors(
    connection: apsw.Connection, attempted: str, guard: _Guard
) -> Iterator[None]:
    try:
        yield
    except _RefusedError as refusal:
        raise QueryError(f"{attempted}: {refusal}") from None
    except apsw.InterruptError as error:
        raise QueryError(f"{attempted}: the timeout is over") from error
    except _FAULTS_OF_THE_QUERY as error:
        reason = f"only reading is allowed, not {guard.refused}" if guard.refused else str(error)
        raise QueryError(f"{attempted}: {reason}") from error
    except apsw.Error as error:
        path = connection.db_filename("main") or ":memory:"
        raise from_sqlite(error, attempted, path) from error
    except KeyError as error:
        raise QueryError(f"{attempted}: parameter {error} is missing") from error
    except UnicodeDecodeError as error:
        raise QueryError(
            f"{attempted}: a TEXT in the result is not valid UTF-8: CAST it AS BLOB"
        ) from error
    except UnicodeEncodeError as error:
        raise QueryError(f"{attempted}: there is a lone surrogate in it") from error
    except (ValueError, OverflowError) as error:
        raise QueryError(f"{attempted}: {error}") from error


_PARAMETER_TYPES = (str, bytes, bytearray, int, float, type(None))


def _check_parameters(parameters: Parameters, attempted: str) -> None:
    named = isinstance(parameters, Mapping)
    if not named and (isinstance(parameters, str | bytes) or not isinstance(parameters, Sequence)):
        raise TypeError(
            f"{attempted}: parameters must be a mapping or a sequence,"
            f" not {type(parameters).__name__}"
        )
    values = parameters.values() if isinstance(parameters, Mapping) else parameters
    for value in values:
        if not isinstance(value, _PARAMETER_TYPES):
            raise TypeError(
                f"{attempted}: a parameter must be str, bytes, int, float or None,"
                f" not {type(value).__name__}"
            )
