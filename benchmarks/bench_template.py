"""Rendering beside Jinja2 alone with a compiled template: `pytest benchmarks/bench_template.py`.

Every group has `jinja2` and us; pytest-benchmark prints the ratio to the quicker. A template in
Go's form is rendered by Jinja2 in its own.
"""

from __future__ import annotations

from collections.abc import Callable

import jinja2
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from groupstore.template import render
from groupstore.template.compiling import compile_template

KEYS = [f"key{n}" for n in range(50)]
ENTRIES: dict[str, str | bytes] = {key: f"the value of {key}" for key in KEYS}

JINJA_FORM = ", ".join(f"{{{{ {key} }}}}" for key in KEYS)
GO_FORM = ", ".join(f"{{{{ .{key} }}}}" for key in KEYS)
LOOP = "{% for key, value in entries.items() %}{{ key }}={{ value|upper }}\n{% endfor %}"
BRANCHES = "".join(
    f"{{% if {key} == 'x' %}}no{{% else %}}{{{{ {key} }}}}{{% endif %}}" for key in KEYS
)
LONG_TEXT = ("a line of text\n" * 50 + "{{ key0 }}") * 50

# By subject, the template and the same in Jinja2's form.
TEMPLATES = {
    "50 keys": (JINJA_FORM, JINJA_FORM),
    "50 keys in Go's form": (GO_FORM, JINJA_FORM),
    "50 keys in a loop with a filter": (LOOP, LOOP),
    "50 comparisons": (BRANCHES, BRANCHES),
    "35 KiB of text": (LONG_TEXT, LONG_TEXT),
}


def by_jinja(template: str) -> Callable[[], str]:
    """Rendering of a template that Jinja2 has compiled, with the variables it gets here."""
    environment = jinja2.Environment(keep_trailing_newline=True)
    compiled = environment.from_string(template)
    return lambda: compiled.render(ENTRIES, entries=ENTRIES)


@pytest.mark.parametrize("contender", ["jinja2", "groupstore"])
@pytest.mark.parametrize("subject", TEMPLATES)
def test_render(subject: str, contender: str, benchmark: BenchmarkFixture) -> None:
    """A template that was rendered before; both give the same."""
    template, same = TEMPLATES[subject]
    plain = by_jinja(same)
    assert plain() == render(template, ENTRIES, strict=True)
    benchmark.group = subject
    if contender == "jinja2":
        benchmark(plain)
    else:
        benchmark(lambda: render(template, ENTRIES, strict=True))


@pytest.mark.parametrize("contender", ["jinja2", "groupstore"])
def test_compile(contender: str, benchmark: BenchmarkFixture) -> None:
    """A template seen for the first time."""
    benchmark.group = "compiling 50 keys"
    environment = jinja2.Environment()
    compilers: dict[str, Callable[[str], object]] = {
        "jinja2": environment.from_string,
        "groupstore": compile_template,
    }
    benchmark(compilers[contender], JINJA_FORM)
