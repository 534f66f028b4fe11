"""The methods of Python's values that a template may call."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jinja2.runtime import LoopContext

from groupstore.template.formatting import braces
from groupstore.template.limits import check_text, product_cost, search_cost

if TYPE_CHECKING:
    from groupstore.template.context import Rendering

Implementation = Callable[..., Any]
Cost = Callable[[str, str], int]

# The step for reading it is enough for a result like this.
_SHORT = 64
# Each of these ends a line for str.splitlines, beside "\r\n".
_LINE_ENDS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"


@dataclass(slots=True, eq=False)
class Method:
    """What a template may call: `implementation(rendering, owner, *arguments)`."""

    implementation: Implementation
    owner: Any
    name: str


def _linear(function: Callable[..., Any]) -> Implementation:
    """A method of str that looks at each character once, whose result grows little or not."""

    def implementation(context: "Rendering", text: str, /, *arguments: Any, **named: Any) -> Any:
        context.read(text)
        result = function(text, *arguments, **named)
        if type(result) is str and len(result) > _SHORT:
            context.made(result)
        return result

    return implementation


def _strip(function: Callable[..., str]) -> Implementation:
    def implementation(context: "Rendering", text: str, characters: str | None = None) -> str:
        context.step(product_cost(text, characters or ""))
        return context.made(function(text, characters))

    return implementation


def _find(function: Callable[..., int], cost: Cost) -> Implementation:
    def implementation(context: "Rendering", text: str, part: str, *limits: int) -> int:
        context.step(cost(text, part))
        return function(text, part, *limits)

    return implementation


def _partition(function: Callable[..., tuple[str, str, str]], cost: Cost) -> Implementation:
    def implementation(context: "Rendering", text: str, separator: str) -> tuple[str, str, str]:
        context.read(text)
        context.step(cost(text, separator))
        return function(text, separator)

    return implementation


def _split(function: Callable[..., list[str]], cost: Cost) -> Implementation:
    def implementation(
        context: "Rendering", text: str, sep: str | None = None, maxsplit: int = -1
    ) -> list[str]:
        context.read(text)
        if sep is not None:
            context.step(cost(text, sep))
        # Enough to be one part too many, and no memory for more.
        most = context.steps if maxsplit < 0 else min(maxsplit, context.steps)
        parts = function(text, sep, most)
        context.step(len(parts))
        return parts

    return implementation


def _pad(function: Callable[..., str]) -> Implementation:
    def implementation(context: "Rendering", text: str, width: int, *fill: str) -> str:
        check_text(width)
        return context.made(function(text, width, *fill))

    return implementation


def count_lines(context: "Rendering", text: str) -> int:
    """How many lines `text` has at most, each of them paid for."""
    context.read(text)
    count = 1 + sum(map(text.count, _LINE_ENDS))
    context.step(count)
    return count


def _split_lines(context: "Rendering", text: str, keepends: bool = False) -> list[str]:
    count_lines(context, text)
    return text.splitlines(keepends)


def _replace(context: "Rendering", text: str, old: str, new: str, count: int = -1) -> str:
    context.step(search_cost(text, old))
    found = text.count(old)
    if count >= 0:
        found = min(found, count)
    check_text(len(text) + found * (len(new) - len(old)))
    context.step(found >> 3)
    return context.made(text.replace(old, new, count))


def _join(context: "Rendering", separator: str, parts: Any) -> str:
    parts = context.iterable(parts)
    context.step(len(parts))
    if any(type(part) is not str for part in parts):
        raise TypeError("join of what is no text")
    check_text(sum(map(len, parts)) + len(separator) * len(parts))
    return context.made(separator.join(parts))


def _affix(function: Callable[..., Any]) -> Implementation:
    def implementation(context: "Rendering", text: str, affix: Any, *limits: int) -> Any:
        context.measure(affix)
        result = function(text, affix, *limits)
        return context.made(result) if type(result) is str else result

    return implementation


def _items(context: "Rendering", mapping: dict[Any, Any]) -> list[tuple[Any, Any]]:
    context.step(2 * len(mapping))
    return list(mapping.items())


def _keys(context: "Rendering", mapping: dict[Any, Any]) -> list[Any]:
    context.step(len(mapping))
    return list(mapping)


def _values(context: "Rendering", mapping: dict[Any, Any]) -> list[Any]:
    context.step(len(mapping))
    return list(mapping.values())


def _get(context: "Rendering", mapping: dict[Any, Any], key: Any, default: Any = None) -> Any:
    return mapping.get(context.key(key), default)


def _look(function: Callable[..., int]) -> Implementation:
    def implementation(context: "Rendering", sequence: Any, item: Any) -> int:
        context.measure(item)
        context.measure(sequence)
        return function(sequence, item)

    return implementation


def _cycle(_: "Rendering", loop: LoopContext, *values: Any) -> Any:
    return loop.cycle(*values)


def _changed(context: "Rendering", loop: LoopContext, *values: Any) -> bool:
    context.measure(values)
    return loop.changed(*values)


_OF_TEXT: dict[str, Implementation] = {
    name: wrap(getattr(str, name))
    for wrap, names in (
        (_linear, "capitalize casefold lower swapcase title upper isalnum isalpha isascii"),
        (_linear, "isdecimal isdigit isidentifier islower isnumeric isprintable isspace"),
        (_linear, "istitle isupper"),
        (_strip, "strip lstrip rstrip"),
        (_pad, "center ljust rjust zfill"),
        (_affix, "startswith endswith removeprefix removesuffix"),
    )
    for name in names.split()
} | {
    "find": _find(str.find, search_cost),
    "index": _find(str.index, search_cost),
    "count": _find(str.count, search_cost),
    "partition": _partition(str.partition, search_cost),
    "split": _split(str.split, search_cost),
    # CPython has no linear algorithm for a search from the right.
    "rfind": _find(str.rfind, product_cost),
    "rindex": _find(str.rindex, product_cost),
    "rpartition": _partition(str.rpartition, product_cost),
    "rsplit": _split(str.rsplit, product_cost),
    "splitlines": _split_lines,
    "replace": _replace,
    "join": _join,
    "format": braces,
}

_METHODS: dict[type, dict[str, Implementation]] = {
    str: _OF_TEXT,
    dict: {"items": _items, "keys": _keys, "values": _values, "get": _get},
    list: {"index": _look(list.index), "count": _look(list.count)},
    tuple: {"index": _look(tuple.index), "count": _look(tuple.count)},
    LoopContext: {"cycle": _cycle, "changed": _changed},
}


def of_text(name: str) -> Implementation:
    """A method of str."""
    return _OF_TEXT[name]


def find_method(value: Any, name: str) -> Method | None:
    """The method `name` of `value`, if a template may call it."""
    implementation = _METHODS.get(type(value), {}).get(name)
    return None if implementation is None else Method(implementation, value, name)
