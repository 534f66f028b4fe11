"""What the parser reads, and how it says what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from groupstore import QueryError
from groupstore.journal import flux_tree as tree
from groupstore.journal.flux_parser import parse

FROM = 'from(bucket: "b")'


def only(stages: str) -> tree.Stage:
    """The one stage of a query."""
    (stage,) = parse(f"{FROM} {stages}").stages
    return stage


def refused(text: str) -> QueryError:
    """The error of a query that is wrong."""
    with pytest.raises(QueryError) as caught:
        parse(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "column", "problem"),
    [
        ("", 1, "the query ends too early, expected from(bucket: ...)"),
        ("from", 5, "the query ends too early, expected ("),
        ("from()", 1, "from lacks 'bucket', expected bucket: a name in quotation marks"),
        ("from(bucket: 1)", 14, "'bucket' is a number, expected a name"),
        ("from(bucket: 'b')", 14, "a string stands in double quotation marks"),
        ('from(bucket: "b', 14, "a string without its closing quotation mark"),
        ('from(bucket: "${b}")', 15, "interpolation in a string is not supported"),
        ('from(bucket: "b\\q")', 16, "unknown escape '\\\\q' in a string"),
        ('from(bucket: "\\xff")', 14, "a string whose \\x escapes are not UTF-8"),
        ('from(bucket: "\ud800")', 15, "a lone surrogate in the query"),
        ('import "date"', 1, "'import' is not supported, expected from(bucket: ...)"),
        ("x = from()", 3, "'=' is no comparison"),
        ("range(start: -1h)", 1, "the query starts with 'range', expected from(bucket: ...)"),
        (f"{FROM} range()", 19, "unexpected 'range', expected the end or |>"),
        (f"{FROM} |>", 21, "the query ends too early, expected a function"),
        (f"{FROM} |> {FROM}", 22, "'from' can only be the first, expected range, filter"),
        (f"{FROM} |> map(fn: (r) => r)", 22, "unknown function 'map', expected range"),
        (f'{FROM} |> yield(name: "x")', 22, "unknown function 'yield'"),
        (f"{FROM} |> limit()", 22, "limit lacks 'n', expected n: a whole number"),
        (f"{FROM} |> limit(n: -1)", 31, "'n' is -1, expected a whole number from 0"),
        (f"{FROM} |> limit(n: 1.5)", 31, "'n' is 1.5, expected a whole number"),
        (f'{FROM} |> limit(n: "1")', 31, "'n' is a string, expected a whole number"),
        (f"{FROM} |> limit(n: 1, n: 1)", 34, "'n' is given twice, expected it once"),
        (f"{FROM} |> limit(m: 1)", 28, "limit has no argument 'm', expected n or offset"),
        (f"{FROM} |> limit(n: 01)", 31, "'01' is no number"),
        (f"{FROM} |> limit(n: 1e5)", 31, "'1e5' is no number"),
        (f"{FROM} |> limit(n: x)", 31, "'x' stands alone, variables are not supported"),
        (f"{FROM} |> limit(n: {'9' * 500})", 31, "a number of more than 400 digits"),
        (f"{FROM} |> range()", 22, "range lacks 'start', expected start: a time"),
        (f"{FROM} |> range(start: 1.5)", 35, "'start' is a number, expected a time"),
        (f"{FROM} |> range(start: -5q)", 35, "'5q' is no number, expected digits, or a duration"),
        (f'{FROM} |> range(start: "then")', 35, "'then' is no time, expected a time"),
        (f"{FROM} |> range(start: 2023-02-29)", 35, "'2023-02-29' does not exist"),
        (f"{FROM} |> range(start: 2023-01-01T10:00)", 35, "'2023-01-01T10:00' is no time"),
        (f"{FROM} |> range(start: v.timeRangeStart)", 35, "'start' is a column, expected a time"),
        (
            f"{FROM} |> range(start: today())",
            35,
            "'today' is no function of a value, expected now()",
        ),
        (f"{FROM} |> range(start: now(x: 1))", 39, "now has no argument 'x', expected no argument"),
        (f'{FROM} |> sort(columns: "a")', 36, "'columns' is a string, expected a list of names"),
        (f"{FROM} |> sort(columns: [1])", 37, "'columns' is a number, expected a list of names"),
        (f"{FROM} |> sort(columns: [])", 22, "sort has no columns, expected one or more"),
        (
            f'{FROM} |> sort(columns: ["a"], desc: 1)',
            49,
            "'desc' is a number, expected true or false",
        ),
        (f'{FROM} |> keep(columns: ["a", "a"])', 42, "'a' is named twice, expected it once"),
        (f"{FROM} |> sum()", 22, "sum lacks 'column', expected column: the name of a column"),
        (f"{FROM} |> min()", 22, "min lacks 'column'"),
        (
            f'{FROM} |> group(columns: ["a"], mode: "except")',
            50,
            "'mode' is 'except', expected \"by\"",
        ),
        (f'{FROM} |> rename(columns: {{a: "x", b: "x"}})', 50, "'x' is named twice"),
        (f"{FROM} |> rename(columns: {{a: 1}})", 42, "'columns' is a number, expected a record"),
        (f"{FROM} |> filter(fn: r.x == 1)", 33, "'fn' is a comparison, expected a function"),
        (f"{FROM} |> filter(fn: (r) => s.x == 1)", 40, "unknown name 's', expected r.<column>"),
        (f"{FROM} |> filter(fn: (r) => 1 == 1)", 40, "a comparison of two constants"),
        (f'{FROM} |> filter(fn: (r) => "x")', 40, "a string is no condition"),
        (f"{FROM} |> filter(fn: (r) => r.x + 1 > 1)", 44, "unexpected character '+'"),
        (f"{FROM} |> filter(fn: (r) => r.x = 1)", 44, "'=' is no comparison (== is)"),
        (f"{FROM} |> filter(fn: (r) => r.x == 1 == 2)", 49, "unexpected '==', expected and, or"),
        (f"{FROM} |> filter(fn: (r) => r.x < true)", 46, "< does not order booleans, expected =="),
        (f'{FROM} |> filter(fn: (r) => r.x =~ "a")', 47, "a string after =~, expected a regular"),
        (f"{FROM} |> filter(fn: (r) => r.x == /a/)", 47, "a regular expression cannot be compared"),
        (f"{FROM} |> filter(fn: (r) => r.x =~ /(?=a)/)", 48, "a group that is not supported"),
        (f"{FROM} |> filter(fn: (r) => exists 1)", 47, "unexpected '1', expected a name"),
        (f"{FROM} |> filter(fn: (r) => {{ return r.x }})", 49, "unexpected 'r', expected :"),
        (f"{FROM}\n// one\n\t|> limit(n: x)", 14, "'x' stands alone"),
        (f"\n{FROM} |> filter(fn: [])", 33, "'fn' is a list, expected a function"),
        (f"\n{FROM} |> range(start: {{}})", 35, "'start' is a record, expected a time"),
        (f"{FROM};", 18, "unexpected character ';', expected the end or |>"),
        (f"{FROM} |> limit(n: ?)", 31, "unexpected character '?', expected a value"),
        (f"{FROM} |> !", 22, "unexpected character '!', expected a function"),
        (f"{FROM} |> count(\0)", 28, "unexpected character '\\x00', expected a name or )"),
        (f"{FROM}\ufeff", 18, "unexpected character '\\ufeff', expected the end or |>"),
        ("\ufeff", 2, "the query ends too early, expected from(bucket: ...)"),
        ("\ufeffimport 1", 2, "'import' is not supported, expected from(bucket: ...)"),
    ],
)
def test_what_is_wrong_is_marked(text: str, column: int, problem: str) -> None:
    """An error names line and column, marks the text there, and says what was expected."""
    error = refused(text)
    line = text.count("\n") + 1
    assert (error.line, error.column) == (line, column)
    message = str(error)
    assert message.startswith(f"query: {problem}")
    assert ", expected " in message.partition("\n")[0]
    assert message.endswith(f"^ (line {line}, column {column})")


def test_the_mark_stands_below_the_text() -> None:
    """Carets stand under what is wrong, in a line cut to what is near it."""
    text = f"{FROM}\n\t|> limit(n: -12)  // {'x' * 500}"
    _, source, carets = str(refused(text)).splitlines()
    assert source.startswith("     |> limit(n: -12)  // xxx")
    assert len(source) < 100
    assert carets == "                 ^^^ (line 2, column 14)"
    far = str(refused(f"from({' ' * 1000}bucket 1)")).splitlines()
    assert far[1][far[2].index("^")] == "1"


@pytest.mark.parametrize(
    "text",
    [
        f"{FROM} |> filter(fn: (r) => {'(' * 50_000}",
        f"{FROM} |> filter(fn: (r) => {'(' * 30_000}r.x{')' * 30_000})}}",
        f"{FROM} |> filter(fn: (r) => {'not ' * 20_000}r.x)",
        f"{FROM} |> filter(fn: (r) => {'(r.x and ' * 5000}r.x{')' * 5000})",
        f"{FROM} |> filter(fn: (r) => {'r.x or ' * 12_000}r.x == 1 or)",
        f"{FROM} |> filter(fn: (r) => {'r.x == 1 or ' * 1001}r.x)",
        f"{FROM} |> filter(fn: {'(r) => ' * 10_000}r.x)",
        f"{FROM} |> keep(columns: {'[' * 40_000}",
        f"{FROM} |> keep(columns: {json.dumps([str(number) for number in range(501)])})",
        FROM + " |> count()" * 101,
        FROM + " |> limit(n: 1)" * 6000,
        FROM + " " * 100_000,
        'from(bucket: "' + "\\" * 90_000,
        f"{FROM} |> filter(fn: (r) => r.x =~ /{'(' * 900}/)",
        f"{FROM} |> filter(fn: (r) => r.x =~ /{'a' * 2000}/)",
        f"{FROM} |> range(start: -{'1h' * 40_000}x)",
    ],
)
def test_long_and_deep_texts(text: str) -> None:
    """However long or deep a text is, an error comes out of it, and no RecursionError."""
    error = refused(text)
    assert error.line == 1
    assert ", expected " in str(error)


def test_a_byte_order_mark() -> None:
    """One that begins the text, as editors put it, is none of the query."""
    assert parse("\ufeff" + FROM).bucket == "b"


def test_as_deep_as_is_allowed() -> None:
    """Parentheses are free, and a hundred conditions can stand in each other."""
    stage = only(f"|> filter(fn: (r) => {'(' * 10_000}{'not ' * 100}r.x{')' * 10_000})")
    assert isinstance(stage, tree.Filter)
    assert isinstance(stage.predicate, tree.Not)
    assert stage.predicate.depth == 100


tokens = st.sampled_from(
    [
        *(
            "from",
            "range",
            "filter",
            "limit",
            "rename",
            "r",
            "r.x",
            'r["x"]',
            "x",
            "(",
            ")",
            "[",
            "]",
        ),
        *("{", "}", ",", ":", "|>", "=>", "==", "=~", "<", "=", "-", "and", "or", "not", "exists"),
        *('"b"', '"', "'", "/a/", "/", "//", "\n", "1", "1.5", "1h", "1hx", "2024-01-01", "true"),
        *(
            "now()",
            "time(v: 1)",
            "(r) =>",
            "fn:",
            "bucket:",
            "n:",
            "columns:",
            "start:",
            "\\",
            "\0",
        ),
        *(FROM, "|> filter(fn: (r) =>", "|> keep(columns:", "${", "é", "\u2028"),
    ]
)


@given(st.lists(tokens).map(" ".join) | st.text() | st.text().map(f"{FROM} |> ".__add__))
@example("\ufeff" + FROM)
@example("\x00")
def test_any_text(text: str) -> None:
    """Any text is a query or a QueryError that points into it."""
    try:
        assert parse(text).text == text
    except QueryError as error:
        line, column = error.line, error.column
    else:
        return
    assert line is not None
    assert column is not None
    assert 1 <= line <= text.count("\n") + 1
    assert 1 <= column <= len(text) + 1


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ('""', ""),
        (r'"\n\r\t\"\\"', '\n\r\t"\\'),
        (r'"\${x} $x $"', "${x} $x $"),
        (r'"\xe6\x97\xa5 \x41"', "日 A"),
        ('"a\nb"', "a\nb"),
        ('"// no comment"', "// no comment"),
        ('"\0😀"', "\0😀"),
    ],
)
def test_strings(literal: str, value: str) -> None:
    """String literals with all of Flux's escapes."""
    assert parse(f"from(bucket: {literal})").bucket == value


