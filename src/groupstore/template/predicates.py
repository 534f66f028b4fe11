"""The tests that a template may use after `is`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jinja2.utils import pass_context

from groupstore.template.limits import NUMBERS
from groupstore.template.missing import Missing, Undecodable

if TYPE_CHECKING:
    from groupstore.template.context import Rendering

Predicate = Callable[..., bool]

_COLLECTIONS = frozenset({list, tuple, dict, range, str})


def _undefined(_: "Rendering", value: Any) -> bool:
    return isinstance(value, Missing) and not isinstance(value, Undecodable)


def _defined(context: "Rendering", value: Any) -> bool:
    return not _undefined(context, value)


def _of_kind(*kinds: type) -> Predicate:
    def predicate(_: "Rendering", value: Any) -> bool:
        if isinstance(value, Missing):
            # Under `strict` it must not be used.
            bool(value)
        return type(value) in kinds

    return predicate


def _is(wanted: Any) -> Predicate:
    def predicate(_: "Rendering", value: Any) -> bool:
        if isinstance(value, Missing):
            bool(value)
        return value is wanted

    return predicate


def _compared(sign: str) -> Predicate:
    def predicate(context: "Rendering", value: Any, other: Any) -> bool:
        return bool(context.compare(sign, value, other))

    return predicate


def _divisible_by(context: "Rendering", value: Any, num: Any) -> bool:
    if type(value) not in NUMBERS:
        raise TypeError(f"a {type(value).__name__} is no number")
    return bool(context.binary("%", value, num) == 0)


def _odd(context: "Rendering", value: Any) -> bool:
    return not _divisible_by(context, value, 2)


def _even(context: "Rendering", value: Any) -> bool:
    return _divisible_by(context, value, 2)


def _lower(context: "Rendering", value: Any) -> bool:
    return context.read(context.text(value)).islower()


def _upper(context: "Rendering", value: Any) -> bool:
    return context.read(context.text(value)).isupper()


def _same_as(_: "Rendering", value: Any, other: Any) -> bool:
    return value is other


_SIGNS = {
    "eq": ("==", "eq", "equalto"),
    "ne": ("!=", "ne"),
    "lt": ("<", "lt", "lessthan"),
    "lteq": ("<=", "le"),
    "gt": (">", "gt", "greaterthan"),
    "gteq": (">=", "ge"),
    "in": ("in",),
}
_FUNCTIONS: dict[str, Predicate] = {
    "defined": _defined,
    "undefined": _undefined,
    "none": _is(None),
    "true": _is(True),
    "false": _is(False),
    "boolean": _of_kind(bool),
    "integer": _of_kind(int),
    "float": _of_kind(float),
    "number": _of_kind(*NUMBERS),
    "string": _of_kind(str),
    "mapping": _of_kind(dict),
    "sequence": _of_kind(*_COLLECTIONS),
    "iterable": _of_kind(*_COLLECTIONS),
    "odd": _odd,
    "even": _even,
    "divisibleby": _divisible_by,
    "lower": _lower,
    "upper": _upper,
    "sameas": _same_as,
    **{name: _compared(sign) for sign, names in _SIGNS.items() for name in names},
}
PREDICATES: dict[str, Any] = {name: pass_context(test) for name, test in _FUNCTIONS.items()}
