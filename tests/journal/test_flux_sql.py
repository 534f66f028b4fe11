"""What each stage of a compiled query gives, and what the SQL is like."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groupstore import CorruptStoreError, QueryError
from groupstore.journal.flux_literals import moment
from groupstore.journal.flux_parser import parse
from groupstore.journal.flux_sql import compile_flux
from groupstore.journal.flux_tree import Duration, Span
from journal.flux_journal import NOW_MS, Journal, quoted

MANY = json.dumps([str(number) for number in range(200)])
HOSTILE = [
    "' OR 1=1 --",
    '" OR 1=1 --',
    "'; DROP TABLE journal_entries; --",
    "x\0'); SELECT 1",
    ":p0",
    "?1",
    "$.a",
    '$."a"',
    "a]b[0]",
    "stage_0",
    "sqlite_schema",
]


@pytest.fixture
def journal() -> Journal:
    """Six entries of two hosts."""
    journal = Journal()
    for number in range(6):
        journal.add(
            {"v": number, "even": number % 2 == 0},
            {"host": "ab"[number % 2]},
            measurement="cpu" if number < 4 else "mem",
            at=NOW_MS - 6000 + number * 1000,
        )
    return journal


def values(rows: list[dict[str, Any]], name: str = "v") -> list[Any]:
    """One field of whole rows."""
    return [row["fields"][name] for row in rows]


def test_whole_rows(journal: Journal) -> None:
    """Without a stage that says otherwise rows are whole entries, their JSON decoded beside it."""
    assert journal.after("|> limit(n: 1)") == [
        {
            "entry_id": 1,
            "bucket_name": "store",
            "measurement": "cpu",
            "fields_json": '{"v":0,"even":true}',
            "tags_json": '{"host":"a"}',
            "committed_at": NOW_MS - 6000,
            "archived_at": None,
            "fields": {"v": 0, "even": True},
            "tags": {"host": "a"},
        }
    ]


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ('r._measurement == "mem"', [4, 5]),
        ('r.measurement != "cpu"', [4, 5]),
        ('r["measurement"] == "mem"', [4, 5]),
        ('r._bucket == "store" and r.bucket == r.bucket_name and r.v < 1', [0]),
        ('r.host == "a" and r.v >= 2', [2, 4]),
        ("r.v == 1.0 or 4 < r.v", [1, 5]),
        ("r.even", [0, 2, 4]),
        ("not r.even", [1, 3, 5]),
        ("r.even == false", [1, 3, 5]),
        ("r.even == 1", []),
        ('r.v == "1"', []),
        ('r.v != "1"', []),
        ("r.v < r.entry_id and r.entry_id > 5", [5]),
        ("r.absent == 1", []),
        ("not r.absent == 1", []),
        ("exists r.host and not exists r.absent and r.v == 0", [0]),
        ("r.absent == 1 or r.v == 3", [3]),
        ("r._measurement =~ /^m/", [4, 5]),
        ("r._measurement !~ /^m/ and r.host =~ /A|b/", [1, 3]),
        ("r.v =~ /1/ or r.v !~ /1/", []),
        ("r._time >= -2s", [4, 5]),
        ("r._time < now() and r._time > -1500ms", [5]),
        ("r._time == -1s", [5]),
        ("r._time == -1s1us", []),
        ("r._time != -1s1us and r.v > 4", [5]),
        ("r._time >= 1699999999", [5]),
        ("r._time < 1699999995", [0]),
        ('r._time <= "2023-11-14T22:13:14.0009Z"', [0]),
        ("r.committed_at == 1699999999000", [5]),
        ("r.committed_at > -1500ms", [5]),
        ("exists r.archived_at", []),
    ],
)
def test_filter(journal: Journal, condition: str, found: list[int]) -> None:
    """Comparisons of columns and constants; null, and what is of another type, drops the row."""
    assert values(journal.after(f"|> filter(fn: (r) => {condition})")) == found


@pytest.mark.parametrize(
    ("condition", "column"),
    [
        ("r._time == true", 55),
        ('r._time == "then"', 55),
        ("r._time < 1.5", 54),
        ("r.v > -1h", 50),
        ("2024-01-01 < r._measurement", 44),
    ],
)
def test_times_are_compared_with_times(journal: Journal, condition: str, column: int) -> None:
    """A comparison that could never hold is an error."""
    with pytest.raises(QueryError, match="time") as caught:
        journal.after(f"|> filter(fn: (r) => {condition})")
    assert (caught.value.line, caught.value.column) == (1, column)


@pytest.mark.parametrize(
    ("stages", "found"),
    [
        ("range(start: -3s)", [3, 4, 5]),
        ("range(start: -5s, stop: -3s)", [1, 2]),
        ("range(start: -5s) |> range(start: -10s, stop: -3s)", [1, 2]),
        ("range(start: 1699999996, stop: 1699999997)", [2]),
        ("range(start: -2s500us)", [4, 5]),
        ("range(start: -1999999us)", [5]),
        ("range(start: now())", []),
        ("range(start: -1h, stop: -2h)", []),
        ("range(start: -900000y)", [0, 1, 2, 3, 4, 5]),
        (f"range(start: -{'9' * 300}w, stop: {'9' * 300}y)", [0, 1, 2, 3, 4, 5]),
        ('sort(columns: ["host", "v"], desc: true)', [5, 3, 1, 4, 2, 0]),
        ('sort(columns: ["host"])', [0, 2, 4, 1, 3, 5]),
        ('sort(columns: ["v"], desc: true) |> sort(columns: ["host"])', [4, 2, 0, 5, 3, 1]),
        ('sort(columns: ["even", "v"]) |> sort(columns: ["v"], desc: true)', [5, 4, 3, 2, 1, 0]),
        ('sort(columns: ["v"]) |> sort(columns: ["even", "v"])', [1, 3, 5, 0, 2, 4]),
        ("limit(n: 2, offset: 1)", [1, 2]),
        ("tail(n: 2, offset: 1)", [3, 4]),
        ("limit(n: 4) |> tail(n: 2)", [2, 3]),
        (f"limit(n: {2**64}, offset: 5)", [5]),
        (f"limit(n: 1, offset: {2**70})", []),
        (f'group(columns: ["host"]) |> limit(n: {10**20}, offset: {10**20})', []),
        (f'group(columns: ["host"]) |> limit(n: {10**20}, offset: 2)', [4, 5]),
        ("first()", [0]),
        ("last()", [5]),
        ('last(column: "absent")', []),
        ('min(column: "v")', [0]),
        ('max(column: "_time")', [5]),
        ('max(column: "host")', [1]),
        ('max(column: "absent")', []),
        ('sort(columns: ["v"], desc: true) |> limit(n: 2) |> filter(fn: (r) => r.v < 5)', [4]),
        ("limit(n: 2) |> filter(fn: (r) => r.v > 1)", []),
        ('group(columns: ["host"])', [0, 2, 4, 1, 3, 5]),
        ('group(columns: ["host"]) |> limit(n: 1, offset: 1)', [2, 3]),
        ('group(columns: ["host"]) |> tail(n: 1)', [4, 5]),
        ('group(columns: ["host"]) |> last()', [4, 5]),
        ('group(columns: ["host"]) |> max(column: "v")', [4, 5]),
        ('group(columns: ["host"]) |> group() |> first()', [0]),
        (
            'group(columns: ["host"], mode: "by") |> sort(columns: ["v"], desc: true)',
            [4, 2, 0, 5, 3, 1],
        ),
        ('group(columns: ["_measurement", "even"]) |> first()', [1, 0, 5, 4]),
    ],
)
def test_rows_selected_and_sorted(journal: Journal, stages: str, found: list[int]) -> None:
    """Stages that keep entries act in the order of the pipeline, on each table."""
    assert values(journal.after(f"|> {stages}")) == found


@pytest.mark.parametrize(
    ("stages", "rows"),
    [
        ("count()", [{"_value": 6}]),
        ('count(column: "v")', [{"v": 6}]),
        ("filter(fn: (r) => r.v > 9) |> count()", [{"_value": 0}]),
        ("limit(n: 0) |> count()", [{"_value": 0}]),
        ('filter(fn: (r) => r.v > 9) |> sum(column: "v")', [{"v": None}]),
        ('mean(column: "host")', [{"host": None}]),
        ('sum(column: "v")', [{"v": 15}]),
        ('mean(column: "v")', [{"v": 2.5}]),
        ('distinct(column: "host")', [{"_value": "a"}, {"_value": "b"}]),
        ('distinct(column: "even")', [{"_value": True}, {"_value": False}]),
        ('distinct(column: "absent")', [{"_value": None}]),
        ('group(columns: ["absent"]) |> count()', [{"absent": None, "_value": 6}]),
        ('limit(n: 0) |> group(columns: ["host"]) |> count()', []),
        (
            'group(columns: ["host"]) |> count()',
            [{"host": "a", "_value": 3}, {"host": "b", "_value": 3}],
        ),
        (
            'group(columns: ["host"]) |> sum(column: "v")',
            [{"host": "a", "v": 6}, {"host": "b", "v": 9}],
        ),
        (
            'group(columns: ["host"]) |> distinct(column: "_measurement") |> limit(n: 1)',
            [{"host": "a", "_value": "cpu"}, {"host": "b", "_value": "cpu"}],
        ),
        (
            'group(columns: ["host"]) |> sum(column: "v") |> max(column: "v")',
            [{"host": "a", "v": 6}, {"host": "b", "v": 9}],
        ),
        (
            'group(columns: ["host"]) |> sum(column: "v") |> group() |> max(column: "v")',
            [{"host": "b", "v": 9}],
        ),
        ('group(columns: ["host"]) |> count() |> group() |> count()', [{"_value": 2}]),
        ('group(columns: ["host"]) |> drop(columns: ["host"]) |> count()', [{"_value": 6}]),
        (
            'group(columns: ["host"]) |> rename(columns: {host: "h"}) |> sum(column: "v")',
            [{"h": "a", "v": 6}, {"h": "b", "v": 9}],
        ),
        ('keep(columns: ["v", "absent"]) |> limit(n: 1)', [{"v": 0, "absent": None}]),
        (
            'keep(columns: ["_time", "_measurement"]) |> first()',
            [{"_time": NOW_MS - 6000, "_measurement": "cpu"}],
        ),
        (
            'keep(columns: ["tags", "fields_json"]) |> first()',
            [{"tags": {"host": "a"}, "fields_json": '{"v":0,"even":true}'}],
        ),
        ('keep(columns: ["v"]) |> filter(fn: (r) => exists r.host)', []),
        ('keep(columns: ["v", "host"]) |> drop(columns: ["v"]) |> last()', [{"host": "b"}]),
        (
            'keep(columns: ["v"]) |> rename(columns: {v: "w"}) |> filter(fn: (r) => r.w == 3)',
            [{"w": 3}],
        ),
        (
            'group(columns: ["_time"]) |> count() |> filter(fn: (r) => r._time >= -1s)',
            [{"_time": NOW_MS - 1000, "_value": 1}],
        ),
        ('sum(column: "v") |> keep(columns: ["x", "v"])', [{"x": None, "v": 15}]),
        ('sum(column: "v") |> drop(columns: ["v"])', [{}]),
    ],
)
def test_flat_rows(journal: Journal, stages: str, rows: list[dict[str, Any]]) -> None:
    """Aggregates, `distinct` and `keep` give flat rows with the names that the query wrote."""
    assert journal.after(f"|> {stages}") == rows


def test_drop_and_rename_act_inside(journal: Journal) -> None:
    """`drop` and `rename` of a tag or field leave rows whole, with both forms of JSON changed."""
    stages = '|> drop(columns: ["even", "archived_at"]) |> rename(columns: {v: "w", host: "h"})'
    (row,) = journal.after(
        f'{stages} |> filter(fn: (r) => r.w == 1 and r.h == "b" and not exists r.v)'
    )
    assert row == {
        "entry_id": 2,
        "bucket_name": "store",
        "measurement": "cpu",
        "fields_json": '{"w":1}',
        "tags_json": '{"h":"b"}',
        "committed_at": NOW_MS - 5000,
        "fields": {"w": 1},
        "tags": {"h": "b"},
    }
    (row,) = journal.after('|> first() |> rename(columns: {_time: "t"})')
    assert row["t"] == NOW_MS - 6000
    assert "committed_at" not in row


def test_names_through_several_changes() -> None:
    """A name means what it has become through every drop and rename before it, in their order."""
    journal = Journal({"fields": {"a": 1, "b": 2, "c": 3}})
    for changes, fields in [
        ('rename(columns: {a: "b"}) |> rename(columns: {b: "c"})', {"c": 1}),
        ('rename(columns: {b: "c"}) |> rename(columns: {a: "b"})', {"b": 1, "c": 2}),
        ('rename(columns: {a: "b", b: "a"})', {"a": 2, "b": 1, "c": 3}),
        ('drop(columns: ["b"]) |> rename(columns: {a: "b"})', {"b": 1, "c": 3}),
        ('rename(columns: {a: "b"}) |> drop(columns: ["b"])', {"c": 3}),
    ]:
        assert journal.after(f"|> {changes}")[0]["fields"] == fields
        shown = journal.after(f'|> {changes} |> keep(columns: ["a", "b", "c"])')
        assert shown == [{name: fields.get(name) for name in "abc"}]
        for name in "abc":
            found = journal.after(f"|> {changes} |> distinct(column: {quoted(name)})")
            assert found == [{"_value": fields.get(name)}]


def test_tables_made_of_tables() -> None:
    """Rows that are grouped anew follow each other as they did in the tables before."""
    pairs = ["by", "bx", "ax", "ay", "bx"]
    journal = Journal(*[{"fields": {"a": a, "b": b, "n": n}} for n, (a, b) in enumerate(pairs)])
    by_a = '|> group(columns: ["a"])'
    assert values(journal.after(by_a), "n") == [2, 3, 0, 1, 4]
    assert values(journal.after(f"{by_a} |> group()"), "n") == [2, 3, 0, 1, 4]
    assert values(journal.after(f'{by_a} |> group(columns: ["b"])'), "n") == [2, 1, 4, 3, 0]
    assert values(journal.after(f"{by_a} |> group() |> limit(n: 2)"), "n") == [2, 3]
    kept = '|> group(columns: ["b", "a"]) |> keep(columns: ["a", "n"]) |> tail(n: 1)'
    assert journal.after(kept) == [{"a": "a", "n": 3}, {"a": "b", "n": 0}]


def test_tables_of_large_integers() -> None:
    """Integers that are one float are tables apart, and the rows of each stand together."""
    numbers = [2**70, 2**70 + 1, 2**70, 2**70 + 1]
    journal = Journal(*[{"fields": {"v": value, "n": n}} for n, value in enumerate(numbers)])
    assert values(journal.after('|> group(columns: ["v"])'), "n") == [0, 2, 1, 3]
    counts = [{"v": 2**70, "_value": 2}, {"v": 2**70 + 1, "_value": 2}]
    assert journal.after('|> group(columns: ["v"]) |> count()') == counts


def test_rows_after_group_are_flat(journal: Journal) -> None:
    """After `group` the group's columns, tags and fields stand beside the entry's own."""
    row = journal.after('|> group(columns: ["_measurement"]) |> last()')[0]
    assert {name: row[name] for name in ("_measurement", "host", "v", "even")} == {
        "_measurement": "cpu",
        "host": "b",
        "v": 3,
        "even": False,
    }
    assert row["fields"] == {"v": 3, "even": False}
    assert row["entry_id"] == 4


@pytest.mark.parametrize(
    ("stages", "column", "problem"),
    [
        ('keep(columns: ["v"]) |> range(start: -1h)', 50, "the rows have no column _time any more"),
        ('drop(columns: ["_time"]) |> range(start: -1h)', 54, "the rows have no column _time"),
        ("count() |> range(start: -1h)", 37, "the rows have no column _time"),
        ('group(columns: ["v"]) |> sum(column: "v")', 63, "the result is named 'v' like a column"),
        ('rename(columns: {v: "_time"})', 46, "'_time' is a column of every entry"),
        ('group(columns: ["v"]) |> rename(columns: {w: "v"})', 71, "'v' is a column that the rows"),
        (
            f"sort(columns: {MANY})",
            26,
            "the rows are sorted by",
        ),
        (
            f"group(columns: {MANY})",
            26,
            "the rows are grouped by",
        ),
    ],
)
def test_what_makes_no_sense_on_these_rows(
    journal: Journal, stages: str, column: int, problem: str
) -> None:
    """A stage that cannot act on the rows that reach it is an error with its place."""
    with pytest.raises(QueryError, match=problem) as caught:
        journal.after(f"|> {stages}")
    assert (caught.value.line, caught.value.column) == (1, column)


def test_a_query_of_too_much_is_refused(journal: Journal) -> None:
    """What SQLite would be busy with for ages before it began is an error."""
    with pytest.raises(QueryError, match="asks for too much"):
        journal.after(
            f"|> sort(columns: {json.dumps([str(number) for number in range(140)])})"
            + "|> limit(n: 9)" * 99
        )


def test_archived_entries_are_left_out_unless_asked_for() -> None:
    """Archived entries are seen with `archives` alone."""
    journal = Journal({"fields": {"v": 1}, "archived_at": 5}, {"fields": {"v": 2}})
    assert values(journal.after("")) == [2]
    assert values(journal.after("", archives=True)) == [1, 2]


def test_types_in_order() -> None:
    """Sorted values stand null, booleans, numbers, strings, arrays and objects."""
    ordered = [
        None,
        False,
        True,
        -(2**70),
        -3,
        0.5,
        1,
        2**53 + 1,
        2**70,
        "",
        "Z",
        "a",
        "é",
        [1],
        {"a": 1},
    ]
    journal = Journal(*[{"fields": {"v": value}} for value in reversed(ordered)], {})
    found = journal.after('|> sort(columns: ["v"]) |> keep(columns: ["v"])')
    assert [row["v"] for row in found] == [None, *ordered]
    down = journal.after('|> sort(columns: ["v"], desc: true) |> keep(columns: ["v"])')
    assert [row["v"] for row in down] == [*reversed(ordered), None]
    distinct = journal.after('|> sort(columns: ["v"]) |> distinct(column: "v")')
    assert [row["_value"] for row in distinct] == ordered
    assert [type(row["_value"]) for row in distinct] == [type(value) for value in ordered]


def test_numbers_keep_their_value() -> None:
    """Sums of integers are exact beyond 64 bits, and floats come back as they went in."""
    large = [2**63 - 1, 2**63 - 1, 2**80 + 1, -1]
    journal = Journal(*[{"fields": {"v": value}} for value in large])
    assert journal.after('|> sum(column: "v")') == [{"v": sum(large)}]
    assert journal.after('|> mean(column: "v")') == [{"v": sum(large) / 4}]
    assert journal.after('|> sum(column: "v") |> filter(fn: (r) => r.v > 1.0)') == [
        {"v": sum(large)}
    ]
    assert len(journal.after(f"|> filter(fn: (r) => r.v == {2**63 - 1})")) == 2
    assert len(journal.after(f"|> filter(fn: (r) => r.v > {2**79})")) == 1
    tenths = Journal(*[{"fields": {"v": 0.1}}] * 10)
    assert tenths.after('|> sum(column: "v")') == [{"v": 1.0}]
    assert len(tenths.after("|> filter(fn: (r) => r.v == 0.1)")) == 10
    huge = Journal({"fields": {"v": 1e308}}, {"fields": {"v": 1e308}}, {"fields": {"v": 10**400}})
    assert huge.after('|> mean(column: "v")') == [{"v": float("inf")}]


def test_a_tag_comes_before_a_field() -> None:
    """A name means the entry's own column, or else a tag, or else a field."""
    journal = Journal({"fields": {"x": "field", "bucket": "mine"}, "tags": {"x": "tag"}})
    assert journal.after('|> keep(columns: ["x", "bucket"])') == [{"x": "tag", "bucket": "store"}]
    assert len(journal.after('|> filter(fn: (r) => r.x == "tag")')) == 1
    assert journal.after('|> filter(fn: (r) => r.x == "field" or r.bucket == "mine")') == []
    assert journal.after('|> drop(columns: ["x"]) |> keep(columns: ["x"])') == [{"x": None}]


