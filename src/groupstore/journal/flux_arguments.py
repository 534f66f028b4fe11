"""The arguments of one call, and what each of them may be."""

from dataclasses import dataclass, field
from typing import Final, TypeVar

from groupstore.errors import QueryError
from groupstore.journal import flux_literals
from groupstore.journal.flux_complaint import complaint
from groupstore.journal.flux_expression import KINDS, Array, Call, Expression
from groupstore.journal.flux_tree import Duration, Instant, Number, Span, String, Time

T = TypeVar("T")

# In one list; SQLite's own limit is 2,000 columns.
NAMES: Final = 500

INSTANT: Final = "a time (-1h, 2024-05-01T00:00:00Z, now() or Unix seconds)"
"""What messages expect where a moment is asked for."""


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
                expected = alternatives(self.known) if self.known else "no argument"
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
            if len(names) == NAMES:
                raise self.wrong(item.at, f"more than {NAMES} names", "fewer")
            names[item.value] = item
        return tuple(names.values())

    def instant(self, name: str, value: Expression) -> Instant:
        made = as_instant(self.text, value)
        if made is None:
            raise self.wrong_kind(name, value, INSTANT)
        return made


def alternatives(names: tuple[str, ...]) -> str:
    """The names as a message lists them."""
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
            raise complaint(text, value.at, error.problem, INSTANT) from None
    return None
