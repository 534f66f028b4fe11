"""Commits: what they leave in the store, and that they happen exactly once."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import groupstore
from groupstore import StoreError
from groupstore.workspace import recording

Opener = Callable[..., groupstore.Store]
Foreign = Callable[..., list[list[Any]]]

JOURNAL = "SELECT entry_id, bucket_name, measurement, fields_json, tags_json FROM journal_entries"


def journal(store: groupstore.Store) -> list[tuple[Any, ...]]:
    """The journal's rows, without their time."""
    with store._engine.read("test") as connection:
        return connection.execute(JOURNAL).fetchall()


def recorded(store: groupstore.Store) -> int:
    """How many identities the store remembers."""
    with store._engine.read("test") as connection:
        [(number,)] = connection.execute("SELECT count(*) FROM groupstore_workspaces").fetchall()
        return int(number)


def test_commit(open_store: Opener, storage: str) -> None:
    """A commit gives the aggregate, and leaves a journal entry, a summary and its SET, no file."""
    store = open_store(storage, journal_bucket="b")
    events = store.watch()
    workspace = store.workspace("jöb")
    workspace.put_many("like", [{}] * 3)
    workspace.put("élan")
    assert workspace.commit() == {"like": 3, "élan": 1}
    text = '{"like":3,"élan":1}'
    assert journal(store) == [(1, "b", "jöb", text, '{"workspace":"jöb"}')]
    assert store.get("workspace:jöb", "summary") == text
    event = events.get_nowait()
    assert event is not None
    assert (str(event.type), event.group, event.key, event.value) == (
        *("set", "workspace:jöb", "summary", text),
    )
    assert events.get_nowait() is None
    assert os.listdir(Path(workspace.path).parent) == [".lock"]
    assert recorded(store) == 0
    assert store.check() == []


def test_empty_commit(store: groupstore.Store) -> None:
    """A workspace without entries commits an empty aggregate."""
    assert store.workspace("job").commit() == {}
    assert store.get("workspace:job", "summary") == "{}"


def test_same_name_again(store: groupstore.Store) -> None:
    """A name can be used again after a commit; each commit is an entry."""
    for number in (1, 2):
        workspace = store.workspace("job")
        workspace.put_many("like", [{}] * number)
        workspace.commit()
    assert [row[3] for row in journal(store)] == ['{"like":1}', '{"like":2}']
    assert store.get("workspace:job", "summary") == '{"like":2}'


def test_in_a_transaction(store: groupstore.Store) -> None:
    """Inside a transaction a commit is refused, and the workspace goes on."""
    workspace = store.workspace("job")
    with store.transaction(), pytest.raises(StoreError, match=r"^commit: .*transaction"):
        workspace.commit()
    workspace.put("like")
    assert workspace.commit() == {"like": 1}


def test_failed_commit(open_store: Opener, start: Callable[..., Any], path: Path) -> None:
    """A commit that the store refuses leaves the workspace as it was."""
    store = open_store(busy_timeout=0.01)
    workspace = store.workspace("job")
    workspace.put("like")
    other = start(
        """
import sys, groupstore
with groupstore.Store(sys.argv[1]) as store, store.transaction():
    print("locked", flush=True)
    sys.stdin.read()
""",
        path,
    )
    assert other.stdout.readline() == "locked\n"
    with pytest.raises(groupstore.StoreBusyError):
        workspace.commit()
    other.communicate("")
    workspace.put("like")
    assert workspace.commit() == {"like": 2}
    assert len(journal(store)) == 1


def test_callback_that_uses_everything(store: groupstore.Store) -> None:
    """A callback of the commit's SET may read the store, and is refused the workspace."""
    workspace = store.workspace("job")
    workspace.put("like")
    seen: list[object] = []

    def look(event: groupstore.Event) -> None:
        with pytest.raises(StoreError, match="is being committed"):
            workspace.put("like")
        with pytest.raises(StoreError, match="is being committed"):
            workspace.discard()
        with pytest.raises(StoreError, match="is being committed"):
            workspace.commit()
        with store.workspace("other") as other:
            seen.append((store.get("workspace:job", "summary"), workspace.closed, other.count()))

    unregister = store.on_change(look)
    assert workspace.commit() == {"like": 1}
    unregister()
    assert seen == [('{"like":1}', False, 0)]


def test_callback_that_closes(file_store: groupstore.Store) -> None:
    """A callback of the commit's SET that closes workspace and store does not undo the commit."""
    workspace = file_store.workspace("job")
    workspace.put("like")
    file_store.on_change(lambda event: (workspace.close(), file_store.close()))
    assert workspace.commit() == {"like": 1}
    assert not Path(workspace.path).exists()


def test_interrupt_after_the_commit(run: Callable[..., str], path: Path) -> None:
    """Ctrl-C that arrives once the store has committed does not commit twice, nor keep the file."""
    out = run(
        """
import os, sys, groupstore
from groupstore.workspace import recording
store = groupstore.Store(sys.argv[1])
workspace = store.workspace("job")
workspace.put("like")
record = recording.record

def interrupted(*arguments):
    record(*arguments)
    raise KeyboardInterrupt

recording.record = interrupted
try:
    workspace.commit()
except KeyboardInterrupt:
    print(workspace.closed, os.path.exists(workspace.path), store.recover_workspaces())
store.close()
""",
        path,
    )
    assert out == "True False []\n"


