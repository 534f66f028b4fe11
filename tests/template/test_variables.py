"""The names in a template: keys, what is missing, and the few that are no keys."""

from __future__ import annotations

import pytest
from rendering import refuse, rendered

from groupstore.template import render


@pytest.mark.parametrize(
    "expression",
    [
        "absent",
        "absent.attribute",
        "absent['key'][0].deeper",
        "absent[1:2]",
        "entries.absent",
        "entries['absent']",
        "entries['absent'].attribute",
        "host.nothing",
        "host['nothing']",
        "host[99]",
        "[1][1]",
        "{'a': 1}.b",
        "absent|upper",
        "[]|first",
        "range.nothing",
        "lipsum",
        "cycler",
        "namespace",
        "dict",
        "self",
        "caller",
        "loop",
        "super",
        "__class__",
    ],
)
def test_what_is_missing(expression: str) -> None:
    """It prints as `<no value>`, and raises under strict, in its line."""
    assert rendered(f"a{{{{ {expression} }}}}b") == "a<no value>b"
    refuse(f"\n{{{{ {expression} }}}}", line=2, strict=True)


@pytest.mark.parametrize(
    "use",
    [
        "{% if absent %}{% endif %}",
        "{% for x in absent %}{% endfor %}",
        "{% set a, b = absent %}",
        "{{ absent ~ 'x' }}",
        "{{ absent == 1 }}",
        "{{ absent in [1] }}",
        "{{ absent in entries }}",
        "{{ 'x' in absent }}",
        "{{ absent and 1 }}",
        "{{ not absent }}",
        "{{ absent|length }}",
        "{{ absent|join }}",
        "{{ absent|int }}",
        "{{ absent is string }}",
        "{{ [absent] }}",
        "{{ [absent]|join }}",
        "{{ [absent] == [1] }}",
        "{{ {'a': absent}|tojson }}",
        "{{ '%s'|format(absent) }}",
        "{{ '{}'.format(absent) }}",
        "{{ absent.attribute }}",
        "{{ absent() }}",
        "{{ host(*absent) }}",
        "{{ absent + 1 }}",
    ],
)
def test_strict_use_of_what_is_missing(use: str) -> None:
    """Under strict every use of it raises, and the message has its name."""
    refuse(f"\n\n{use}", "'absent' is missing", line=3, strict=True)


def test_what_strict_allows() -> None:
    """Asking whether it is there, and giving another value, is no use of it."""
    template = "{{ absent is defined }} {{ absent is undefined }} {{ absent|default('x') }}"
    assert rendered(template, strict=True) == "False True x"
    assert rendered("{% if false %}{{ absent }}{% endif %}{{ 'x' if false }}", strict=True) == ""


def test_missing_behaves_as_nothing() -> None:
    """Without strict it is false, empty, and no element of anything."""
    template = (
        "{% if absent %}x{% endif %}{% for x in absent %}x{% else %}none {% endfor %}"
        "{{ absent|length }} {{ absent|list }} {{ absent in entries }} {{ 'a' in absent }} "
        "{{ absent ~ 1 }} {{ [absent] }} {{ absent|int }} {{ absent == nothing }}"
    )
    assert rendered(template) == "none 0 [] False False <no value>1 [<no value>] 0 True"
    for expression in ("absent + 1", "absent < 1", "absent()"):
        refuse(f"{{{{ {expression} }}}}", "'absent' is missing")


def test_entries_is_the_mapping() -> None:
    """`entries` is all keys with their values, even where a key has that name."""
    entries = {"b": "2", "a": "1", "entries": "3", "items": "4"}
    template = "{% for k, v in entries|dictsort %}{{ k }}={{ v }} {% endfor %}{{ entries|length }}"
    assert render(template, entries, strict=True) == "a=1 b=2 entries=3 items=4 4"
    template = "{{ entries.entries }}{{ entries['items'] }}{{ .entries }}{{ entries.get('b') }}"
    assert render(template, entries, strict=True) == "3432"
    assert render("{{ entries }} {{ entries.keys() }}", {"a": "1"}, strict=True) == (
        "{'a': '1'} ['a']"
    )


@pytest.mark.parametrize(
    "template",
    [
        "{% set entries = 1 %}",
        "{% for entries in [1] %}{% endfor %}",
        "{% macro m(entries) %}{% endmacro %}",
        "{% macro entries() %}{% endmacro %}",
        "{% with entries = 1 %}{% endwith %}",
        "{% set a, self = 1, 2 %}",
        "{% call(entries) host() %}{% endcall %}",
    ],
)
def test_entries_cannot_be_assigned(template: str) -> None:
    """No template makes another thing of `entries`, or of `self`."""
    refuse("\n" + template, "can't be assigned", line=2)


def test_range_is_the_only_global() -> None:
    """`range` is there, unless there is a key of that name."""
    assert rendered("{{ range(2, 8, 3)|list }} {{ range(3) }}") == "[2, 5] range(0, 3)"
    assert render("{{ range }}", {"range": "far"}, strict=True) == "far"
    refuse("{{ range }}", "no value")


@pytest.mark.parametrize("key", ["self", "caller", "kwargs", "varargs", "loop", "super", "missing"])
def test_names_of_jinjas_own(key: str) -> None:
    """Outside of loops and macros, names that Jinja2 treats apart are keys as others."""
    assert render(f"{{{{ {key} }}}}", {key: "found"}, strict=True) == "found"


def test_names_alike_to_python() -> None:
    """Python takes these two names for one; they are two keys."""
    entries = {"ﬁ": "ligature", "fi": "letters"}
    assert render("{{ ﬁ }} {{ fi }} {{ .ﬁ }}", entries, strict=True) == "ligature letters ligature"
    for template in ("{% set ﬁ = 1 %}", "{% macro ﬁ() %}{% endmacro %}", "{{ range(ﬁ=1) }}"):
        refuse(template, "NFKC")


def test_bytes_are_utf_8() -> None:
    """A value of bytes is the text that it is in UTF-8, wherever it is used."""
    entries = {"b": "Zoë".encode()}
    template = "{{ b }} {{ .b }} {{ b|length }} {{ b.upper() }} {{ entries.b ~ b[0] }}"
    assert render(template, entries, strict=True) == "Zoë Zoë 3 ZOË ZoëZ"


@pytest.mark.parametrize("use", ["b", ".b", "b|length", "b ~ 1", "entries.b", "entries", "b == 1"])
def test_bytes_that_are_no_text(use: str) -> None:
    """A value that is not UTF-8 raises where it is used, with its key, strict or not."""
    for strict in (False, True):
        message = "the value of key 'b' is not UTF-8"
        entries = {"b": b"\xff", "a": "1"}
        refuse(f"\n{{{{ {use} }}}}", message, line=2, entries=entries, strict=strict)


def test_bytes_that_are_not_used() -> None:
    """A value that is not UTF-8 harms no template that leaves it alone."""
    template = "{{ a }}{{ 'b' in entries }}{{ b is defined }}{% if false %}{{ b }}{% endif %}"
    assert render(template, {"b": b"\xff", "a": "1"}, strict=True) == "1TrueTrue"
