"""What a Flux query says, as a tree; each node knows where it stands in the text."""

from dataclasses import dataclass
from typing import Literal

Comparator = Literal["==", "!=", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of the text: `start` to `end` from 0, `line` and `column` of its start from 1."""

    start: int
    end: int
    line: int
    column: int

    def to(self, other: "Span") -> "Span":
        """From the start of this to the end of `other`."""
        return Span(self.start, other.end, self.line, self.column)


@dataclass(frozen=True, slots=True)
class String:
    """A string literal, also as the name of a column or bucket."""

    at: Span
    value: str


@dataclass(frozen=True, slots=True)
class Number:
    """A literal integer or float."""

    at: Span
    value: int | float


@dataclass(frozen=True, slots=True)
class Boolean:
    """`true` or `false`."""

    at: Span
    value: bool


@dataclass(frozen=True, slots=True)
class Time:
    """A moment, in nanoseconds of Unix time."""

    at: Span
    nanoseconds: int


@dataclass(frozen=True, slots=True)
class Duration:
    """A distance from now: calendar months, then nanoseconds."""

    at: Span
    months: int
    nanoseconds: int


Instant = Time | Duration
"""A moment; `now()` is the Duration of nothing."""


@dataclass(frozen=True, slots=True)
class Regexp:
    """A regular expression, as written between its slashes."""

    at: Span
    pattern: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the row: `r.name` or `r["name"]`. As a predicate: whether it is true."""

    at: Span
    name: str


Scalar = String | Number | Boolean | Time | Duration


@dataclass(frozen=True, slots=True)
class Comparison:
    """A column compared with a literal or with another column."""

    at: Span
    column: Column
    comparator: Comparator
    other: Scalar | Column


@dataclass(frozen=True, slots=True)
class Match:
    """A column that is, or with `negated` is not, matched by a regular expression."""

    at: Span
    column: Column
    regexp: Regexp
    negated: bool


@dataclass(frozen=True, slots=True)
class Exists:
    """A column that is not null."""

    at: Span
    column: Column


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite; null stays null. `depth` counts what is nested in it."""

    at: Span
    operand: "Predicate"
    depth: int


@dataclass(frozen=True, slots=True)
class Junction:
    """`and` or `or` of two operands or more. `depth` counts what is nested in it."""

    at: Span
    word: Literal["and", "or"]
    operands: tuple["Predicate", ...]
    depth: int


Predicate = Comparison | Match | Exists | Not | Junction | Column | Boolean


@dataclass(frozen=True, slots=True)
class Range:
    """`range(start:, stop:)`; without `stop`, up to now."""

    at: Span
    start: Instant
    stop: Instant | None


@dataclass(frozen=True, slots=True)
class Filter:
    """`filter(fn:)`."""

    at: Span
    predicate: Predicate


@dataclass(frozen=True, slots=True)
class Sort:
    """`sort(columns:, desc:)`."""

    at: Span
    columns: tuple[String, ...]
    descending: bool


@dataclass(frozen=True, slots=True)
class Limit:
    """`limit(n:, offset:)`, or with `tail` the same from the other end of each table."""

    at: Span
    count: int
    offset: int
    tail: bool


@dataclass(frozen=True, slots=True)
class Selector:
    """`first`, `last`, `min` or `max`: one row of each table. The latter two have a column."""

    at: Span
    kind: Literal["first", "last", "min", "max"]
    column: String | None


@dataclass(frozen=True, slots=True)
class Aggregate:
    """`count`, `sum` or `mean`: one value of each table. The latter two have a column."""

    at: Span
    kind: Literal["count", "sum", "mean"]
    column: String | None


@dataclass(frozen=True, slots=True)
class Distinct:
    """`distinct(column:)`."""

    at: Span
    column: String


@dataclass(frozen=True, slots=True)
class Group:
    """`group(columns:)`; no columns make one table again."""

    at: Span
    columns: tuple[String, ...]


@dataclass(frozen=True, slots=True)
class Keep:
    """`keep(columns:)`."""

    at: Span
    columns: tuple[String, ...]


@dataclass(frozen=True, slots=True)
class Drop:
    """`drop(columns:)`."""

    at: Span
    columns: tuple[String, ...]


@dataclass(frozen=True, slots=True)
class Rename:
    """`rename(columns:)`: pairs of the old name and the new one."""

    at: Span
    columns: tuple[tuple[String, String], ...]


Stage = (
    Range | Filter | Sort | Limit | Selector | Aggregate | Distinct | Group | Keep | Drop | Rename
)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A whole query; `text` is what it was read from."""

    text: str
    bucket: str
    stages: tuple[Stage, ...]
