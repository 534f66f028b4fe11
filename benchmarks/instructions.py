"""Count the instructions of the hot calls, and check them against the figures that are stored.

Unlike times they are the same on a busy machine: a change of a few per cent is one of the code.
They say nothing of system calls, caches and waiting; `compare` does.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apsw

from benchmarks.counted import NUMBER
from benchmarks.hot_calls import HOT_CALLS

HERE = Path(__file__).parent
STORED = HERE / "instructions.json"
ENGINE = HERE.parent / "src" / "groupstore" / "engine"
TOLERANCE = 0.03

Figures = dict[str, int]


def made_with() -> dict[str, str]:
    """What the figures depend on beside the code of the package."""
    module = next(ENGINE.glob("keyspace.*.so"))
    # Compilers leave their names in the file.
    compiler = re.search(rb"(GCC: |clang version )[^\0]+", module.read_bytes())
    return {
        "python": f"{platform.python_version()}, {platform.python_compiler()}",
        "apsw": apsw.apsw_version(),
        "machine": platform.machine(),
        "compiler": compiler[0].decode() if compiler else "unknown",
    }


def build_marks(folder: Path) -> Path:
    library = folder / "marks.so"
    compiler = os.environ.get("CC", "gcc")
    source = HERE / "callgrind_marks.c"
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", source, "-o", library], check=True)
    return library


def count(names: list[str], folder: Path, marks: Path) -> Figures:
    """Instructions of one of each of these calls, by the thread that makes it."""
    ended = subprocess.run(
        [
            *("valgrind", "--quiet", "--tool=callgrind", "--instr-atstart=no"),
            *("--separate-threads=yes", f"--callgrind-out-file={folder}/%p"),
            *(sys.executable, "-m", "benchmarks.counted", str(marks), *names),
        ],
        cwd=HERE.parent,
        env=os.environ | {"PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise SystemExit(f"The calls fail under Valgrind:\n{ended.stderr}")
    processes: dict[str, int] = json.loads(ended.stdout)
    return {name: difference(folder / str(process)) for name, process in processes.items()}


def difference(out: Path) -> int:
    """What one call more has taken, from what was written at the marks."""
    once, twice = (section(out, number) for number in (1, 2))
    return round((twice - once) / NUMBER)


def section(out: Path, number: int) -> int:
    """What the first thread has executed up to the mark of that number."""
    text = Path(f"{out}.{number}-01").read_text(encoding="utf-8")
    total = re.search(r"^totals: (\d+)", text, re.MULTILINE)
    if total is None:
        raise SystemExit(f"Callgrind has written no total of section {number}")
    return int(total[1])


def count_all() -> Figures:
    if shutil.which("valgrind") is None:
        raise SystemExit("There is no valgrind: apt-get install valgrind")
    names = list(HOT_CALLS)
    parts = os.cpu_count() or 1
    figures: Figures = {}
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(parts) as pool:
        marks = build_marks(Path(folder))
        shares = [names[part::parts] for part in range(parts)]
        for some in pool.map(lambda share: count(share, Path(folder), marks), shares):
            figures |= some
    return {name: figures[name] for name in names}


def check(figures: Figures, stored: Figures) -> bool:
    """Print them beside each other; whether none has grown beyond the tolerance."""
    grown = False
    for name, now in figures.items():
        before = stored.get(name)
        said = "not stored"
        if before is not None:
            change = now / before - 1
            said = f"{before:8,} {change:+7.1%}"
            if change > TOLERANCE:
                grown = True
                said += "  MORE than stored"
            elif change < -TOLERANCE:
                said += "  fewer: store them anew"
        print(f"{name:42} {now:8,} {said}")
    return not grown


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.instructions", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--update", action="store_true", help="store the figures of this run")
    chosen = parser.parse_args()
    minor = ".".join(platform.python_version_tuple()[:2])
    everything = json.loads(STORED.read_text(encoding="utf-8")) if STORED.exists() else {}
    stored, now = everything.get(minor), made_with()
    if chosen.update:
        figures = count_all()
        check(figures, stored["calls"] if stored else {})
        everything[minor] = {"made_with": now, "calls": figures}
        text = json.dumps(dict(sorted(everything.items())), indent=2)
        STORED.write_text(text + "\n", encoding="utf-8")
    elif stored is None:
        print(f"Compared nothing: no figures are stored for Python {minor}")
    elif stored["made_with"] != now:
        print("Compared nothing, as the stored figures were made with others:")
        for name, mine in now.items():
            if mine != stored["made_with"][name]:
                print(f"  {name}: {mine}, stored {stored['made_with'][name]}")
    elif not check(count_all(), stored["calls"]):
        raise SystemExit(f"Calls take over {TOLERANCE:.0%} more instructions than they did")


if __name__ == "__main__":
    main()
