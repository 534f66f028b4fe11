"""What needs a process of its own: imports, exits, garbage collection, signals, limits."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import groupstore

Run = Callable[..., str]


def test_import_is_light(run: Run, tmp_path: Path) -> None:
    """Importing and plain use load no template, archive or parser library, asyncio or logging."""
    run(
        """
import os, sys, threading
os.chdir(sys.argv[1])
import groupstore
assert threading.active_count() == 1
assert os.listdir() == []
with groupstore.Store("app.db", purge_interval=None) as store:
    store.set("g", "k", "v")
    assert store.get("g", "k") == "v"
    assert store.delete("g", "k")
heavy = {"zstandard", "jinja2", "lark", "asyncio", "logging", "random"} & sys.modules.keys()
assert not heavy, heavy
""",
        tmp_path,
    )


def test_exit_with_a_live_purge_thread(run: Run, path: Path) -> None:
    """A process ends at once, and quietly, with a purge thread at work."""
    run(
        """
import sys, warnings, groupstore
warnings.simplefilter("ignore", ResourceWarning)
store = groupstore.Store(sys.argv[1], purge_interval=0.0001, durability="normal")
for n in range(300):
    store.set("g", str(n), "v", ttl=0.001)
""",
        path,
    )


@pytest.mark.parametrize("where", ["", "g = globals()"])
def test_unclosed_at_exit(run: Run, path: Path, where: str) -> None:
    """What an unclosed store has acknowledged is there after the interpreter's end."""
    script = "import sys, warnings, groupstore\nwarnings.simplefilter('ignore')\n" + where
    script += "\nstore = groupstore.Store(sys.argv[1])\nstore.set('g', 'k', 'v')\n"
    run(script, path)
    with groupstore.Store(path) as store:
        assert store.get("g", "k") == "v"
        assert store.check() == []


def test_forgotten_store(run: Run, path: Path) -> None:
    """A store that is collected unclosed warns, ends its thread and releases its files."""
    run(
        """
import gc, os, sys, threading, warnings, groupstore
store = groupstore.Store(sys.argv[1])
store.set("g", "k", "v")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    del store
    gc.collect()
assert [w.category for w in caught] == [ResourceWarning], caught
assert threading.active_count() == 1
assert not os.path.exists(sys.argv[1] + "-wal")
""",
        path,
    )


def test_forgotten_in_a_cycle(run: Run, path: Path) -> None:
    """So does one that is part of a reference cycle, with watchers and callbacks."""
    run(
        """
import gc, sys, threading, warnings, groupstore
warnings.simplefilter("ignore")
store = groupstore.Store(sys.argv[1])
store.itself = store
watcher = store.watch()
store.on_change(lambda event, store=store: None)
store.set("g", "k", "v")
del store
gc.collect()
assert threading.active_count() == 1, threading.enumerate()
assert watcher.closed
""",
        path,
    )


WAITING = """
import os, signal, sys, threading, time, groupstore
signal.signal(signal.SIGINT, signal.default_int_handler)
store = groupstore.Store(sys.argv[1], busy_timeout=60, purge_interval=None)
other = groupstore.Store(sys.argv[1], busy_timeout=60, purge_interval=None)
holder = store if sys.argv[2] == "thread" else other
held, done = threading.Event(), threading.Event()

def hold():
    with holder.transaction() as tx:
        tx.set("g", "k", "held")
        held.set()
        done.wait()

thread = threading.Thread(target=hold)
thread.start()
held.wait()
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
begin = time.monotonic()
try:
    store.set("g", "k", "mine")
except KeyboardInterrupt:
    print("interrupted")
assert time.monotonic() - begin < 10
done.set()
thread.join()
store.set("g", "k", "after")
assert store.get("g", "k") == "after"
store.close()
other.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to oneself")
@pytest.mark.parametrize("holder", ["thread", "connection"])
def test_interrupt_while_waiting(run: Run, path: Path, holder: str) -> None:
    """Ctrl-C ends the wait for a lock, another thread's or another connection's."""
    assert run(WAITING, path, holder) == "interrupted\n"


INTERRUPTED = """
import signal, sys, groupstore
store = groupstore.Store(sys.argv[1], purge_interval=None, durability="normal")
store.set("g", "n", "0")
store.on_change(lambda event: None)
watcher = store.watch(capacity=10**6)
signal.signal(signal.SIGALRM, signal.default_int_handler)
interrupts = 0
for n in range(300):
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.00005 * (n % 40 + 1))
        for _ in range(20):
            with store.transaction() as tx:
                value = int(tx.get("g", "n"))
                tx.set("g", "m", str(value + 1))
                with store.transaction() as inner:
                    inner.set("g", "n", str(value + 1))
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        interrupts += 1
    # Neither half of a transaction, nor the lock held.
    assert store.get("g", "n") == store.get("g", "m", "0")
    store.set("other", "k", "v")
