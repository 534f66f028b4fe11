"""The filters of sequences and mappings, whose work is paid for by the element."""

from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any

from jinja2.exceptions import FilterArgumentError
from jinja2.filters import ignore_case

from groupstore.template.limits import NAME_LENGTH, check_text
from groupstore.template.missing import Missing
from groupstore.template.predicates import PREDICATES

if TYPE_CHECKING:
    from groupstore.template.context import Rendering

Filter = Callable[..., Any]
Attribute = str | int | None


def elements(context: "Rendering", value: Any) -> list[Any]:
    """The elements of `value`, each paid for."""
    context.step(1 + len(context.iterable(value)))
    return list(value)


def getter(context: "Rendering", attribute: Attribute, default: Any = None) -> Filter:
    """A function that takes `"a.0.b"` of a value."""
    parts: list[str | int] = []
    if isinstance(attribute, str):
        _check_attribute(attribute)
        parts.extend(int(part) if part.isdecimal() else part for part in attribute.split("."))
    elif attribute is not None:
        parts.append(attribute)

    def get(value: Any) -> Any:
        for part in parts:
            context.step()
            value = context.item(value, part)
            if default is not None and isinstance(value, Missing):
                value = default
        return value

    return get


def _check_attribute(attribute: str) -> None:
    if len(attribute) > NAME_LENGTH:
        raise FilterArgumentError(f"an attribute of {len(attribute):,} characters")


def _sort_key(context: "Rendering", attribute: Attribute, case_sensitive: bool) -> Filter:
    get = getter(context, attribute)
    return get if case_sensitive else lambda value: ignore_case(get(value))


def _pay_for_sorting(context: "Rendering", values: list[Any]) -> None:
    before = context.steps
    context.measure(values)
    context.step((before - context.steps) * len(values).bit_length())


def _sort(
    context: "Rendering",
    value: Any,
    reverse: bool = False,
    case_sensitive: bool = False,
    attribute: Attribute = None,
) -> list[Any]:
    values = elements(context, value)
    _pay_for_sorting(context, values)
    names: list[Attribute] = [attribute]
    if isinstance(attribute, str):
        _check_attribute(attribute)
        names = list(attribute.split(","))
    keys = [_sort_key(context, name, case_sensitive) for name in names]
    return sorted(values, key=lambda item: [key(item) for key in keys], reverse=reverse)


def _dict_sort(
    context: "Rendering",
    value: Any,
    case_sensitive: bool = False,
    by: str = "key",
    reverse: bool = False,
) -> list[Any]:
    # Not a set: hashing a template's values can take forever.
    if by not in ("key", "value"):
        raise FilterArgumentError('dictsort is by "key" or by "value"')
    pairs = _items(context, value)
    _pay_for_sorting(context, pairs)
    key = _sort_key(context, 0 if by == "key" else 1, case_sensitive)
    return sorted(pairs, key=key, reverse=reverse)


def _items(context: "Rendering", value: Any) -> list[Any]:
    if isinstance(value, Missing):
        return list(value)
    if type(value) is not dict:
        raise TypeError(f"items of a {type(value).__name__}")
    context.step(1 + 2 * len(value))
    return list(value.items())


def _unique(
    context: "Rendering", value: Any, case_sensitive: bool = False, attribute: Attribute = None
) -> list[Any]:
    key = _sort_key(context, attribute, case_sensitive)
    # The first of equal ones stays.
    found: dict[Any, Any] = {}
    values = elements(context, value)
    # To lower case, all of it.
    context.measure(values)
    for item in values:
        found.setdefault(context.key(key(item)), item)
    return list(found.values())


def _extreme(function: Callable[..., Any]) -> Filter:
    def implementation(
        context: "Rendering", value: Any, case_sensitive: bool = False, attribute: Attribute = None
    ) -> Any:
        values = elements(context, value)
        context.measure(values)
        if not values:
            return context.undefined(f"{function.__name__} of nothing")
        return function(values, key=_sort_key(context, attribute, case_sensitive))

    return implementation


def _sum(context: "Rendering", value: Any, attribute: Attribute = None, start: Any = 0) -> Any:
    get = getter(context, attribute)
    for item in elements(context, value):
        start = context.binary("+", start, get(item))
    return start


def _join(context: "Rendering", value: Any, d: Any = "", attribute: Attribute = None) -> str:
    get = getter(context, attribute)
    texts = [context.text(get(item)) for item in elements(context, value)]
    separator = context.text(d)
    check_text(sum(map(len, texts)) + len(separator) * len(texts))
    return context.made(separator.join(texts))


def _length(context: "Rendering", value: Any) -> int:
    return len(context.iterable(value))


def _first(context: "Rendering", value: Any) -> Any:
    for item in context.iterable(value):
        return item
    return context.undefined("first of nothing")


def _last(context: "Rendering", value: Any) -> Any:
    if isinstance(value, Missing):
        return _first(context, value)
    for item in reversed(context.iterable(value)):
        return item
    return context.undefined("last of nothing")


def _reverse(context: "Rendering", value: Any) -> Any:
    if type(value) is str:
        return context.made(value[::-1])
    return elements(context, value)[::-1]


def _batch(
    context: "Rendering", value: Any, linecount: int, fill_with: Any = None
) -> list[list[Any]]:
    values = elements(context, value)
    context.step(len(values) + max(linecount, 0))
    batches = [values[start : start + linecount] for start in range(0, len(values), linecount)]
    if batches and fill_with is not None:
        batches[-1] += [fill_with] * (linecount - len(batches[-1]))
    return batches


def _slice(context: "Rendering", value: Any, slices: int, fill_with: Any = None) -> list[list[Any]]:
    values = elements(context, value)
    context.step(len(values) + 2 * max(slices, 0))
    least, longer = divmod(len(values), slices)
    parts = []
    rest = iter(values)
    for number in range(slices):
        part = list(islice(rest, least + (number < longer)))
        if fill_with is not None and number >= longer:
            part.append(fill_with)
        parts.append(part)
    return parts


def _chooser(*, wanted: bool, of_attribute: bool) -> Filter:
    """The filters select and reject, and the two of an attribute."""

    def implementation(
        context: "Rendering", value: Any, /, *arguments: Any, **named: Any
    ) -> list[Any]:
        get = getter(context, arguments[0] if of_attribute else None)
        rest = arguments[1:] if of_attribute else arguments
        test = _test(rest[0]) if rest else _truth
        return [
            item
            for item in elements(context, value)
            if bool(test(context, get(item), *rest[1:], **named)) is wanted
        ]

    return implementation


def _test(name: Any) -> Filter:
    if not isinstance(name, str) or name not in PREDICATES:
        raise FilterArgumentError("select by a test that is none")
    test: Filter = PREDICATES[name]
    return test


def _truth(_: "Rendering", value: Any) -> bool:
    return bool(value)


SEQUENCE_FILTERS: dict[str, Filter] = {
    "batch": _batch,
    "count": _length,
    "dictsort": _dict_sort,
    "first": _first,
    "items": _items,
    "join": _join,
    "last": _last,
    "length": _length,
    "list": elements,
    "max": _extreme(max),
    "min": _extreme(min),
    "reject": _chooser(wanted=False, of_attribute=False),
    "rejectattr": _chooser(wanted=False, of_attribute=True),
    "reverse": _reverse,
    "select": _chooser(wanted=True, of_attribute=False),
    "selectattr": _chooser(wanted=True, of_attribute=True),
    "slice": _slice,
    "sort": _sort,
    "sum": _sum,
    "unique": _unique,
}
