"""Jinja2's operators on the values that a template may have, each paid for."""

import operator
from collections.abc import Callable
from math import log2
from typing import Any

from jinja2.exceptions import SecurityError
from jinja2.utils import missing

from groupstore.template.formatting import percent
from groupstore.template.limits import (
    CONTAINERS,
    INTEGER_BITS,
    NAME_LENGTH,
    NUMBERS,
    SCALARS,
    Budget,
    check_number,
    check_text,
    search_cost,
)
from groupstore.template.missing import Missing, StrictMissing

_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}
_GROWING = frozenset({"*", "**"})
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


class Operators(Budget):
    """The operators, and what Python does of itself with values: printing, indexing, looping."""

    __slots__ = ("_missing",)

    def __init__(self, *, strict: bool) -> None:
        super().__init__()
        self._missing = StrictMissing if strict else Missing

    def undefined(self, hint: str | None = None, *, name: Any = None) -> Missing:
        """What stands for a variable, a key, an attribute or an element that is missing."""
        return self._missing(hint, name=name)

    def text(self, value: Any) -> str:
        """The text that `value` is printed as."""
        if type(value) is str:
            return value
        if isinstance(value, Missing):
            return str(value)
        if type(value) in SCALARS:
            return self.made(str(value))
        size = self.measure(value)
        # Python's escapes can take ten characters for one.
        check_text(size << 2)
        return self.made(str(value))

    def concatenate(self, texts: list[str]) -> str:
        """The texts of a buffer as one."""
        check_text(sum(map(len, texts)))
        return self.made("".join(texts))

    def join(self, *values: Any) -> str:
        """The operator `~`."""
        return self.concatenate([self.text(value) for value in values])

    def unary(self, sign: str, value: Any) -> Any:
        """The operators `+` and `-` before a number."""
        if type(value) not in NUMBERS and not isinstance(value, Missing):
            raise TypeError(f"{sign} of a {type(value).__name__}")
        return -value if sign == "-" else +value

    def binary(self, sign: str, left: Any, right: Any) -> Any:
        """The operators of arithmetic."""
        kinds = (type(left), type(right))
        if kinds[0] in NUMBERS and kinds[1] in NUMBERS:
            return self._calculated(sign, left, right)
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

    def _calculated(self, sign: str, left: Any, right: Any) -> Any:
        if type(left) is not float and type(right) is not float:
            bits: float = left.bit_length() + right.bit_length()
            self.step(int(bits) >> 8)
            if sign == "**" and abs(left) > 1 and right > 0:
                bits = right * log2(abs(left))
            # A product may have one bit less.
            if sign in _GROWING and bits > INTEGER_BITS + 1:
                raise SecurityError(f"an integer of more than {INTEGER_BITS} bits")
        return check_number(_ARITHMETIC[sign](left, right))

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
            # Under `strict` that raises.
            return bool(item)
        if type(container) is str and type(item) is str:
            self.step(search_cost(container, item))
        elif type(container) is dict:
            self.key(item)
        elif type(container) is range:
            # Only of integers does a range know it without looking at each of its own.
            self.step(1 if type(item) in {int, bool} else 1 + len(container))
        elif type(container) in {list, tuple}:
            self.measure(item)
            self.measure(container)
        elif isinstance(container, Missing):
            return bool(container)
        else:
            raise TypeError(f"{type(item).__name__} in {type(container).__name__}")
        return bool(item in container)

    def key(self, value: Any) -> Any:
        """`value`, where it may be the key of a dict: its hash takes no time and can't collide."""
        if type(value) not in SCALARS and type(value) is not str:
            raise TypeError(f"a {type(value).__name__} as a key")
        if type(value) is int and abs(value) >= _KEY_LIMIT:
            raise SecurityError("an integer of more than 60 bits as a key")
        return value

    def item(self, value: Any, key: Any) -> Any:
        """What is at an index, or belongs to a key."""
        if type(value) is dict:
            found = value.get(self.key(key), missing)
            return self.undefined(name=key) if found is missing else found
        if type(key) is str:
            refuse_attribute(value, key)
        elif type(key) not in {int, bool}:
            raise TypeError(f"a {type(key).__name__} as an index")
        elif type(value) in _SEQUENCES and -len(value) <= key < len(value):
            return value[key]
        if isinstance(value, Missing):
            # Under `strict` it must not be used.
            bool(value)
            return value
        return self.undefined(name=key)

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
        """`value`, where it is something to loop over, and has a length."""
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


def refuse_attribute(value: Any, name: str) -> None:
    """Refuse what Python has under a name, and a template has not."""
    # A name that can't be one is not looked up: that takes a copy of it.
    if len(name) <= NAME_LENGTH and hasattr(type(value), name):
        raise SecurityError(f"{name!r} of a {type(value).__name__} is not available")
