"""A template being rendered: every operation in it is a method here, and is paid for."""

import operator
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import Environment
from jinja2.exceptions import SecurityError
from jinja2.nodes import EvalContext
from jinja2.runtime import LoopContext, Macro
from jinja2.utils import missing

from groupstore.template.formatting import percent
from groupstore.template.limits import (
    CONTAINERS,
    DEPTH,
    INTEGER_BITS,
    NUMBERS,
    SCALARS,
    STEPS,
    Budget,
    check_number,
    check_text,
    search_cost,
)
from groupstore.template.methods import Method, find_method
from groupstore.template.missing import Missing, StrictMissing, Undecodable

_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "lteq": operator.le,
    "gt": operator.gt,
    "gteq": operator.ge,
}
_SEQUENCES = frozenset({str, list, tuple, range})
_ITERABLES = _SEQUENCES | {dict}
# Of integers up to here no two have the same hash; larger ones can be chosen to collide.
_KEY_LIMIT = 1 << 60


def _range(context: "Rendering", _: None, *limits: int) -> range:
    numbers = range(*limits)
    # len() itself fails where it does not fit into 64 bits.
    if numbers[STEPS:]:
        raise SecurityError(f"a range of more than {STEPS:,} numbers")
    return numbers


_GLOBALS = {"range": Method(_range, None, "range")}


