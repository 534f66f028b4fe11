"""Closing: idempotent, complete, and final."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import groupstore
from conftest import Opener
from groupstore import Quota, StoreClosedError
from model import CALLS, PATIENCE_S, Call, Source, changes


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_calls_after_close(source: Source, call: Call) -> None:
    """Every method of the keyspace raises `StoreClosedError` on a closed store and its scopes."""
    store = source if isinstance(source, groupstore.Store) else source.store
    source.set("g", "k", "5")
    store.close()
    with pytest.raises(StoreClosedError) as raised:
        call(source)
    assert isinstance(raised.value, groupstore.StoreError)


OTHER_CALLS: dict[str, Callable[[Any], Any]] = {
    "transaction": lambda s: s.transaction().__enter__(),
    "watch": lambda s: s.watch(),
    "on_change": lambda s: s.on_change(print),
    "dump": lambda s: s.dump("dump.jsonl"),
    "load": lambda s: s.load("dump.jsonl"),
}
STORE_CALLS: dict[str, Callable[[groupstore.Store], Any]] = {
    "scoped": lambda s: s.scoped("acme"),
    "check": lambda s: s.check(),
    "stats": lambda s: s.stats(),
    "vacuum": lambda s: s.vacuum(),
    "backup": lambda s: s.backup("copy.db"),
    "enter": lambda s: s.__enter__(),
}


@pytest.mark.parametrize("call", OTHER_CALLS)
def test_other_calls_after_close(source: Source, call: str) -> None:
    """So do transactions, watching and callbacks."""
    store = source if isinstance(source, groupstore.Store) else source.store
    store.close()
    with pytest.raises(StoreClosedError):
        OTHER_CALLS[call](source)


@pytest.mark.parametrize("call", STORE_CALLS)
def test_calls_of_the_store_after_close(store: groupstore.Store, call: str) -> None:
    """So do the methods that the store alone has."""
    store.close()
    with pytest.raises(StoreClosedError):
        STORE_CALLS[call](store)


def test_what_was_got_before_close(source: Source) -> None:
    """Views, iterators and unentered transactions from before raise it as well."""
    store = source if isinstance(source, groupstore.Store) else source.store
    source.set_many("g", {f"{n:04}": "v" for n in range(5000)})
    view, block = source.group("g"), source.transaction()
    iterators = [source.items("g"), source.keys("g"), iter(view)]
    for iterator in iterators:
        next(iterator)
    store.close()
    for use in (lambda: view["k"], lambda: view.update(k="v"), lambda: len(view), block.__enter__):
        with pytest.raises(StoreClosedError):
            use()
    for iterator in iterators:
        with pytest.raises(StoreClosedError):
            list(iterator)


def test_properties_after_close(open_store: Opener, storage: str, path: Path) -> None:
    """Properties stay readable."""
    store = open_store(storage)
    scope = store.scoped("acme", Quota(max_keys=1))
    before = (store.path, store.config)
    assert store.closed is False
    store.close()
    assert store.closed is True
    assert (store.path, store.config) == before
    assert (scope.namespace, scope.quota, scope.store) == ("acme", Quota(max_keys=1), store)
    assert repr(store)
    assert repr(scope)


def test_close_is_idempotent(store: groupstore.Store, threads: ThreadPoolExecutor) -> None:
    """Closing again does nothing, from any number of threads at once."""
    store.set("g", "k", "v")
    for closing in [threads.submit(store.close) for _ in range(8)]:
        assert closing.result(PATIENCE_S) is None
    store.close()
    assert store.closed


def test_block(storage: str, open_store: Opener) -> None:
    """A `with` block gives the store and closes it, on an exception too, which propagates."""
    store = open_store(storage)
    with store as entered:
        assert entered is store
        store.set("g", "k", "v")
    assert store.closed
    failing = open_store(storage)
    with pytest.raises(LookupError, match="the caller's own"), failing:
        raise LookupError("the caller's own")
    assert failing.closed


def test_silent_after_close(source: Source) -> None:
    """`unwatch` and `unregister` say nothing on a closed store."""
    store = source if isinstance(source, groupstore.Store) else source.store
    watcher, unregister = source.watch(), source.on_change(print)
    store.close()
    source.unwatch(watcher)
    unregister()


def test_watchers_are_closed(source: Source) -> None:
    """Closing the store closes every watcher; what they hold can still be read."""
    store = source if isinstance(source, groupstore.Store) else source.store
    watchers = [source.watch(), source.watch("g")]
    source.set("g", "k", "v")
    store.close()
    for watcher in watchers:
        assert [change.key for change in changes(watcher)] == ["k"]
        with pytest.raises(StoreClosedError):
            watcher.get()


def test_threads_end(storage: str, open_store: Opener) -> None:
    """`close` ends the threads that the store has started."""
    before = set(threading.enumerate())
    store = open_store(storage, purge_interval=0.01)
    store.set("g", "k", "v")
    store.close()
    assert set(threading.enumerate()) <= before


def test_side_files_go(path: Path, open_store: Opener) -> None:
    """The last close leaves the database alone, with everything in it."""
    store = open_store()
    second = open_store()
    store.set_many("g", {str(n): "v" for n in range(1000)})
    store.close()
    assert second.count("g") == 1000
    second.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    with open_store() as store:
        assert store.count("g") == 1000


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_descriptors_are_released(
    path: Path, storage: str, open_store: Opener, threads: ThreadPoolExecutor
) -> None:
    """After `close` no descriptor of the process is of the store's files, whoever used it."""

    def held() -> list[str]:
        targets = []
        for descriptor in os.listdir("/proc/self/fd"):
            try:
                targets.append(os.readlink(f"/proc/self/fd/{descriptor}"))
            except FileNotFoundError:
                continue
        return [target for target in targets if target.startswith(str(path))]

    store = open_store(storage)
    for reading in [threads.submit(store.get_all, "g") for _ in range(8)]:
        reading.result(PATIENCE_S)
    store.set("g", "k", "v")
    abandoned = store.items("g")
    next(abandoned)
    assert bool(held()) == (storage != "memory")
    store.close()
    assert held() == []


