"""A workspace by itself: what is put, what is refused, how it ends."""

from __future__ import annotations

import gc
import json
import os
import signal
import stat
import sys
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

import groupstore
from groupstore import StoreClosedError, StoreError, Workspace, WorkspaceExistsError
from groupstore.workspace import importing

Opener = Callable[..., groupstore.Store]


def entries(workspace: Workspace) -> list[tuple[str, Any]]:
    """Kind and data of each entry, in the order of their making; the workspace is closed."""
    workspace.close()
    store = workspace._store
    [again] = [found for found in store.recover_workspaces() if found.name == workspace.name]
    lines = Path(f"{again.path}.jsonl")
    again.export_file(lines)
    again.close()
    rows = [json.loads(line) for line in lines.read_text("utf-8").split("\n") if line]
    return [(row["kind"], row["data"]) for row in rows]


def test_counts(store: groupstore.Store) -> None:
    """Entries are counted by kind, in the order of the kinds, whichever call put them."""
    with store.workspace("job") as workspace:
        assert (workspace.count(), workspace.aggregate()) == (0, {})
        workspace.put("like", {"user": 1})
        workspace.put("z")
        workspace.put("like")
        assert workspace.put_many("a", ({"n": n} for n in range(1234))) == 1234
        assert workspace.put_many("none", []) == 0
        assert list(workspace.aggregate().items()) == [("a", 1234), ("like", 2), ("z", 1)]
        assert workspace.count() == 1237
        assert (workspace.name, workspace.closed) == ("job", False)


def test_files_and_modes(file_store: groupstore.Store, path: Path) -> None:
    """The file stands in the state folder, and nobody else may read any of it."""
    with file_store.workspace("job") as workspace:
        workspace.put("like")
        folder = Path(f"{path}.state")
        assert Path(workspace.path) == folder.resolve() / "job.db"
        if os.name == "posix":
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}


def test_state_directory(open_store: Opener, tmp_path: Path) -> None:
    """`state_directory` is made with all that is missing above it, for the owner alone."""
    folder = tmp_path / "a" / "b"
    store = open_store(state_directory=folder)
    with store.workspace("job") as workspace:
        assert Path(workspace.path) == folder.resolve() / "job.db"
    if os.name == "posix":
        assert [stat.S_IMODE(f.stat().st_mode) for f in (folder, tmp_path / "a")] == [0o700] * 2


def test_memory_store_leaves_nothing(open_store: Opener) -> None:
    """The folder of a store in memory is private, and gone with the store."""
    store = open_store("memory")
    workspace = store.workspace("job")
    workspace.put("like")
    folder = Path(workspace.path).parent
    assert folder.is_dir()
    store.close()
    assert workspace.closed
    assert not folder.exists()


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"a": [1, 2.5, None, True, {"b": "\U0001f600 \0 ' \" \\"}], "": -(2**70)},
        OrderedDict(x=1),
        MappingProxyType({"x": (1, 2)}),
        {"a": 1e308, "b": 5e-324, "c": 0.1},
    ],
)
def test_what_goes_in_comes_out(file_store: groupstore.Store, data: Any) -> None:
    """JSON objects come back as they were put, by `put` and by `put_many` alike."""
    workspace = file_store.workspace("job")
    workspace.put("one", data)
    workspace.put_many("many", [None, data])
    kept = json.loads(json.dumps(dict(data)))
    assert entries(workspace) == [("one", kept), ("many", {}), ("many", kept)]


circular: dict[str, Any] = {}
circular["self"] = circular
deep: dict[str, Any] = {}
for _ in range(100_000 if sys.version_info < (3, 12) else 5000):
    deep = {"d": deep}


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ([1], TypeError),
        ("text", TypeError),
        ({1: 2}, TypeError),
        ({"a": {None: 2}}, TypeError),
        ({"a": [{"b": {2: 3}}]}, TypeError),
        ({"a": {1}}, TypeError),
        ({"a": b"bytes"}, TypeError),
        ({"a": float("nan")}, ValueError),
        ({"a": [float("inf")]}, ValueError),
        ({"a": "\ud800"}, ValueError),
        ({"\udfff": 1}, ValueError),
        (circular, ValueError),
        (deep, ValueError),
    ],
)
def test_wrong_data(store: groupstore.Store, data: Any, error: type[Exception]) -> None:
    """What is no JSON object is refused, and of a batch with one such row nothing is kept."""
    with store.workspace("job") as workspace:
        with pytest.raises(error, match=r"^put: data"):
            workspace.put("like", data)
        with pytest.raises(error, match=r"^put_many: row 1: data"):
            workspace.put_many("like", [{}, data, {}])
        with pytest.raises(error, match=r"^put_many: row 1200: data"):
            workspace.put_many("like", [{}] * 1200 + [data])
        assert workspace.count() == 0


