"""The SQL of conditions. As in Flux, null is neither true nor false, and `filter` drops it."""

from collections.abc import Callable
from typing import Final

from groupstore.journal import flux_cells, flux_literals
from groupstore.journal.flux_arguments import INSTANT, as_instant
from groupstore.journal.flux_columns import Columns, Kind, Place, Stored
from groupstore.journal.flux_complaint import complaint
from groupstore.journal.flux_statement import Statement
from groupstore.journal.flux_tree import (
    Boolean,
    Column,
    Comparator,
    Comparison,
    Duration,
    Exists,
    Instant,
    Junction,
    Match,
    Not,
    Number,
    Predicate,
    Scalar,
    String,
    Time,
)

_NANOSECONDS_PER_MS: Final = 1_000_000
# SQLite writes them the same but for equality.
_SQL: Final[dict[Comparator, str]] = {
    "==": "=",
    "!=": "<>",
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
}
_TIMES: Final = "_time, committed_at or archived_at"


def is_time(place: Place) -> bool:
    """Whether a place holds Unix ms."""
    return isinstance(place, Stored) and place.kind in {Kind.TIME, Kind.MILLISECONDS}


class Conditions:
    """Compiles predicates on rows of some columns."""

    def __init__(self, statement: Statement, columns: Columns) -> None:
        self._statement = statement
        self._columns = columns

    def sql(self, predicate: Predicate) -> str:
        """An expression that is 1, 0 or null. Its depth is the predicate's, not its length."""
        match predicate:
            case Junction(word=word, operands=operands):
                sql = _balanced([self.sql(operand) for operand in operands], word.upper())
            case Not(operand=operand):
                sql = f"(NOT {self.sql(operand)})"
            case Boolean(value=value):
                sql = str(int(value))
            case Column(name=name):
                sql = self._test(name, _truth)
            case Exists(column=column):
                sql = f"coalesce({self._test(column.name, _is_there)}, 0)"
            case Match():
                sql = self._match(predicate)
            case Comparison(column=column, comparator=comparator, other=Column(name=other)):
                sql = self._columns_compared(column.name, comparator, other)
            case Comparison():
                sql = self._compared(predicate)
        return sql

    def _test(self, name: str, body: Callable[[str], str]) -> str:
        return self._statement.test(self._columns.place(name), body)

    def _match(self, match: Match) -> str:
        pattern = self._statement.bind(match.regexp.pattern)

        def body(cell: str) -> str:
            matches = f"groupstore_regexp({pattern}, CAST({cell} AS BLOB))"
            return f"CASE WHEN {flux_cells.is_text(cell)} THEN {matches} END"

        sql = self._test(match.column.name, body)
        return f"(NOT {sql})" if match.negated else sql

    def _columns_compared(self, name: str, comparator: Comparator, other: str) -> str:
        left, right = (
            f"(SELECT c FROM ({self._statement.rows_of(place, exact=False)}) LIMIT 1)"
            for place in (self._columns.place(name), self._columns.place(other))
        )
        kinds = [flux_cells.is_number, flux_cells.is_text]
        if comparator in {"==", "!="}:
            kinds.append(flux_cells.is_boolean)
        alike = " OR ".join(f"{kind('l.c')} AND {kind('r.c')}" for kind in kinds)
        compared = f"CASE WHEN {alike} THEN l.c {_SQL[comparator]} r.c END"
        return f"(SELECT {compared} FROM {left} AS l, {right} AS r)"

    def _compared(self, comparison: Comparison) -> str:
        place = self._columns.place(comparison.column.name)
        literal = comparison.other
        assert not isinstance(literal, Column)
        operator = _SQL[comparison.comparator]
        if isinstance(place, Stored) and is_time(place):
            if place.kind is not Kind.MILLISECONDS or not isinstance(literal, Number):
                return self._time_compared(place, comparison.comparator, self._instant(literal))
        elif isinstance(literal, Time | Duration):
            problem = f"{comparison.column.name!r} is no time"
            raise complaint(self._statement.text, literal.at, problem, f"{_TIMES} beside a time")
        parameter = self._statement.bind(_bindable(literal))
        kind = _KINDS[type(literal)]
        if isinstance(place, Stored) and place.kind not in {Kind.CELL, Kind.OBJECT}:
            # So plain that an index can serve it.
            is_alike = (place.kind is Kind.TEXT) == isinstance(literal, String)
            is_alike = is_alike and not isinstance(literal, Boolean)
            column = self._statement.column(place)
            return f"{column} {operator} {parameter}" if is_alike else "NULL"
        return self._statement.test(
            place, lambda c: f"CASE WHEN {kind(c)} THEN {c} {operator} {parameter} END"
        )

    def _instant(self, literal: Scalar) -> Instant:
        instant = as_instant(self._statement.text, literal)
        if instant is None:
            problem = "a time is compared with no time"
            raise complaint(self._statement.text, literal.at, problem, INSTANT)
        return instant

    def _time_compared(self, place: Stored, comparator: Comparator, instant: Instant) -> str:
        nanoseconds = flux_literals.moment(instant, self._statement.now_ms)
        below, rest = divmod(nanoseconds, _NANOSECONDS_PER_MS)
        if rest and comparator in {"==", "!="}:
            # Between two milliseconds there is no entry.
            return f"iif({place.name} IS NULL, NULL, {int(comparator == '!=')})"
        bound = below + 1 if rest and comparator in {"<", ">="} else below
        parameter = self._statement.bind(flux_cells.number(bound))
        return f"{place.name} {_SQL[comparator]} {parameter}"

    def since(self, place: Stored, instant: Instant) -> str:
        """That a time is not before `instant`."""
        return self._time_compared(place, ">=", instant)

    def before(self, place: Stored, instant: Instant) -> str:
        """That a time is before `instant`."""
        return self._time_compared(place, "<", instant)


_KINDS: Final = {
    String: flux_cells.is_text,
    Number: flux_cells.is_number,
    Boolean: flux_cells.is_boolean,
}


def _truth(cell: str) -> str:
    return f"CASE {cell} WHEN x'01' THEN 1 WHEN x'00' THEN 0 END"


def _is_there(cell: str) -> str:
    return f"{cell} IS NOT NULL"


def _bindable(literal: Scalar) -> str | int | float | bytes:
    match literal:
        case String(value=text):
            return text
        case Boolean(value=value):
            return flux_cells.TRUE if value else flux_cells.FALSE
        case Number(value=number):
            return flux_cells.number(number)
        case _:
            raise AssertionError(literal)


def _balanced(parts: list[str], word: str) -> str:
    """All parts joined, in a tree as shallow as can be: SQLite limits the depth of expressions."""
    while len(parts) > 1:
        pairs = [parts[index : index + 2] for index in range(0, len(parts), 2)]
        parts = [f"({f' {word} '.join(pair)})" if len(pair) > 1 else pair[0] for pair in pairs]
    return parts[0]