@pytest.mark.parametrize(
    "name", [*HOSTILE, "", " ", '"', "\\", "a.b", "[0]", "$", "é", "😀", "\0", "\n"]
)
def test_any_name_of_a_field(name: str) -> None:
    """A field may be called anything."""
    journal = Journal({"fields": {name: 5}}, {"fields": {name + "x": 5}}, {"fields": {name: 4}})
    column = quoted(name)
    assert [
        row["entry_id"] for row in journal.after(f"|> filter(fn: (r) => r[{column}] == 5)")
    ] == [1]
    assert journal.after(f"|> sum(column: {column})") == [{name: 9}]
    assert journal.after(f"|> distinct(column: {column})")[2] == {"_value": 4}
    assert journal.after(f"|> keep(columns: [{column}]) |> last()") == [{name: 4}]
    assert journal.after(f"|> drop(columns: [{column}]) |> last()")[0]["fields"] == {}
    renamed = journal.after(f'|> rename(columns: {{{column}: "n"}}) |> filter(fn: (r) => r.n == 4)')
    assert values(renamed, "n") == [4]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize(
    "stage",
    [
        "filter(fn: (r) => r._measurement == {})",
        "filter(fn: (r) => r.v == {})",
        "filter(fn: (r) => {} == r.v)",
        "filter(fn: (r) => exists r[{}])",
        "filter(fn: (r) => r[{0}] == {0})",
        "filter(fn: (r) => r[{0}] < r[{0}])",
        "filter(fn: (r) => r[{}] =~ /x/)",
        "sort(columns: [{}])",
        "first(column: {})",
        "max(column: {})",
        "count(column: {})",
        "sum(column: {})",
        "mean(column: {})",
        "distinct(column: {})",
        "group(columns: [{}]) |> limit(n: 1) |> count()",
        "keep(columns: [{}])",
        'drop(columns: [{}]) |> keep(columns: ["fields"])',
        'rename(columns: {{{0}: {0}}}) |> distinct(column: "fields_json")',
    ],
)
def test_no_text_of_a_query_is_sql(text: str, stage: str) -> None:
    """Wherever a string may stand, the SQL is the same for each, and the string is bound."""
    journal = Journal({"fields": {"v": 1}})
    query = f'from(bucket: "store") |> {stage.format(quoted(text))}'
    plain = f'from(bucket: "store") |> {stage.format(quoted("plain"))}'
    sql, plain_sql = (
        compile_flux(parse(one), now_ms=NOW_MS, archives=False).sql for one in (query, plain)
    )
    assert sql == plain_sql
    journal.query(query)
    assert len(journal.after("")) == 1


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_bucket_and_value(text: str) -> None:
    """Any string is found again by its own literal."""
    journal = Journal({"bucket": text, "fields": {"v": text}, "tags": {text: text}})
    literal = quoted(text)
    condition = f"r.v == {literal} and r.bucket == {literal}"
    assert len(journal.query(f"from(bucket: {literal}) |> filter(fn: (r) => {condition})")) == 1


