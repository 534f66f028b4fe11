"""After `os.fork()`: a working store in the child, an undisturbed one in the parent."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

# Each script forks in its own process: a child of pytest's would carry pytest's threads' locks.
PRELUDE = """
import os, sys, threading, time, groupstore
from groupstore import StoreError

def in_child(call):
    "Runs the call in a forked child; True where it returned."
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            call()
            code = 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            os._exit(code)
    return pid

def joined(pid):
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

def refused(call):
    try:
        call()
    except StoreError:
        return
    raise AssertionError("no StoreError")

def opened(**options):
    return groupstore.Store(sys.argv[1], **({"durability": "normal"} | options))
"""

Run = Callable[..., str]


def test_child_gets_a_working_store(run: Run, path: Path) -> None:
    """Child and parent both read and write, each sees the other, and nothing is lost."""
    run(
        PRELUDE
        + """
store = opened()
store.set("g", "k", "parent")
assert store.get("g", "k") == "parent"
scope = store.scoped("acme", groupstore.Quota(max_keys=10))

def child():
    assert store.get("g", "k") == "parent"
    store.set("g", "k", "child")
    scope.set("g", "c", "v")
    with store.transaction() as tx:
        tx.increment("g", "n")
    assert store.count("g") == 2
    store.close()

for n in range(3):
    store.set("g", "k", "parent")
    joined(in_child(child))
    assert store.get("g", "k") == "child"
    assert scope.get("g", "c") == "v"
store.set("g", "after", "v")
assert store.get_all("g") == {"after": "v", "k": "child", "n": "3"}
assert store.check() == []
store.close()
""",
        path,
    )


def test_children_and_parent_count_together(run: Run, path: Path) -> None:
    """A parent and three children, forked from a busy store, lose no update."""
    run(
        PRELUDE
        + """
store = opened(busy_timeout=20)
store.set("g", "n", "0")

def count():
    for n in range(100):
        store.increment("g", "n")
        store.get("g", "n")

children = [in_child(count) for n in range(3)]
count()
for child in children:
    joined(child)
assert store.get("g", "n") == "400"
assert store.check() == []
store.close()
""",
        path,
    )


def test_locks_survive_a_child(run: Run, path: Path) -> None:
    """A child that ends or closes the store takes no lock of the parent's with it."""
    run(
        PRELUDE
        + """
import subprocess
store = opened()
store.set("g", "k", "0")
for call in (lambda: None, store.close, lambda: store.get("g", "k")):
    joined(in_child(call))
    with store.transaction() as tx:
        tx.set("g", "k", "1")
        outsider = subprocess.run([sys.executable, "-c", '''
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
try:
    connection.execute("BEGIN IMMEDIATE")
except sqlite3.OperationalError as error:
    print(error)
''', sys.argv[1]], capture_output=True, text=True)
        assert "locked" in outsider.stdout, outsider
# The wal file goes with its last user, so one that took part in no lock would remove it.
outsider = subprocess.run([sys.executable, "-c", '''
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("UPDATE entries SET entry_value = 'outsider'")
connection.close()
''', sys.argv[1]], check=True)
assert store.get("g", "k") == "outsider"
store.set("g", "k", "last")
store.close()
with opened() as store:
    assert store.get("g", "k") == "last"
""",
        path,
    )


def test_memory_store_in_a_child(run: Run) -> None:
    """A `:memory:` store raises `StoreError` in the child and goes on in the parent."""
    run(
        PRELUDE
        + """
store = groupstore.Store()
store.set("g", "k", "v")
scope = store.scoped("acme")

def child():
    refused(lambda: store.get("g", "k"))
    refused(lambda: store.set("g", "k", "child"))
    refused(lambda: store.get_all("g"))
    refused(lambda: scope.set("g", "k", "child"))
    refused(lambda: store.transaction().__enter__())
    store.close()

joined(in_child(child))
assert store.get_all("g") == {"k": "v"}
store.set("g", "k", "w")
store.close()
"""
    )


def test_watchers_and_callbacks_stay_behind(run: Run, path: Path) -> None:
    """The child's writes call no callback of the parent's; its own watchers and callbacks work."""
    run(
        PRELUDE
        + """
store = opened()
watcher = store.watch()
told = []
unregister = store.on_change(told.append)

def child():
    store.set("g", "child", "v")
    assert told == []
    own = store.watch()
    store.on_change(told.append)
    store.set("g", "child2", "v")
    assert own.get(5).key == "child2"
    assert [event.key for event in told] == ["child2"]
    unregister()
    store.unwatch(watcher)
    store.close()

joined(in_child(child))
store.set("g", "parent", "v")
assert [event.key for event in told] == ["parent"]
assert watcher.get(5).key == "parent"
assert watcher.get_nowait() is None
store.close()
""",
        path,
    )


