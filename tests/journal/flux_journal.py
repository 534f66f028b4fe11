"""A journal in memory to run compiled queries on, and random queries."""

from __future__ import annotations

from typing import Any

import apsw
from hypothesis import strategies as st

from groupstore.journal.flux_parser import parse
from groupstore.journal.flux_sql import compile_flux, register_functions
from journal.flux_model import as_json

NOW_MS = 1_700_000_000_000
SCHEMA = """CREATE TABLE journal_entries (
    entry_id INTEGER PRIMARY KEY AUTOINCREMENT, bucket_name TEXT NOT NULL,
    measurement TEXT NOT NULL, fields_json TEXT NOT NULL, tags_json TEXT NOT NULL,
    committed_at INTEGER NOT NULL, archived_at INTEGER);
CREATE INDEX journal_entries_bucket_committed_at_idx
    ON journal_entries (bucket_name, committed_at);"""


class Journal:
    """The table with some entries, and queries on it."""

    def __init__(self, *entries: dict[str, Any]) -> None:
        self.connection = apsw.Connection(":memory:")
        self.connection.execute(SCHEMA)
        register_functions(self.connection)
        self.entries: list[dict[str, Any]] = []
        for entry in entries:
            self.add(**entry)

    def add(
        self,
        fields: dict[str, Any] | None = None,
        tags: dict[str, Any] | None = None,
        *,
        measurement: str = "m",
        bucket: str = "store",
        at: int = NOW_MS - 1000,
        archived_at: int | None = None,
    ) -> None:
        """Append an entry."""
        entry = {
            "entry_id": len(self.entries) + 1,
            "bucket_name": bucket,
            "measurement": measurement,
            "fields_json": as_json(fields or {}),
            "tags_json": as_json(tags or {}),
            "committed_at": at,
            "archived_at": archived_at,
        }
        self.connection.execute(
            "INSERT INTO journal_entries VALUES (?,?,?,?,?,?,?)", [*entry.values()]
        )
        self.entries.append({**entry, "fields": fields or {}, "tags": tags or {}})

    def query(self, text: str, *, archives: bool = False) -> list[dict[str, Any]]:
        """The rows of a whole query."""
        compiled = compile_flux(parse(text), now_ms=NOW_MS, archives=archives)
        rows = self.connection.execute(compiled.sql, compiled.bindings)
        return [compiled.decode_row(row) for row in rows]

    def after(self, stages: str, **options: bool) -> list[dict[str, Any]]:
        """The rows of a query on the bucket "store"."""
        return self.query(f'from(bucket: "store") {stages}', **options)

    def plan(self, text: str) -> str:
        """How SQLite would go about a query."""
        compiled = compile_flux(parse(text), now_ms=NOW_MS, archives=False)
        steps = self.connection.execute(f"EXPLAIN QUERY PLAN {compiled.sql}", compiled.bindings)
        return "\n".join(str(detail) for *_, detail in steps)


def quoted(text: str) -> str:
    """The Flux literal of a text."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${")
    return f'"{escaped}"'


OWN_NAMES = ["_time", "_measurement", "bucket", "entry_id", "committed_at", "archived_at"]
FREE_NAMES = ["v", "w", "host", '"é".[0]$\0', "_value"]
names = st.sampled_from(FREE_NAMES * 4 + OWN_NAMES + ["fields", "tags_json"])
free_names = st.sampled_from(FREE_NAMES)

numbers = st.sampled_from(
    [-3, 0, 1, 2, 2**63 - 1, -(2**63), 2**70, 2**70 + 1, 0.0, 0.5, 1.0, -2.25]
)
strings = st.sampled_from(
    ["", "a", "ab", "b", "1", "true", "é", "\U0001f600", "x\0y", "' OR 1=1 --"]
)
scalars = st.none() | st.booleans() | numbers | strings
values = scalars | st.lists(scalars, max_size=2) | st.dictionaries(strings, scalars, max_size=2)

entries = st.fixed_dictionaries(
    {
        "fields": st.dictionaries(free_names, values, min_size=2, max_size=4),
        "tags": st.dictionaries(free_names, strings, max_size=2),
        "measurement": st.sampled_from(["m", "n"]),
        "at": st.integers(NOW_MS - 5000, NOW_MS + 1000),
        "archived_at": st.sampled_from([None, None, None, NOW_MS]),
        "bucket": st.sampled_from(["store", "store", "store", "store", "other"]),
    }
)

columns = names.map(lambda name: f"r[{quoted(name)}]")
literals = st.one_of(
    strings.map(quoted),
    # Flux has no exponents.
    numbers.map(lambda number: f"{number:f}" if isinstance(number, float) else str(number)),
)
times = st.sampled_from(
    ["-2s", "now()", "-1500ms", "-1s500us", "1700000000", "2023-11-14T22:13:19.5Z"]
)
comparators = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
conditions = st.recursive(
    st.one_of(
        st.builds("{} {} {}".format, columns, comparators, literals),
        st.builds("{} {} {}".format, literals, comparators, columns),
        st.builds("{} {} {}".format, columns, comparators, columns),
        st.builds('r["_time"] {} {}'.format, comparators, times),
        st.builds(
            "{} {} {}".format,
            columns,
            st.sampled_from(["==", "!="]),
            st.sampled_from(["true", "false"]),
        ),
        st.builds(
            "{} {} /{}/".format,
            columns,
            st.sampled_from(["=~", "!~"]),
            st.sampled_from(["a", "^a?b$", "[0-9]|é"]),
        ),
        columns.map("exists {}".format),
        columns,
        st.sampled_from(["true", "false"]),
    ),
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        inner.map("not {}".format),
    ),
    max_leaves=4,
)
lists = st.lists(names, min_size=1, max_size=3, unique=True).map(
    lambda chosen: f"columns: [{', '.join(map(quoted, chosen))}]"
)
counts = st.integers(0, 3)
column = names.map(lambda name: f"column: {quoted(name)}")
renames = st.dictionaries(names, free_names, min_size=1, max_size=2).map(
    lambda pairs: ", ".join(f"{quoted(old)}: {quoted(new)}" for old, new in pairs.items())
)
stages = st.one_of(
    conditions.map("filter(fn: (r) => {})".format),
    st.builds("range(start: {}, stop: {})".format, times, times),
    times.map("range(start: {})".format),
    st.builds("sort({}, desc: {})".format, lists, st.sampled_from(["true", "false"])),
    st.builds("{}(n: {}, offset: {})".format, st.sampled_from(["limit", "tail"]), counts, counts),
    st.sampled_from(["first()", "last()", "count()", "group()"]),
    st.builds("{}({})".format, st.sampled_from(["first", "last", "min", "max"]), column),
    st.builds("{}({})".format, st.sampled_from(["count", "sum", "mean", "distinct"]), column),
    lists.map("group({})".format),
    lists.map("group({})".format),
    lists.map("keep({})".format),
    lists.map("drop({})".format),
    renames.map("rename(columns: {{{}}})".format),
)
pipelines = st.lists(stages, min_size=1, max_size=6).map(
    lambda chosen: "".join(f"\n    |> {stage}" for stage in chosen)
)
