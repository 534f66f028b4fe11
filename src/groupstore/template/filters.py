"""Every filter that a template may use, and those of numbers and of any value."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jinja2.exceptions import FilterArgumentError
from jinja2.filters import do_filesizeformat, do_float, do_int, do_round
from jinja2.utils import htmlsafe_json_dumps, pass_context

from groupstore.template.limits import (
    DEPTH,
    NUMBER_LENGTH,
    NUMBERS,
    check_number,
    check_text,
)
from groupstore.template.missing import Missing
from groupstore.template.sequence_filters import SEQUENCE_FILTERS, elements, getter
from groupstore.template.text_filters import TEXT_FILTERS

if TYPE_CHECKING:
    from groupstore.template.context import Rendering

Filter = Callable[..., Any]

# Characters in JSON for a byte of text, with HTML's characters escaped as Jinja2 does.
_JSON_GROWTH = 6
_JSON_INDENT = 16
# No float has more decimals.
_DECIMALS = 400


def _number_or_text(context: "Rendering", value: Any) -> Any:
    """`value`, where it can be read as a number; paid for."""
    context.step(2)
    if type(value) is str:
        if len(value) > NUMBER_LENGTH:
            raise FilterArgumentError(f"a number of {len(value):,} characters")
        context.step(1 + (len(value) >> 3))
    elif type(value) not in NUMBERS and value is not None:
        if not isinstance(value, Missing):
            raise FilterArgumentError(f"a {type(value).__name__} as a number")
        # Under `strict` it must not be used.
        bool(value)
        return None
    return value


def _int(context: "Rendering", value: Any, default: Any = 0, base: int = 10) -> Any:
    number = do_int(_number_or_text(context, value), default, base)
    return check_number(number) if type(number) is int else number


def _float(context: "Rendering", value: Any, default: Any = 0.0) -> Any:
    return do_float(_number_or_text(context, value), default)


def _abs(_: "Rendering", value: Any) -> Any:
    return abs(_number(value))


def _round(context: "Rendering", value: Any, precision: int = 0, method: str = "common") -> Any:
    if not -_DECIMALS <= precision <= _DECIMALS:
        raise FilterArgumentError(f"round to {precision} digits")
    context.step(1 + (abs(precision) >> 3))
    # Not a set: hashing a template's values can take forever.
    if method not in ("common", "ceil", "floor"):
        raise FilterArgumentError("round takes the method common, ceil or floor")
    return check_number(do_round(_number(value), precision, method))  # type: ignore[arg-type]


def _number(value: Any) -> Any:
    if type(value) not in NUMBERS:
        raise FilterArgumentError(f"a {type(value).__name__} is no number")
    return value


def _file_size(context: "Rendering", value: Any, binary: bool = False) -> str:
    context.step(8)
    number = float(_number_or_text(context, value))
    if not math.isfinite(number):
        raise FilterArgumentError(f"a file of {number} bytes")
    return do_filesizeformat(number, binary)


def _default(_: "Rendering", value: Any, default_value: Any = "", boolean: bool = False) -> Any:
    if isinstance(value, Missing) or (boolean and not value):
        return default_value
    return value


def _to_json(context: "Rendering", value: Any, indent: int | None = None) -> str:
    context.step(8)
    before = context.steps
    size = context.measure(value)
    if indent is not None and not 0 <= indent <= _JSON_INDENT:
        raise FilterArgumentError(f"tojson with an indent of {indent}")
    # A step was taken for every element, which stands on a line of its own.
    count = before - context.steps
    check_text(size * _JSON_GROWTH + count * (4 + DEPTH * (indent or 0)))
    return context.made(str(htmlsafe_json_dumps(value, sort_keys=True, indent=indent)))


def _map(
    context: "Rendering",
    value: Any,
    name: str | None = None,
    /,
    *arguments: Any,
    **named: Any,
) -> list[Any]:
    if name is None:
        function = getter(context, named.pop("attribute", None), named.pop("default", None))
        if named:
            raise FilterArgumentError(f"map takes no {next(iter(named))!r}")
        return [function(item) for item in elements(context, value)]
    if not isinstance(name, str) or name not in FILTERS:
        raise FilterArgumentError("map by a filter that is none")
    chosen = FILTERS[name]
    return [chosen(context, item, *arguments, **named) for item in elements(context, value)]


_FUNCTIONS: dict[str, Filter] = {
    "abs": _abs,
    "d": _default,
    "default": _default,
    "filesizeformat": _file_size,
    "float": _float,
    "int": _int,
    "map": _map,
    "round": _round,
    "tojson": _to_json,
    **TEXT_FILTERS,
    **SEQUENCE_FILTERS,
}
FILTERS: dict[str, Any] = {name: pass_context(filter) for name, filter in _FUNCTIONS.items()}
