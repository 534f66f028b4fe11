"""The hot calls of a store, each to be repeated any number of times: for `compare` and
`instructions`, which measure revisions of the package against each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import groupstore

KEYS = 1000
NAMES = [f"key-{number * 7919 % KEYS:08}" for number in range(KEYS)]
"""Of 1,000 keys, in an order that is not theirs."""

Calls = Callable[[int], object]
"""Makes so many calls, or handles so many entries."""

Make = Callable[[groupstore.Store, ExitStack], Calls]


def new_values() -> Iterator[tuple[str, str]]:
    """Every key in turn, without end, with another value than it had before."""
    return cycle([(name, letter * 100) for letter in "ab" for name in NAMES])


def get(store: groupstore.Store, _: ExitStack) -> Calls:
    names = cycle(NAMES)

    def calls(number: int) -> None:
        call = store.get
        for name in islice(names, number):
            call("g", name)

    return calls


def get_absent(store: groupstore.Store, _: ExitStack) -> Calls:
    names = cycle([f"no-{name}" for name in NAMES])

    def calls(number: int) -> None:
        call = store.get
        for name in islice(names, number):
            call("g", name, None)

    return calls


def get_scoped(store: groupstore.Store, _: ExitStack) -> Calls:
    scope = store.scoped("tenant")
    scope.set_many("g", islice(new_values(), KEYS))
    names = cycle(NAMES)

    def calls(number: int) -> None:
        call = scope.get
        for name in islice(names, number):
            call("g", name)

    return calls


def exists(store: groupstore.Store, _: ExitStack) -> Calls:
    names = cycle(NAMES)

    def calls(number: int) -> None:
        call = store.exists
        for name in islice(names, number):
            call("g", name)

    return calls


def get_many(store: groupstore.Store, _: ExitStack) -> Calls:
    batch = NAMES[:100]

    def calls(number: int) -> None:
        for _ in range(number // 100):
            store.get_many("g", batch)

    return calls


def get_all(store: groupstore.Store, _: ExitStack) -> Calls:
    def calls(number: int) -> None:
        for _ in range(number // KEYS):
            store.get_all("g")

    return calls


def setting(face: groupstore.Store | groupstore.ScopedStore) -> Calls:
    pairs = new_values()

    def calls(number: int) -> None:
        call = face.set
        for name, value in islice(pairs, number):
            call("g", name, value)

    return calls


def set_one(store: groupstore.Store, _: ExitStack) -> Calls:
    return setting(store)


def set_under_quota(store: groupstore.Store, _: ExitStack) -> Calls:
    scope = store.scoped("tenant", groupstore.Quota(max_keys=10 * KEYS, max_groups=10))
    scope.set_many("g", islice(new_values(), KEYS))
    return setting(scope)


def set_in_transaction(store: groupstore.Store, _: ExitStack) -> Calls:
    pairs = new_values()

    def calls(number: int) -> None:
        with store.transaction() as transaction:
            call = transaction.set
            for name, value in islice(pairs, number):
                call("g", name, value)

    return calls


def set_many(store: groupstore.Store, _: ExitStack) -> Calls:
    pairs = new_values()

    def calls(number: int) -> None:
        store.set_many("g", islice(pairs, number))

    return calls


def set_watched(store: groupstore.Store, stack: ExitStack) -> Calls:
    watcher = stack.enter_context(store.watch("g"))
    pairs = new_values()

    def calls(number: int) -> None:
        call, take = store.set, watcher.get_nowait
        for name, value in islice(pairs, number):
            call("g", name, value)
            take()

    return calls


def increment(store: groupstore.Store, _: ExitStack) -> Calls:
    def calls(number: int) -> None:
        call = store.increment
        for _ in range(number):
            call("counters", "one")

    return calls


def replace(store: groupstore.Store, _: ExitStack) -> Calls:
    pairs = new_values()

    def calls(number: int) -> None:
        delete, call = store.delete, store.set
        for name, value in islice(pairs, number):
            delete("g", name)
            call("g", name, value)

    return calls


@dataclass(frozen=True)
class HotCall:
    """A call on a store of 1,000 entries, in memory or on a file of durability `"normal"`."""

    make: Make
    file: bool = False
    cached: bool = False
    """With the store's cache of values, of its usual size."""


HOT_CALLS: dict[str, HotCall] = {
    "get, memory": HotCall(get),
    "get, file": HotCall(get, file=True),
    "get hot, memory": HotCall(get, cached=True),
    "get hot, file": HotCall(get, file=True, cached=True),
    "get hot, scoped, file": HotCall(get_scoped, file=True, cached=True),
    "get of an absent key, memory": HotCall(get_absent),
    "exists, memory": HotCall(exists),
    "get_many of 100, memory, per key": HotCall(get_many),
    "get_all of 1,000, memory, per entry": HotCall(get_all),
    "set, memory": HotCall(set_one, cached=True),
    "set, memory, under a quota": HotCall(set_under_quota, cached=True),
    "set, memory, with delivery to a watcher": HotCall(set_watched, cached=True),
    "set, file": HotCall(set_one, file=True, cached=True),
    "set, file, in a transaction": HotCall(set_in_transaction, file=True, cached=True),
    "set_many, memory, per item": HotCall(set_many, cached=True),
    "set_many, file, per item": HotCall(set_many, file=True, cached=True),
    "increment, memory": HotCall(increment, cached=True),
    "delete and set anew, memory": HotCall(replace, cached=True),
}


def prepared(name: str, folder: Path, stack: ExitStack) -> Calls:
    """The calls of that name on a store of their own, which `stack` closes."""
    hot = HOT_CALLS[name]
    path = folder / f"{list(HOT_CALLS).index(name)}.db" if hot.file else ":memory:"
    options = {"durability": "normal", "purge_interval": 0}
    if not hot.cached:
        options["cache_size"] = 0
    store = stack.enter_context(groupstore.Store(path, **options))
    store.set_many("g", ((key, "-" * 100) for key in NAMES))
    return hot.make(store, stack)
