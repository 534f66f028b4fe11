"""What runs under Callgrind for `instructions`: hot calls, `NUMBER` times and twice as often.

Each in a fork of its own, made when all is imported and no store is open: what one call leaves
behind is nothing to the next, and the slow start under Valgrind is shared.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.hot_calls import KEYS, prepared

NUMBER = KEYS
"""Every key once: calls of other keys take other numbers of instructions."""


def count(name: str, marks: ctypes.CDLL) -> None:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        calls = prepared(name, Path(folder), stack)
        # By then caches are full, and the interpreter has specialised the loop.
        calls(2 * NUMBER)
        gc.collect()
        gc.disable()
        marks.marks_begin()
        calls(NUMBER)
        marks.marks_end_section()
        calls(2 * NUMBER)
        marks.marks_end_section()


def main() -> None:
    """Print, as JSON, the process of each call named in the arguments."""
    _, library, *names = sys.argv
    marks = ctypes.CDLL(library)
    processes: dict[str, int] = {}
    for name in names:
        processes[name] = os.fork()
        if processes[name] == 0:
            count(name, marks)
            # Not sys.exit: the fork does nothing more, and least of all in the loop.
            os._exit(0)
        _, status = os.waitpid(processes[name], 0)
        if status:
            sys.exit(f"{name} ended with status {status}")
    print(json.dumps(processes))


if __name__ == "__main__":
    main()