class Rendering(Budget):
    """One rendering of a template: its variables, its operations, and what they have used."""

    __slots__ = ("_depth", "_entries", "_mapping", "_undefined", "exported_vars", "vars")

    # What Jinja2's code asks for, with nothing escaped.
    eval_ctx = EvalContext(Environment())

    def __init__(self, entries: Mapping[str, str | bytes], *, strict: bool) -> None:
        super().__init__()
        self._entries = entries
        self._mapping: dict[str, Any] | None = None
        self._depth = 0
        self._undefined = StrictMissing if strict else Missing
        self.vars: dict[str, Any] = {}
        self.exported_vars: set[str] = set()

    # Variables

    def resolve_or_missing(self, name: str) -> Any:
        """The value of the key, else of the global, of that name, else Jinja2's `missing`."""
        value = self._entries.get(name)
        if value.__class__ is str:
            return value
        if value is None:
            return _GLOBALS.get(name, missing)
        return self._decoded(name, value)

    def entry(self, key: Any) -> Any:
        """The value of a key."""
        value = self._entries.get(key)
        if value.__class__ is str:
            return value
        return self.missing(key) if value is None else self._decoded(key, value)

    @property
    def entries(self) -> dict[str, Any]:
        """Every key with its value."""
        if self._mapping is None:
            self._mapping = {key: self._decoded(key, value) for key, value in self._entries.items()}
        return self._mapping

    def _decoded(self, key: str, value: str | bytes) -> Any:
        if isinstance(value, str):
            return value
        try:
            return value.decode()
        except UnicodeDecodeError:
            return Undecodable(f"the value of key {key!r} is not UTF-8")

    def undefined(self, hint: str | None = None, *, name: str | None = None) -> Missing:
        """What stands for a variable that is missing."""
        return self._undefined(hint or f"{name!r} is missing", name=name)

    def missing(self, name: object) -> Missing:
        """What stands for a key, an attribute or an element that is missing."""
        return self.undefined(name=str(name)[:100])

    # Text

    def text(self, value: Any) -> str:
        """The text that `value` is printed as."""
        if type(value) is str:
            return value
        if isinstance(value, Missing):
            return str(value)
        if type(value) in SCALARS:
            return self.made(str(value))
        size = self.measure(value)
        # A character may take ten as an escape in Python's form.
        check_text(size << 2)
        return self.made(str(value))

    def concatenate(self, texts: list[str]) -> str:
        """The texts of a buffer as one."""
        check_text(sum(map(len, texts)))
        return self.made("".join(texts))

    def join(self, *values: Any) -> str:
        """The operator `~`."""
        return self.concatenate([self.text(value) for value in values])

    # Operators

    def unary(self, sign: str, value: Any) -> Any:
        """The operators `+` and `-` before a number."""
        if type(value) not in NUMBERS and not isinstance(value, Missing):
            raise TypeError(f"{sign} of a {type(value).__name__}")
        return -value if sign == "-" else +value

    def binary(self, sign: str, left: Any, right: Any) -> Any:
        """The operators of arithmetic."""
        self.step()
        kinds = (type(left), type(right))
        if kinds[0] in NUMBERS and kinds[1] in NUMBERS:
            return _calculate(sign, left, right)
        if isinstance(left, Missing) or isinstance(right, Missing):
            return _ARITHMETIC[sign](left, right)
        if sign == "%" and kinds[0] is str:
            return percent(self, left, right)
        if sign == "+" and kinds[0] is kinds[1] and kinds[0] in {str, list, tuple}:
            return self._extended(left, right)
        if sign == "*" and kinds[1] in {int, bool}:
            return self._repeated(left, right)
        if sign == "*" and kinds[0] in {int, bool}:
            return self._repeated(right, left)
        raise TypeError(f"{kinds[0].__name__} {sign} {kinds[1].__name__}")

    def _extended(self, left: Any, right: Any) -> Any:
        if isinstance(left, str):
            check_text(len(left) + len(right))
            return self.made(left + right)
        self.step(len(left) + len(right))
        return left + right

    def _repeated(self, value: Any, times: int) -> Any:
        if type(value) is str:
            check_text(len(value) * times)
            return self.made(value * times)
        if type(value) not in {list, tuple}:
            raise TypeError(f"{type(value).__name__} * int")
        self.step(len(value) * max(times, 0))
        return value * times

    def compare(self, sign: str, left: Any, right: Any) -> Any:
        """The operators of comparison, `in` and `not in` among them."""
        if sign in {"in", "notin"}:
            return self._contains(right, left) is (sign == "in")
        if type(left) in CONTAINERS or type(right) in CONTAINERS:
            self.measure(left)
            self.measure(right)
        elif type(left) is str and type(right) is str:
            self.step(min(len(left), len(right)) >> 6)
        return _COMPARISONS[sign](left, right)

    def _contains(self, container: Any, item: Any) -> bool:
        if isinstance(item, Missing):
            bool(item)
        if type(container) is str:
            self.step(search_cost(container, item))
        elif type(container) is dict:
            self.key(item)
        elif type(container) is range:
            # Only of integers does a range know it without looking at each of its own.
            self.step(1 if type(item) in {int, bool} else 1 + len(container))
        elif type(container) in {list, tuple}:
            self.measure(item)
            self.measure(container)
        else:
            container = self.iterable(container)
        return item in container

    # Elements

    def key(self, value: Any) -> Any:
        """`value`, where it may be the key of a dict: its hash takes no time and can't collide."""
        if type(value) not in SCALARS and type(value) is not str:
            raise TypeError(f"a {type(value).__name__} as a key")
        if type(value) is int and abs(value) >= _KEY_LIMIT:
            raise SecurityError("an integer of more than 60 bits as a key")
        return value

    def attribute(self, value: Any, name: str) -> Any:
        """The `name` after a dot: a method, else an element."""
        method = find_method(value, name)
        if method is not None:
            return method
        if type(value) is LoopContext and name in _LOOP_ATTRIBUTES:
            return getattr(value, name)
        found = self.item(value, name)
        if isinstance(found, Missing) and hasattr(type(value), name):
            raise SecurityError(f"{name!r} of a {type(value).__name__} is not available")
        return found

    def item(self, value: Any, key: Any) -> Any:
        """What is at an index, or belongs to a key."""
        if isinstance(value, Missing):
            # Under `strict` it must not be used.
            bool(value)
            return value
        if type(value) is dict:
            found = value.get(self.key(key), missing)
            return self.missing(key) if found is missing else found
        if (
            type(value) in _SEQUENCES
            and type(key) in {int, bool}
            and -len(value) <= key < len(value)
        ):
            return value[key]
        return self.missing(key)

    def slice(self, value: Any, start: Any, stop: Any, step: Any) -> Any:
        """Part of a text or sequence."""
        if isinstance(value, Missing):
            return self.item(value, 0)
        if type(value) not in _SEQUENCES:
            raise TypeError(f"a slice of a {type(value).__name__}")
        part = slice(start, stop, step)
        if type(value) is str:
            return self.made(value[part])
        if type(value) is not range:
            self.step(1 + len(range(*part.indices(len(value)))))
        return value[part]

    def iterable(self, value: Any) -> Any:
        """`value`, where it is something to loop over."""
        if type(value) not in _ITERABLES and not isinstance(value, Missing):
            raise TypeError(f"a {type(value).__name__} is nothing to loop over")
        return value

    def spread(self, value: Any) -> Any:
        """The values of `*value` in a call."""
        self.step(len(self.iterable(value)))
        return value

    def spread_keywords(self, value: Any) -> dict[str, Any]:
        """The arguments of `**value` in a call."""
        if type(value) is not dict:
            raise TypeError(f"** of a {type(value).__name__}")
        self.step(len(value))
        return value

    # Calls

    def call(self, function: Any, /, *arguments: Any, **keywords: Any) -> Any:
        """Call a method, a macro, or a recursive loop with what it shall loop over."""
        self.step()
        if type(function) is Method:
            return function.implementation(self, function.owner, *arguments, **keywords)
        if isinstance(function, Missing):
            return function(*arguments)
        if type(function) is LoopContext:
            arguments = tuple(map(self.iterable, arguments))
        elif type(function) is not Macro:
            raise TypeError(f"a {type(function).__name__} can't be called")
        if self._depth >= DEPTH:
            raise SecurityError(f"calls nested more than {DEPTH} deep")
        self._depth += 1
        try:
            return function(*arguments, **keywords)
        finally:
            self._depth -= 1


_LOOP_ATTRIBUTES = frozenset(
    "index index0 revindex revindex0 first last length depth depth0 previtem nextitem".split()
)


def _calculate(sign: str, left: Any, right: Any) -> Any:
    if type(left) is not float and type(right) is not float:
        bits = 0
        if sign == "*":
            bits = left.bit_length() + right.bit_length()
        elif sign == "**" and abs(left) > 1 and right > 0:
            bits = left.bit_length() * right
        # One bit more than the result may have.
        if bits > INTEGER_BITS + 1:
            raise SecurityError(f"an integer of more than {INTEGER_BITS} bits")
    return check_number(_ARITHMETIC[sign](left, right))
