"""Reads that are stale, calls that hang, and threads that die: what the caches and turns let by."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import groupstore
from conftest import Opener

Run = Callable[..., str]
Foreign = Callable[..., list[list[Any]]]

SHADOWING = """CREATE TRIGGER theirs AFTER UPDATE ON entries WHEN NEW.entry_key = 'k' BEGIN
    UPDATE entries SET entry_value = NEW.entry_value WHERE entry_key = 'shadow'; END"""


def test_trigger_in_an_exclusive_file(open_store: Opener, foreign: Foreign) -> None:
    """A trigger that another program had put in the file before is reckoned with."""
    with open_store() as store:
        store.set_many("g", {"k": "1", "shadow": "old"})
    foreign(SHADOWING)
    store = open_store("exclusive")
    assert store.get_many("g", ["k", "shadow"]) == {"k": "1", "shadow": "old"}
    store.set("g", "k", "new")
    assert store.get_all("g") == {"k": "new", "shadow": "new"}
    assert store.get("g", "shadow") == "new"


def test_file_whose_values_replace_each_other(
    open_store: Opener, foreign: Foreign, path: Path
) -> None:
    """What a conflict clause of another program's table has removed is not served any more."""
    foreign(
        """CREATE TABLE entries (group_name TEXT NOT NULL, entry_key TEXT NOT NULL,
        entry_value TEXT NOT NULL UNIQUE ON CONFLICT REPLACE, expires_at INTEGER,
        PRIMARY KEY (group_name, entry_key))"""
    )
    try:
        store = open_store()
    except groupstore.CorruptStoreError:
        return
    store.set_many("g", {"a": "1", "b": "2"})
    assert store.get_many("g", ["a", "b"]) == {"a": "1", "b": "2"}
    store.set("g", "a", "2")
    assert store.get("g", "b", None) == store.get_all("g").get("b")


def test_fork_between_a_read_and_its_caching(run: Run, path: Path) -> None:
    """What was read before a fork is not kept as of after it, though the header looks the same."""
    out = run(
        """
        import faulthandler, gc, os, subprocess, sys, groupstore
        faulthandler.dump_traceback_later(10, exit=True)
        path = sys.argv[1]
        update = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); "
        update += "c.execute(\\"UPDATE entries SET entry_value = 'new'\\"); c.commit(); c.close()"
        with groupstore.Store(path, purge_interval=None) as store:
            store.set("g", "k", "old")
            store.set("h", "k", "old")
        store = groupstore.Store(path, purge_interval=None)
        collects = False
        def collecting(phase, info):
            global collects
            if collects and phase == "start":
                collects = False
                if os.fork() == 0:
                    os._exit(0)
                os.wait()
                subprocess.run([sys.executable, "-c", update, path], check=True)
                # The same header as before the fork: that of an empty log.
                store.get("h", "k")
                store.get("h", "k")
        gc.callbacks.append(collecting)
        # So that nothing but the entry's group is left to be made inside the read.
        store.get("other", "k", None)
        gc.collect()
        collects = True
        gc.set_threshold(1)
        store.get("g", "k")
        gc.set_threshold(700)
        collects = False
        print(store.get("g", "k") == store.get_all("g")["k"])
        store.close()
        """,
        path,
    )
    assert out.strip() == "True"


@pytest.mark.parametrize("storage", ["memory", "exclusive"])
def test_close_between_a_read_and_its_caching(run: Run, path: Path, storage: str) -> None:
    """A store that was closed while a read was about to be cached serves nothing from memory."""
    out = run(
        """
        import gc, sys, groupstore
        options = {"path": sys.argv[1], "exclusive": True} if sys.argv[2] == "exclusive" else {}
        store = groupstore.Store(**options, purge_interval=None)
        store.set("g", "k", "v")
        collects = False
        def collecting(phase, info):
            if collects and phase == "start":
                try:
                    store.close()
                except groupstore.StoreError:
                    pass
        gc.callbacks.append(collecting)
        collects = True
        gc.set_threshold(1)
        store.get("g", "k")
        gc.set_threshold(700)
        collects = False
        store.close()
        try:
            print(store.get("g", "k"))
        except groupstore.StoreClosedError:
            print("closed")
        """,
        path,
        storage,
    )
    assert out.strip() == "closed"


