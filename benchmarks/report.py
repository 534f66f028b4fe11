"""Run the comparisons of all subjects, or of those named as arguments, and print the ratios."""

from __future__ import annotations

import importlib
import platform
import sys
import tempfile
from pathlib import Path

import apsw

import groupstore

SUBJECTS = (
    *("points", "bulk", "methods", "threads", "together", "sustained", "extras"),
    *("workspace", "settings", "processes"),
)


def main() -> None:
    print(
        f"groupstore {groupstore.__version__}, apsw {apsw.apsw_version()}, Python "
        f"{platform.python_version()}, {platform.machine()}: medians of interleaved rounds, each "
        "with its ratio to the first line and the ratio's quartiles"
    )
    with tempfile.TemporaryDirectory() as folder:
        for subject in sys.argv[1:] or SUBJECTS:
            for ratio in importlib.import_module(f"benchmarks.{subject}").run(Path(folder)):
                print(ratio, flush=True)


if __name__ == "__main__":
    main()
