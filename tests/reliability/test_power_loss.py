"""Loss of power at any moment: what `durability` promises is there, and the file is sound."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from disk import Acknowledged, Action, Disks, Sync, recording

import groupstore
from conftest import SLOW

NAME = "app.db"
OPERATIONS = 400 if SLOW else 60
RANDOM_CUTS = 4000 if SLOW else 60

State = dict[str, Any]


def operation(store: groupstore.Store, number: int) -> Iterator[None]:
    """One of everything that writes, by its number; what stands between two commits yields."""
    kind = number % 10
    if kind == 0:
        with store.transaction() as tx:
            tx.set("pairs", "left", str(number))
            tx.set("pairs", "right", str(number))
    elif kind == 1:
        store.set_many("many", {f"k{n}": f"{number}-{n}" * 30 for n in range(40)})
    elif kind == 2:
        store.delete("many", f"k{number % 7}")
    elif kind == 3:
        store.journal.append("step", {"number": number})
    elif kind == 4:
        store.increment("counters", "all")
    elif kind == 5:
        store.set("large", "value", bytes([number % 256]) * 20_000)
    elif kind == 6:
        store.delete_group("pairs")
        yield
        store.set("pairs", "left", "alone")
    elif kind == 7:
        store.scoped("tenant", groupstore.Quota(max_keys=1000)).set("g", str(number), "v")
    else:
        store.set("g", f"k{number % 13}", str(number))
    yield


def state(store: groupstore.Store) -> State:
    """All that the store holds."""
    found: State = {group: store.get_all(group) for group in store.groups()}
    return {"entries": found, "journal": [row["fields"] for row in store.journal.query()]}


class Recorded:
    """A workload as the disk saw it, and what the store held after each operation."""

    def __init__(self, folder: Path, durability: str, *, exclusive: bool, syncs: bool) -> None:
        self.before = folder / "before"
        self.before.mkdir()
        with groupstore.Store(self.before / NAME, purge_interval=None) as store:
            store.set("g", "first", "v")
            store.journal.append("first")
        running = folder / "running"
        shutil.copytree(self.before, running)
        self.log: list[Action] = []
        self.states: list[State] = []
        with (
            recording(self.log),
            groupstore.Store(
                running / NAME, durability=durability, exclusive=exclusive, purge_interval=None
            ) as store,
        ):
            if not syncs:
                with store._engine.alone("test") as connection:
                    connection.pragma("synchronous", "off")
            self.states.append(state(store))
            for number in range(OPERATIONS):
                for _ in operation(store, number):
                    self.log.append(Acknowledged(len(self.states)))
                    self.states.append(state(store))
                if number % 23 == 22:
                    store._engine.checkpoint()


def cuts(log: list[Action], chance: random.Random) -> Iterator[tuple[int, float]]:
    """Where power is lost, as an index into the log, and how much of the rest had arrived."""
    for index, action in enumerate(log):
        if isinstance(action, Sync):
            yield index, 0.0
            yield index, chance.random()
            yield index + 1, 0.0
    for _ in range(RANDOM_CUTS):
        yield chance.randrange(len(log) + 1), chance.choice((0.0, 0.5, 0.9, 1.0))


def losses(folder: Path, recorded: Recorded, seed: int, *, durable: bool) -> list[str]:
    """What is wrong after each loss of power; `durable`: nothing acknowledged may be missing."""
    chance = random.Random(seed)
    found: list[str] = []
    disks, at, acknowledged = Disks(recorded.before), 0, 0
    for number, (index, kept) in enumerate(sorted(cuts(recorded.log, chance))):
        for action in recorded.log[at:index]:
            disks.advance(action)
            if isinstance(action, Acknowledged):
                acknowledged = action.operations
        at = index
        image = folder / f"image-{number}"
        disks.cut(image, chance, kept)
        problem = _problem(image, recorded.states, acknowledged, durable=durable)
        if problem is not None:
            found.append(f"cut at {index}, {kept:.2f} kept: {problem}")
        shutil.rmtree(image)
    return found


def _problem(image: Path, states: list[State], acknowledged: int, *, durable: bool) -> str | None:
    try:
        # Waiting for the real disk shows nothing here.
        with groupstore.Store(image / NAME, durability="normal", purge_interval=None) as store:
            problems = store.check()
            found = state(store)
    except groupstore.StoreError as error:
        return f"cannot be read: {error}"
    if problems:
        return f"check: {problems}"
    # One that was not acknowledged yet may be there as a whole.
    earliest = acknowledged if durable else 0
    if found not in states[earliest : acknowledged + 2]:
        return "an acknowledged operation is missing, or half of one is there"
    return None


@pytest.mark.parametrize("exclusive", [False, True], ids=["shared", "exclusive"])
@pytest.mark.parametrize("durability", ["full", "normal"])
def test_power_loss(tmp_path: Path, durability: str, exclusive: bool, seed: int) -> None:
    """`full`: every acknowledged operation is there. `normal`: those up to some point are."""
    recorded = Recorded(tmp_path, durability, exclusive=exclusive, syncs=True)
    assert losses(tmp_path, recorded, seed, durable=durability == "full") == []


def test_the_disk_bites(tmp_path: Path, seed: int) -> None:
    """Where SQLite does not sync, or syncs less than is promised, the loss is found."""
    unsynced, normal = tmp_path / "unsynced", tmp_path / "normal"
    unsynced.mkdir()
    normal.mkdir()
    recorded = Recorded(unsynced, "full", exclusive=False, syncs=False)
    assert losses(unsynced, recorded, seed, durable=False)
    recorded = Recorded(normal, "normal", exclusive=False, syncs=True)
    assert losses(normal, recorded, seed, durable=True)
