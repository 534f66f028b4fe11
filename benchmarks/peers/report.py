"""The report of a run, as Markdown in the documentation and charts beside it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from benchmarks.peers.chart import Bar, bar_chart, duration
from benchmarks.peers.peer import Peer
from benchmarks.peers.running import OURS, Line
from benchmarks.peers.works import Work

BEGIN = "<!-- From here on written by `make bench-peers`. -->\n"
END = "<!-- To here. -->\n"

Results = list[tuple[Work, list[Line]]]


def table(lines: list[Line]) -> str:
    """The contenders of one work, the quickest first."""
    rows = [
        "| | median | quartiles | × groupstore | quartiles |",
        "|---|---:|---:|---:|---:|",
    ]
    for line in lines:
        lower, median, upper = map(duration, line.times_ns)
        cells = [line.name, median, f"{lower} – {upper}", *_ratio_cells(line)]
        if line.name == OURS:
            cells = [f"**{cell}**" if cell else "" for cell in cells]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _ratio_cells(line: Line) -> tuple[str, str]:
    if line.name == OURS:
        return "1", ""
    lower, median, upper = (_digits(ratio) for ratio in line.ratios)
    return median, f"{lower} – {upper}"


def _digits(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 99.5 else f"{ratio:.1f}" if ratio >= 9.95 else f"{ratio:.2f}"


def chart(work: Work, lines: list[Line], rounds: int) -> str:
    bars = [
        Bar(line.name, *line.times_ns, _ratio_cells(line)[0], ours=line.name == OURS)
        for line in lines
    ]
    note = (
        "Time of one operation on a log scale, lower is better;"
        f" median and quartiles of {rounds} rounds"
    )
    return bar_chart(work.title, note, OURS, bars)


def text(
    results: Results,
    peers: Iterable[type[Peer]],
    left_out: list[str],
    machine: dict[str, str],
    command: str,
    rounds: int,
) -> str:
    """What stands between the marks in the documentation."""
    parts = [
        "\n".join(f"- {name}: {said}" for name, said in machine.items()),
        f"Run by `{command}`: medians and quartiles of {rounds} interleaved rounds, in each of"
        " which every contender did the same with the same keys and values, and was checked to"
        " have returned and kept the right ones. A ratio is the median of the rounds' ratios.",
    ]
    if left_out:
        parts.append(f"Left out here: {'; '.join(left_out)}.")
    parts.append(_ways(peers))
    for work, lines in results:
        parts += [
            f"### {work.title}",
            f"{work.what[0].upper()}{work.what[1:]}.",
            f"![{work.title}](charts/{work.slug}.svg)",
            table(lines),
            _ahead(lines),
        ]
    return "\n\n".join(parts) + "\n"


def _ways(peers: Iterable[type[Peer]]) -> str:
    rows = [
        "| | version | survives a crash of the process | survives loss of power | many at once |",
        "|---|---|---|---|---|",
    ]
    rows += [
        f"| {one.name} | {one.version()} | {one.normal} | {one.full or '–'} | {one.batch} |"
        for one in peers
    ]
    return "\n".join(rows)


def _ahead(lines: list[Line]) -> str:
    ahead = [line for line in lines if line.ratios[1] < 1]
    if not ahead:
        return "None is ahead of groupstore."
    said = (f"{line.name} ({_digits(1 / line.ratios[1])} times as quick)" for line in ahead)
    return f"Ahead of groupstore: {', '.join(said)}."


def write(docs: Path, results: Results, written: str, rounds: int) -> None:
    """Replace what stands between the marks, and the charts."""
    page = docs / "benchmarks.md"
    head, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, tail = rest.partition(END)
    page.write_text(f"{head}{BEGIN}\n{written}\n{END}{tail}", encoding="utf-8")
    charts = docs / "charts"
    charts.mkdir(exist_ok=True)
    for work, lines in results:
        target = charts / f"{work.slug}.svg"
        target.write_text(chart(work, lines, rounds), encoding="utf-8")
