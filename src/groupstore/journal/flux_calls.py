"""Which calls a pipeline may hold, which arguments they take, and the stages made of them."""

from collections.abc import Callable
from typing import Final, Literal

from groupstore.journal.flux_arguments import INSTANT, Arguments, alternatives
from groupstore.journal.flux_complaint import complaint
from groupstore.journal.flux_expression import KINDS, Call, Expression, Function, Record
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

# Stages of a query. SQLite compiles a query of each, one inside the other.
STAGES: Final = 100

_PREDICATES: Final = (Comparison, Match, Exists, Not, Junction, Column, Boolean)


def instant_of_call(text: str, call: Call) -> Instant:
    """The moment that `now()` or `time(v:)` stands for; anything else is a QueryError."""
    if call.name == "now":
        Arguments(text, call, ())
        return Duration(call.at, 0, 0)
    if call.name == "time":
        arguments = Arguments(text, call, ("v",))
        value = arguments.required("v", INSTANT)
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
        raise complaint(text, at, problem, alternatives(tuple(_READERS)))


def stage_of(text: str, call: Call) -> Stage:
    """The stage that a call other than the first stands for."""
    known, read = _READERS[call.name]
    return read(Arguments(text, call, known))


def _range(arguments: Arguments) -> Range:
    start = arguments.instant("start", arguments.required("start", INSTANT))
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
