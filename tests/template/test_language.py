"""What there is of Jinja2: it does what Jinja2 does."""

from __future__ import annotations

import jinja2
import pytest
from rendering import ENTRIES, refuse, rendered

TEMPLATES = [
    # Expressions
    "{{ 1 + 2 * 3 - 4 / 2 }} {{ 7 // 2 }} {{ 7 % 4 }} {{ 2 ** 10 }} {{ -3 }} {{ +3 }} {{ 1.5e3 }}",
    "{{ 2 ** 4000 }} {{ 0x1f }} {{ 0b11 }} {{ 0o17 }} {{ 1_000 }} {{ 1_0.2_5 }} {{ 2 ** -1 }}",
    "{{ 'a' + 'b' }} {{ 'ab' * 3 }} {{ 2 * [1] }} {{ [1] + [2] }} {{ (1,) + (2,) }} {{ 'x' * -1 }}",
    "{{ host ~ ':' ~ 8080 ~ none ~ true ~ 1.0 }} {{ 1, 2 }} {{ [1, 'a', [none]] }} {{ {'a': 1} }}",
    "{{ 1 < 2 < 3 }} {{ 1 < 2 > 3 }} {{ 3 > 2 == true }} {{ 'a' != 'b' }} {{ [1] <= [1, 2] }}",
    "{{ 'a' in 'abc' }} {{ 1 not in [1] }} {{ 'a' in {'a': 1} }} {{ 2 in range(3) }}",
    "{{ 1.5 in range(3) }} {{ [1] in [[1]] }} {{ 'x' in (1, 'x') }}",
    "{{ 1 and 0 or 2 }} {{ not 1 }} {{ 'a' if host else 'b' }} {{ 'a' if not host }}|",
    "{{ host[0] }} {{ host[-1] }} {{ host[1:3] }} {{ host[::-1] }} {{ [1, 2, 3][1:] }}",
    "{{ range(9)[2:5]|list }} {{ {'a': {'b': 1}}.a.b }} {{ {1: 'x'}[1] }} {{ (1, 2)[true] }}",
    r"{{ 'a\tb\n\x41\u00e9\'' }} {{ '' }} {{ 'a' 'b' }}",
    "{{ true }} {{ True }} {{ none }} {{ None }} {{ 1e999 }} {{ -1e999 }}",
    # Statements
    "{% if port == '80' %}a{% elif port %}b{% else %}c{% endif %}",
    "{% for x in [1, 2, 3] %}{{ loop.index }}{{ loop.last }}{{ loop.length }}{% endfor %}",
    "{% for x in 'abc' %}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.cycle(1, 2) }}{% endfor %}",
    "{% for x in [1, 1, 2] %}{{ loop.changed(x) }}{{ loop.revindex }}{{ loop.first }}{% endfor %}",
    "{% for x in range(9) if x is even %}{{ x }}{{ loop.index0 }}{% else %}none{% endfor %}",
    "{% for x in [] %}{{ x }}{% else %}none{% endfor %}",
    "{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}{{ v }}{% endfor %}",
    "{% for x in [1, [2, [3]]] recursive %}{% if x is iterable %}({{ loop(x) }}){% else %}{{ x }}"
    "{% endif %}{{ loop.depth }}{% endfor %}",
    "{% for x in [[1, 2], [3]] recursive if x %}{{ loop.index }}{% endfor %}",
    "{% set x = 1 %}{% set a, b = 'xy' %}{{ x }}{{ a }}{{ b }}",
    "{% set x %}a{{ host }}{% endset %}{{ x|upper }}{% set y | upper %}b{{ x }}{% endset %}{{ y }}",
    "{% set x = 1 %}{% for i in [2] %}{% set x = i %}{{ x }}{% endfor %}{{ x }}",
    "{% if host %}{% set x = 1 %}{% endif %}{{ x }}",
    "{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}",
    "{% macro m(a, b=2) %}[{{ a }}{{ b }}{{ varargs }}{{ kwargs }}]{% endmacro %}"
    "{{ m(1) }}{{ m(1, b=3) }}{{ m(1, 2, 3, c=4) }}{{ m(*[1, 2]) }}{{ m(**{'a': 1}) }}",
    "{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}{{ host }}{% endcall %}",
    "{% macro m() %}{{ caller(1) }}{% endmacro %}{% call(x) m() %}{{ x }}{% endcall %}",
    "{% macro fact(n) %}{{ n * fact(n - 1)|int if n > 1 else 1 }}{% endmacro %}{{ fact(20) }}",
    "{% filter upper|replace('A', 'b') %}a{{ host }}{% endfilter %}",
    "{% raw %}{{ x }}{% if %}{% endraw %}{# {{ y #}",
    "{% print host %}{% for a in [1] %}{% for b in [2] %}{{ a }}{{ b }}{% endfor %}{% endfor %}",
    # Filters of text
    "{{ host|upper }} {{ 'ABC'|lower }} {{ 'abc dEF'|capitalize }} {{ \"don't (or) do\"|title }}",
    "{{ ' a '|trim }}| {{ 'xxaxx'|trim('x') }}",
    "{{ 'a'|center(5) }}| {{ 'aaa'|replace('a', 'b', 2) }}",
    "{{ 'a\nb\n\nc'|indent }} {{ 'a\nb'|indent('> ', first=true) }}",
    "{{ 'a\n\nb'|indent(2, blank=true) }}",
    "{{ 'one two three four'|truncate(9) }} {{ 'abcdefghijklm'|truncate(5, true, '.', 0) }}",
    "{{ '<&>\"\\''|e }} {{ 'a b/c?é'|urlencode }} {{ {'a b': 1, 'c': '/'}|urlencode }}",
    "{{ 'a b  c'|wordcount }} {{ 1|string ~ 2 }}",
    "{{ '%s=%05d|%-5s|%.2f|%x'|format('a', 3, 'b', 1, 255) }}",
    "{{ '%(a)s%%' % {'a': 1} }} {{ '%s' % 'x' }} {{ '%s %s' % (1, [2]) }} {{ '%c%c' % ('a', 98) }}",
    "{{ '{} {:>5} {1}'.format(1, 2) if false }}{{ '{0}{1:>5}{0!s}{x:.2f}'.format('a', 'b', x=1) }}",
    "{{ '{:,} {:#x} {:+.1e} {:%} {:^7}|{{}}'.format(1234567, 255, 0.5, 0.25, 'mid') }}",
    # Filters of numbers and sequences
    "{{ '42'|int }} {{ 'x'|int }} {{ 'x'|int(7) }} {{ 'ff'|int(base=16) }} {{ 4.9|int }}",
    "{{ '4.9'|int }}",
    "{{ '1.5'|float }} {{ 'x'|float(2.0) }} {{ -3|abs }} {{ 2.55|round(1) }}",
    "{{ 2.1|round(method='ceil') }}",
    "{{ 1000000|filesizeformat }} {{ '2048'|filesizeformat(true) }} {{ [1, 2]|sum }}",
    "{{ [{'a': 1}, {'a': 2}]|sum(attribute='a') }} {{ [[1], [2]]|sum(start=[]) }}",
    "{{ 'abc'|length }} {{ [1]|count }} {{ [1, 2]|first }}{{ [1, 2]|last }} {{ 'ab'|list }}",
    "{{ [3, 1, 2]|sort }} {{ ['b', 'A']|sort }} {{ ['b', 'A']|sort(true, true) }}",
    "{{ [{'a': 2, 'b': 1}, {'a': 1, 'b': 2}]|sort(attribute='a,b')|map(attribute='b')|list }}",
    "{{ ['a', 'A', 'b']|unique|list }} {{ [1, 3]|min }} {{ ['a', 'B']|max }}",
    "{{ [2, 1]|reverse|list }}",
    "{{ 'abc'|reverse }} {{ [1, 2, 3]|join(', ') }} {{ [{'a': 1}]|join(attribute='a') }}",
    "{{ 'abc'|join('-') }}",
    "{{ [1, 2, 3, 4, 5]|batch(2)|list }} {{ [1, 2, 3]|batch(2, 'x')|list }}",
    "{{ [1, 2, 3, 4, 5]|slice(3)|list }} {{ [1, 2, 3, 4, 5]|slice(3, 'x')|list }}",
    "{{ ['a']|map('upper')|list }} {{ [[1, 2]]|map('last')|list }}",
    "{{ [{}]|map(attribute='a', default=1)|list }}",
    "{{ [1, 2]|select('odd')|list }} {{ [0, 1]|select|list }} {{ [1, 2]|reject('gt', 1)|list }}",
    "{{ [{'a': 1}, {'a': 0}]|selectattr('a')|list }}",
    "{{ [{'a': 1}]|rejectattr('a', 'eq', 1)|list }}",
    "{{ {'b': 1, 'a': 2}|dictsort }} {{ {'b': 1, 'a': 2}|dictsort(by='value', reverse=true) }}",
    "{{ {'a': 1}|items|list }}",
    "{{ ''|default('x', true) }} {{ 0|d(1) }} {{ {'b': [1, none], 'a': '<é>'}|tojson }}",
    "{{ [1]|tojson(2) }}",
    # Tests
    "{{ 1 is odd }} {{ 2 is even }} {{ 4 is divisibleby 2 }} {{ 'a' is string }} {{ 1 is number }}",
    "{{ [] is sequence }} {{ {} is mapping }} {{ 1 is iterable }} {{ none is none }}",
    "{{ 1 is true }}",
    "{{ 1.0 is float }} {{ true is integer }} {{ true is boolean }} {{ 'a' is lower }}",
    "{{ 'A' is upper }}",
    "{{ 1 is eq 1 }} {{ 1 is ne(1) }} {{ 1 is lt 2 }} {{ 2 is ge 2 }} {{ 1 is in [1] }}",
    "{{ 1 is not defined }}",
    # Methods
    "{{ list.split(',') }} {{ 'a b'.split() }} {{ 'a,b,c'.rsplit(',', 1) }}",
    "{{ 'a\nb'.splitlines() }}",
    "{{ host.startswith('ex') }} {{ host.endswith(('x', 'org')) }} {{ host.find('p') }}",
    "{{ 'aXa'.swapcase() }}",
    "{{ 'aba'.count('a') }} {{ 'aba'.rfind('a') }} {{ 'a-b'.partition('-') }}",
    "{{ 'a'.rjust(3, '.') }}",
    "{{ ','.join(['a', 'b']) }} {{ '7'.zfill(3) }} {{ ' a'.strip() }}",
    "{{ 'aa'.replace('a', 'b', 1) }}",
    "{{ 'a1'.isalnum() }} {{ 'abc'.removeprefix('a') }} {{ [1, 1].count(1) }}",
    "{{ (1, 2).index(2) }}",
    "{{ {'a': 1}.get('a') }} {{ {'a': 1}.get('b', 2) }} {{ {'a': 1}.values()|list }}",
]  # fmt: skip


