"""Run every work beside the peers, and write the results into the documentation."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.peers import machine, report
from benchmarks.peers.running import available, run
from benchmarks.peers.works import WORKS
from benchmarks.rounds import ROUNDS

DOCS = Path(__file__).parents[2] / "docs"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of each work (%(default)s)")
    parser.add_argument(
        "--docs", type=Path, default=DOCS, help="folder of benchmarks.md (the project's docs)"
    )
    chosen = parser.parse_args()
    adapters, left_out = available()
    results: report.Results = []
    with tempfile.TemporaryDirectory(prefix="peers-") as name:
        folder = Path(name)
        for make in WORKS:
            work = make()
            lines = run(work, adapters, folder, chosen.rounds)
            results.append((work, lines))
            print(f"{work.title}\n{report.table(lines)}\n", flush=True)
        written = report.text(
            results,
            adapters.values(),
            left_out,
            machine.describe(folder),
            f"make bench-peers ROUNDS={chosen.rounds}",
            chosen.rounds,
        )
    report.write(chosen.docs, results, written, chosen.rounds)
    print(f"Left out: {'; '.join(left_out) or 'none'}")


if __name__ == "__main__":
    main()
