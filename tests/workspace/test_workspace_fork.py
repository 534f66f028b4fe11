"""A workspace stays with its process: what a forked child can do, and cannot undo."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

# Each script forks in its own process: a child of pytest's would carry pytest's threads' locks.
PRELUDE = """
import gc, os, signal, sys, threading, groupstore
from groupstore import StoreError

def in_child(call):
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
    except StoreError as error:
        return str(error)
    raise AssertionError("no StoreError")

store = groupstore.Store(sys.argv[1], durability="normal", purge_interval=None)
"""


def test_child_cannot_use_it(run: Callable[..., str], path: Path) -> None:
    """Every call of the child is refused, its end disturbs nothing, and the lock stays."""
    run(
        PRELUDE
        + """
workspace = store.workspace("job")
workspace.put_many("like", [{"n": n} for n in range(3000)])

def child():
    global workspace
    for call in (lambda: workspace.put("like"), lambda: workspace.put_many("like", [{}]),
                 workspace.count, workspace.commit, workspace.discard):
        assert "forked" in refused(call)
    assert workspace.closed
    workspace.close()
    refused(lambda: store.workspace("job"))
    assert store.recover_workspaces() == []
    with store.workspace("own") as own:
        own.put("x")
    store.close()
    globals().pop("workspace")
    gc.collect()

for _ in range(3):
    joined(in_child(child))
    workspace.put("like")
    [own] = store.recover_workspaces()
    assert own.name == "own"
    own.discard()
assert workspace.aggregate() == {"like": 3003}
workspace.close()
[workspace] = store.recover_workspaces()
assert workspace.aggregate() == {"like": 3003}
workspace.discard()
store.close()
""",
        path,
    )


def test_child_outlives_its_parent(run: Callable[..., str], path: Path) -> None:
    """A child that lives on does not keep its dead parent's workspaces locked."""
    run(
        PRELUDE
        + """
in_pipe, out_pipe = os.pipe()

def parent():
    global workspace  # so that it is dead, and not closed, when its process ends
    workspace = store.workspace("job")
    workspace.put("like")

    def child():
        os.close(out_pipe)
        os.read(in_pipe, 1)

    in_child(child)

joined(in_child(parent))
[workspace] = store.recover_workspaces()
assert workspace.aggregate() == {"like": 1}
workspace.discard()
os.close(out_pipe)
store.close()
""",
        path,
    )


def test_fork_beside_busy_threads(run: Callable[..., str], path: Path) -> None:
    """Forks while threads put harm neither side."""
    run(
        PRELUDE
        + """
workspaces = [store.workspace(f"job-{n}") for n in range(3)]
stop = threading.Event()
done = [0] * 3

def work(number):
    while not stop.is_set():
        workspaces[number].put("like", {"n": done[number]})
        done[number] += 1

threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
for thread in threads:
    thread.start()

def child():
    with store.workspace(f"child-{os.getpid()}") as own:
        own.put("x")
        assert own.count() == 1

for _ in range(8):
    joined(in_child(child))
stop.set()
for thread in threads:
    thread.join()
assert [workspace.count() for workspace in workspaces] == done
assert len(store.recover_workspaces()) == 8
store.close()
""",
        path,
    )


def test_fork_from_a_callback_of_commit(run: Callable[..., str], path: Path) -> None:
    """A child forked in the middle of a commit leaves the file to the parent."""
    run(
        PRELUDE
        + """
workspace = store.workspace("job")
workspace.put("like")
children = []

def fork(event):
    pid = os.fork()
    if pid:
        joined(pid)
        children.append(os.path.exists(workspace.path))

store.on_change(fork)
try:
    aggregate = workspace.commit()
except StoreError as error:
    assert "forked" in str(error) and not children
    os._exit(0)
assert children == [True]
assert aggregate == {"like": 1}
assert not os.path.exists(workspace.path)
store.close()
""",
        path,
    )


def test_memory_folder_stays_with_the_parent(run: Callable[..., str], path: Path) -> None:
    """A child that closes a store in memory, or ends, leaves the parent's folder in its place."""
    run(
        PRELUDE
        + """
store.close()
store = groupstore.Store(purge_interval=None)
workspace = store.workspace("job")

def child():
    refused(lambda: workspace.put("like"))
    store.close()

joined(in_child(child))
workspace.put("like")
assert os.path.exists(workspace.path)
store.close()
assert not os.path.exists(os.path.dirname(workspace.path))
""",
        path,
    )