# A consumer in an event loop, whose wake-up runs what `on_wake` says in the thread that commits.
CONSUMER = """
    import asyncio, faulthandler, os, sys, threading, groupstore
    faulthandler.dump_traceback_later(10, exit=True)
    store = groupstore.Store(sys.argv[1], durability="full", purge_interval=None, busy_timeout=3)
    class Loop(asyncio.SelectorEventLoop):
        on_wake = None
        def call_soon_threadsafe(self, *arguments, **options):
            on_wake, self.on_wake = self.on_wake, None
            handle = super().call_soon_threadsafe(*arguments, **options)
            if on_wake is not None:
                on_wake()
            return handle
    loop = Loop()
    def consume(store):
        watcher = store.watch("g", capacity=1000)
        async def run():
            async for event in watcher:
                pass
        async def look():
            task = asyncio.ensure_future(run())
            await asyncio.sleep(0)
            ready.set()
            await task
        ready = threading.Event()
        thread = threading.Thread(target=lambda: loop.run_until_complete(look()), daemon=True)
        thread.start()
        ready.wait()
        return watcher
    def interrupt():
        raise KeyboardInterrupt
    def attempt(number, write):
        try:
            write()
            outcomes[number] = "done"
        except KeyboardInterrupt:
            outcomes[number] = "interrupted"
    outcomes = {}
    def share(on_wake, *writes):
        '''Have several threads write in one commit, that wakes the consumer.'''
        entered, leave = threading.Event(), threading.Event()
        def hold():
            with store.transaction():
                entered.set()
                leave.wait()
        threads = [threading.Thread(target=hold)]
        threads[0].start()
        entered.wait()
        for number, write in enumerate(writes):
            threads.append(threading.Thread(target=attempt, args=(number, write)))
            threads[-1].start()
        while store._engine.waiting_now < len(writes):
            pass
        loop.on_wake = on_wake
        leave.set()
        for thread in threads:
            thread.join()
    def write():
        store.set("g", "k", "v")
    def transact():
        with store.transaction():
            pass
"""


def indented(script: str) -> str:
    """A script to follow `CONSUMER`, indented as that is."""
    return CONSUMER + "\n".join(f"    {line}" for line in script.strip().splitlines()) + "\n"


def test_interrupt_in_the_wake_up_after_a_shared_commit(run: Run, path: Path) -> None:
    """Ctrl-C while the consumers are woken leaves nothing counted as inside: close() ends."""
    script = """
consume(store)
share(interrupt, write, write)
assert sorted(outcomes.values()) == ["done", "interrupted"]
store.close()
print("closed", flush=True)
os._exit(0)
"""
    assert run(indented(script), path).strip() == "closed"


def test_interrupt_in_the_wake_up_before_a_transaction(run: Run, path: Path) -> None:
    """Ctrl-C as a transaction commits what others wait for does not keep the turn for ever."""
    script = """
consume(store)
for _ in range(200):
    share(interrupt, write, transact)
    if outcomes[1] == "interrupted":
        break
    loop.on_wake = None
other = threading.Thread(target=write)
other.start()
other.join(5)
print("turn is free" if not other.is_alive() else "turn is lost", flush=True)
os._exit(0)
"""
    assert run(indented(script), path).strip() == "turn is free"


@pytest.mark.parametrize("what", ["close", "fork"])
def test_wake_up_after_a_shared_commit_is_outside(run: Run, path: Path, what: str) -> None:
    """A signal handler that closes the store or forks during a wake-up waits for nobody."""
    script = """
consume(store)
def fork():
    if os.fork() == 0:
        os._exit(0)
    os.wait()
share({"close": store.close, "fork": fork}[sys.argv[2]], write, write)
store.close()
print("closed", flush=True)
os._exit(0)
"""
    assert run(indented(script), path, what).strip() == "closed"


