"""The common works: what each contender does in a round, and how its answers are checked."""

from __future__ import annotations

import random
import threading
import time
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar, Generic, TypeVar

from benchmarks.floor import VALUE_BYTES
from benchmarks.peers.peer import Durability, Pair, Peer, Step, key, value

KEYS = 20_000
NAMES = [key(number) for number in range(KEYS)]
BATCH = 100

Script = TypeVar("Script")
"""What is done in a round, made before it and the same for all contenders."""


class Work(ABC, Generic[Script]):
    """One work on `KEYS` keys, the same for all contenders; made anew for each run."""

    slug: ClassVar[str]
    title: ClassVar[str]
    what: ClassVar[str]
    durability: ClassVar[Durability] = Durability.NORMAL
    uncached: ClassVar[bool] = False
    """Whether groupstore's cache of values is off."""
    without: ClassVar[frozenset[str]] = frozenset()
    """The contenders for which there is no such work."""

    def __init__(self) -> None:
        self.expected: dict[str, str] = {name: value(0, n) for n, name in enumerate(NAMES)}
        self._turn = -1
        self._script: Script

    @abstractmethod
    def write_script(self, turn: int) -> Script:
        """What is to be done in round `turn`; `expected` becomes what is stored after it."""

    @abstractmethod
    def play(self, peer: Peer, script: Script) -> float:
        """Nanoseconds that one operation took this peer; checks its answers."""

    def round(self, peer: Peer, turn: int) -> float:
        if turn != self._turn:
            self._turn, self._script = turn, self.write_script(turn)
        return self.play(peer, self._script)

    def takes(self, peer: type[Peer]) -> bool:
        lacking = self.durability is Durability.FULL and peer.full is None
        return peer.name not in self.without and not lacking

    def prepare(self, peer: Peer) -> None:
        peer.set_many(list(self.expected.items()))

    def finish(self, peer: Peer) -> None:
        """Check every key after the last round."""
        for start in range(0, KEYS, BATCH):
            self.check(peer, NAMES[start : start + BATCH])

    def check(self, peer: Peer, names: list[str]) -> None:
        found = peer.get_many(names)
        if found != {name: self.expected[name] for name in names}:
            raise RuntimeError(f"{peer.name} returned wrong values in {self.title!r}: {found!r}")


def timed(peer: Peer, begin: int) -> int:
    """Nanoseconds since `begin`, or what the peer's own clock says."""
    taken = time.perf_counter_ns() - begin
    inside, peer.inside_ns = peer.inside_ns, None
    return taken if inside is None else inside


class HotGet(Work[list[str]]):
    slug = "get-hot"
    title = "get, hot"
    what = (
        "single gets, in random order, of 2,000 of 20,000 keys, all of which were read just before,"
        " from a file that other processes may write"
    )
    calls = 2000

    def write_script(self, turn: int) -> list[str]:
        return random.Random(turn).sample(NAMES, self.calls)

    def play(self, peer: Peer, script: list[str]) -> float:
        peer.get_each(script)
        peer.inside_ns = None
        begin = time.perf_counter_ns()
        last = peer.get_each(script)
        taken = timed(peer, begin)
        if last != self.expected[script[-1]]:
            raise RuntimeError(f"{peer.name} returned {last!r} for {script[-1]!r}")
        self.check(peer, script[:BATCH])
        return taken / self.calls


class UncachedGet(HotGet):
    slug = "get-uncached"
    title = "get, uncached"
    what = (
        "the same with groupstore's cache of values off: every get asks SQLite, whose pages are in"
        " memory, as the other stores' are"
    )
    uncached = True
    without = frozenset({"dict of dicts"})