def test_child_of_an_open_transaction(run: Run, path: Path) -> None:
    """Forked inside a block, the child gets `StoreError`; the parent's block commits."""
    run(
        PRELUDE
        + """
store = opened()
with store.transaction() as tx:
    tx.set("g", "k", "v")

    def child():
        refused(lambda: tx.set("g", "k", "child"))
        refused(lambda: tx.get("g", "k"))
        refused(lambda: store.get("g", "k"))
        refused(lambda: store.set("g", "k", "child"))

    joined(in_child(child))
    tx.set("g", "k2", "v")
assert store.get_all("g") == {"k": "v", "k2": "v"}
assert store.check() == []
store.close()
""",
        path,
    )


def test_fork_waits_for_no_other_thread(run: Run, path: Path) -> None:
    """Beside an open block, a slow callback and a waiting consumer, a fork goes through at once."""
    run(
        PRELUDE
        + """
store = opened()
watcher = store.watch("never")
inside, leave = threading.Semaphore(0), threading.Event()

def block():
    with store.transaction() as tx:
        tx.set("g", "block", "v")
        inside.release()
        assert leave.wait(20)

def callback(event):
    if event.key == "callback":
        inside.release()
        assert leave.wait(20)

def consume():
    inside.release()
    try:
        watcher.get()
    except groupstore.StoreClosedError:
        pass

store.on_change(callback)
setter = threading.Thread(target=store.set, args=("g", "callback", "v"))
threads = [setter, threading.Thread(target=consume)]
for thread in threads:
    thread.start()
    assert inside.acquire(timeout=20)

def child():
    assert store.get("g", "callback") == "v"
    store.set("g", "child", "v")
    store.close()

began = time.monotonic()
joined(in_child(child))
threads.append(threading.Thread(target=block))
threads[-1].start()
assert inside.acquire(timeout=20)
joined(in_child(lambda: refused(lambda: store.set("g", "k", "v"))))
assert time.monotonic() - began < 10
leave.set()
threads[0].join(20)
threads[2].join(20)
assert store.get_all("g") == {"block": "v", "callback": "v", "child": "v"}
store.close()
threads[1].join(20)
assert not any(thread.is_alive() for thread in threads)
""",
        path,
    )


def test_forks_beside_busy_threads(run: Run, path: Path) -> None:
    """Forks in the midst of other threads' calls give working children and lose nothing."""
    run(
        PRELUDE
        + """
store = opened(purge_interval=0.01, busy_timeout=20)
done = threading.Event()
counts = [0] * 3

def work(at):
    while not done.is_set():
        store.increment("g", str(at))
        store.get("g", str(at))
        list(store.items("g"))
        counts[at] += 1

threads = [threading.Thread(target=work, args=(at,)) for at in range(3)]
for thread in threads:
    thread.start()

def child():
    store.increment("g", "children")
    assert store.count("g") >= 1
    store.close()

for n in range(15):
    joined(in_child(child))
done.set()
for thread in threads:
    thread.join(20)
assert store.get("g", "children") == "15"
assert [int(store.get("g", str(at))) for at in range(3)] == counts
assert store.check() == []
store.close()
""",
        path,
    )


def test_background_purge_in_a_child(run: Run, path: Path) -> None:
    """The child's store purges by itself too, and ends its purge thread."""
    run(
        PRELUDE
        + """
store = opened(purge_interval=0.01)
store.set("g", "before", "v")

def child():
    told = store.watch()
    reasons = set()
    end = time.monotonic() + 20
    # Until the parent has closed the file it purges it as well, and may be quicker.
    while "expired" not in reasons and time.monotonic() < end:
        store.set("g", "k", "v", ttl=0.001)
        try:
            # That of the set, and then none where the parent has purged it.
            reasons.update(told.get(timeout).reason for timeout in (20, 0.2))
        except TimeoutError:
            pass
    assert "expired" in reasons, reasons
    store.close()
    assert threading.active_count() == 1, threading.enumerate()

forked = in_child(child)
store.close()
joined(forked)
""",
        path,
    )


