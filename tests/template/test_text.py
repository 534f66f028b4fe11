"""Text outside of actions, and what a template gives besides text."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rendering import refuse, rendered

from groupstore.template import render

# Without a brace nothing can become an action.
texts = st.text(st.characters().filter(lambda c: c not in "{}"), max_size=30) | st.sampled_from(
    [
        "\r",
        "\r\n",
        "\n\r",
        "\x1c",
        "\x1c\x1d\r",
        "\x1c\x1e",
        "\x85\u2028",
        "\0",
        "%}",
        "#}",
        "\ud800",
    ]
)


@given(texts)
@example("a\r\nb\r\n")
@example("# not a line statement\n## nor a comment\n")
def test_text_without_actions(text: str) -> None:
    """A template without actions is its own output."""
    assert rendered(text) == text


@given(texts, texts, texts)
@example("\r\n", "\r", "\x1c\r\n")
def test_text_around_actions(before: str, between: str, after: str) -> None:
    """Every character around actions, comments and statements comes out as it went in."""
    template = (
        before
        + "{{ x }}"
        + between
        + "{# c #}{% if 1 %}"
        + after
        + "{% endif %}{{/* c */}}"
        + after
    )
    assert render(template, {"x": "\r\n"}, strict=True) == before + "\r\n" + between + after * 2


@pytest.mark.parametrize(
    "text", ["{ ", "}", "{ {x} }", "}}", "%}", "{ % x % }", "${x}", "{\r\n{ ", "{}" * 9]
)
def test_braces_that_are_no_actions(text: str) -> None:
    """A brace is text where it opens no action."""
    assert rendered(text + "{{ port }}" + text) == text + "8080" + text


def test_final_newlines_stay() -> None:
    """Newlines at the end are kept, however many."""
    assert rendered("{{ port }}\n") == "8080\n"
    assert rendered("{{ port }}\r\n\r\n") == "8080\r\n\r\n"


def test_newlines_after_statements_stay() -> None:
    """A statement takes no newline with it."""
    assert rendered("{% if port %}\r\nyes\r\n{% endif %}\r\n") == "\r\nyes\r\n\r\n"


def test_returns_in_literals() -> None:
    """A carriage return inside a literal is kept, and in a raw block."""
    assert rendered("{{ 'a\r\nb' }}{% raw %}\r{{ x }}\r\n{% endraw %}") == "a\r\nb\r{{ x }}\r\n"


@pytest.mark.parametrize("trim", ["{{- port -}}", "{%- if 1 -%}8080{%- endif -%}"])
def test_trim_markers(trim: str) -> None:
    """A trim marker takes all white space on its side, carriage returns too."""
    assert rendered(f"a \t\r\n\r{trim} \r\n\r b") == "a8080b"


def test_nothing_is_escaped() -> None:
    """Values and literals come out as they are."""
    assert render("{{ x }}{{ '<&>' }}", {"x": '<a href="\'">'}, strict=True) == '<a href="\'"><&>'


def test_values_are_not_templates() -> None:
    """An action inside a value is text."""
    assert render("{{ x }}", {"x": "{{ y }}", "y": "1"}, strict=True) == "{{ y }}"


@pytest.mark.parametrize("template", [None, b"{{ port }}", 1, ["x"]])
def test_template_that_is_no_text(template: object) -> None:
    """A template that is no `str` is a TypeError."""
    with pytest.raises(TypeError, match="a template is a str"):
        rendered(template)  # type: ignore[arg-type]


def test_output_is_limited_to_16_mib_of_utf_8() -> None:
    """16 MiB come out, a byte more does not: of text, of values, and in characters of 4 bytes."""
    limit = 16 << 20
    entries = {"half": "x" * (limit // 2), "wide": "\U0001f600" * (limit // 8)}
    assert len(render("{{ half }}{{ half }}", entries, strict=True)) == limit
    assert len(render("{{ wide }}{{ half }}", entries, strict=True)) == limit // 2 + limit // 8
    for template in ("{{ half }}{{ half }}.", "{{ wide }}{{ wide }}.", "é{{ half }}{{ wide }}"):
        refuse("{% if 1 %}\n{% endif %}" + template, "more than 16 MiB", line=2, entries=entries)
    assert rendered("x" * limit) == "x" * limit
    refuse("x" * (limit + 1), "more than 16 MiB", line=None)
    refuse("é" * (limit // 2) + "x", "more than 16 MiB", line=None)
