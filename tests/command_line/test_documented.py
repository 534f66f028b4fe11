"""The examples of docs/command-line.md."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "command-line.md"

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _examples() -> list[tuple[str, str]]:
    """Command lines, each with what they print; an exit code other than 0 stands in brackets."""
    examples = []
    for block in _BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        for example in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = example.splitlines()
            more = 1
            while more < len(lines) and lines[more].startswith("> "):
                more += 1
            command = "\n".join([lines[0], *(line[2:] for line in lines[1:more])])
            examples.append((command, "".join(f"{line}\n" for line in lines[more:])))
    return examples


@pytest.mark.skipif(os.name != "posix", reason="the examples are for a POSIX shell")
@pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not beside the tests")
def test_examples(tmp_path: Path) -> None:
    """Each command of the page prints what the page says."""
    shims = tmp_path / "bin"
    shims.mkdir()
    for name, arguments in {"groupstore": "-m groupstore", "python": ""}.items():
        (shims / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        (shims / name).chmod(0o755)
    folder = tmp_path / "work"
    folder.mkdir()
    environment = {**os.environ, "PATH": f"{shims}:{os.environ['PATH']}"}
    examples = _examples()
    assert len(examples) > 20
    for command, expected in examples:
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        code = f"[{done.returncode}]\n" if done.returncode else ""
        printed = done.stdout + done.stderr + code
        # Errors name files by their whole path, and a value is written without a line's end.
        printed = printed.replace(f"{folder}{os.sep}", "").rstrip("\n")
        assert printed == expected.rstrip("\n"), command
