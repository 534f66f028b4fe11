"""The methods that need no speed of their own, over the compiled ones: iterators, splits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from groupstore.engine.keyspace import Keyspace
from groupstore.group import Group

if TYPE_CHECKING:
    from groupstore.key_value import KeyValue

Row = TypeVar("Row")

FIRST_PAGE_ROWS = 64
"""Small, so that a loop that breaks off early has read little."""
LONGEST_PAGE_ROWS = 4096


def walk(
    page: Callable[[str | None, int], list[Row | None]], position: Callable[[Row], str]
) -> Iterator[Row]:
    """Yield the rows of page after page, each from where the last one ended.

    A key that lives throughout is met once, whatever the loop body does, and between two pages
    nothing is held open.
    """
    # None in a page stands for a row that is there but not listed.
    rows_wanted = FIRST_PAGE_ROWS
    last: str | None = None
    while True:
        rows = page(last, rows_wanted)
        listed = [row for row in rows if row is not None]
        yield from listed
        if len(rows) < rows_wanted:
            return
        if listed:
            last = position(listed[-1])
            rows_wanted = min(rows_wanted * 4, LONGEST_PAGE_ROWS)
        else:
            # A page of such rows alone: only a longer one reaches beyond them.
            rows_wanted *= 4


def _key_of(row: KeyValue) -> str:
    return row.key


def _itself(name: str) -> str:
    return name


class Face(Keyspace):
    """What every face offers beside the compiled methods."""

    def items(
        self,
        group: str,
        *,
        prefix: str = "",
        start: str | None = None,
        stop: str | None = None,
        reverse: bool = False,
    ) -> Iterator[KeyValue]:
        """Iterate over the live keys of `group` and their values in key order.

        `prefix`, `start` (inclusive) and `stop` (exclusive) bound the keys; `reverse` turns the
        order. A key that lives throughout the iteration is yielded exactly once, and an iterator
        that is left alone holds no lock.
        """
        return walk(self._item_pages(group, prefix, start, stop, reverse), _key_of)

    def keys(
        self,
        group: str,
        *,
        prefix: str = "",
        start: str | None = None,
        stop: str | None = None,
        reverse: bool = False,
    ) -> Iterator[str]:
        """Iterate over the live keys of `group` in order; the arguments are those of `items`."""
        return walk(self._key_pages(group, prefix, start, stop, reverse), _itself)

    def iter_groups(self, prefix: str = "") -> Iterator[str]:
        """Iterate over what `groups` lists."""
        return walk(self._group_pages(prefix), _itself)

    def get_split(self, group: str, key: str, separator: str) -> Iterator[str]:
        """Iterate over the parts of a `str` value that `separator` divides.

        Raises `NotFoundError`, `TypeError` for a `bytes` value and `ValueError` for an empty
        separator.
        """
        if not isinstance(separator, str):
            raise TypeError(f"get_split: separator must be str, not {type(separator).__name__}")
        if not separator:
            raise ValueError("get_split: separator must not be empty")
        return iter(self._text(group, key, "get_split").split(separator))

    def get_fields(self, group: str, key: str) -> Iterator[str]:
        """Iterate over the parts of a `str` value between runs of white space.

        Raises `NotFoundError`, and `TypeError` for a `bytes` value.
        """
        return iter(self._text(group, key, "get_fields").split())

    def _text(self, group: str, key: str, verb: str) -> str:
        value = self._value(group, key, verb)
        if not isinstance(value, str):
            raise TypeError(f"{verb}: the value of key {key!r} in group {group!r} is bytes")
        return value

    def render(self, template: str, group: str, *, strict: bool = False) -> str:
        """Render a Jinja2 template with the group's live keys as its variables.

        Go's field form works too: `{{ .host }}`, `{{ index . "smtp-host" }}`. A missing variable
        renders as `<no value>`, or with `strict` raises. Nothing is escaped. The template runs in
        a sandbox, for at most a million steps and 16 MiB of output. Raises `TemplateError` with
        the line.
        """
        # Here, not above: Jinja2 takes longer to import than all the rest.
        from groupstore.template import render  # noqa: PLC0415

        return render(template, self.get_all(group), strict=strict)

    def group(self, name: str) -> Group:
        """A view of one group as a mutable mapping."""
        return Group(self, name)