def test_interrupt_while_watchers_are_closed(run: Run, path: Path) -> None:
    """A close() that Ctrl-C interrupts closes nevertheless: no hit, no file is left open."""
    script = """
store.set("g", "k", "v")
store.get("g", "k")
store.get("g", "k")
watcher = consume(store)
loop.on_wake = interrupt
try:
    store.close()
except KeyboardInterrupt:
    pass
store.close()
try:
    print(store.get("g", "k"))
except groupstore.StoreClosedError:
    print("closed")
opened = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
          if os.path.lexists(f"/proc/self/fd/{fd}")]
print([name for name in opened if name.startswith(sys.argv[1])], flush=True)
os._exit(0)
"""
    assert run(indented(script), path).split("\n")[:2] == ["closed", "[]"]


def test_call_while_a_read_only_store_is_closed(run: Run, path: Path) -> None:
    """A signal handler that reads while its thread closes the store gets an error, no crash."""
    script = """
store.set("g", "k", "v")
store.close()
store = groupstore.Store(sys.argv[1], read_only=True)
watcher = consume(store)
def read():
    try:
        store.get("g", "k")
    except groupstore.StoreError:
        print("refused")
loop.on_wake = read
store.close()
print("closed", flush=True)
os._exit(0)
"""
    assert run(indented(script), path).split() == ["refused", "closed"]


@pytest.mark.parametrize("what", ["close", "fork"])
def test_signal_in_the_middle_of_a_read(run: Run, path: Path, what: str) -> None:
    """A signal handler that closes the store or forks while its thread reads does not hang."""
    out = run(
        """
        import faulthandler, os, signal, sys, groupstore, groupstore.opening
        faulthandler.dump_traceback_later(10, exit=True)
        store = groupstore.Store(sys.argv[1], purge_interval=None)
        store.set("g", "k", "v")
        def handle(number, frame):
            if sys.argv[2] == "close":
                try:
                    store.close()
                except groupstore.StoreError:
                    pass
            elif os.fork() == 0:
                os._exit(0)
            else:
                os.wait()
        signal.signal(signal.SIGTERM, handle)
        set_up = groupstore.opening._set_up
        def interrupted(*arguments):
            signal.raise_signal(signal.SIGTERM)
            return set_up(*arguments)
        # The first read opens a connection, for which Python code runs.
        groupstore.opening._set_up = interrupted
        try:
            store.get("g", "k")
        except groupstore.StoreError:
            pass
        print("returned", flush=True)
        os._exit(0)
        """,
        path,
        what,
    )
    assert out.strip() == "returned"


def test_forked_beside_waiting_writers(run: Run, path: Path) -> None:
    """The child does not wait for the parent's threads: its writes find nobody waiting."""
    out = run(
        """
        import os, sys, threading, groupstore
        store = groupstore.Store(sys.argv[1], durability="full", purge_interval=None)
        going = True
        def write(number):
            while going:
                store.set("g", str(number), "v")
        threads = [threading.Thread(target=write, args=(n,)) for n in range(6)]
        for thread in threads: thread.start()
        left = []
        for _ in range(5):
            while not store._engine.waiting_now: pass
            reader, writer = os.pipe()
            if os.fork() == 0:
                os.write(writer, bytes([store._engine.waiting_now]))
                os._exit(0)
            left.append(os.read(reader, 1)[0])
            os.close(reader)
            os.close(writer)
            os.wait()
        going = False
        for thread in threads: thread.join()
        store.close()
        print(left)
        """,
        path,
    )
    assert out.strip() == "[0, 0, 0, 0, 0]"


