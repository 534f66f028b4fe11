"""Compare this working tree with another revision: `python -m benchmarks.compare HEAD~5`.

The other revision is built beside this one. In every round a new process of each runs the same hot
calls, taking turns every few milliseconds, so that what disturbs the machine disturbs both. What
disturbs only adds: a side's time is that of its quickest turn. A round gives a ratio, and the
ratios of all rounds, each with another layout of memory, the verdict.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.hot_calls import HOT_CALLS

ROOT = Path(__file__).parents[1]
ROUNDS = 20
TURNS = 10
CONFIDENCE = 0.99
"""High, as there are many calls: at 95 % about one in each run would differ by chance."""
MARGIN = 0.05
"""What counts as a regression."""


class Side:
    """A process of one revision."""

    def __init__(self, tree: Path, turn: int) -> None:
        # The same order of sets and dicts on both sides, and another one in each round.
        environment = os.environ | {
            "PYTHONPATH": str(tree / "src"),
            "PYTHONHASHSEED": str(turn),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.compare_worker", str(turn)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        begun = self._answer()
        self.failed: dict[str, str] = begun["failed"]
        if not Path(begun["package"]).is_relative_to(tree):
            raise RuntimeError(f"the package in {begun['package']} is not the one in {tree}")

    def size(self, name: str) -> int:
        """How many calls make a turn of some milliseconds."""
        return int(self._ask(name, 0))

    def measure(self, name: str, number: int) -> float:
        """Nanoseconds of one of so many calls."""
        return float(self._ask(name, number))

    def _ask(self, name: str, number: int) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([name, number]) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a side ended with status {self._process.wait()}")
        return json.loads(line)

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


@dataclass(frozen=True)
class Verdict:
    """A call's time here by its time there: the median of the rounds, and where it lies."""

    there_ns: float
    here_ns: float
    lower: float
    median: float
    upper: float

    def __str__(self) -> str:
        return (
            f"{self.there_ns:10,.0f} ns {self.here_ns:10,.0f} ns   {self.median:5.3f}"
            f"  [{self.lower:5.3f} .. {self.upper:5.3f}]  {self.said()}"
        )

    def said(self) -> str:
        if self.lower > 1 + MARGIN:
            return f"SLOWER by more than {MARGIN:.0%}"
        if self.lower > 1:
            return "slower"
        if self.upper < 1:
            return "quicker"
        if self.upper < 1 + MARGIN:
            return f"no slower by {MARGIN:.0%}"
        return "undecided"


def sign_test_rank(number: int) -> int:
    """From which value on, counted from either end, an interval holds the median confidently.

    Each value of a sample lies below the median with probability one half, whatever their
    distribution; so the count of those that do is binomial.
    """
    below, rank = 0.0, 0
    while True:
        below += math.comb(number, rank) / 2**number
        if below > (1 - CONFIDENCE) / 2:
            break
        rank += 1
    if rank == 0:
        raise SystemExit(f"{number} rounds are too few for {CONFIDENCE:.0%}: at least 8")
    return rank


def judge(times: Sequence[tuple[float, float]]) -> Verdict:
    there, here = zip(*times, strict=True)
    ratios = sorted(one / other for other, one in times)
    rank = sign_test_rank(len(ratios))
    return Verdict(
        statistics.median(there),
        statistics.median(here),
        ratios[rank - 1],
        statistics.median(ratios),
        ratios[-rank],
    )


@contextmanager
def revision(reference: str) -> Iterator[Path]:
    """A tree of that revision with its modules built in place."""
    with tempfile.TemporaryDirectory(prefix="compare-") as folder:
        # As Python will name it, where the temporary folder is behind a symbolic link.
        tree = Path(folder).resolve() / "tree"
        git = ["git", "-C", str(ROOT), "worktree"]
        added = [*git, "add", "--quiet", "--detach", str(tree), reference]
        if subprocess.run(added, check=False).returncode:
            raise SystemExit(f"{reference} cannot be checked out")
        try:
            with Path(folder, "build.log").open("w+") as log:
                built = subprocess.run(
                    [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"],
                    cwd=tree,
                    stdout=log,
                    stderr=log,
                    check=False,
                )
                log.seek(0)
                if built.returncode:
                    raise SystemExit(f"{reference} cannot be built:\n{log.read()}")
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def quickest(there: Side, here: Side, name: str, number: int) -> tuple[float, float]:
    """The quickest turns of both sides."""
    times = [
        (there.measure(name, number), here.measure(name, number))
        # Neither is always the first.
        if turn % 2
        else (here.measure(name, number), there.measure(name, number))[::-1]
        for turn in range(TURNS)
    ]
    others, ours = zip(*times, strict=True)
    return min(others), min(ours)


Times = dict[str, list[tuple[float, float]]]


def run_rounds(tree: Path, names: list[str], rounds: int) -> tuple[Times, dict[str, str]]:
    """For each call the times there and here, and why `tree` fails at others."""
    times: Times = {name: [] for name in names}
    numbers: dict[str, int] = {}
    for turn in range(rounds):
        with Side(tree, turn) as there, Side(ROOT, turn) as here:
            if here.failed:
                raise RuntimeError(f"here fails: {here.failed}")
            failed = there.failed
            for name in names:
                if name not in failed:
                    number = numbers.get(name) or numbers.setdefault(name, here.size(name))
                    times[name].append(quickest(there, here, name, number))
        print(f"\rround {turn + 1} of {rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return times, failed


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare", description=(__doc__ or "").partition(":")[0]
    )
    parser.add_argument("reference", help="the other revision, as Git names it")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="%(default)s")
    parser.add_argument("--only", default="", help="a pattern of the calls' names")
    chosen = parser.parse_args()
    sign_test_rank(chosen.rounds)
    names = [name for name in HOT_CALLS if re.search(chosen.only, name)]
    with revision(chosen.reference) as tree:
        times, failed = run_rounds(tree, names, chosen.rounds)
    print(
        f"{chosen.rounds} rounds; time here by time in {chosen.reference}, with the interval that"
        f" holds its median with {CONFIDENCE:.0%} confidence"
    )
    print(f"{'':42}{chosen.reference[:12]:>13} {'here':>13}   ratio")
    for name in names:
        said = f"not in {chosen.reference}: {failed[name]}" if name in failed else ""
        print(f"{name:42}{said or judge(times[name])}")


if __name__ == "__main__":
    main()
