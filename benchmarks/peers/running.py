"""The run: which peers there are here, and their rounds of every work."""

from __future__ import annotations

import importlib
import statistics
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.peer import Peer
from benchmarks.peers.works import Work
from benchmarks.rounds import Contender, interleaved

OURS = "groupstore"
ADAPTERS = (
    *("groupstore", "c_floor", "dicts", "sqlite3", "apsw", "diskcache", "sqlitedict"),
    *("lmdb", "rocksdict", "redis"),
)


@dataclass(frozen=True)
class Line:
    """A contender in one work: quartiles of its rounds, and of their ratios to groupstore's."""

    name: str
    times_ns: tuple[float, float, float]
    ratios: tuple[float, float, float]

    @property
    def median_ns(self) -> float:
        return self.times_ns[1]


def available() -> tuple[dict[str, type[Peer]], list[str]]:
    """The peers' adapters by module, and for each that cannot run here why."""
    found: dict[str, type[Peer]] = {}
    left_out = []
    for name in ADAPTERS:
        try:
            adapter = importlib.import_module(f"benchmarks.peers.adapters.{name}").Adapter
        except ModuleNotFoundError as error:
            left_out.append(f"{name} (the package {error.name} is not installed)")
            continue
        missing = adapter.missing()
        if missing:
            left_out.append(f"{adapter.name} ({missing})")
        else:
            found[name] = adapter
    return found, left_out


def run(work: Work, adapters: dict[str, type[Peer]], folder: Path, rounds: int) -> list[Line]:
    """The rounds of one work, the quickest contender first."""
    with ExitStack() as stack:
        contenders: dict[str, Contender] = {}
        peers = []
        for module, adapter in adapters.items():
            if not work.takes(adapter):
                continue
            own = folder / f"{work.slug}-{module}"
            own.mkdir()
            peer = stack.enter_context(closing(_opened(work, adapter)(own, work.durability)))
            work.prepare(peer)
            peers.append(peer)
            contenders[adapter.name] = lambda turn, peer=peer: work.round(peer, turn)
        times = interleaved(contenders, rounds)
        for peer in peers:
            work.finish(peer)
    return sorted(
        (
            Line(name, _quartiles(mine), _quartiles(_ratios(mine, times[OURS])))
            for name, mine in times.items()
        ),
        key=lambda line: line.median_ns,
    )


def _opened(work: Work, adapter: type[Peer]) -> type[Peer]:
    if adapter.name == OURS and work.uncached:
        module = importlib.import_module("benchmarks.peers.adapters.groupstore")
        return module.Uncached
    return adapter


def _ratios(mine: list[float], ours: list[float]) -> list[float]:
    return [one / our for one, our in zip(mine, ours, strict=True)]


def _quartiles(values: list[float]) -> tuple[float, float, float]:
    lower, median, upper = statistics.quantiles(values, n=4)
    return lower, median, upper
