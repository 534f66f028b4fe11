"""Bar charts as SVG: horizontal, on a log scale, readable on light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 760
NAMES = 128
"""Pixels for the names on the left."""
FIGURES = 180
"""Pixels right of the longest bar: its time, and the column of the ratios."""
TOP = 84
BOTTOM = 34
ROW = 30
BAR = 18

STYLE = """
text { font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328 }
.card { fill: #ffffff; stroke: #d1d9e0 }
.title { font-size: 16px; font-weight: 600 }
.note, .tick { font-size: 12px; fill: #59636e }
.name, .figure, .ratio { font-size: 13px }
.figure { paint-order: stroke; stroke: #ffffff; stroke-width: 4px }
.ratio { fill: #59636e }
.ours { font-weight: 600 }
.grid { stroke: #d1d9e0; stroke-width: 1 }
.bar { fill: #9aa7b5 }
.bar.ours { fill: #0969da }
.spread { stroke: #1f2328; stroke-width: 1.5; opacity: 0.55 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .card { fill: #0d1117; stroke: #3d444d }
  .note, .tick, .ratio { fill: #9198a1 }
  .figure { stroke: #0d1117 }
  .grid { stroke: #3d444d }
  .bar { fill: #5b6570 }
  .bar.ours { fill: #4493f8 }
  .spread { stroke: #e6edf3; opacity: 0.7 }
}
""".strip()


@dataclass(frozen=True)
class Bar:
    """A contender: median and quartiles in nanoseconds, and what stands in the last column."""

    name: str
    lower_ns: float
    median_ns: float
    upper_ns: float
    ratio: str
    ours: bool


def duration(nanoseconds: float) -> str:
    """Three digits and a unit: `61.3 ns`, `4.02 µs`, `1.25 ms`."""
    for unit in ("ns", "µs", "ms", "s"):
        if nanoseconds < 999.5 or unit == "s":
            break
        nanoseconds /= 1000
    digits = 2 if nanoseconds < 9.995 else 1 if nanoseconds < 99.95 else 0
    return f"{nanoseconds:.{digits}f} {unit}"


class _Scale:
    """From nanoseconds to pixels, by their logarithm."""

    def __init__(self, bars: Sequence[Bar]) -> None:
        lowest = min(bar.lower_ns for bar in bars)
        # The shortest bar has a third of a decade at least: one of no length could not be seen.
        self.low = math.floor(math.log10(lowest) - 1 / 3)
        self.high = math.log10(max(bar.upper_ns for bar in bars))

    def x(self, nanoseconds: float) -> float:
        share = (math.log10(nanoseconds) - self.low) / (self.high - self.low)
        return NAMES + share * (WIDTH - NAMES - FIGURES)

    def ticks(self) -> list[tuple[int, int]]:
        """What is marked: digit and decade; within two decades not only their beginnings."""
        digits = (1, 2, 5) if self.high - self.low < 2 else (1,)
        decades = range(self.low, math.floor(self.high) + 1)
        marks = [(digit, decade) for decade in decades for digit in digits]
        return [mark for mark in marks if math.log10(mark[0] * 10 ** mark[1]) <= self.high]


def bar_chart(title: str, note: str, base: str, bars: Sequence[Bar]) -> str:
    """An SVG of one bar a contender, in the order given; the ratios are to `base`."""
    scale = _Scale(bars)
    bottom = TOP + ROW * len(bars)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + BOTTOM}"'
        f' width="{WIDTH}" height="{bottom + BOTTOM}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<desc>{escape(_described(bars))}</desc>",
        f"<style>{STYLE}</style>",
        f'<rect class="card" x="0.5" y="0.5" width="{WIDTH - 1}" height="{bottom + BOTTOM - 1}"'
        ' rx="6"/>',
        f'<text class="title" x="16" y="28">{escape(title)}</text>',
        f'<text class="note" x="16" y="48">{escape(note)}</text>',
        f'<text class="tick" x="{WIDTH - 16}" y="{TOP - 10}" text-anchor="end">'
        f"× {escape(base)}</text>",
    ]
    for digit, decade in scale.ticks():
        x = scale.x(digit * 10**decade)
        parts.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{bottom}"/>'
            f'<text class="tick" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">'
            f"{_tick(digit, decade)}</text>"
        )
    for row, bar in enumerate(bars):
        parts += _row(bar, scale, TOP + row * ROW)
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _row(bar: Bar, scale: _Scale, top: float) -> list[str]:
    start, end = scale.x(10**scale.low), scale.x(bar.median_ns)
    lower, upper = scale.x(bar.lower_ns), scale.x(bar.upper_ns)
    middle = top + BAR / 2
    ours = " ours" if bar.ours else ""
    return [
        f'<text class="name{ours}" x="{NAMES - 10}" y="{middle + 4.5}" text-anchor="end">'
        f"{escape(bar.name)}</text>",
        f'<rect class="bar{ours}" x="{start:.1f}" y="{top}" width="{end - start:.1f}"'
        f' height="{BAR}" rx="2"/>',
        f'<line class="spread" x1="{lower:.1f}" x2="{upper:.1f}" y1="{middle}" y2="{middle}"/>',
        f'<text class="figure{ours}" x="{max(end, upper) + 8:.1f}" y="{middle + 4.5}">'
        f"{duration(bar.median_ns)}</text>",
        f'<text class="ratio{ours}" x="{WIDTH - 16}" y="{middle + 4.5}" text-anchor="end">'
        f"{escape(bar.ratio)}</text>",
    ]


def _tick(digit: int, decade: int) -> str:
    number, unit = digit * 10 ** (decade % 3), ("ns", "µs", "ms", "s")[decade // 3]
    return f"{number} {unit}"


def _described(bars: Sequence[Bar]) -> str:
    return "; ".join(f"{bar.name} {duration(bar.median_ns)}" for bar in bars)
