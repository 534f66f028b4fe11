"""Which calls a pipeline may hold, which arguments they take, and the stages made of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar

from groupstore.errors import QueryError
from groupstore.journal import flux_literals
from groupstore.journal.flux_complaint import complaint
from groupstore.journal.flux_expression import KINDS, Array, Call, Expression, Function, Record
from groupstore.journal.flux_tree import (
    Aggregate,
    Boolean,
    Column,
    Comparison,
    Distinct,
    Drop,
    Duration,
    Exists,
    Filter,
    Group,
    Instant,
    Junction,
    Keep,
    Limit,
    Match,
    Not,
    Number,
    Predicate,
    Range,
    Rename,
    Selector,
    Sort,
    Span,
    Stage,
    String,
    Time,
)

T = TypeVar("T")

# Stages of a query. SQLite compiles a query of each, one inside the other.
STAGES: Final = 100

_INSTANT: Final = "a time (-1h, 2024-05-01T00:00:00Z, now() or Unix seconds)"
_PREDICATES: Final = (Comparison, Match, Exists, Not, Junction, Column, Boolean)


@dataclass(slots=True)
class Arguments:
    """The arguments of one call, taken one by one: what is left over, nobody knows."""

    text: str
    call: Call
    known: tuple[str, ...]
    _values: dict[str, Expression] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for argument in self.call.arguments:
            name = argument.name.value
            if name not in self.known:
                expected = _alternatives(self.known) if self.known else "no argument"
                raise self.wrong(
                    argument.name.at, f"{self.call.name} has no argument {name!r}", expected
                )
            if name in self._values:
                raise self.wrong(argument.name.at, f"{name!r} is given twice", "it once")
            self._values[name] = argument.value

    def wrong(self, at: Span, problem: str, expected: str) -> QueryError:
        return complaint(self.text, at, problem, expected)

    def wrong_kind(self, name: str, value: Expression, expected: str) -> QueryError:
        return self.wrong(value.at, f"{name!r} is {KINDS[type(value)]}", expected)

    def optional(self, name: str) -> Expression | None:
        return self._values.get(name)

    def required(self, name: str, expected: str) -> Expression:
        value = self._values.get(name)
        if value is None:
            raise self.wrong(
                self.call.at, f"{self.call.name} lacks {name!r}", f"{name}: {expected}"
            )
        return value

    def of(self, kind: type[T], name: str, expected: str) -> T:
        """A required argument that has to be a literal of `kind`."""
        value = self.required(name, expected)
        if not isinstance(value, kind):
            raise self.wrong_kind(name, value, expected)
        return value

    def whole(self, name: str, value: Expression | None) -> int:
        """A number of rows."""
        expected = "a whole number from 0"
        if value is None:
            return 0
        if not isinstance(value, Number):
            raise self.wrong_kind(name, value, expected)
        if not isinstance(value.value, int) or value.value < 0:
            raise self.wrong(value.at, f"{name!r} is {value.value}", expected)
        return value.value

    def column(self) -> String | None:
        if self.optional("column") is None:
            return None
        return self.of(String, "column", "the name of a column in quotation marks")

    def columns(self) -> tuple[String, ...]:
        """A list of names, each once."""
        expected = 'a list of names (["host", "region"])'
        names: dict[str, String] = {}
        for item in self.of(Array, "columns", expected).items:
            if not isinstance(item, String):
                raise self.wrong_kind("columns", item, expected)
            if item.value in names:
                raise self.wrong(item.at, f"{item.value!r} is named twice", "it once")
            names[item.value] = item
        return tuple(names.values())

    def instant(self, name: str, value: Expression) -> Instant:
        made = as_instant(self.text, value)
        if made is None:
            raise self.wrong_kind(name, value, _INSTANT)
        return made


def _alternatives(names: tuple[str, ...]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def as_instant(text: str, value: object) -> Instant | None:
    """The moment that a value stands for, integers as Unix seconds; None where it is none.

    Raises QueryError for a string that is no time.
    """
    if isinstance(value, Time | Duration):
        return value
    if isinstance(value, Number) and isinstance(value.value, int):
        return Time(value.at, value.value * flux_literals.NANOSECONDS_PER_SECOND)
    if isinstance(value, String):
        try:
            return Time(value.at, flux_literals.read_time(value.value))
        except flux_literals.LiteralError as error:
            raise complaint(text, value.at, error.problem, _INSTANT) from None
    return None


def instant_of_call(text: str, call: Call) -> Instant:
    """The moment that `now()` or `time(v:)` stands for; anything else is a QueryError."""
    if call.name == "now":
        Arguments(text, call, ())
        return Duration(call.at, 0, 0)
    if call.name == "time":
        arguments = Arguments(text, call, ("v",))
        value = arguments.required("v", _INSTANT)
        if isinstance(value, Number) and isinstance(value.value, int):
            return Time(call.at, value.value)
        return arguments.instant("v", value)
    raise complaint(
        text, call.at, f"{call.name!r} is no function of a value", "now() or time(v: ...)"
    )


def bucket_of(text: str, call: Call) -> str:
    """What the first call of a pipeline reads."""
    if call.name != "from":
        raise complaint(text, call.at, f"the query starts with {call.name!r}", "from(bucket: ...)")
    arguments = Arguments(text, call, ("bucket",))
    return arguments.of(String, "bucket", "a name in quotation marks").value


def check_name(text: str, name: str, at: Span) -> None:
    """Raise QueryError where no stage has that name."""
    if name not in _READERS:
        problem = "'from' can only be the first" if name == "from" else f"unknown function {name!r}"
        raise complaint(text, at, problem, _alternatives(tuple(_READERS)))


def stage_of(text: str, call: Call) -> Stage:
    """The stage that a call other than the first stands for."""
    known, read = _READERS[call.name]
    return read(Arguments(text, call, known))


def _range(arguments: Arguments) -> Range:
    start = arguments.instant("start", arguments.required("start", _INSTANT))
    stop = arguments.optional("stop")
    return Range(
        arguments.call.at, start, None if stop is None else arguments.instant("stop", stop)
    )


def _filter(arguments: Arguments) -> Filter:
    function = arguments.of(Function, "fn", "a function ((r) => ...)")
    return Filter(arguments.call.at, as_predicate(arguments.text, function.body))


def as_predicate(text: str, value: Expression) -> Predicate:
    """The value as something that is true or not."""
    if isinstance(value, _PREDICATES):
        return value
    expected = 'a comparison (r.host == "a"), exists, and, or, not'
    raise complaint(text, value.at, f"{KINDS[type(value)]} is no condition", expected)


def _sort(arguments: Arguments) -> Sort:
    columns = arguments.columns()
    if not columns:
        raise arguments.wrong(arguments.call.at, "sort has no columns", "one or more")
    descending = False
    if arguments.optional("desc") is not None:
        descending = arguments.of(Boolean, "desc", "true or false").value
    return Sort(arguments.call.at, columns, descending)


def _limit(arguments: Arguments) -> Limit:
    count = arguments.whole("n", arguments.required("n", "a whole number from 0"))
    offset = arguments.whole("offset", arguments.optional("offset"))
    return Limit(arguments.call.at, count, offset, arguments.call.name == "tail")


def _end(kind: Literal["first", "last"]) -> Callable[[Arguments], Selector]:
    return lambda arguments: Selector(arguments.call.at, kind, arguments.column())


def _extreme(kind: Literal["min", "max"]) -> Callable[[Arguments], Selector]:
    return lambda arguments: Selector(arguments.call.at, kind, _named(arguments))


def _named(arguments: Arguments) -> String:
    return arguments.of(String, "column", "the name of a column in quotation marks")


def _count(arguments: Arguments) -> Aggregate:
    return Aggregate(arguments.call.at, "count", arguments.column())


def _total(kind: Literal["sum", "mean"]) -> Callable[[Arguments], Aggregate]:
    return lambda arguments: Aggregate(arguments.call.at, kind, _named(arguments))


def _group(arguments: Arguments) -> Group:
    if arguments.optional("mode") is not None:
        mode = arguments.of(String, "mode", '"by"')
        if mode.value != "by":
            raise arguments.wrong(mode.at, f"'mode' is {mode.value!r}", '"by"')
    has_columns = arguments.optional("columns") is not None
    return Group(arguments.call.at, arguments.columns() if has_columns else ())


def _rename(arguments: Arguments) -> Rename:
    expected = 'a record of names ({old: "new"})'
    sources: set[str] = set()
    targets: set[str] = set()
    pairs: list[tuple[String, String]] = []
    for source, target in arguments.of(Record, "columns", expected).entries:
        if not isinstance(target, String):
            raise arguments.wrong_kind("columns", target, expected)
        for name, seen in ((source, sources), (target, targets)):
            if name.value in seen:
                raise arguments.wrong(name.at, f"{name.value!r} is named twice", "it once")
            seen.add(name.value)
        pairs.append((source, target))
    return Rename(arguments.call.at, tuple(pairs))


_READERS: Final[dict[str, tuple[tuple[str, ...], Callable[[Arguments], Stage]]]] = {
    "range": (("start", "stop"), _range),
    "filter": (("fn",), _filter),
    "sort": (("columns", "desc"), _sort),
    "limit": (("n", "offset"), _limit),
    "tail": (("n", "offset"), _limit),
    "first": (("column",), _end("first")),
    "last": (("column",), _end("last")),
    "min": (("column",), _extreme("min")),
    "max": (("column",), _extreme("max")),
    "count": (("column",), _count),
    "sum": (("column",), _total("sum")),
    "mean": (("column",), _total("mean")),
    "distinct": (("column",), lambda a: Distinct(a.call.at, _named(a))),
    "group": (("columns", "mode"), _group),
    "keep": (("columns",), lambda a: Keep(a.call.at, a.columns())),
    "drop": (("columns",), lambda a: Drop(a.call.at, a.columns())),
    "rename": (("columns",), _rename),
}
