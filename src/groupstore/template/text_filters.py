"""The filters of text: Jinja2's, with what they make looked at beforehand."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jinja2.exceptions import FilterArgumentError
from jinja2.filters import do_indent, do_title, do_truncate
from jinja2.utils import url_quote
from markupsafe import escape

from groupstore.template.formatting import percent
from groupstore.template.limits import check_text
from groupstore.template.methods import count_lines, of_text
from groupstore.template.missing import Missing

if TYPE_CHECKING:
    from groupstore.template.context import Rendering

Filter = Callable[..., Any]

# What an escape takes beside the character.
_ESCAPES = {"&": 4, "<": 3, ">": 3, "'": 4, '"': 4}
# The filter truncate asks its environment for a leeway only where none is given.
_NO_ENVIRONMENT: Any = None
_WORD = re.compile(r"\w+")


def _of_text(function: Filter) -> Filter:
    """Give `function` its first value as text; what is missing stays missing."""

    def implementation(context: "Rendering", value: Any, /, *arguments: Any, **named: Any) -> Any:
        if value.__class__ is str:
            return function(context, value, *arguments, **named)
        if isinstance(value, Missing):
            # Under `strict` it must not be used.
            bool(value)
            return value
        return function(context, context.text(value), *arguments, **named)

    return implementation


def _string(_: "Rendering", text: str) -> str:
    return text


def _title(context: "Rendering", text: str) -> str:
    # Jinja2 makes a list of the words.
    context.step(len(text))
    return context.made(do_title(text))


def _trim(context: "Rendering", text: str, chars: str | None = None) -> Any:
    return of_text("strip")(context, text, chars)


def _replace(context: "Rendering", text: str, old: Any, new: Any, count: int | None = None) -> Any:
    limit = -1 if count is None else count
    return of_text("replace")(context, text, context.text(old), context.text(new), limit)


def _center(context: "Rendering", text: str, width: int = 80) -> Any:
    return of_text("center")(context, text, width)


def _indent(
    context: "Rendering",
    text: str,
    width: int | str = 4,
    first: bool = False,
    blank: bool = False,
) -> str:
    by = len(width) if isinstance(width, str) else width
    check_text(len(text) + (1 + count_lines(context, text)) * by)
    return context.made(do_indent(text, width, first, blank))


def _truncate(
    context: "Rendering",
    text: str,
    length: int = 255,
    killwords: bool = False,
    end: str = "...",
    leeway: int = 5,
) -> str:
    end = context.text(end)
    if length < len(end) or leeway < 0:
        raise FilterArgumentError(f"truncate to {length} with an end of {len(end)}")
    return context.made(do_truncate(_NO_ENVIRONMENT, text, length, killwords, end, leeway))


def _escape(context: "Rendering", text: str) -> str:
    context.read(text)
    check_text(len(text) + sum(extra * text.count(char) for char, extra in _ESCAPES.items()))
    return context.made(str(escape(text)))


def _format(context: "Rendering", template: str, /, *values: Any, **named: Any) -> str:
    if values and named:
        raise FilterArgumentError("format takes values by position or by name, not both")
    return percent(context, template, named or values)


def _word_count(context: "Rendering", text: str) -> int:
    context.step(len(text))
    return sum(1 for _ in _WORD.finditer(text))


def _url_encode(context: "Rendering", value: Any) -> Any:
    if isinstance(value, Missing):
        bool(value)
        return value
    if type(value) is dict:
        pairs = list(value.items())
    elif type(value) in {list, tuple}:
        pairs = list(value)
    else:
        return context.made(_quoted(context, value))
    quoted = (
        f"{_quoted(context, name, query=True)}={_quoted(context, item, query=True)}"
        for name, item in pairs
    )
    return context.concatenate(["&".join(quoted)])


def _quoted(context: "Rendering", value: Any, *, query: bool = False) -> str:
    text = context.text(value)
    # A byte at a time, each to a text of its own.
    context.step(1 + len(text) * (1 if text.isascii() else 4))
    return url_quote(text, for_qs=query)


_FUNCTIONS: dict[str, Filter] = {
    "capitalize": of_text("capitalize"),
    "center": _center,
    "e": _escape,
    "escape": _escape,
    "forceescape": _escape,
    "format": _format,
    "indent": _indent,
    "lower": of_text("lower"),
    "replace": _replace,
    "safe": _string,
    "string": _string,
    "title": _title,
    "trim": _trim,
    "truncate": _truncate,
    "upper": of_text("upper"),
    "wordcount": _word_count,
}
TEXT_FILTERS: dict[str, Filter] = {
    **{name: _of_text(function) for name, function in _FUNCTIONS.items()},
    "urlencode": _url_encode,
}
