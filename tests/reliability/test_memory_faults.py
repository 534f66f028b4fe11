"""Each allocation failing by itself, Python's and SQLite's: an error, nothing lost, no crash."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from conftest import SLOW
from model import PATIENCE_S

pytest.importorskip("_testcapi", reason="this Python has no hooks for its allocator")

PYTHONS = """
import faulthandler, gc, sys, threading
import _testcapi
import groupstore

faulthandler.enable()
path, most, step = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
store = groupstore.Store(path, durability="normal", purge_interval=None)
store.set_many("g", {f"k{n}": "v" for n in range(50)})
uncached = groupstore.Store(path, durability="normal", purge_interval=None, cache_size=0)
memory = groupstore.Store(purge_interval=None)
memory.set_many("g", {f"k{n}": "v" for n in range(50)})
scope = store.scoped("t", groupstore.Quota(max_keys=100))
watcher = store.watch("*", capacity=10_000)
heard = []
store.on_change(heard.append)

def transaction():
    with store.transaction() as tx:
        tx.set("g", "t", "1")
        with store.transaction() as inner:
            inner.delete("g", "t")

def listed(iterator):
    for _ in iterator:
        pass

CALLS = {
    "get, cached": lambda: store.get("g", "k1"),
    "get, uncached": lambda: uncached.get("g", "k1"),
    "get, in memory": lambda: memory.get("g", "k1"),
    "get, absent": lambda: store.get("g", "none", None),
    "get_many": lambda: uncached.get_many("g", ["k1", "k2", "none"]),
    "get_all": lambda: uncached.get_all("g"),
    "items": lambda: listed(uncached.items("g")),
    "groups": lambda: uncached.groups(),
    "count": lambda: uncached.count("g"),
    "ttl": lambda: uncached.ttl("g", "k1"),
    "set": lambda: store.set("g", "k1", "w" * 100),
    "set, in memory": lambda: memory.set("g", "k1", "w"),
    "set, new": lambda: store.set("g", "new", "w", ttl=60),
    "set_many": lambda: store.set_many("g", {"a": "1", "b": b"2"}),
    "add": lambda: store.add("g", "k1", "x"),
    "compare_and_set": lambda: store.compare_and_set("g", "k2", "v", "v"),
    "increment": lambda: store.increment("n", "n"),
    "expire": lambda: store.expire("g", "k3", 60),
    "pop": lambda: store.pop("g", "new", None),
    "delete": lambda: store.delete("g", "a"),
    "delete_many": lambda: store.delete_many("g", ["a", "b"]),
    "delete_prefix": lambda: store.delete_prefix("x"),
    "quota": lambda: scope.set("g", "k", "v"),
    "transaction": transaction,
    "watcher": lambda: watcher.get_nowait(),
    "watch": lambda: store.watch("w").close(),
    "purge": lambda: store.purge_expired(),
}
def attempt(call, start, stop):
    _testcapi.set_nomemory(start, stop)
    try:
        call()
    finally:
        _testcapi.remove_mem_hooks()

for call in CALLS.values():
    call()
    call()
gc.collect()
wrong = []
for name, call in CALLS.items():
    for number in range(0, most, step):
        # Without end, CPython itself would try for ever to find its own exception handler.
        for stop in (number + 2, number + 6):
            raised = None
            try:
                attempt(call, number + 1, stop)
            except (MemoryError, groupstore.StoreError) as error:
                raised = type(error)
            except BaseException as error:
                raised = error
            if isinstance(raised, BaseException):
                wrong.append((name, number, stop, repr(raised)))
            raised = None
    # The turn is free, for this thread and for others, and all is as it was.
    other = threading.Thread(target=store.set, args=("g", "after", name))
    other.start()
    other.join(20)
    if other.is_alive() or store.get("g", "after") != name or uncached.get("g", "after") != name:
        wrong.append((name, "the store is not usable"))
        break
print(wrong)
print(store.check())
for one in (store, uncached, memory):
    one.close()
"""

REFERENCES = """
import sys, _testcapi, groupstore

store = groupstore.Store(purge_interval=None, cache_size=0)
key, value = f"key-{len(sys.argv)}", f"value-{len(sys.argv)}"
calls = {
    "get_many": lambda: store.get_many("g", [key]),
    "delete_many": lambda: store.delete_many("g", [key]),
    "set_many": lambda: store.set_many("g", {key: value}),
    "set_many of pairs": lambda: store.set_many("g", [(key, value)]),
}
for name, call in calls.items():
    for number in range(60):
        store.delete("g", key)
        before = sys.getrefcount(key), sys.getrefcount(value)
        _testcapi.set_nomemory(number + 1, number + 2)
        try:
            call()
        except (MemoryError, groupstore.StoreError):
            pass
        finally:
            _testcapi.remove_mem_hooks()
        after = sys.getrefcount(key), sys.getrefcount(value)
        assert after[0] >= before[0] and after[1] >= before[1], (name, number, before, after)
"""

SQLITES = """
import faulthandler, sys
import apsw
import groupstore

faulthandler.enable()
path, most, step = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

def everything(store):
    store.set("g", "a", "x" * 5000)
    store.set_many("m", {f"k{n}": "v" * 200 for n in range(300)})
    store.get_all("m")
    with store.transaction() as tx:
        tx.set("g", "b", "1")
        tx.delete("g", "a")
    store.journal.append("m", {"n": 1})
    store.journal.query('from(bucket: "store") |> range(start: -1h)')
    store.groups()
    store.purge_expired()
    store.delete_prefix("m")

failed = worked = 0
for room in range(0, most, step):
    apsw.hard_heap_limit(max(1, apsw.memory_used() + room))
    store = None
    try:
        store = groupstore.Store(path, durability="normal", purge_interval=None)
        everything(store)
        worked += 1
    except (MemoryError, groupstore.StoreError):
        failed += 1
    finally:
        apsw.hard_heap_limit(0)
    if store is not None:
        everything(store)
        problems = store.check()
        assert problems == [], problems
        store.close()
print(failed > 0, worked > 0)
"""


def run(script: str, *arguments: object) -> str:
    """What a script prints in a process of its own, which has to end well."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S * 20,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-5000:]
    return done.stdout


def test_arguments_keep_their_references() -> None:
    """An allocation that fails gives up no reference to a key or value that the caller holds."""
    run(REFERENCES)


def test_pythons_allocations(tmp_path: Path, seed: int) -> None:
    """Whichever allocation of Python's fails in a call, alone or with four after it."""
    most, step = (400, 1) if SLOW else (60, 3)
    assert run(PYTHONS, tmp_path / "app.db", most, step) == "[]\n[]\n"


def test_sqlites_allocations(tmp_path: Path) -> None:
    """However little memory SQLite has, at opening and in all calls after it."""
    most, step = (1_500_000, 2000) if SLOW else (1_500_000, 40_000)
    assert run(SQLITES, tmp_path / "app.db", most, step) == "True True\n"
