"""Which value a name means, at each point of a pipeline, in SQL and in the rows that come out."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeVar

Change = Mapping[str, str | None]
"""Old names and new ones, None for what is dropped; all at once."""


T = TypeVar("T")


class Kind(enum.Enum):
    """What is known of a column before there is a row."""

    TEXT = enum.auto()
    INTEGER = enum.auto()
    MILLISECONDS = enum.auto()
    """Unix ms, compared with integers as such."""
    TIME = enum.auto()
    """Unix ms, compared with integers as Unix seconds."""
    OBJECT = enum.auto()
    """A JSON text."""
    CELL = enum.auto()
    """An exact cell."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A column of the table, or of a query before.

    One that holds tags or fields as a whole has gone through `changes`: see `EntryColumns`.
    """

    name: str
    kind: Kind
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Inner:
    """A member of the tags or else of the fields: the first of `keys` that is there."""

    keys: tuple[str, ...]


Place = Stored | Inner | None
"""Where a value comes from; None for what no row has."""

ENTRY: Final = (
    *("entry_id", "bucket_name", "measurement", "fields_json"),
    *("tags_json", "committed_at", "archived_at"),
)
"""The columns of the table, as every query that gives entries selects them."""

_DOCUMENTS: Final = frozenset({"fields_json", "tags_json"})
_BUCKET: Final = Stored("bucket_name", Kind.TEXT)
_MEASUREMENT: Final = Stored("measurement", Kind.TEXT)
_RESERVED: Final[dict[str, Stored]] = {
    "entry_id": Stored("entry_id", Kind.INTEGER),
    "bucket_name": _BUCKET,
    "bucket": _BUCKET,
    "_bucket": _BUCKET,
    "measurement": _MEASUREMENT,
    "_measurement": _MEASUREMENT,
    "fields_json": Stored("fields_json", Kind.TEXT),
    "tags_json": Stored("tags_json", Kind.TEXT),
    "committed_at": Stored("committed_at", Kind.MILLISECONDS),
    "_time": Stored("committed_at", Kind.TIME),
    "archived_at": Stored("archived_at", Kind.MILLISECONDS),
    "fields": Stored("fields_json", Kind.OBJECT),
    "tags": Stored("tags_json", Kind.OBJECT),
}


def is_reserved(name: str) -> bool:
    """Whether a name always means a column of the entry, never a tag or field."""
    return name in _RESERVED


def _same(place: Stored, other: Stored) -> bool:
    """Whether two places are one column of a row, by whatever name."""
    is_object = Kind.OBJECT in {place.kind, other.kind}
    return place == other if is_object else place.name == other.name


@dataclass(frozen=True, slots=True)
class EntryColumns:
    """Whole entries: columns of their own, and tags and fields of whatever name.

    `changes` are the drops and renames that tags and fields have gone through, in order.
    `flat` are the names that tables were grouped by, in rows that show tags and fields beside them.
    """

    names: Mapping[str, Stored]
    shown: tuple[tuple[str, Stored], ...]
    changes: tuple[Change, ...] = ()
    flat: tuple[str, ...] | None = None

    def place(self, name: str) -> Place:
        """What a name means."""
        if name in self.names:
            return self.current(self.names[name])
        if name in _RESERVED:
            return None
        keys = [name]
        for change in reversed(self.changes):
            sources = {target: source for source, target in change.items() if target is not None}
            keys = [
                key
                for old in keys
                for key in (sources.get(old), None if old in change else old)
                if key is not None
            ]
            keys = list(dict.fromkeys(keys))
        return Inner(tuple(keys)) if keys else None

    def current(self, place: Stored) -> Stored:
        """A column as it is after the changes."""
        return replace(place, changes=self.changes) if place.name in _DOCUMENTS else place

    def changed(self, change: Change) -> "EntryColumns":
        """These with some columns renamed, or dropped where the new name is None."""
        names = dict(self.names)
        shown = list(self.shown)
        inner: dict[str, str | None] = {}
        for old, new in change.items():
            place = self.names.get(old)
            if place is None:
                inner[old] = new
                continue
            names = {name: other for name, other in names.items() if not _same(other, place)}
            shown = [
                (kept, other)
                for name, other in shown
                if (kept := new if _same(other, place) else name) is not None
            ]
        names.update(
            {
                new: self.names[old]
                for old, new in change.items()
                if old in self.names and new is not None
            }
        )
        flat = self.flat and renamed(self.flat, change)
        return replace(
            self, names=names, shown=tuple(shown), changes=(*self.changes, inner), flat=flat
        )


@dataclass(frozen=True, slots=True)
class FlatColumns:
    """Rows of just these columns."""

    shown: tuple[tuple[str, Place], ...]

    def place(self, name: str) -> Place:
        """What a name means."""
        return dict(self.shown).get(name)

    def changed(self, change: Change) -> "FlatColumns":
        """These with some columns renamed, or dropped where the new name is None."""
        return FlatColumns(tuple(changed_object(dict(self.shown), change).items()))


Columns = EntryColumns | FlatColumns

WHOLE: Final = EntryColumns(
    names=_RESERVED,
    shown=tuple((name, _RESERVED[name]) for name in (*ENTRY, "fields", "tags")),
)
"""Entries as they are."""


def renamed(names: tuple[str, ...], change: Change) -> tuple[str, ...]:
    """The names after a change."""
    return tuple([new for name in names if (new := change.get(name, name)) is not None])


def changed_object(value: dict[str, T], change: Change) -> dict[str, T]:
    """A mapping after a change; what is renamed takes the place of what had its new name."""
    targets = {change[name] for name in value if name in change}
    return {
        new: item
        for name, item in value.items()
        if (new := change.get(name, name)) is not None and (name in change or name not in targets)
    }