@pytest.mark.parametrize(
    ("kind", "error"), [("", ValueError), ("\ud800", ValueError), (b"like", TypeError)]
)
def test_wrong_kinds(store: groupstore.Store, kind: Any, error: type[Exception]) -> None:
    """A kind is text, and not empty."""
    with store.workspace("job") as workspace:
        with pytest.raises(error, match=r"^put: kind"):
            workspace.put(kind)
        with pytest.raises(error, match=r"^put_many: kind"):
            workspace.put_many(kind, [{}])


def test_rows_that_fail(store: groupstore.Store) -> None:
    """What the iterator raises goes through, and nothing of the batch is kept."""

    def rows() -> Any:
        yield {}
        raise LookupError

    with store.workspace("job") as workspace:
        with pytest.raises(LookupError):
            workspace.put_many("like", rows())
        assert workspace.count() == 0
        workspace.put("like")
        assert workspace.aggregate() == {"like": 1}


NAMES_REFUSED = ["", ".", "..", "a/b", "/a", "../a", "a..b", "a\0", "x" * 250, "é" * 130, "\ud800"]


def test_depth(run: Callable[..., str]) -> None:
    """`put` and `put_many` take the same depth, all of which a query can read, however Python is
    set."""
    printed = run(
        """
import sys, groupstore
sys.setrecursionlimit(5_000)
with groupstore.Store() as store, store.workspace("job") as workspace:
    for depth in (999, 1000):
        data = {}
        for _ in range(depth - 1):
            data = {"d": data}
        for put in (workspace.put, lambda kind, data: workspace.put_many(kind, [data])):
            try:
                put("deep", data)
            except ValueError as error:
                print(error)
    print(workspace.query("SELECT count(*) AS n FROM entries WHERE json_valid(data)"))
"""
    )
    assert printed.splitlines() == [
        "put: data: nested deeper than 999",
        "put_many: row 0: data: nested deeper than 999",
        "[{'n': 2}]",
    ]


@pytest.mark.parametrize("name", NAMES_REFUSED)
def test_wrong_names(store: groupstore.Store, name: str) -> None:
    """A name that could lead out of the folder, or is no file's, is a `ValueError`."""
    with pytest.raises(ValueError, match=r"^workspace: name"):
        store.workspace(name)


@pytest.mark.parametrize(
    "name", ["a b", "é\U0001f600", "-", ".hidden", "job.db", "job.db-wal", "%"]
)
def test_odd_names(store: groupstore.Store, name: str) -> None:
    """Any other name works, and is found again."""
    store.workspace(name).close()
    [workspace] = store.recover_workspaces()
    with workspace:
        assert workspace.name == name


def test_longest_name(store: groupstore.Store) -> None:
    """The longest name leaves room for SQLite's side files."""
    with store.workspace("x" * 236) as workspace:
        workspace.put("like")
        assert workspace.count() == 1
    with pytest.raises(ValueError, match="at most 236 bytes"):
        store.workspace("x" * 237)


def test_wrong_name_type(store: groupstore.Store) -> None:
    """A name is a `str`."""
    with pytest.raises(TypeError, match=r"^workspace: name must be str, not bytes"):
        store.workspace(b"job")  # type: ignore[arg-type]


def test_existing(store: groupstore.Store) -> None:
    """A name is taken while its workspace is open, and while its file is there."""
    with store.workspace("job"), pytest.raises(WorkspaceExistsError, match="in use"):
        store.workspace("job")
    with pytest.raises(WorkspaceExistsError, match="there already"):
        store.workspace("job")
    [workspace] = store.recover_workspaces()
    workspace.discard()
    store.workspace("job").discard()