def test_forked_while_a_checkpoint_is_due(run: Run, path: Path) -> None:
    """A child that was forked before the parent's checkpoint keeps its own log short."""
    out = run(
        """
        import os, sys, threading, time, groupstore
        store = groupstore.Store(sys.argv[1], durability="normal", purge_interval=None)
        wake = store._engine.on_log_growth
        woken = 0
        def on_log_growth():
            global woken
            woken += 1
            wake()
        store._engine.on_log_growth = on_log_growth
        child = None
        def forking(event):
            global child
            # Once the thread runs, so that the wake-up before this call is not yet followed.
            if woken == 2 and child is None:
                child = os.fork()
        store.on_change(forking)
        step = 0
        while child is None:
            store.set("g", "k", f"{step}" * 30_000)
            step += 1
        if child == 0:
            woken = 0
            for step in range(300):
                store.set("g", "k", f"{step}" * 100_000)
            os._exit(0 if woken else 1)
        print(os.waitstatus_to_exitcode(os.wait()[1]))
        store.close()
        """,
        path,
    )
    assert out.strip() == "0"


@pytest.mark.parametrize("busy", ["checkpoint", "writer"])
def test_exit_without_closing(run: Run, path: Path, busy: str) -> None:
    """A program that ends without closing ends, though a daemon thread is inside SQLite."""
    out = run(
        """
        import faulthandler, sys, threading, warnings, groupstore
        warnings.simplefilter("ignore", ResourceWarning)
        faulthandler.dump_traceback_later(10, exit=True)
        store = groupstore.Store(sys.argv[1], purge_interval=None, durability="full")
        if sys.argv[2] == "checkpoint":
            # The last write may be on either side of the mark at which a checkpoint begins.
            step = 0
            while "groupstore-checkpoint" not in [t.name for t in threading.enumerate()]:
                store.set("g", "k", f"{step:04}" * 100_000)
                step += 1
        else:
            begun = threading.Event()
            def write():
                while True:
                    store.set("g", "k", "x" * 1_000_000)
                    begun.set()
            threading.Thread(target=write, daemon=True).start()
            begun.wait()
        print("ends", flush=True)
        """,
        path,
        busy,
    )
    assert out.strip() == "ends"


def test_no_thread_for_the_checkpoint(open_store: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread can be started the write has happened all the same, and later ones try."""
    store = open_store()
    called: list[groupstore.Event] = []
    store.on_change(called.append)

    def fail(_: threading.Thread) -> None:
        message = "can't start new thread"
        raise RuntimeError(message)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        for step in range(30):
            store.set("g", "k", f"{step:04}" * 200_000)
    assert len(called) == 30
    for step in range(30):
        store.set("g", "k", f"{step:04}" * 200_000)
    assert "groupstore-checkpoint" in [thread.name for thread in threading.enumerate()]


def test_log_of_two_writing_processes(start: Callable[..., Any], path: Path) -> None:
    """The log stays within its bound where two processes write all the time, too."""
    script = """
        import os, sys, threading, groupstore
        store = groupstore.Store(sys.argv[1], durability="normal", purge_interval=None)
        died = []
        threading.excepthook = died.append
        print(".", flush=True)
        sys.stdin.readline()
        longest = 0
        for step in range(700):
            store.set_many(sys.argv[2], {str(n): f"{step:04}" * 12_000 for n in range(8)})
            longest = max(longest, os.stat(sys.argv[1] + "-wal").st_size)
        store.close()
        print(longest >> 20, len(died))
    """
    processes = [start(script, path, name) for name in ("a", "b")]
    for process in processes:
        assert process.stdout.readline()
    for process in processes:
        print(file=process.stdin, flush=True)
    for process in processes:
        longest_mib, died = map(int, process.stdout.readline().split())
        # Room for what is written while a checkpoint is under way.
        assert (died, longest_mib) <= (0, 96)


@pytest.mark.parametrize("cache_size", [0, 1_000_000])
def test_get_many_of_no_keys(
    open_store: Opener, threads: ThreadPoolExecutor, cache_size: int
) -> None:
    """Asking for no keys is refused where any key would be."""
    store = open_store("memory", cache_size=cache_size)
    with store.transaction() as tx, pytest.raises(groupstore.StoreError):
        threads.submit(tx.get_many, "g", []).result(30)
    with pytest.raises(groupstore.StoreError):
        tx.get_many("g", [])
    store.close()
    with pytest.raises(groupstore.StoreClosedError):
        store.get_many("g", [])