# Each names a function whose call is the last thing that the process does: before, or after it.
STEPS = [
    ("recording", "record", "before"),
    ("recording", "to_json", "before"),
    ("recording", "record", "after"),
    ("buffer_file", "remove", "before"),
    ("buffer_file", "_unlink", "after"),
    ("buffer_file", "remove", "after"),
    ("workspace", "sync_folder", "after"),
    ("recording", "forget", "before"),
    ("recording", "forget", "after"),
]

DYING = """
import os, sys, groupstore
from groupstore.workspace import buffer_file, recording, workspace as workspace_module
path, module, name, when = sys.argv[1:]
store = groupstore.Store(path, durability="normal", purge_interval=None)
earlier = store.workspace("job")
earlier.put("earlier")
earlier.commit()
workspace = store.workspace("job")
workspace.put_many("like", [{}] * 5)
modules = {"buffer_file": buffer_file, "recording": recording, "workspace": workspace_module}
module = modules[module]
original = getattr(module, name)

def dying(*arguments, **options):
    if when == "after":
        original(*arguments, **options)
    os._exit(7)

setattr(module, name, dying)
workspace.commit()
"""


@pytest.mark.parametrize(("module", "name", "when"), STEPS)
def test_death_between_steps(
    file_store: groupstore.Store, start: Any, path: Path, module: str, name: str, when: str
) -> None:
    """Wherever a commit dies, recovery makes it one journal entry, and no file."""
    process = start(DYING, path, module, name, when)
    process.communicate()
    assert process.returncode == 7
    before = [row[3] for row in journal(file_store)]
    events = file_store.watch()
    for workspace in file_store.recover_workspaces():
        assert before == ['{"earlier":1}']
        assert (workspace.name, workspace.aggregate()) == ("job", {"like": 5})
        assert workspace.commit() == {"like": 5}
    assert [row[3] for row in journal(file_store)] == ['{"earlier":1}', '{"like":5}']
    assert file_store.get("workspace:job", "summary") == '{"like":5}'
    assert len(events) == (before == ['{"earlier":1}'])
    assert not list(Path(f"{path}.state").glob("*.db"))
    assert file_store.recover_workspaces() == []
    # The name is free, whatever lies about.
    workspace = file_store.workspace("job")
    assert workspace.aggregate() == {}
    workspace.discard()


def test_death_inside_the_transaction(file_store: groupstore.Store, start: Any, path: Path) -> None:
    """A commit that dies inside the store's transaction has not happened."""
    process = start(
        """
import os, sys, groupstore
store = groupstore.Store(sys.argv[1], purge_interval=None)
workspace = store.workspace("job")
workspace.put("like")

class Dying(groupstore.Store):
    def set(self, *arguments, **options):
        super().set(*arguments, **options)
        os._exit(7)

workspace._store = Dying(sys.argv[1], purge_interval=None)
workspace.commit()
""",
        path,
    )
    process.communicate()
    assert process.returncode == 7
    assert journal(file_store) == []
    [workspace] = file_store.recover_workspaces()
    assert workspace.commit() == {"like": 1}
    assert len(journal(file_store)) == 1


@pytest.mark.skipif(os.name != "posix", reason="only there a removal fails so")
def test_file_that_stays(
    file_store: groupstore.Store, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """A commit whose file cannot be removed is done; recovery removes the file."""
    workspace = file_store.workspace("job")
    workspace.put("like")

    def failing(path: str) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("groupstore.workspace.buffer_file._unlink", failing)
        with caplog.at_level(logging.WARNING, "groupstore"):
            assert workspace.commit() == {"like": 1}
            assert file_store.recover_workspaces() == []
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert Path(workspace.path).exists()
    assert recorded(file_store) == 1
    assert file_store.recover_workspaces() == []
    assert not Path(workspace.path).exists()
    assert recorded(file_store) == 0
    assert len(journal(file_store)) == 1


def test_file_stays_readable(
    file_store: groupstore.Store, foreign: Foreign, open_store: Opener
) -> None:
    """After a commit the store's file is as another program and a new store expect it."""
    file_store.workspace("job").commit()
    [[fields, tags, committed_at]] = foreign(
        "SELECT fields_json, tags_json, committed_at FROM journal_entries"
    )
    assert (json.loads(fields), json.loads(tags)) == ({}, {"workspace": "job"})
    assert committed_at > 1_600_000_000_000
    foreign(
        "INSERT INTO entries VALUES ('g', 'k', 'v', NULL)"
        " ON CONFLICT (group_name, entry_key) DO UPDATE SET entry_value = 'v'"
    )
    assert file_store.get("g", "k") == "v"
    assert open_store().check() == []


@pytest.mark.parametrize("place", ["sync_folder", "is_recorded"])
def test_interrupt_at_the_end(
    file_store: groupstore.Store, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Ctrl-C during the end of a commit leaves a workspace that has ended, its name free again."""
    workspace = file_store.workspace("job")
    workspace.put("like")

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if place == "sync_folder":
            patch.setattr("groupstore.workspace.workspace.sync_folder", interrupted)
        else:
            patch.setattr(recording, "record", interrupted)
            patch.setattr(recording, "is_recorded", interrupted)
        with pytest.raises(KeyboardInterrupt):
            workspace.commit()
    assert workspace.closed
    for left in file_store.recover_workspaces():
        left.discard()
    file_store.workspace("job").discard()
