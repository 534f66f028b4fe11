"""One side of a comparison: times the hot calls that it is asked for, a line of JSON each."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import groupstore
from benchmarks.hot_calls import HOT_CALLS, KEYS, Calls, prepared

BATCH_S = 0.003


def size(calls: Calls) -> int:
    """How many calls take some milliseconds: whole rounds of the keys."""
    begin = time.perf_counter()
    calls(KEYS)
    taken = time.perf_counter() - begin
    return max(1, round(BATCH_S / taken)) * KEYS


def measure(calls: Calls, number: int) -> float:
    """Nanoseconds of one call."""
    begin = time.perf_counter_ns()
    calls(number)
    return (time.perf_counter_ns() - begin) / number


def stay(turn: int) -> None:
    """Run on one processor, the same as the other side in this round.

    Else one of them can share its processor with another program for the whole of the round. Only
    this thread does: those that the stores have begun go where they like.
    """
    if sys.platform == "linux":
        processors = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {processors[turn % len(processors)]})


def main() -> None:
    made: dict[str, Calls] = {}
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for name in HOT_CALLS:
            try:
                made[name] = prepared(name, Path(folder), stack)
                made[name](KEYS)
            except (AttributeError, TypeError, groupstore.StoreError) as error:
                # Another revision need not have all that this one has.
                failed[name] = f"{type(error).__name__}: {error}"
        stay(int(sys.argv[1]))
        print(json.dumps({"package": groupstore.__file__, "failed": failed}), flush=True)
        for line in sys.stdin:
            name, number = json.loads(line)
            calls = made[name]
            answer = measure(calls, number) if number else size(calls)
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