@pytest.mark.parametrize(
    "stages",
    [
        "",
        '|> filter(fn: (r) => r._measurement == "cpu")',
        '|> filter(fn: (r) => r._measurement == "cpu" and r.host == "a") |> limit(n: 5)',
        '|> sort(columns: ["v"]) |> tail(n: 5)',
        '|> group(columns: ["host"]) |> count()',
        '|> distinct(column: "host")',
    ],
)
def test_bucket_and_time_are_found_by_the_index(journal: Journal, stages: str) -> None:
    """A query of a bucket and a time reads that part of the index alone."""
    plan = journal.plan(f'from(bucket: "store") |> range(start: -1h) {stages}')
    index = "journal_entries_bucket_committed_at_idx"
    assert f"USING INDEX {index} (bucket_name=? AND committed_at>? AND committed_at<?)" in plan
    filtered = journal.plan(f'from(bucket: "store") |> filter(fn: (r) => r._time > -1h) {stages}')
    assert f"{index} (bucket_name=? AND committed_at>?)" in filtered


def test_damaged_json() -> None:
    """An entry whose JSON is none is a CorruptStoreError where it has to be decoded."""
    journal = Journal({})
    journal.connection.execute("UPDATE journal_entries SET fields_json = 'nonsense'")
    with pytest.raises(CorruptStoreError, match="'nonsense'"):
        journal.after("")


