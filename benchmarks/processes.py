"""What a process pays: the time to the first get of a cold one, and memory for a million keys."""

from __future__ import annotations

import compileall
import subprocess
import sys
import time
from pathlib import Path

import groupstore
from benchmarks.floor import ENTRIES, UPSERT
from benchmarks.rounds import Contender, Ratio, compare

KEYS = 1_000_000
GROUP_KEYS = 10_000
MEMORY_ROUNDS = 5

FIRST_GET = """
import groupstore
store = groupstore.Store({path!r}, purge_interval=None)
store.get("g", "k")
"""

# In the same order, as one transaction for each group.
FILL = """
def entries(group):
    return ((f"key-{{n:08}}", "v" * 100) for n in range(group * {size}, (group + 1) * {size}))
groups = range({keys} // {size})
{fill}
status = open("/proc/self/statm").read()
print(int(status.split()[1]))
"""
FILL_FLOOR = f"""
import apsw
connection = apsw.Connection(":memory:")
connection.execute({ENTRIES!r})
for group in groups:
    with connection:
        rows = ((f"group-{{group:04}}", *one) for one in entries(group))
        connection.executemany({UPSERT!r}, rows)
"""
FILL_STORE = """
import groupstore
store = groupstore.Store(purge_interval=None, cache_size=0)
for group in groups:
    store.set_many(f"group-{group:04}", entries(group))
"""


def cold(code: str) -> Contender:
    """A process from its start to its end."""

    def work(turn: int) -> float:
        begin = time.perf_counter_ns()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter_ns() - begin

    return work


def resident(fill: str) -> Contender:
    """The pages of memory that a filled process has."""
    code = FILL.format(size=GROUP_KEYS, keys=KEYS, fill=fill)

    def work(turn: int) -> float:
        return float(subprocess.check_output([sys.executable, "-c", code]))

    return work


def run(folder: Path) -> list[Ratio]:
    # As an installation does; where Python writes no byte code, each process would compile anew.
    compileall.compile_dir(Path(groupstore.__file__).parent, quiet=1)
    path = str(folder / "cold.db")
    with groupstore.Store(path, purge_interval=None) as store:
        store.set("g", "k", "v")
    return [
        *compare(
            "import and first get, cold",
            {"import apsw": cold("import apsw"), "groupstore": cold(FIRST_GET.format(path=path))},
            {"groupstore": "+ 15 ms"},
        ),
        *compare(
            "1M keys in memory, no cache",
            {"floor": resident(FILL_FLOOR), "groupstore": resident(FILL_STORE)},
            {"groupstore": "at most 1.1"},
            rounds=MEMORY_ROUNDS,
            unit="pages",
        ),
    ]
