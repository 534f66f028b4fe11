"""What a set pays for watchers, quotas and transactions; what groups() and render take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jinja2

import groupstore
from benchmarks.rounds import Contender, Ratio, compare

SETS = 3000
OTHER_WATCHERS = 10_000


def overwrites(face: groupstore.Store | groupstore.ScopedStore, group: str) -> Contender:
    """Sets of one key in memory, each to a new value: the least that a set can be."""

    def work(turn: int) -> float:
        put, values = face.set, [f"{turn}-{n}" for n in range(SETS)]
        begin = time.perf_counter_ns()
        for value in values:
            put(group, "k", value)
        return (time.perf_counter_ns() - begin) / SETS

    return work


def watchers() -> list[Ratio]:
    plain, one, ten, others = (groupstore.Store(purge_interval=0) for _ in range(4))
    held = [one.watch("g")] + [ten.watch("g") for _ in range(10)]
    held += [others.watch(f"other-{n}") for n in range(OTHER_WATCHERS)]
    try:
        return compare(
            "set, in memory, watchers",
            {
                "none": overwrites(plain, "g"),
                "1 matching": overwrites(one, "g"),
                "10 matching": overwrites(ten, "g"),
                "10k others": overwrites(others, "g"),
            },
            {"1 matching": "+ 200 ns", "10 matching": "+ 560 ns", "10k others": "+ 0"},
        )
    finally:
        for store in (plain, one, ten, others):
            store.close()


def quotas(small: int = 1000, large: int = 200_000) -> list[Ratio]:
    stores = [groupstore.Store(purge_interval=0) for _ in range(3)]
    quota = groupstore.Quota(max_keys=10_000_000, max_groups=1000)
    scopes = [
        stores[0].scoped("tenant"),
        stores[1].scoped("tenant", quota),
        stores[2].scoped("tenant", quota),
    ]
    for scope, number in zip(scopes, (small, small, large), strict=True):
        scope.set_many("g", ((f"key-{n:08}", "v" * 100) for n in range(number)))
    try:
        return compare(
            "set, in memory, quota",
            {
                "no quota": overwrites(scopes[0], "g"),
                "1k keys": overwrites(scopes[1], "g"),
                f"{large // 1000}k keys": overwrites(scopes[2], "g"),
            },
            {"1k keys": "at most 1.5", f"{large // 1000}k keys": "at most 1.2 x 1k keys"},
        ) + compare(
            "set of a new key, quota",
            {
                "no quota": additions(scopes[0]),
                "1k keys": additions(scopes[1]),
                f"{large // 1000}k keys": additions(scopes[2]),
            },
        )
    finally:
        for store in stores:
            store.close()


def additions(scope: groupstore.ScopedStore) -> Contender:
    def work(turn: int) -> float:
        put, keys = scope.set, [f"new-{turn}-{n}" for n in range(SETS)]
        begin = time.perf_counter_ns()
        for key in keys:
            put("g", key, "v")
        return (time.perf_counter_ns() - begin) / SETS

    return work


def transactions() -> list[Ratio]:
    store = groupstore.Store(purge_interval=0)

    def inside(turn: int) -> float:
        values = [f"{turn}-{n}" for n in range(1000)]
        begin = time.perf_counter_ns()
        with store.transaction() as tx:
            for value in values:
                tx.set("g", "k", value)
        return (time.perf_counter_ns() - begin) / 1000

    with store:
        return compare(
            "set in a transaction of 1,000",
            {"outside": overwrites(store, "g"), "inside": inside},
        )


def groups(number: int = 1000, keys: int = 100) -> list[Ratio]:
    store = groupstore.Store(purge_interval=0)
    for group in range(number):
        store.set_many(f"group-{group:05}", ((str(n), "v") for n in range(keys)))

    def listing(_: int) -> float:
        begin = time.perf_counter_ns()
        found = store.groups()
        taken = time.perf_counter_ns() - begin
        if len(found) != number:
            raise RuntimeError(f"{len(found)} groups came back")
        return taken

    def seeking(_: int) -> float:
        with store._engine.read("benchmark") as connection:
            begin = time.perf_counter_ns()
            connection.execute(
                "WITH RECURSIVE g(name) AS (SELECT min(group_name) FROM entries UNION ALL SELECT"
                " (SELECT min(group_name) FROM entries WHERE group_name > name) FROM g"
                " WHERE name IS NOT NULL) SELECT name FROM g"
            ).fetchall()
            return time.perf_counter_ns() - begin

    with store:
        return compare(
            f"groups(), {number * keys:,} rows in {number:,}",
            {"seeking": seeking, "groupstore": listing},
            {"groupstore": "1 ms"},
        )


def render() -> list[Ratio]:
    store = groupstore.Store(purge_interval=0)
    entries = {f"key_{n}": f"value {n}" for n in range(50)}
    store.set_many("g", entries)
    text = "\n".join(f"{name} = {{{{ {name} }}}}" for name in entries)
    compiled = jinja2.Environment().from_string(text)

    def timed(call: Callable[[], str]) -> Contender:
        def work(_: int) -> float:
            begin = time.perf_counter_ns()
            for _ in range(100):
                call()
            return (time.perf_counter_ns() - begin) / 100

        return work

    with store:
        if store.render(text, "g") != compiled.render(entries):
            raise RuntimeError("the templates render differently")
        return compare(
            "render of 50 keys",
            {
                "jinja2": timed(lambda: compiled.render(entries)),
                "groupstore": timed(lambda: store.render(text, "g")),
            },
            {"groupstore": "at most 1.5"},
        )


def run(folder: Path) -> Iterator[Ratio]:
    """Every comparison of this subject, all of them in memory."""
    del folder
    yield from watchers()
    yield from quotas()
    yield from transactions()
    yield from groups()
    yield from render()
