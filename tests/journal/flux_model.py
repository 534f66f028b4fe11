"""What a Flux query means, by plain Python over a list of entries."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

from groupstore.journal import flux_tree as tree

MS_PER_SECOND = 1000
ALIASES = {
    "entry_id": "entry_id",
    "bucket_name": "bucket_name",
    "bucket": "bucket_name",
    "_bucket": "bucket_name",
    "measurement": "measurement",
    "_measurement": "measurement",
    "fields_json": "fields_json",
    "tags_json": "tags_json",
    "committed_at": "committed_at",
    "_time": "committed_at",
    "archived_at": "archived_at",
    "fields": "fields",
    "tags": "tags",
}
SHOWN = [
    *("entry_id", "bucket_name", "measurement", "fields_json", "tags_json"),
    *("committed_at", "archived_at", "fields", "tags"),
]


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def kind(value: Any) -> int:
    """0 null, 1 boolean, 2 number, 3 string, 4 array or object."""
    for number, types in enumerate([type(None), bool, int | float, str]):
        if isinstance(value, types):
            return number
    return 4


def order_key(value: Any) -> tuple[Any, ...]:
    """Values of all kinds in their order; integers beyond 64 bits are the nearest floats."""
    if kind(value) == 4:
        return (4, as_json(value).encode())
    if kind(value) == 2:
        return (2, float(value) if is_large(value) else value)
    return (kind(value), 0 if value is None else value)


def is_large(value: Any) -> bool:
    return isinstance(value, int) and not -(2**63) <= value < 2**63


def identity(value: Any) -> tuple[Any, ...]:
    """What makes values one in `group` and `distinct`."""
    if is_large(value):
        return ("large", value)
    return (kind(value), as_json(value) if kind(value) == 4 else value)


@dataclass
class Row:
    """An entry with its tags and fields, or a flat row."""

    values: dict[str, Any]
    tags: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)


class Model:
    """One query in its course: `tables` of rows, each with the key that tells it apart."""

    def __init__(self, entries: list[dict[str, Any]], now_ms: int) -> None:
        self.now_ms = now_ms
        self.is_whole = True
        self.flat: list[str] | None = None
        self.group: list[str] = []
        self.aliases = dict(ALIASES)
        self.shown = [(name, name) for name in SHOWN]
        self.times = {"_time": "time", "committed_at": "ms", "archived_at": "ms"}
        rows = [Row(dict(entry), dict(entry["tags"]), dict(entry["fields"])) for entry in entries]
        self.tables = [rows]

    def get(self, row: Row, name: str) -> Any:
        if not self.is_whole:
            return row.values.get(name)
        if name in self.aliases:
            return self.own(row, self.aliases[name])
        if name in ALIASES:
            return None
        return row.tags[name] if name in row.tags else row.fields.get(name)

    def own(self, row: Row, source: str) -> Any:
        objects = {"fields": row.fields, "tags": row.tags}
        if source in objects:
            return objects[source]
        if source in {"fields_json", "tags_json"}:
            return as_json(objects[source.removesuffix("_json")])
        return row.values[source]

    def result(self) -> list[dict[str, Any]]:
        return [self.shown_row(row) for table in self.tables for row in table]

    def shown_row(self, row: Row) -> dict[str, Any]:
        if not self.is_whole:
            return row.values
        result = {name: self.own(row, source) for name, source in self.shown}
        if self.flat is None:
            return result
        for name in self.flat:
            result.setdefault(name, self.get(row, name))
        return {**row.fields, **row.tags, **result}

    def apply(self, stage: tree.Stage) -> None:
        getattr(self, f"do_{type(stage).__name__.lower()}")(stage)
        if self.group:
            self.tables = [table for table in self.tables if table]

    # Selection

    def do_range(self, stage: tree.Range) -> None:
        start = moment(stage.start, self.now_ms)
        stop = (self.now_ms + 1) * 10**6 if stage.stop is None else moment(stage.stop, self.now_ms)
        self.keep_where(lambda row: start <= self.get(row, "_time") * 10**6 < stop)

    def do_filter(self, stage: tree.Filter) -> None:
        self.keep_where(lambda row: self.holds(row, stage.predicate) is True)

    def keep_where(self, test: Any) -> None:
        self.tables = [[row for row in table if test(row)] for table in self.tables]

    def holds(  # noqa: PLR0911 - one for each kind
        self, row: Row, predicate: tree.Predicate
    ) -> bool | None:
        match predicate:
            case tree.Boolean(value=value):
                return value
            case tree.Column(name=name):
                value = self.get(row, name)
                return value if isinstance(value, bool) else None
            case tree.Exists(column=column):
                return self.get(row, column.name) is not None
            case tree.Not(operand=operand):
                value = self.holds(row, operand)
                return None if value is None else not value
            case tree.Junction(word=word, operands=operands):
                return junction([self.holds(row, operand) for operand in operands], word == "or")
            case tree.Match(column=column, regexp=regexp, negated=negated):
                return matched(self.get(row, column.name), regexp.pattern, negated)
            case tree.Comparison(column=column, comparator=comparator, other=other):
                return self.compared(row, column.name, comparator, other)

    def compared(self, row: Row, name: str, comparator: str, other: Any) -> bool | None:
        left: Any = self.get(row, name)
        is_time = self.times.get(name)
        if isinstance(other, tree.Column):
            right: Any = self.get(row, other.name)
        elif is_time == "time" or (is_time and not isinstance(other, tree.Number)):
            seconds = isinstance(other, tree.Number)
            right = other.value * 10**9 if seconds else moment(other, self.now_ms)
            left = None if left is None else left * 10**6
        else:
            right = other.value
        kinds = {kind(left), kind(right)}
        if len(kinds) > 1 or kinds & {0, 4}:
            return None
        if kinds == {1} and comparator not in {"==", "!="}:
            return None
        if isinstance(other, tree.Column) or not is_time:
            left, right = order_key(left)[1], order_key(right)[1]
        return {
            "==": left == right,
            "!=": left != right,
            "<": left < right,
            "<=": left <= right,
            ">": left > right,
            ">=": left >= right,
        }[comparator]

    # Order

    def do_sort(self, stage: tree.Sort) -> None:
        for table in self.tables:
            for column in reversed(stage.columns):
                table.sort(
                    key=lambda row, name=column.value: order_key(self.get(row, name)),
                    reverse=stage.descending,
                )

    def do_limit(self, stage: tree.Limit) -> None:
        first, last = stage.offset, stage.offset + stage.count
        if stage.tail:
            self.tables = [table[::-1][first:last][::-1] for table in self.tables]
        else:
            self.tables = [table[first:last] for table in self.tables]

    def do_selector(self, stage: tree.Selector) -> None:
        self.tables = [self.selected(table, stage) for table in self.tables]

    def selected(self, table: list[Row], stage: tree.Selector) -> list[Row]:
        if stage.column is None:
            return table[-1:] if stage.kind == "last" else table[:1]
        name = stage.column.value
        table = [row for row in table if self.get(row, name) is not None]
        if stage.kind in {"first", "last"}:
            return table[-1:] if stage.kind == "last" else table[:1]
        table = [row for row in table if kind(self.get(row, name)) < 4]
        best = {"min": min, "max": max}[stage.kind]
        if not table:
            return []
        return [best(table, key=lambda row: order_key(self.get(row, name)))]

    # Values of a table

    def do_aggregate(self, stage: tree.Aggregate) -> None:
        name = "_value" if stage.column is None else stage.column.value
        tables = []
        for table in self.tables:
            values = [self.get(row, name) for row in table]
            value: Any = len(values)
            if stage.kind != "count":
                numbers = [value for value in values if kind(value) == 2]
                value = total(numbers)
                if stage.kind == "mean" and numbers:
                    value = value / len(numbers)
            tables.append([Row({**self.key(table), name: value})])
        self.flatten(tables)

    def do_distinct(self, stage: tree.Distinct) -> None:
        tables = []
        for table in self.tables:
            values = [self.get(row, stage.column.value) for row in table]
            first = {identity(value): value for value in reversed(values)}
            order = dict.fromkeys(map(identity, values))
            tables.append([Row({**self.key(table), "_value": first[key]}) for key in order])
        self.flatten(tables)

    def key(self, table: list[Row]) -> dict[str, Any]:
        return {name: self.get(table[0], name) for name in self.group}

    def flatten(self, tables: list[list[Row]]) -> None:
        self.tables = tables
        self.is_whole, self.flat = False, None
        self.times = {name: what for name, what in self.times.items() if name in self.group}

    # Columns

    def do_group(self, stage: tree.Group) -> None:
        rows = [row for table in self.tables for row in table]
        self.group = [column.value for column in stage.columns]
        self.regroup(rows)
        if self.is_whole:
            self.flat = list(self.group)

    def regroup(self, rows: list[Row]) -> None:
        if not self.group:
            self.tables = [rows]
            return
        tables: dict[Any, list[Row]] = {}
        for row in rows:
            key = tuple(identity(self.get(row, name)) for name in self.group)
            tables.setdefault(key, []).append(row)
        self.tables = sorted(
            tables.values(),
            key=lambda table: [
                (order_key(value), str(value) if is_large(value) else "")
                for value in (self.get(table[0], name) for name in self.group)
            ],
        )

    def do_keep(self, stage: tree.Keep) -> None:
        names = [column.value for column in stage.columns]
        rows = [
            [Row({name: self.get(row, name) for name in names}) for row in table]
            for table in self.tables
        ]
        group = [name for name in self.group if name in names]
        self.times = {name: what for name, what in self.times.items() if name in names}
        self.is_whole, self.flat = False, None
        self.tables = rows
        self.regroup_after(group)

    def regroup_after(self, group: list[str]) -> None:
        if len(group) < len(self.group):
            self.group = group
            self.regroup([row for table in self.tables for row in table])
        self.group = group

    def do_drop(self, stage: tree.Drop) -> None:
        names = [column.value for column in stage.columns]
        # Tables are merged by what is left of the key, before the rows lose the rest of it.
        self.regroup_after([name for name in self.group if name not in names])
        self.change(dict.fromkeys(names))

    def do_rename(self, stage: tree.Rename) -> None:
        self.change({old.value: new.value for old, new in stage.columns})

    def change(self, change: dict[str, str | None]) -> None:
        self.group = [changed for name in self.group if (changed := change.get(name, name))]
        inner = change
        if self.is_whole:
            own = {name: self.aliases[name] for name in change if name in self.aliases}
            inner = {old: new for old, new in change.items() if old not in own}
            for old, source in own.items():
                new = change[old]
                what = self.times.get(old)
                self.aliases = {n: s for n, s in self.aliases.items() if s != source}
                self.times = {n: w for n, w in self.times.items() if n in self.aliases}
                self.shown = [
                    (new if s == source else name, s)
                    for name, s in self.shown
                    if s != source or new
                ]
                if new:
                    self.aliases[new] = source
                    self.times |= {new: what} if what else {}
            if self.flat is not None:
                self.flat = [new for name in self.flat if (new := change.get(name, name))]
        else:
            moved = {new: self.times.get(old) for old, new in change.items() if new}
            self.times = {n: w for n, w in self.times.items() if n not in change} | {
                new: what for new, what in moved.items() if what
            }
        for table in self.tables:
            for row in table:
                if self.is_whole:
                    row.tags, row.fields = renamed(row.tags, inner), renamed(row.fields, inner)
                else:
                    row.values = renamed(row.values, inner)


def renamed(values: dict[str, Any], change: dict[str, str | None]) -> dict[str, Any]:
    result = {}
    replaced = {change[name] for name in values if name in change}
    for name, value in values.items():
        new = change.get(name, name)
        if new and (name in change or name not in replaced):
            result[new] = value
    return result


def junction(values: list[bool | None], decisive: bool) -> bool | None:
    if decisive in values:
        return decisive
    return None if None in values else not decisive


def matched(value: Any, pattern: str, negated: bool) -> bool | None:
    return (re.search(pattern, value) is not None) != negated if isinstance(value, str) else None


def total(numbers: list[Any]) -> int | float | None:
    floats = [number for number in numbers if isinstance(number, float)]
    integers = sum(number for number in numbers if isinstance(number, int))
    if not numbers:
        return None
    return math.fsum([integers, *floats]) if floats else integers


def moment(instant: Any, now_ms: int) -> int:
    if isinstance(instant, tree.Time):
        return instant.nanoseconds
    assert instant.months == 0
    return now_ms * 10**6 + instant.nanoseconds
