"""Templates put together at random: text or TemplateError comes out, and nothing else."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from groupstore import TemplateError
from groupstore.template import render
from groupstore.template.filters import FILTERS
from groupstore.template.predicates import PREDICATES

ENTRIES: dict[str, str | bytes] = {"a": "x y,z", "b": b"1", "c": b"\xff", "n": "12"}
# ruff: noqa: SIM905
OPERATORS = ["not in", *"+ - * / // % ** ~ == != < <= > >= and or in".split()]

atoms = st.sampled_from(
    "a b c n q absent entries loop range(5) 0 1 -7 2.5 10**9 none true '' 'x' '%s' '{}' [] {} "
    "[1,'a'] (1,2) {'a':b} {1:[2]} m caller self varargs kwargs [[a]]*3 'ab'*3".split()
)
methods = st.sampled_from(
    "upper title strip split rsplit splitlines partition find rfind count index replace join "
    "changed zfill format startswith removeprefix isdigit items keys values get cycle".split()
)
names = st.sampled_from("a b q x items loop upper __class__".split())


def _expressions(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    arguments = st.lists(
        st.tuples(st.sampled_from(["", "", "", "*", "**", "d=", "attribute="]), inner).map("".join),
        max_size=2,
    ).map(", ".join)
    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(OPERATORS), inner),
        st.builds("({} < {} <= {})".format, inner, inner, inner),
        st.builds("(not {})".format, inner),
        st.builds("(-{})".format, inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("({}|{}({}))".format, inner, st.sampled_from(sorted(FILTERS)), arguments),
        st.builds("({} is {}({}))".format, inner, st.sampled_from(sorted(PREDICATES)), arguments),
        st.builds("{}.{}({})".format, inner, methods, arguments),
        st.builds("{}({})".format, inner, arguments),
        st.builds("{}.{}".format, inner, names),
        st.builds("{}[{}]".format, inner, inner),
        st.builds("{}[{}:{}]".format, inner, inner, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("{{{}: {}}}".format, inner, inner),
    )


expressions = st.recursive(atoms, _expressions, max_leaves=5)


def _statements(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    e = expressions
    return st.one_of(
        st.builds("{}{}".format, inner, inner),
        st.builds("{{% if {} %}}{}{{% else %}}{}{{% endif %}}".format, e, inner, inner),
        st.builds("{{% for q in {} %}}{}{{% else %}}{}{{% endfor %}}".format, e, inner, inner),
        st.builds("{{% for q in {} if {} %}}{}{{% endfor %}}".format, e, e, inner),
        st.builds(
            "{{% for q in {} recursive %}}{}{{{{ loop(q) }}}}{{% endfor %}}".format, e, inner
        ),
        st.builds("{{% set q = {} %}}{}".format, e, inner),
        st.builds("{{% set q, a = {} %}}{}".format, e, inner),
        st.builds("{{% set q %}}{}{{% endset %}}".format, inner),
        st.builds("{{% macro m(q={}) %}}{}{{% endmacro %}}{}".format, e, inner, inner),
        st.builds("{{% call(q) m({}) %}}{}{{% endcall %}}".format, e, inner),
        st.builds("{{% filter replace({}, {}) %}}{}{{% endfilter %}}".format, e, e, inner),
        st.builds("{{% with q={} %}}{}{{% endwith %}}".format, e, inner),
    )


outputs = st.one_of(
    expressions.map("{{{{ {} }}}}".format),
    names.map("{{{{ .{} }}}}".format),
    names.map('{{{{ index . "{}" }}}}'.format),
    st.sampled_from(["text", "\r\n", "{{/* c */}}", "{# c #}", "{% raw %}{{{% endraw %}"]),
)
templates = st.recursive(outputs, _statements, max_leaves=4)
# Pieces of the grammar in any order at all.
pieces = st.lists(
    st.sampled_from(
        "{{ }} {% %} {# #} {{- -}} {%- -%} . , | ( ) [ ] { } : = == ~ + - * ** / // % ' \" ` \\ $ "
        "a b index end else if for in recursive set macro call filter with raw endraw endif endfor "
        "endset endmacro is not loop entries 1 0x 1_ 1. .5 1e 'x' /* */ {{/* */}} \n \r \x1c".split(
            " "
        )
    ),
    max_size=20,
).map(" ".join)


@given(st.one_of(templates, pieces, st.text("{}%#.-'\"`ab \r\n", max_size=20)), st.booleans())
@example("{{ [q]|sort(a=1) }}", False)
@example("{% set a, b = loop %}", True)
def test_any_template(template: str, strict: bool) -> None:
    """A template of any shape is rendered or refused, and the same way the next time."""
    outcomes = []
    for _ in range(2):
        try:
            outcome: object = render(template, ENTRIES, strict=strict)
            assert isinstance(outcome, str)
        except TemplateError as error:
            outcome = str(error)
        outcomes.append(outcome)
    assert outcomes[0] == outcomes[1]
