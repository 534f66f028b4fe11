"""Python's two ways of formatting, `%` and `str.format`, with every width checked beforehand."""

import re
from string import Formatter
from typing import TYPE_CHECKING, Any

from jinja2.exceptions import SecurityError

from groupstore.template.limits import NUMBERS, check_text
from groupstore.template.missing import Missing

if TYPE_CHECKING:
    from groupstore.template.operators import Operators

# Without `*` as a width and without %r, %a.
_PERCENT = re.compile(
    r"%(?:(?P<literal>%)|(?:\((?P<key>[^()]*)\))?"
    r"(?P<flags>[-+ #0]*+)(?P<width>\d{0,8})(?:\.(?P<precision>\d{0,8}))?[hlL]?"
    r"(?P<kind>[diouxXeEfFgGcs]))"
)
_SPECIFICATION = re.compile(
    r"(?:.?[<>=^])?[-+ ]?z?#?0?(?P<width>\d{0,8})[,_]?(?:\.(?P<precision>\d{1,8}))?"
    r"[bcdeEfFgGosxX%]?",
    re.DOTALL,
)
_MARK = re.compile("%")


def percent(context: "Operators", template: str, values: Any) -> str:
    """`template % values`."""
    context.read(template)
    pieces: list[str] = []
    room = _Room(context)
    position = used = 0
    arguments = values if type(values) is tuple else (values,)
    while mark := _MARK.search(template, position):
        match = _PERCENT.match(template, mark.start())
        if match is None:
            start = mark.start()
            raise SecurityError(f"the conversion {template[start : start + 20]!r}")
        pieces.append(room.took(template[position : mark.start()]))
        position = match.end()
        if match["literal"]:
            pieces.append("%")
            continue
        if match["key"] is not None:
            if type(values) is not dict:
                raise TypeError("format requires a mapping")
            value = context.item(values, match["key"])
        else:
            value = arguments[used] if used < len(arguments) else _too_few()
            used += 1
        pieces.append(room.took(_convert(context, match, value)))
    if used < len(arguments) and type(values) is not dict:
        raise TypeError("not all arguments converted during string formatting")
    pieces.append(room.took(template[position:]))
    return context.made("".join(pieces))


def braces(context: "Operators", template: str, /, *arguments: Any, **named: Any) -> str:
    """`template.format(*arguments, **named)`, of whole arguments: without `.` and `[`."""
    context.read(template)
    pieces: list[str] = []
    room = _Room(context)
    used = 0
    for literal, field, specification, conversion in Formatter().parse(template):
        pieces.append(room.took(literal))
        if field is None:
            continue
        if conversion not in {None, "s"}:
            raise SecurityError(f"the conversion !{conversion}")
        if field in named:
            value = named[field]
        elif field and not field.isdecimal():
            raise SecurityError(f"the field {field[:40]!r}")
        else:
            index = int(field[:8]) if field else used
            used += 1
            value = arguments[index] if index < len(arguments) else _too_few()
        if conversion == "s" or type(value) not in NUMBERS:
            value = context.text(value)
        pieces.append(room.took(_format(context, value, specification or "")))
    return context.made("".join(pieces))


class _Room:
    """Counts what has been made of a text."""

    def __init__(self, context: "Operators") -> None:
        self._context = context
        self._length = 0

    def took(self, piece: str) -> str:
        """`piece`, which is one more part of the text."""
        self._length += len(piece)
        check_text(self._length)
        return self._context.read(piece)


def _too_few() -> Any:
    raise TypeError("not enough arguments for format string")


def _check_widths(context: "Operators", match: re.Match[str], value: Any) -> None:
    precision = int(match["precision"] or 0)
    check_text(int(match["width"] or 0) + precision)
    if type(value) is float:
        # Exact decimals take some 50 microseconds; no float has more than these.
        context.step(8 + (min(precision, 1100) >> 3))


def _convert(context: "Operators", match: re.Match[str], value: Any) -> str:
    _check_widths(context, match, value)
    kind = match["kind"]
    if kind == "s" or (kind == "c" and type(value) is str):
        value = context.text(value)
    elif type(value) not in NUMBERS:
        if isinstance(value, Missing):
            bool(value)
        raise TypeError(f"%{kind} of a {type(value).__name__}")
    precision = "" if match["precision"] is None else f".{match['precision']}"
    return f"%{match['flags']}{match['width']}{precision}{kind}" % (value,)


def _format(context: "Operators", value: Any, specification: str) -> str:
    match = _SPECIFICATION.fullmatch(specification)
    if match is None:
        raise SecurityError(f"the format specification {specification[:40]!r}")
    _check_widths(context, match, value)
    return format(value, specification)