assert interrupts > 5, interrupts
store.close()
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timer on this system")
def test_interrupts_at_any_point(run: Run, path: Path) -> None:
    """Wherever Ctrl-C strikes, a transaction is all there or not at all, and the store goes on."""
    run(INTERRUPTED, path)


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on files' sizes")
def test_file_size_limit(run: Run, path: Path) -> None:
    """A write that the system refuses is a StorageError, nothing is lost, and writing goes on."""
    run(
        """
import resource, signal, sys, groupstore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = groupstore.Store(sys.argv[1], purge_interval=None)
store.set("g", "k", "before")
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
for n in range(1000):
    try:
        store.set("g", str(n), "v" * 1000)
    except groupstore.StorageError as error:
        assert error.__cause__ is not None
        break
else:
    raise AssertionError("no error")
assert store.get("g", "k") == "before"
assert store.count("g") == n + 1
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
store.set("g", "k", "after")
assert store.check() == []
store.close()
""",
        path,
    )


def test_full_disk(file_store: groupstore.Store) -> None:
    """A full disk is a DiskFullError: nothing of the write is there, and writing goes on later."""
    file_store.set("g", "k", "v")
    with file_store._engine.alone("test") as connection:
        pages = connection.pragma("page_count")
        connection.pragma("max_page_count", pages + 2)
    pairs = {str(n): "v" * 1000 for n in range(300)}
    with pytest.raises(groupstore.DiskFullError) as caught:
        file_store.set_many("g", pairs)
    assert caught.value.__cause__ is not None
    assert file_store.get_all("g") == {"k": "v"}
    with pytest.raises(groupstore.StoreError), file_store.transaction() as tx:
        tx.set("g", "other", "v")
        with pytest.raises(groupstore.DiskFullError):
            tx.set_many("h", pairs)
    assert file_store.group_exists("h") is False
    with file_store._engine.alone("test") as connection:
        connection.pragma("max_page_count", 2**30)
    file_store.set_many("g", pairs)
    assert file_store.count("g") == len(pairs) + (1 if file_store.exists("g", "k") else 0) + (
        1 if file_store.exists("g", "other") else 0
    )
    assert file_store.check() == []


@pytest.mark.skipif(os.name != "posix", reason="no modes elsewhere")
def test_modes_of_files(path: Path) -> None:
    """The database and its side files are for their owner alone, whatever the umask."""
    before = os.umask(0)
    try:
        with groupstore.Store(path, purge_interval=None) as store:
            store.set("g", "k", "v")
            modes = {name.name: name.stat().st_mode & 0o777 for name in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("store.db", "store.db-shm", "store.db-wal"), 384)


@pytest.mark.parametrize("first", ["", "import groupstore"], ids=["alone", "after the main one"])
def test_subinterpreter(run: Run, first: str) -> None:
    """Importing in a subinterpreter is an ImportError; a main one that came first is unharmed."""
    run(
        first
        + '''
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
script = """
try:
    import groupstore
except ImportError:
    pass
else:
    raise SystemError
"""
interpreter = interpreters.create()
failure = getattr(interpreters, "exec", interpreters.run_string)(interpreter, script)
assert failure is None, failure
if "groupstore" in globals():
    with groupstore.Store() as store:
        store.set("g", "k", "v")
        assert store.get("g", "k") == "v"
'''
    )
