"""What the tests of templates share: rendering, and templates of Jinja2's language."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from groupstore import TemplateError
from groupstore.template import render

ENTRIES: dict[str, str | bytes] = {
    "host": "example.org",
    "port": "8080",
    "smtp-host": "mail",
    "name": "Zoë",
    "empty": "",
    "list": "a,b,c",
    "größe": "10",
}


def rendered(
    template: str, entries: Mapping[str, str | bytes] = ENTRIES, *, strict: bool = False
) -> str:
    """The template rendered, with the entries above unless given others."""
    return render(template, entries, strict=strict)


def refuse(
    template: str,
    message: str = "render: ",
    *,
    line: int | None = 1,
    entries: Mapping[str, str | bytes] = ENTRIES,
    strict: bool = False,
) -> None:
    """Asserts that a template raises TemplateError in that line, with that in its message."""
    with pytest.raises(TemplateError, match=re.escape(message)) as raised:
        render(template, entries, strict=strict)
    assert raised.value.line == line
    if line is not None:
        assert f"line {line}: " in str(raised.value)