def test_opened_again_at_once(storage: str, open_store: Opener) -> None:
    """A closed file can be opened again at once, many times over, exclusively too."""
    for n in range(5):
        with open_store(storage) as store:
            store.set("g", str(n), "v")
            expected = 1 if storage == "memory" else n + 1
            assert store.count("g") == expected


def test_closed_store_is_let_go(storage: str, open_store: Opener) -> None:
    """No thread, hook or cache of ours keeps a closed store alive."""
    options: dict[str, Any] = {"purge_interval": 0.01}
    store = groupstore.Store(**options)
    scope = store.scoped("acme")
    scope.set("g", "k", "v")
    store.on_change(print)
    store.close()
    gone = weakref.ref(store)
    del store, scope
    gc.collect()
    assert gone() is None


def test_forgotten_store_closes_itself(path: Path) -> None:
    """A store that is garbage-collected unclosed closes itself and emits `ResourceWarning`."""
    store = groupstore.Store(path, durability="normal")
    store.set("g", "k", "v")
    with pytest.warns(ResourceWarning, match=path.name):
        del store
        gc.collect()
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    with groupstore.Store(path) as again:
        assert again.get("g", "k") == "v"


def test_close_beside_the_making_of_a_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that another thread is making while a store in memory is closed does not stay."""
    store = groupstore.Store()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    making = tempfile.mkdtemp

    def closing_meanwhile(**options: str) -> str:
        made = making(**options)
        store.close()
        return made

    monkeypatch.setattr(tempfile, "mkdtemp", closing_meanwhile)
    with pytest.raises(groupstore.StoreClosedError):
        store.workspace("job")
    assert list(tmp_path.iterdir()) == []
