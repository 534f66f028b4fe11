"""Go's field form beside Jinja2's."""

from __future__ import annotations

import keyword

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from rendering import refuse, rendered

from groupstore.template import render

identifiers = st.from_regex(r"[^\W\d]\w{0,7}", fullmatch=True).filter(str.isidentifier)


@pytest.mark.parametrize(
    ("go", "jinja"),
    [
        ("{{ .host }}:{{ .port }}", "{{ host }}:{{ port }}"),
        ("{{.host}}", "{{host}}"),
        ("{{\n.host\n}}", "{{ host }}"),
        ("a {{- .host -}} b", "a {{- host -}} b"),
        ('{{ index . "smtp-host" }}', '{{ entries["smtp-host"] }}'),
        ('{{index . "smtp-host"}}', '{{ entries["smtp-host"] }}'),
        ("{{ index . `smtp-host` }}", '{{ entries["smtp-host"] }}'),
        ('{{- index . "smtp\\u002dhost" -}}', '{{ entries["smtp-host"] }}'),
        ("{{ .größe }}", "{{ größe }}"),
        ("{{ .absent }}", "{{ absent }}"),
        ("{{ .absent.deeper.still }}", "{{ absent.deeper.still }}"),
        ('{{ index . "absent" "deeper" }}', "{{ absent.deeper }}"),
        ("{% if port %}{{ .host }}{% endif %}", "{% if port %}{{ host }}{% endif %}"),
        ("a{{/* a comment with }} and {{ and ' */}}b", "ab"),
        ("a {{- /* trimmed */ -}} b", "ab"),
        ("a\n{{/*\n*/}}\nb", "a\n\nb"),
    ],
)
def test_go_form_is_jinja_form(go: str, jinja: str) -> None:
    """An action in Go's form gives what Jinja2's gives."""
    assert rendered(go) == rendered(jinja)


@given(identifiers, st.text(max_size=9))
def test_any_field(key: str, value: str) -> None:
    """`{{ .key }}` is the value, as `{{ key }}` is unless Jinja2 reserves the name."""
    assert render(f"{{{{ .{key} }}}}", {key: value}, strict=True) == value
    assume(not keyword.iskeyword(key) and key not in {"true", "false", "none", "entries", "end"})
    assert render(f"{{{{ {key} }}}}", {key: value}, strict=True) == value


@given(st.text(max_size=9), st.text(max_size=9))
def test_any_key(key: str, value: str) -> None:
    """Any key can be had by `index`, and by `entries` in Jinja2's form."""
    literal = "".join(f"\\U{ord(char):08x}" for char in key)
    for template in (f'{{{{ index . "{literal}" }}}}', f"{{{{ entries['{literal}'] }}}}"):
        assert render(template, {key: value}, strict=True) == value


@given(st.text(st.characters(exclude_characters="`\r", exclude_categories=["Cs"]), max_size=9))
def test_any_raw_string(key: str) -> None:
    """Between backquotes every character stands for itself."""
    assert render(f"{{{{ index . `{key}` }}}}", {key: "found"}, strict=True) == "found"


def test_raw_string_leaves_out_returns() -> None:
    """As in Go, a carriage return between backquotes does not count."""
    assert render("{{ index . `a\r\nb` }}", {"a\nb": "found"}, strict=True) == "found"


@pytest.mark.parametrize("key", ["if", "in", "not", "true", "none", "end", "else", "loop", "self"])
def test_reserved_names(key: str) -> None:
    """A key that Jinja2 or Go has another meaning for can be had with a dot."""
    assert render(f"{{{{ .{key} }}}}", {key: "found"}, strict=True) == "found"
    assert render(f"{{{{ entries.{key} }}}}", {key: "found"}, strict=True) == "found"


def test_go_form_means_the_key() -> None:
    """Go's data are the entries, whatever the template calls by that name."""
    template = "{% set host = 1 %}{% for port in [2] %}{{ host }}{{ port }}{{ .host }}{{ .port }}"
    assert rendered(template + "{% endfor %}") == "12example.org8080"


@pytest.mark.parametrize(
    "action",
    [
        "{{ . }}",
        "{{ if .host }}",
        "{{ if\n.host }}",
        "{{ else }}",
        "{{ end }}",
        "{{- end -}}",
        "{{ else if .host }}",
        "{{ range .list }}",
        "{{ range . }}",
        "{{ range $i, $v := .list }}",
        "{{ with .host }}",
        "{{ with . }}",
        '{{ define "part" }}',
        '{{ template "part" }}',
        '{{ template "part" . }}',
        '{{ block "part" . }}',
        '{{ printf "%s" .host }}',
        "{{ print .host }}",
        "{{ len .host }}",
        "{{ not .host }}",
        "{{ and .host .port }}",
        '{{ eq .host "x" }}',
        '{{ .host | printf "%q" }}',
        "{{ .host | upper }}",
        "{{ .host upper }}",
        "{{ .host() }}",
        "{{ .host ~ .port }}",
        "{{ host .port }}",
        "{{ . host }}",
        "{{ .host. }}",
        "{{ ..host }}",
        "{{ .1 }}",
        "{{ .a-b }}",
        "{{ $host }}",
        "{{ $host := .host }}",
        "{{ index . }}",
        "{{ index . 0 }}",
        '{{ index .host "a" }}',
        '{{ index . "a" .host }}',
        '{{ index "a" }}',
        "{{ `host` }}",
        "{{ index . `host }}",
        "{{/* never closed }}",
        "{{ /* a */ host }}",
        "{{ host /* a */ }}",
        '{{ (index . "host") }}',
    ],
)
def test_other_go_actions(action: str) -> None:
    """Every other action of Go's is an error in its line, and nothing else."""
    refuse(f"a\r\nb\n{action}", line=3)
