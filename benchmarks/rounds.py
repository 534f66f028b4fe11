"""Interleaved rounds: A B C, B C A, ... so that a drift of the machine's speed hits all alike."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass

ROUNDS = 15

Contender = Callable[[int], float]
"""Does the work of round `n` and returns the nanoseconds that one operation took."""


@dataclass(frozen=True)
class Ratio:
    """A contender against the first one: median and quartiles of the rounds' ratios."""

    subject: str
    contender: str
    base: str
    middle: float
    lower: float
    median: float
    upper: float
    goal: str
    unit: str = "ns"

    def __str__(self) -> str:
        return (
            f"{self.subject:34} {self.contender:12} {self.middle:12,.0f} {self.unit}"
            f"{self.median:8.2f} x {self.base:10} [{self.lower:.2f} .. {self.upper:.2f}]"
            f"  {self.goal}"
        )


def interleaved(contenders: dict[str, Contender], rounds: int) -> dict[str, list[float]]:
    """Each contender's times: all run in turn, `rounds` times after one that is not counted.

    Their order is another one in every round: what a contender leaves to the background does not
    always fall to the same next one.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name in random.Random(turn).sample(list(contenders), len(contenders)):
            taken = contenders[name](turn)
            if turn:
                times[name].append(taken)
    return times


def compare(
    subject: str,
    contenders: dict[str, Contender],
    goals: dict[str, str] | None = None,
    rounds: int = ROUNDS,
    unit: str = "ns",
) -> list[Ratio]:
    """The ratios of all contenders to the first."""
    times = interleaved(contenders, rounds)
    base, *others = contenders
    ratios = []
    for name in [base, *others]:
        pairs = [mine / floor for mine, floor in zip(times[name], times[base], strict=True)]
        lower, median, upper = statistics.quantiles(pairs, n=4)
        goal = (goals or {}).get(name, "")
        ratios.append(
            Ratio(
                subject,
                name,
                base,
                statistics.median(times[name]),
                lower,
                median,
                upper,
                goal,
                unit,
            )
        )
    return ratios
