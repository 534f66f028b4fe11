"""The rows that a query gives, made of those that its SQL gives."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from groupstore.journal import flux_cells
from groupstore.journal.flux_columns import (
    ENTRY,
    WHOLE,
    Change,
    Columns,
    EntryColumns,
    FlatColumns,
    Kind,
    Place,
    Stored,
    changed_object,
)
from groupstore.journal.rows import text_or_blob


def changed_value(value: Any, changes: Iterable[Change]) -> Any:
    """A decoded JSON object after drops and renames; anything else as it is."""
    for change in changes:
        if isinstance(value, dict):
            value = changed_object(value, change)
    return value


def changed_text(document: str, changes: Iterable[Change]) -> str:
    """A text of JSON after drops and renames; the same text where they change nothing."""
    before = flux_cells.decoded(document)
    after = changed_value(before, changes)
    if before == after:
        return document
    text = json.dumps(after, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        # Half of a pair stays the escape that it was.
        return json.dumps(after, separators=(",", ":"))
    return text


class _Entry:
    """One row of the table, its JSON decoded on demand."""

    def __init__(self, values: Sequence[Any]) -> None:
        self._values = dict(zip(ENTRY, map(text_or_blob, values), strict=True))
        self._objects: dict[str, Any] = {}

    def _object(self, name: str) -> Any:
        if name not in self._objects:
            self._objects[name] = flux_cells.decoded(self._values[name])
        return self._objects[name]

    def value(self, place: Place) -> Any:
        if place is None:
            return None
        if isinstance(place, Stored):
            if place.kind is Kind.OBJECT:
                return changed_value(self._object(place.name), place.changes)
            if place.changes:
                return changed_text(self._values[place.name], place.changes)
            return self._values[place.name]
        for name in ("tags_json", "fields_json"):
            members = self._object(name)
            for key in place.keys if isinstance(members, dict) else ():
                if key in members:
                    return members[key]
        return None

    def members(self, changes: tuple[Change, ...]) -> dict[str, Any]:
        """Tags and fields together."""
        both: dict[str, Any] = {}
        for name in ("tags_json", "fields_json"):
            members = changed_value(self._object(name), changes)
            if isinstance(members, dict):
                both = members | both
        return both


class RowDecoder:
    """Makes rows of one query: dicts by column name."""

    def __init__(self, columns: Columns, *, entries: bool) -> None:
        """`entries` says that SQL gives the columns ENTRY, not those of `columns` as cells."""
        self._columns = columns
        self._entries = entries
        if isinstance(columns, FlatColumns):
            self._shown = list(columns.shown)
        else:
            self._shown = [(name, columns.current(place)) for name, place in columns.shown]
            self._shown += [(name, columns.place(name)) for name in columns.flat or ()]

    def __call__(self, values: Sequence[Any]) -> dict[str, Any]:
        if not self._entries:
            names = [name for name, _ in self._shown]
            return dict(zip(names, map(flux_cells.imported, values), strict=False))
        entry = _Entry(values)
        row: dict[str, Any] = {}
        for name, place in self._shown:
            row.setdefault(name, entry.value(place))
        if isinstance(self._columns, EntryColumns) and self._columns.flat is not None:
            for name, value in entry.members(self._columns.changes).items():
                row.setdefault(name, value)
        return row


decode_entry = RowDecoder(WHOLE, entries=True)
"""The row of an entry as it is, given its columns ENTRY."""