class GetMany(Work[list[list[str]]]):
    slug = "get-many"
    title = "get_many of 100, uncached"
    what = "100 random keys in one call, with groupstore's cache of values off; the time of one key"
    uncached = True
    without = frozenset({"C floor", "dict of dicts"})
    calls = 20

    def write_script(self, turn: int) -> list[list[str]]:
        chosen = random.Random(turn)
        return [chosen.sample(NAMES, BATCH) for _ in range(self.calls)]

    def play(self, peer: Peer, script: list[list[str]]) -> float:
        begin = time.perf_counter_ns()
        found = [peer.get_many(names) for names in script]
        taken = time.perf_counter_ns() - begin
        if found != [{name: self.expected[name] for name in names} for names in script]:
            raise RuntimeError(f"{peer.name} returned wrong values in {self.title!r}")
        return taken / (self.calls * BATCH)


class Sets(Work[list[Pair]]):
    """Overwrites `calls` random keys with other values than they had."""

    calls: ClassVar[int]
    together = False

    def write_script(self, turn: int) -> list[Pair]:
        names = random.Random(turn).sample(NAMES, self.calls)
        pairs = [(name, value(turn + 1, place)) for place, name in enumerate(names)]
        self.expected.update(pairs)
        return pairs

    def play(self, peer: Peer, script: list[Pair]) -> float:
        write = peer.set_many if self.together else peer.set_each
        begin = time.perf_counter_ns()
        write(script)
        taken = timed(peer, begin)
        self.check(peer, [name for name, _ in script[-BATCH:]])
        return taken / self.calls


class NormalSet(Sets):
    slug = "set-normal"
    title = "set, survives a crash of the process"
    what = "single sets of 100-byte values that differ from the old ones, one commit each"
    calls = 1000


class FullSet(Sets):
    slug = "set-full"
    title = "set, survives loss of power"
    what = "the same, with an fsync or its like before each set returns"
    durability = Durability.FULL
    calls = 40


class SetMany(Sets):
    slug = "set-many"
    title = "set_many of 10,000"
    what = (
        "10,000 of 20,000 keys overwritten in one call or transaction, which survives a crash of"
        " the process; the time of one key"
    )
    calls = 10_000
    together = True


class Mixed(Work[list[list[Step]]]):
    slug = "mixed"
    title = "4 threads, 90 % get, 10 % set"
    what = (
        "four threads on one store, each nine gets and then a set that survives a crash of the"
        " process, over and over; wall time divided by the number of all operations"
    )
    threads = 4
    steps = 50
    gets = 9

    def __init__(self) -> None:
        super().__init__()
        # Threads of its own for each contender: their connections last from round to round.
        self._pools: dict[Peer, ThreadPoolExecutor] = {}

    def prepare(self, peer: Peer) -> None:
        super().prepare(peer)
        self._pools[peer] = ThreadPoolExecutor(self.threads)

    def finish(self, peer: Peer) -> None:
        self._pools.pop(peer).shutdown()
        super().finish(peer)

    def write_script(self, turn: int) -> list[list[Step]]:
        chosen = random.Random(turn)
        shares = []
        for thread in range(self.threads):
            # Keys of its own to write: what they hold in the end depends on no order.
            own = chosen.sample(NAMES[thread :: self.threads], self.steps)
            written = [(name, value(turn + 1, place)) for place, name in enumerate(own)]
            self.expected.update(written)
            shares.append([(chosen.choices(NAMES, k=self.gets), [pair]) for pair in written])
        return shares

    def play(self, peer: Peer, script: list[list[Step]]) -> float:
        begins: list[int] = []
        # They wait for each other, so that each of the four has one share.
        ready = threading.Barrier(
            self.threads, action=lambda: begins.append(time.perf_counter_ns())
        )

        def share(steps: list[Step]) -> tuple[str, int]:
            ready.wait()
            return peer.mixed(steps), time.perf_counter_ns()

        ends = []
        for last, end in self._pools[peer].map(share, script):
            if len(last) != VALUE_BYTES:
                raise RuntimeError(f"{peer.name} returned {last!r}")
            ends.append(end)
        self.check(peer, [name for steps in script for _, [(name, _)] in steps])
        return (max(ends) - begins[0]) / (self.threads * self.steps * (self.gets + 1))


WORKS: tuple[type[Work], ...] = (
    HotGet,
    UncachedGet,
    GetMany,
    NormalSet,
    FullSet,
    SetMany,
    Mixed,
)