def test_grandchildren(run: Run, path: Path) -> None:
    """A child's child works as well."""
    run(
        PRELUDE
        + """
store = opened()
store.increment("g", "n")

def child():
    store.increment("g", "n")
    joined(in_child(grandchild))
    store.increment("g", "n")

def grandchild():
    assert store.increment("g", "n") == 3

joined(in_child(child))
assert store.get("g", "n") == "4"
store.close()
""",
        path,
    )


def test_child_that_ends_without_closing(run: Run, path: Path) -> None:
    """A child that leaves through the interpreter's end harms neither the file nor the parent."""
    out = run(
        PRELUDE
        + """
import warnings
warnings.simplefilter("ignore", ResourceWarning)
store = opened()
store.set("g", "k", "parent")
pid = os.fork()
if pid == 0:
    store.set("g", "child", "v")
    sys.exit(0)
joined(pid)
assert store.get_all("g") == {"child": "v", "k": "parent"}
store.set("g", "k", "again")
assert store.check() == []
store.close()
print("done")
""",
        path,
    )
    assert out == "done\n"


def test_multiprocessing(run: Run, path: Path) -> None:
    """A pool of forked workers uses the store that it inherited."""
    run(
        PRELUDE
        + """
import multiprocessing
store = opened(busy_timeout=20)
store.set("g", "n", "0")

def work(n):
    return store.increment("g", "n")

with multiprocessing.get_context("fork").Pool(3) as pool:
    assert sorted(pool.map(work, range(60))) == list(range(1, 61))
assert store.get("g", "n") == "60"
store.close()
""",
        path,
    )


def test_store_closed_before_the_fork(run: Run, path: Path) -> None:
    """A closed store is a closed store in the child too."""
    run(
        PRELUDE
        + """
store = opened()
store.set("g", "k", "v")
store.close()

def child():
    assert store.closed
    try:
        store.get("g", "k")
    except groupstore.StoreClosedError:
        pass
    else:
        raise AssertionError
    with opened() as own:
        assert own.get("g", "k") == "v"

joined(in_child(child))
""",
        path,
    )


@pytest.mark.parametrize("call", ["dump", "backup", "load"])
def test_progress_that_uses_other_objects(run: Run, path: Path, call: str) -> None:
    """A fork waits for a copy whose progress waits for what the fork itself has to take."""
    run(
        PRELUDE
        + """
store, other = opened(), groupstore.Store(sys.argv[1] + ".other", durability="normal")
workspace = store.workspace("job")
store.set_many("g", {str(n): "x" * 200 for n in range(2500)})
store.dump(sys.argv[1] + ".source")
copies = {
    "dump": lambda progress: store.dump(sys.argv[1] + ".copy", progress=progress),
    "backup": lambda progress: store.backup(sys.argv[1] + ".copy", progress),
    "load": lambda progress: store.load(sys.argv[1] + ".source", progress),
}
inside, forking = threading.Event(), threading.Event()
calls = 0

def progress(done, total):
    global calls
    inside.set()
    forking.wait()
    if not calls:
        time.sleep(0.05)  # for the fork to begin
    calls += 1
    workspace.put("k")
    other.set("g", "k", "v")
    groupstore.Store(sys.argv[1] + ".third").close()
    store.get("g", "1")
    other.dump(sys.argv[1] + ".nested")

worker = threading.Thread(target=copies[sys.argv[2]], args=(progress,))
worker.start()
inside.wait()
forking.set()

def child():
    store.set("g", "child", "v")
    store.dump(sys.argv[1] + ".child", progress=lambda *far: None)
    other.set("g", "child", "v")

joined(in_child(child))
worker.join()
assert calls and workspace.count() == calls and other.count("g") == 2
assert store.check() == []
workspace.discard()
other.close()
store.close()
""",
        path,
        call,
    )


def test_fork_from_a_progress(run: Run, path: Path) -> None:
    """A progress may fork: the child has no such store, and other stores work there."""
    run(
        PRELUDE
        + """
store, other = opened(), groupstore.Store(sys.argv[1] + ".other", durability="normal")
store.set("g", "k", "v")

def child():
    refused(lambda: store.get("g", "k"))
    other.dump(sys.argv[1] + ".child")
    os.waitpid(in_child(lambda: other.set("g", "k", "v")), 0)

store.dump(sys.argv[1] + ".copy", progress=lambda *far: joined(in_child(child)))
assert other.get("g", "k") == "v"
joined(in_child(lambda: store.set("g", "k", "w")))
assert store.get("g", "k") == "w"
other.close()
store.close()
""",
        path,
    )