@pytest.mark.parametrize("template", TEMPLATES)
def test_as_in_jinja(template: str) -> None:
    """The same template gives the same by Jinja2 itself, or no output at all by both."""
    plain = jinja2.Environment(keep_trailing_newline=True)
    # What is missing prints otherwise in Jinja2.
    plain.globals.update(ENTRIES)
    try:
        expected = plain.from_string(template).render().replace("\r\n", "\n")
    except (jinja2.TemplateError, TypeError, ValueError, IndexError):
        refuse(template)
        return
    for word in ("Undefined", "<no value>"):
        expected = expected.replace(word, "")
    assert rendered(template).replace("<no value>", "") == expected


@pytest.mark.parametrize(
    "tag",
    [
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% from 'x' import y %}",
        "{% extends 'x' %}",
        "{% block x %}{% endblock %}",
        "{% autoescape true %}{% endautoescape %}",
        "{% set x.y = 1 %}",
        "{% do x %}",
        "{% break %}",
        "{% trans %}{% endtrans %}",
        "{% debug %}",
        "{% unknown %}",
    ],
)
def test_statements_that_are_not_there(tag: str) -> None:
    """What reaches for other templates, or is an extension, is refused in its line."""
    refuse(f"\n\n{tag}", line=3)


@pytest.mark.parametrize(
    ("template", "line"),
    [
        ("\n{{ x", 2),
        ("{{ x }}\n{% if x %}\n\n", 2),
        ("\n\n{{ 1 + }}", 3),
        ("\n{% for x in %}", 2),
        ("\n{# never closed", 2),
        ("\n{% raw %} never closed", 2),
        ("a\n{{ 'never closed }}", 2),
        ("\n{{ (1] }}", 2),
        ("\n{{ x|nothing }}", 2),
        ("\n{{ x is nothing }}", 2),
        ("{% if x %}\n{{ y|nothing }}{% endif %}", 2),
        ("\n{{ 1 / 0 }}", 2),
        ("\n{{\n1 }}{{\n1 / 0 }}", 4),
        ("{% macro m() %}\n{{ 1 / 0 }}{% endmacro %}\n\n{{ m() }}", 2),
        ("{% for i in [1, 0] %}\n\n{{ 1 / i }}{% endfor %}", 3),
        ("\n{% set x = 'a' + 1 %}", 2),
        ("\n{{ [1]|first|upper|length + 'x' }}", 2),
        ("\n{{ host() }}", 2),
        ("\n{{ host.upper(1) }}", 2),
        ("\n{{ range(1, 2, 0) }}", 2),
        ("\n{{ [2, 'a']|sort }}", 2),
        ("\n{% set a, b = 'abc' %}", 2),
        ("\n{% for x in 5 %}{% endfor %}", 2),
        ("\n{{ '%d' % 'x' }}", 2),
        ("\n{{ '%s' % (1, 2) }}", 2),
        ("\n{{ '{}{}'.format(1) }}", 2),
        ("\n{{ '{'.format(1) }}", 2),
        ("\n{{ 10.0 ** 400 }}", 2),
        ("\n{{ 'a'.encode() }}", 2),
        ("\n{{ 'a'.index('b') }}", 2),
        ("\n{{ 'x'|center('a') }}", 2),
        ("\n{{ range(__debug__=1) }}", 2),
        ("\n{% macro m(a, a) %}{% endmacro %}", 2),
    ],
)  # fmt: skip
def test_errors_have_their_line(template: str, line: int) -> None:
    """Whatever Jinja2 or Python finds wrong is a TemplateError with the line."""
    refuse(template, line=line)


def test_error_keeps_its_cause() -> None:
    """The error names what went wrong, and holds on to nothing of the rendering."""
    with pytest.raises(Exception, match="render: line 1: division by zero") as raised:
        rendered("{{ 1 / 0 }}")
    assert isinstance(raised.value.__cause__, ZeroDivisionError)
    assert raised.value.__cause__.__traceback__ is None
