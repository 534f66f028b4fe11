"""The reference names everything that is public."""

from __future__ import annotations

import inspect
import re

import pytest
from page_blocks import ROOT

import groupstore
from groupstore.journal.journal import Journal

FACES = (groupstore.Store, groupstore.ScopedStore, groupstore.Transaction)
PUBLIC = [getattr(groupstore, name) for name in groupstore.__all__]
CLASSES = [thing for thing in [*PUBLIC, Journal] if inspect.isclass(thing)]


@pytest.fixture(scope="module")
def reference() -> str:
    pages = sorted((ROOT / "docs" / "reference").glob("*.md"))
    return "\n".join(page.read_text(encoding="utf-8") for page in pages)


@pytest.mark.parametrize("name", groupstore.__all__)
def test_public_names_are_in_the_reference(name: str, reference: str) -> None:
    """Each name of `__all__` has an entry of its own."""
    entry = rf"^\.\. auto\w+:: groupstore\.{name}$|^\.\. py:data:: {name}$"
    assert re.search(entry, reference, re.MULTILINE)


def test_methods_of_the_store_are_in_the_reference(reference: str) -> None:
    """Each public method and property of the store stands in one of the lists of its page."""
    listed = set(re.findall(r"\.\. auto\w+:: groupstore\.Store\.(\w+)", reference))
    assert listed == {name for name in dir(groupstore.Store) if not name.startswith("_")}


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_public_members_say_what_they_do(kind: type) -> None:
    """Each class and each method and property of it has a docstring of this package."""
    assert kind.__doc__
    for name, member in inspect.getmembers(kind):
        defined_here = any(
            name in vars(base) and base.__module__.startswith("groupstore") for base in kind.__mro__
        )
        if name.startswith("_") or not defined_here or inspect.ismemberdescriptor(member):
            continue
        if callable(member) or isinstance(member, property):
            assert inspect.getdoc(member), f"{kind.__name__}.{name}"