HOUR = 3600 * 10**9


@pytest.mark.parametrize(
    ("literal", "months", "nanoseconds"),
    [
        ("1h30m", 0, HOUR * 3 // 2),
        ("-1h30m", 0, -HOUR * 3 // 2),
        ("1y2mo", 14, 0),
        ("-1mo1d", -1, -24 * HOUR),
        ("1w2d", 0, 9 * 24 * HOUR),
        ("1s1ms1us1µs1μs1ns", 0, 10**9 + 10**6 + 3000 + 1),
        ("now()", 0, 0),
        ("time(v: -1h)", 0, -HOUR),
    ],
)
def test_durations(literal: str, months: int, nanoseconds: int) -> None:
    """Durations in all units, compound and negative."""
    stage = only(f"|> range(start: {literal})")
    assert isinstance(stage, tree.Range)
    assert isinstance(stage.start, tree.Duration)
    assert (stage.start.months, stage.start.nanoseconds) == (months, nanoseconds)


@pytest.mark.parametrize(
    ("literal", "nanoseconds"),
    [
        ("0", 0),
        ("-5", -5 * 10**9),
        ("1970-01-01", 0),
        ("1970-01-01T00:00:01Z", 10**9),
        ('"1970-01-01T00:00:01Z"', 10**9),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T23:30:00-00:30", 0),
        ("1970-01-01T00:00:00.123456789999Z", 123_456_789),
        ("0001-01-01T00:00:00Z", -62_135_596_800 * 10**9),
        ('time(v: "1970-01-01T00:00:00.5Z")', 5 * 10**8),
        ("time(v: 1970-01-02)", 86_400 * 10**9),
        ("time(v: 1700000000)", 1_700_000_000),
    ],
)
def test_times(literal: str, nanoseconds: int) -> None:
    """Times of RFC 3339, quoted too, and integers: Unix seconds, in time() nanoseconds."""
    stage = only(f"|> range(start: {literal})")
    assert isinstance(stage, tree.Range)
    assert isinstance(stage.start, tree.Time)
    assert stage.start.nanoseconds == nanoseconds


def test_precedence() -> None:
    """`not` binds closer than `and`, and that closer than `or`."""
    stage = only("|> filter(fn: (r) => not r.a == 1 and exists r.b or r.c)")
    assert isinstance(stage, tree.Filter)
    disjunction = stage.predicate
    assert isinstance(disjunction, tree.Junction)
    conjunction, bare = disjunction.operands
    assert isinstance(conjunction, tree.Junction)
    assert (disjunction.word, conjunction.word) == ("or", "and")
    assert [type(operand) for operand in conjunction.operands] == [tree.Not, tree.Exists]
    assert isinstance(bare, tree.Column)


def test_a_literal_on_the_left() -> None:
    """A comparison reads the same from both sides, whatever the record is called."""
    stage = only("|> filter(fn: (row) => 5 <= row.x)")
    assert isinstance(stage, tree.Filter)
    comparison = stage.predicate
    assert isinstance(comparison, tree.Comparison)
    assert (comparison.column.name, comparison.comparator) == ("x", ">=")


def test_white_space_commas_and_comments() -> None:
    """Comments, line ends and trailing commas are where Flux has them."""
    text = (
        '// first\r\nfrom(bucket: "b",)//\r\n\t|> keep(columns: ["a", // a\n"b",],)'
        '|>rename(columns:{"a b":"c",d:"e",},)// last'
    )
    keep, rename = parse(text).stages
    assert isinstance(keep, tree.Keep)
    assert [column.value for column in keep.columns] == ["a", "b"]
    assert isinstance(rename, tree.Rename)
    pairs = [(old.value, new.value) for old, new in rename.columns]
    assert pairs == [("a b", "c"), ("d", "e")]


def test_lark_waits_for_a_query(run: Callable[..., str]) -> None:
    """Importing the compiler loads no lark; the first query does."""
    script = """
        import sys
        from groupstore.journal import flux_parser, flux_sql
        assert "lark" not in sys.modules
        flux_parser.parse('from(bucket: "b")')
        assert "lark" in sys.modules
    """
    assert run(script) == ""