def test_json_of_other_programs() -> None:
    """What Go writes for an empty map, and JSON escapes of all kinds, can be queried."""
    journal = Journal({}, {})
    journal.connection.execute("UPDATE journal_entries SET tags_json = 'null' WHERE entry_id = 1")
    document = r'{"\u00e9\"": "\ud83d\ude00", "lone": "\udc00"}'
    journal.connection.execute(
        "UPDATE journal_entries SET fields_json = ? WHERE entry_id = 2", [document]
    )
    assert journal.after("|> first()")[0]["tags"] is None
    assert journal.after(r'|> filter(fn: (r) => r["é\""] == "😀")')[0]["fields"] == json.loads(
        document
    )
    assert journal.after("|> filter(fn: (r) => r.lone =~ /./)")[0]["entry_id"] == 2
    assert len(journal.after('|> distinct(column: "lone")')) == 2


@given(
    st.datetimes(timezones=st.just(datetime.UTC)),
    st.integers(-120_000, 120_000),
)
def test_months_from_now(now: datetime.datetime, months: int) -> None:
    """A number of months from now is the same day of that month, or its last."""
    now = now.replace(microsecond=0)
    year, month = divmod(now.year * 12 + now.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        return
    expected = None
    for day in range(now.day, 27, -1):
        try:
            expected = now.replace(year=year, month=month + 1, day=day)
            break
        except ValueError:
            continue
    expected = expected or now.replace(year=year, month=month + 1)
    found = moment(Duration(Span(0, 0, 1, 1), months, 0), round(now.timestamp() * 1000))
    assert found == round(expected.timestamp()) * 10**9
