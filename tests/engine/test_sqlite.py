"""The numbers of SQLite's API slots, against SQLite's own header."""

import re
from pathlib import Path

import pytest

import groupstore.engine

SYSTEM_HEADER = Path("/usr/include/sqlite3ext.h")
# The header of the sources, or of the checkout beside the installed wheel; a wheel holds none.
OUR_HEADERS = [
    Path(__file__).parents[2] / "src/groupstore/engine/sqlite_api.h",
    Path(groupstore.engine.__file__).with_name("sqlite_api.h"),
]


def slots_of_sqlite() -> list[str]:
    text = SYSTEM_HEADER.read_text()
    body = text.split("struct sqlite3_api_routines {", 1)[1].split("\n};", 1)[0]
    fields = re.sub(r"/\*.*?\*/", "", body, flags=re.DOTALL).split(";")
    return [match[1] for field in fields if (match := re.search(r"\(\*\s*(\w+)\)\s*\(", field))]


@pytest.mark.skipif(not SYSTEM_HEADER.exists(), reason="SQLite's headers are not installed")
@pytest.mark.skipif(not any(map(Path.exists, OUR_HEADERS)), reason="our header is not here")
def test_slot_numbers() -> None:
    """Each slot that the engine calls has the number that sqlite3ext.h gives it."""
    ours = next(path for path in OUR_HEADERS if path.exists()).read_text()
    used = [(int(number), name) for number, name in re.findall(r"SLOT\((\d+), .*?, (\w+),\s", ours)]
    theirs = slots_of_sqlite()
    assert len(used) >= 15
    assert used == [(theirs.index(name), name) for _, name in used]
