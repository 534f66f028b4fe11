"""Templates written to harm: each is refused, soon, in little memory, with its line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import hostile
import pytest

# Beside the interpreter, the entries and the template; much less than any of these would take.
ROOM_BYTES = 256 << 20
# Far above what any takes on a slow machine, and far below what they would without limits.
MOST_SECONDS = 20


@pytest.fixture(scope="module")
def outcomes() -> dict[str, tuple[float, str, int | None]]:
    """What became of each template, in a process that can't have more memory."""
    if not Path("/proc/self/statm").exists():
        pytest.skip("needs Linux to limit a process")
    done = subprocess.run(
        [sys.executable, hostile.__file__, str(ROOM_BYTES)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = {}
    for line in done.stdout.splitlines():
        name, *outcome = json.loads(line)
        found[name] = tuple(outcome)
    return found


@pytest.mark.parametrize("name", hostile.HOSTILE)
def test_hostile_template(name: str, outcomes: dict[str, tuple[float, str, int | None]]) -> None:
    """It ends in the TemplateError that is meant for it, not in another one for want of memory."""
    seconds, message, line = outcomes[name]
    assert hostile.HOSTILE[name][1] in message
    assert message.startswith("render: line ")
    assert line is not None
    assert seconds < MOST_SECONDS
