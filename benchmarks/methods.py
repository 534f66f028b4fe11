"""Each hot method, beside APSW's `execute` and a bare C loop over the SQL that does the same."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

import groupstore
from benchmarks.floor import DELETE, SCAN, SELECT, UPSERT, VALUE_BYTES, Floor
from benchmarks.points import KEYS, fill, key, paths
from benchmarks.rounds import Contender, Ratio, compare

CALLS = 500
SMALL = 1000
ABSENT = 1_000_000

NUMBERS = random.Random(5).sample(range(KEYS), CALLS)
BATCH = [key(number) for number in range(100)]
ONE = "group_name = ?1 AND entry_key = ?2"
LIVE = "(expires_at IS NULL OR expires_at > 1700000000000)"


@dataclass(frozen=True, kw_only=True)
class Method:
    """A method of the store, and the statement that a user of plain SQLite would write for it."""

    name: str
    sql: str
    columns: int = 0
    """How many columns a row of the statement's result has."""
    arguments: Callable[[str, str], tuple[Any, ...]] = lambda k, _: (k,)
    """What the method takes after the group, made of a key and a new value."""
    parameters: int = 2
    """How many of group, key and value the statement takes."""
    group: str = "g"
    calls: int = CALLS
    """How many calls a round has."""
    absent: bool = False
    """Asks for keys that are not there."""
    removes: bool = False
    """Removes keys, which are put back before the next round."""
    drain: bool = False
    """Returns an iterator, which is to be read to its end."""
    answer: Callable[[Any], bool]
    """Whether what the last call of a round returned is right."""


METHODS: dict[str, Method] = {
    "get": Method(
        name="get", sql=SELECT, columns=2, answer=lambda value: len(value) == VALUE_BYTES
    ),
    "get, absent": Method(
        name="get",
        sql=SELECT,
        columns=2,
        arguments=lambda k, _: (k, None),
        absent=True,
        answer=lambda value: value is None,
    ),
    "exists": Method(
        name="exists",
        sql=f"SELECT 1 FROM entries WHERE {ONE} AND {LIVE}",
        columns=1,
        answer=lambda found: found is True,
    ),
    "ttl": Method(
        name="ttl",
        sql=f"SELECT expires_at FROM entries WHERE {ONE}",
        columns=1,
        answer=lambda left: left is None,
    ),
    "set": Method(
        name="set",
        sql=UPSERT,
        parameters=3,
        arguments=lambda k, v: (k, v),
        answer=lambda nothing: nothing is None,
    ),
    "add, present": Method(
        name="add",
        sql="INSERT INTO entries VALUES (?1, ?2, ?3, NULL) ON CONFLICT DO NOTHING",
        parameters=3,
        arguments=lambda k, v: (k, v),
        answer=lambda added: added is False,
    ),
    "compare_and_set, other": Method(
        name="compare_and_set",
        sql=f"UPDATE entries SET entry_value = ?3 WHERE {ONE} AND entry_value = 'other'",
        parameters=3,
        arguments=lambda k, v: (k, "other", v),
        answer=lambda done: done is False,
    ),
    "increment": Method(
        name="increment",
        sql=f"UPDATE entries SET entry_value = CAST(entry_value + 1 AS TEXT) WHERE {ONE}",
        group="counters",
        answer=lambda total: total > 0,
    ),
    "expire": Method(
        name="expire",
        sql=f"UPDATE entries SET expires_at = 1 + coalesce(expires_at, 4000000000000) WHERE {ONE}",
        arguments=lambda k, _: (k, 3600),
        group="expiring",
        answer=lambda done: done is True,
    ),
    "pop": Method(
        name="pop",
        sql=f"{DELETE} RETURNING entry_value, expires_at",
        columns=2,
        removes=True,
        answer=lambda value: len(value) == VALUE_BYTES,
    ),
    "delete": Method(name="delete", sql=DELETE, removes=True, answer=lambda done: done is True),
    "delete, absent": Method(
        name="delete", sql=DELETE, absent=True, answer=lambda done: done is False
    ),
    "delete_group of 1k": Method(
        name="delete_group",
        sql="DELETE FROM entries WHERE group_name = ?1",
        parameters=1,
        arguments=lambda _, __: (),
        group="small",
        calls=1,
        removes=True,
        answer=lambda removed: removed == SMALL,
    ),
    "get_many of 100": Method(
        name="get_many",
        sql="SELECT entry_key, entry_value, expires_at FROM entries WHERE group_name = ?1"
        f" AND entry_key IN ({', '.join(map(repr, BATCH))})",
        columns=3,
        parameters=1,
        arguments=lambda _, __: (BATCH,),
        group="small",
        calls=20,
        answer=lambda found: list(found) == BATCH,
    ),
    "get_page of 50": Method(
        name="get_page",
        sql=f"{SCAN} LIMIT 50 OFFSET 100",
        columns=2,
        parameters=1,
        arguments=lambda _, __: (100, 50),
        group="small",
        calls=20,
        answer=lambda page: len(page) == 50,
    ),
    "items of 1k": Method(
        name="items",
        sql=SCAN,
        columns=2,
        parameters=1,
        arguments=lambda _, __: (),
        group="small",
        calls=5,
        drain=True,
        answer=lambda items: len(items) == SMALL,
    ),
    "keys of 1k": Method(
        name="keys",
        sql="SELECT entry_key FROM entries WHERE group_name = ?1 ORDER BY entry_key",
        columns=1,
        parameters=1,
        arguments=lambda _, __: (),
        group="small",
        calls=5,
        drain=True,
        answer=lambda keys: len(keys) == SMALL,
    ),
    "count of 1k": Method(
        name="count",
        sql=f"SELECT count(*) FROM entries WHERE group_name = ?1 AND {LIVE}",
        columns=1,
        parameters=1,
        arguments=lambda _, __: (),
        group="small",
        calls=20,
        answer=lambda number: number == SMALL,
    ),
}


