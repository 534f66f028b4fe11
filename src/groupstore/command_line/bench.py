"""How quick this machine is: `bench`."""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from groupstore.command_line.rows import write_json_array, write_table
from groupstore.command_line.stores import AsJson
from groupstore.store import Store

_KEYS = 2000
_ROUNDS = 7
_VALUE_BYTES = 100
_DURABLE_SETS = 50
"""Each waits for the disk."""


def bench(
    folder: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Where its files go for as long as it runs."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Time the store on this machine: medians, in microseconds a key."""
    with tempfile.TemporaryDirectory(prefix="groupstore-", dir=folder) as temporary:
        rows = list(_figures(Path(temporary)))
    if json:
        write_json_array(rows)
    else:
        write_table(rows)


def _figures(folder: Path) -> Iterator[dict[str, Any]]:
    names = [f"key-{number:08d}" for number in range(_KEYS)]
    random.Random(1).shuffle(names)
    path = folder / "store.db"
    with closing(Store(path)) as store:
        few = names[:_DURABLE_SETS]
        yield _row("set, full", len(few), lambda turn: _set_each(store, few, turn))
    with closing(Store(path, durability="normal")) as store:
        yield _row("set, normal", _KEYS, lambda turn: _set_each(store, names, turn))
        yield _row(
            "set_many, normal",
            _KEYS,
            lambda turn: store.set_many("g", dict.fromkeys(names, _value(turn))),
        )
        yield _row("get_all", _KEYS, lambda _: store.get_all("g"))
        yield _row("get, cached", _KEYS, lambda _: _get_each(store, names))
    with closing(Store(path, cache_size=0)) as store:
        yield _row("get, uncached", _KEYS, lambda _: _get_each(store, names))


def _row(call: str, keys: int, work: Callable[[int], object]) -> dict[str, Any]:
    work(0)
    taken_us = []
    for turn in range(1, _ROUNDS + 1):
        begin = time.perf_counter_ns()
        work(turn)
        taken_us.append((time.perf_counter_ns() - begin) / 1000 / keys)
    return {"call": call, "microseconds": round(statistics.median(taken_us), 3)}


def _value(turn: int) -> str:
    # An equal value would dirty no page.
    return str(turn).ljust(_VALUE_BYTES, "v")


def _set_each(store: Store, keys: list[str], turn: int) -> None:
    value = _value(turn)
    for key in keys:
        store.set("g", key, value)


def _get_each(store: Store, keys: list[str]) -> None:
    for key in keys:
        store.get("g", key)