def test_existing_elsewhere(
    file_store: groupstore.Store, run: Callable[..., str], path: Path
) -> None:
    """A name that another process uses is taken."""
    script = """
import sys, groupstore
with groupstore.Store(sys.argv[1], purge_interval=None) as store:
    try:
        store.workspace("job")
    except groupstore.WorkspaceExistsError:
        print("taken", store.recover_workspaces())
"""
    with file_store.workspace("job") as workspace:
        workspace.put("like")
        assert run(script, path) == "taken []\n"
        assert workspace.count() == 1


def test_two_stores_of_one_process(open_store: Opener) -> None:
    """Two stores of one process on one file do not take each other's workspaces."""
    one, other = open_store(), open_store()
    with one.workspace("job") as workspace:
        with pytest.raises(WorkspaceExistsError):
            other.workspace("job")
        assert other.recover_workspaces() == []
        other.workspace("other").discard()
        workspace.put("like")
        assert other.recover_workspaces() == []


CALLS: dict[str, Callable[[Workspace], object]] = {
    "put": lambda workspace: workspace.put("like"),
    "put_many": lambda workspace: workspace.put_many("like", [{}]),
    "count": lambda workspace: workspace.count(),
    "aggregate": lambda workspace: workspace.aggregate(),
    "commit": lambda workspace: workspace.commit(),
    "enter": lambda workspace: workspace.__enter__(),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("end", ["close", "commit", "discard"])
def test_after_the_end(store: groupstore.Store, call: str, end: str) -> None:
    """Every call on a workspace that is closed, committed or discarded says so."""
    workspace = store.workspace("job")
    workspace.put("like")
    getattr(workspace, end)()
    assert workspace.closed
    assert Path(workspace.path).exists() == (end == "close")
    with pytest.raises(StoreError, match=rf"^{call}: workspace 'job' (is closed|was )"):
        CALLS[call](workspace)
    workspace.close()
    workspace.discard()
    workspace.discard()
    assert not Path(workspace.path).exists()
    assert workspace.name == "job"


def test_discard_of_another(store: groupstore.Store) -> None:
    """Discarding what was closed spares a workspace that took its name since."""
    old = store.workspace("job")
    old.close()
    [taken] = store.recover_workspaces()
    with pytest.raises(StoreError, match="in use again"):
        old.discard()
    taken.discard()
    store.workspace("job").close()
    old.discard()
    [new] = store.recover_workspaces()
    new.discard()


def test_store_closes_its_workspaces(file_store: groupstore.Store) -> None:
    """Closing the store closes its workspaces, and keeps their files."""
    workspaces = [file_store.workspace(name) for name in "ab"]
    workspaces[0].put("like")
    file_store.close()
    assert all(workspace.closed for workspace in workspaces)
    assert all(Path(workspace.path).exists() for workspace in workspaces)
    with pytest.raises(StoreError, match="is closed"):
        workspaces[0].put("like")
    with pytest.raises(StoreClosedError):
        file_store.workspace("c")
    with pytest.raises(StoreClosedError):
        file_store.recover_workspaces()


def test_read_only(open_store: Opener) -> None:
    """A store that can be read only has no use for workspaces."""
    open_store().close()
    store = open_store(read_only=True)
    with pytest.raises(groupstore.ReadOnlyError, match=r"^workspace: "):
        store.workspace("job")
    with pytest.raises(groupstore.ReadOnlyError, match=r"^recover_workspaces: "):
        store.recover_workspaces()


def test_forgotten(file_store: groupstore.Store) -> None:
    """A workspace that is collected unclosed warns, and can be recovered at once."""
    workspace = file_store.workspace("job")
    workspace.put("like")
    with pytest.warns(ResourceWarning, match="unclosed <Workspace 'job'>"):
        del workspace
        gc.collect()
    with file_store.recover_workspaces()[0] as again:
        assert again.aggregate() == {"like": 1}


def test_keeps_the_store(path: Path) -> None:
    """A store of which only a workspace is left goes on with it."""
    workspace = groupstore.Store(path, purge_interval=None).workspace("job")
    workspace.put("like")
    store = workspace._store
    assert workspace.commit() == {"like": 1}
    assert store.get("workspace:job", "summary") == '{"like":1}'
    store.close()


def test_threads(store: groupstore.Store, threads: ThreadPoolExecutor) -> None:
    """Threads that put together lose nothing."""
    with store.workspace("job") as workspace:

        def work(number: int) -> None:
            for n in range(50):
                workspace.put(f"kind-{number % 3}", {"n": n})
            workspace.put_many("many", [{}] * 20)

        list(threads.map(work, range(6)))
        assert workspace.aggregate() == {"kind-0": 100, "kind-1": 100, "kind-2": 100, "many": 120}


def test_survives_a_kill(
    file_store: groupstore.Store, start: Callable[..., Any], path: Path
) -> None:
    """Every `put` that returned is there after its process was killed."""
    process = start(
        """
import sys, groupstore
store = groupstore.Store(sys.argv[1], purge_interval=None)
workspace = store.workspace("job")
for n in range(1_000_000):
    workspace.put("like", {"n": n})
    print(n, flush=True)
""",
        path,
    )
    for _ in range(100):
        process.stdout.readline()
    process.kill()
    acknowledged = 100 + sum(line.endswith("\n") for line in process.stdout)
    process.wait()
    [workspace] = file_store.recover_workspaces()
    with workspace:
        assert workspace.count() in (acknowledged, acknowledged + 1)
        workspace.put("like")


def test_plain_use_loads_nothing(run: Callable[..., str], path: Path) -> None:
    """A store without workspaces does not load what they need."""
    run(
        """
import sys, groupstore
with groupstore.Store(sys.argv[1]) as store:
    store.set("g", "k", "v")
assert not [name for name in sys.modules if name.startswith("groupstore.workspace")]
assert groupstore.Workspace.__name__ == "Workspace"
""",
        path,
    )


def test_unmakeable_folder(open_store: Opener, tmp_path: Path) -> None:
    """A state folder that cannot be made is a `StorageError`."""
    (tmp_path / "file").write_text("")
    store = open_store(state_directory=tmp_path / "file")
    with pytest.raises(groupstore.StorageError):
        store.workspace("job")
    with pytest.raises(groupstore.StorageError):
        store.recover_workspaces()


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no links here")
def test_linked_lock_file(file_store: groupstore.Store, path: Path, tmp_path: Path) -> None:
    """A link in the place of the lock file is not followed."""
    folder = Path(f"{path}.state")
    folder.mkdir()
    (folder / ".lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(groupstore.StorageError):
        file_store.workspace("job")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.skipif(not hasattr(signal, "raise_signal") or os.name != "posix", reason="POSIX's")
def test_signal_in_the_middle(
    file_store: groupstore.Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler in the middle of an import cannot put what might be lost; its close waits."""
    workspace = file_store.workspace("job")
    path = tmp_path / "a.jsonl"
    path.write_text('{"n":1}\n{"n":2}\n')
    refused: list[str] = []

    def handle(*arguments: object) -> None:
        with pytest.raises(StoreError) as caught:
            workspace.put("inner")
        refused.append(str(caught.value))
        workspace.close()

    row = importing._row

    def signalled(*arguments: Any) -> Any:
        if not refused:
            signal.raise_signal(signal.SIGUSR1)
        return row(*arguments)

    monkeypatch.setattr(importing, "_row", signalled)
    before = signal.signal(signal.SIGUSR1, handle)
    try:
        assert workspace.import_file(path) == 2
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert refused[0].startswith("put: workspace 'job' is in the middle")
    assert workspace.closed
    [recovered] = file_store.recover_workspaces()
    assert recovered.aggregate() == {"a": 2}


def test_rows_that_are_none(store: groupstore.Store) -> None:
    """What is not iterable is a `TypeError` that names the call."""
    with store.workspace("job") as workspace, pytest.raises(TypeError, match=r"^put_many: rows"):
        workspace.put_many("k", 5)  # type: ignore[arg-type]
