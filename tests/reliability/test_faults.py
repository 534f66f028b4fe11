"""Each call of the disk, and each allocation, failing by itself: an error of ours, nothing lost."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from failing_disk import FAULTS, Fault, failing

import groupstore
from conftest import SLOW

MOST_A_CALL = None if SLOW else 6

State = dict[str, dict[str, str | bytes]]
Call = Callable[[groupstore.Store], object]


def _transaction(store: groupstore.Store) -> None:
    with store.transaction() as tx:
        tx.set("g", "left", "1")
        tx.delete("g", "old")
        tx.set("h", "right", "2")


WRITES: list[Call] = [
    lambda store: store.set("g", "a", "new"),
    lambda store: store.set("g", "b", b"x" * 9000),
    lambda store: store.set_many("m", {f"k{n}": "v" * 50 for n in range(300)}),
    lambda store: store.increment("n", "count"),
    _transaction,
    lambda store: store.scoped("t", groupstore.Quota(max_keys=5)).set("g", "k", "v"),
    lambda store: store.delete("g", "a"),
    lambda store: store.pop("g", "b", None),
    lambda store: store.delete_prefix("m"),
]
READS: list[Call] = [
    lambda store: store.get("g", "kept"),
    lambda store: store.get_all("g"),
    lambda store: store.groups(),
    lambda store: list(store.items("g")),
    lambda store: store.count_all(),
    lambda store: store.journal.query(),
]
KEEPS: list[Call] = [
    lambda store: store.journal.append("m", {"n": 1}),
    lambda store: store.purge_expired(),
    lambda store: store._engine.checkpoint(),
    lambda store: store.check(),
    lambda store: store.stats(),
    lambda store: store.vacuum(),
    lambda store: store.backup(f"{store.path}.copy"),
]


def contents(store: groupstore.Store) -> State:
    """All entries."""
    return {group: store.get_all(group) for group in store.groups()}


def attempt(call: Callable[[], object]) -> bool:
    """Whether it succeeded; what it raises has to be an error of ours."""
    try:
        call()
    except (groupstore.StoreError, MemoryError):
        return False
    return True


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with something in it, some of which is still in the log."""
    path = tmp_path_factory.mktemp("original") / "app.db"
    with groupstore.Store(path, durability="normal", purge_interval=None) as store:
        store.set_many("g", {"kept": "for ever", "old": "1", "a": "before"})
        store.set("n", "count", "41")
        store.set("m", "soon", "gone", ttl=0.001)
        store.journal.append("first")
    return path


def meet(path: Path, fault: Fault, **options: Any) -> None:
    """Do everything with a store that meets the fault, and compare with what it should hold."""
    with failing(fault):
        try:
            store = groupstore.Store(path, purge_interval=None, busy_timeout=0.01, **options)
        except groupstore.StoreError:
            assert fault.struck
            fault.mended = True
            store = groupstore.Store(path, purge_interval=None, **options)
        expected = plain_contents(store, fault)
        for call in [*READS, *WRITES, *READS, *KEEPS]:
            worked = attempt(lambda call=call: call(store))
            if not worked:
                assert fault.struck
                fault.mended = True
            now = plain_contents(store, fault)
            if call in WRITES and worked:
                expected = now
            elif not worked:
                # SQLite takes back what it could not finish.
                assert now == expected, "a call that failed has changed something"
        fault.mended = True
        last = contents(store)
        assert last == expected
        assert store.check() == []
        store.close()
    with groupstore.Store(path, purge_interval=None) as store:
        assert contents(store) == last
        assert store.check() == []


def plain_contents(store: groupstore.Store, fault: Fault) -> State:
    """All entries, read without meeting a fault."""
    before, fault.mended = fault.mended, True
    try:
        return contents(store)
    finally:
        fault.mended = before


def numbers(calls: int, chance: random.Random) -> Iterator[int]:
    """Which of so many calls are made to fail."""
    if MOST_A_CALL is None or calls <= MOST_A_CALL:
        yield from range(calls)
    else:
        yield from sorted(chance.sample(range(calls), MOST_A_CALL))


@pytest.mark.parametrize("options", [{}, {"exclusive": True}, {"cache_size": 0}], ids=str)
@pytest.mark.parametrize(
    ("call", "code"), [(call, code) for call, codes in FAULTS.items() for code in codes]
)
def test_the_disk_fails(
    original: Path, tmp_path: Path, call: str, code: int, options: dict[str, Any], seed: int
) -> None:
    """Whichever call of SQLite's fails, alone or with all after it: our error, and no loss."""
    whole = Fault()
    shutil.copytree(original.parent, tmp_path / "whole")
    meet(tmp_path / "whole" / original.name, whole, **options)
    chance = random.Random(f"{seed} {call} {code}")
    for number in numbers(whole.calls[call], chance):
        for lasts in (False, True):
            folder = tmp_path / f"{number}-{lasts}"
            shutil.copytree(original.parent, folder)
            meet(folder / original.name, Fault(call, number, code, lasts=lasts), **options)
            shutil.rmtree(folder)


def test_short_reads(original: Path, tmp_path: Path, seed: int) -> None:
    """A file that seems to end too early gives errors of ours, or what is left: no crash, no hang.

    SQLite takes what is missing for zeros, as its pages have no checksums: more is not promised.
    """
    whole = Fault()
    shutil.copytree(original.parent, tmp_path / "whole")
    meet(tmp_path / "whole" / original.name, whole)
    for number in numbers(whole.calls["xRead"], random.Random(seed)):
        folder = tmp_path / str(number)
        shutil.copytree(original.parent, folder)
        fault = Fault("xRead", number, apsw.SQLITE_IOERR_SHORT_READ, lasts=True)
        with failing(fault):
            attempt(lambda path=folder / original.name: use(path))
        shutil.rmtree(folder)


def use(path: Path) -> None:
    """Do everything with a store, whatever fails."""
    with groupstore.Store(path, purge_interval=None) as store:
        for call in [*READS, *WRITES, *READS, *KEEPS]:
            attempt(lambda call=call: call(store))
