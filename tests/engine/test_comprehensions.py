"""What Cython 3.3.1 compiles wrongly is not in the compiled modules' sources."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "src" / "groupstore" / "engine"

# Of a plain variable it holds no reference of its own that it could drop.
COMPUTED = re.compile(r"\[\s*(?!(\w+) for \1 in )[^\[\]=]+\bfor\b[^\[\]=]+\bin\b", re.MULTILINE)


@pytest.mark.skipif(not SOURCES.exists(), reason="the checkout's own")
def test_no_list_of_computed_items() -> None:
    """Where the list cannot grow, the item of a comprehension is given up twice.

    `__Pyx_ListComp_AppendAndDecref` gives it up, and then the way out of the function: the next
    user of a key reads freed memory. Loops that append are right.
    """
    for source in sorted(SOURCES.glob("*.pyx")):
        assert COMPUTED.search(source.read_text(encoding="utf-8")) is None, source.name


def test_the_pattern_bites() -> None:
    """It knows what it looks for, and lets through what is right."""
    assert COMPUTED.search("return [text(key) for key in keys]")
    assert COMPUTED.search("x = [\n    (a, b)\n    for a, b in pairs\n]")
    assert not COMPUTED.search("return [row for row in rows if row is not None]")
