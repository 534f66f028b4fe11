"""Compiled templates are kept, and take neither much memory nor each other's place."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from rendering import rendered

import groupstore
from conftest import Opener
from groupstore.template import render
from groupstore.template.cache import Cache


def test_compiled_once() -> None:
    """The same template is compiled once, another is not taken for it."""
    cache = Cache()
    first = cache.get("{{ a }}")
    assert cache.get("{{ " + "a }}") is first
    assert cache.get("{{ a }} ") is not first


def test_number_is_bounded() -> None:
    """The template that was not used for longest goes first."""
    cache = Cache(templates=2)
    first, second = cache.get("{{ a }}"), cache.get("{{ b }}")
    assert cache.get("{{ a }}") is first
    cache.get("{{ c }}")
    assert cache.get("{{ a }}") is first
    assert cache.get("{{ b }}") is not second


def test_size_is_bounded() -> None:
    """Large templates drive out each other, and one that is too large takes no place."""
    cache = Cache(size=1_000_000)
    small = cache.get("{{ a }}")
    large = "x" * 600_000 + "{{ b }}"
    assert cache.get(large) is not cache.get(large)
    assert cache.get("{{ a }}") is small
    half = "x" * 200_000
    for number in range(3):
        cache.get(half + f"{{{{ b{number} }}}}")
    assert cache.get("{{ a }}") is not small


def test_same_template_strict_and_not() -> None:
    """Strictness and entries belong to the rendering, not to the template kept."""
    assert rendered("{{ kept }}") == "<no value>"
    with pytest.raises(groupstore.TemplateError):
        rendered("{{ kept }}", strict=True)
    assert render("{{ kept }}", {"kept": "1"}, strict=True) == "1"


def test_failed_template_is_no_burden() -> None:
    """A template that fails leaves nothing behind for others."""
    template = "{% set x = 1 %}{{ x }}{{ 1 // y|int }}"
    with pytest.raises(groupstore.TemplateError):
        render(template, {"y": "0"}, strict=True)
    assert render(template, {"y": "1"}, strict=True) == "11"


def test_many_threads(threads: ThreadPoolExecutor) -> None:
    """Threads render the same templates and others at once."""

    def work(number: int) -> bool:
        template = (
            f"{{% for i in range(20) %}}{{{{ i + {number % 7} }}}},{{{{ .n }}}} {{% endfor %}}"
        )
        expected = "".join(f"{i + number % 7},{number} " for i in range(20))
        return render(template, {"n": str(number)}, strict=True) == expected

    assert all(threads.map(work, range(500)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_forks_beside_rendering_threads(run: Callable[..., str]) -> None:
    """A child renders, whatever other threads were doing when it was forked."""
    script = """
        import os, threading, signal
        from groupstore.template import render
        stop = False

        def work():
            while not stop:
                render("{{ a }}", {"a": "1"}, strict=True)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        codes = []
        for n in range(100):
            child = os.fork()
            if child == 0:
                signal.alarm(5)
                os._exit(render("{{ a }}" + "x" * (n % 2), {"a": "1"}, strict=True)[:1] != "1")
            codes.append(os.waitpid(child, 0)[1])
        stop = True
        for thread in threads:
            thread.join()
        print(set(codes))
    """
    assert run(script) == "{0}\n"


def test_store_renders_live_keys(open_store: Opener) -> None:
    """`Store.render` and that of a scope use the live keys of the group."""
    store = open_store("memory")
    store.set_many("config", {"host": "h", "smtp-host": "s"})
    store.scoped("tenant").set_many("config", {"host": "t", "raw": b"\xff"})
    template = '{{ .host }} {{ index . "smtp-host" }}'
    assert store.render(template, "config") == "h s"
    assert store.scoped("tenant").render(template, "config") == "t <no value>"
    assert store.render(template, "no group") == "<no value> <no value>"
    with pytest.raises(groupstore.TemplateError, match="line 1: 'smtp-host' is missing"):
        store.scoped("tenant").render(template, "config", strict=True)
    with pytest.raises(groupstore.TemplateError, match="'raw'"):
        store.scoped("tenant").render("{{ raw }}", "config")


def test_jinja_is_imported_on_first_use(run: Callable[..., str]) -> None:
    """Nothing of Jinja2 is loaded before a template is rendered."""
    script = """
        import sys
        import groupstore
        with groupstore.Store() as store:
            store.set("g", "k", "v")
            before = "jinja2" in sys.modules
            print(before, store.render("{{ k }}", "g"), "jinja2" in sys.modules)
    """
    assert run(script) == "False v True\n"