Round = Callable[[], Any]


class Bench:
    """One method on one storage, through three contenders.

    A contender makes the round of a turn: its calls, with all that they take made beforehand.
    """

    def __init__(self, method: Method, store: groupstore.Store, plain: tuple[Floor, Floor]) -> None:
        self._method, self._store = method, store
        self._floor, self._plain = plain
        self._numbers = [n + ABSENT * method.absent for n in NUMBERS[: method.calls]]
        self._keys = [key(number) for number in self._numbers]
        self.contenders: dict[str, Callable[[int], Round]] = {
            "C floor": self._through_floor,
            "groupstore": self._through_store,
            "apsw": self._through_apsw,
        }
        fill(store, self._floor, self._plain, KEYS)
        self._put_back()
        # Not the connections that are measured: the store's is its own. One round is too short for
        # SQLite's checkpoint at every 1,000th page to fall to all contenders alike, so that none
        # has it; `points` measures sets with theirs.
        paths = {self._floor.path, self._plain.path, str(store.path)} - {":memory:"}
        self._checkpointers = [apsw.Connection(path) for path in paths]
        for connection in self._checkpointers:
            # A connection knows of the WAL once it has read.
            connection.pragma("schema_version")

    def close(self) -> None:
        for connection in (*self._checkpointers, self._floor, self._plain):
            connection.close()

    def round(self, contender: str, turn: int) -> Round:
        """The calls of a round, to be timed."""
        if self._method.removes:
            self._put_back()
        for connection in self._checkpointers:
            frames, copied = connection.wal_checkpoint()
            if not 0 <= frames == copied:
                raise RuntimeError(f"{copied} of {frames} frames were checkpointed")
        return self.contenders[contender](turn)

    def timed(self, contender: str) -> Contender:
        """Rounds that return the nanoseconds of one call."""
        if contender == "C floor":
            # Measured inside the loop: preparing the statement is no part of a call.
            return lambda turn: self.round(contender, turn)() / self._method.calls

        def work(turn: int) -> float:
            calls = self.round(contender, turn)
            begin = time.perf_counter_ns()
            answer = calls()
            taken = time.perf_counter_ns() - begin
            if contender == "groupstore" and not self._method.answer(answer):
                raise RuntimeError(f"{self._method.name} returned {answer!r}")
            return taken / self._method.calls

        return work

    def _put_back(self) -> None:
        group = self._method.group
        value = "0" if group == "counters" else "v" * VALUE_BYTES
        numbers = range(SMALL) if group == "small" else NUMBERS
        self._store.set_many(group, ((key(n), value) for n in numbers))
        rows = [(group, key(n), value) for n in numbers]
        for plain in (self._floor, self._plain):
            with plain.connection:
                plain.connection.executemany(UPSERT, rows)

    def _through_floor(self, turn: int) -> Round:
        method = self._method
        return lambda: self._floor.run(
            method.sql,
            self._numbers,
            parameters=method.parameters,
            columns=method.columns,
            group=method.group,
            turn=turn,
        )

    def _through_store(self, turn: int) -> Round:
        method = self._method
        call = getattr(self._store, method.name)
        arguments = [
            (method.group, *method.arguments(name, value))
            for name, value in zip(self._keys, self._values(turn), strict=True)
        ]

        def calls() -> object:
            for these in arguments:
                answer = call(*these)
            return answer

        def iterations() -> object:
            for these in arguments:
                answer = list(call(*these))
            return answer

        return iterations if method.drain else calls

    def _through_apsw(self, turn: int) -> Round:
        method = self._method
        execute, sql = self._plain.connection.execute, method.sql
        bindings = [
            (method.group, name, value)[: method.parameters]
            for name, value in zip(self._keys, self._values(turn), strict=True)
        ]

        def reads() -> None:
            for these in bindings:
                execute(sql, these).fetchall()

        def writes() -> None:
            for these in bindings:
                execute(sql, these)

        return reads if method.columns else writes

    def _values(self, turn: int) -> list[str]:
        return [f"{turn}-{n}".ljust(VALUE_BYTES, "a") for n in range(self._method.calls)]


@contextmanager
def bench(name: str, folder: Path, storage: str) -> Iterator[Bench]:
    """A method with data of its own, which is closed at the end."""
    floor, plain, path = paths(folder, storage, f"method-{list(METHODS).index(name)}")
    options = {"durability": "normal", "cache_size": 0, "purge_interval": 0}
    with groupstore.Store(path, **options) as store:
        one = Bench(METHODS[name], store, (Floor(floor), Floor(plain)))
        yield one
        one.close()


def run(folder: Path) -> Iterator[Ratio]:
    """Every comparison of this subject."""
    for storage in (":memory:", "file"):
        for name in METHODS:
            with bench(name, folder, storage) as one:
                contenders = {contender: one.timed(contender) for contender in one.contenders}
                yield from compare(f"{name}, {storage}", contenders)
