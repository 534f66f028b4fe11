"""Recovery of what dead processes left: each file once, whatever lies in the folder."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import groupstore

Opener = Callable[..., groupstore.Store]

needs_posix = pytest.mark.skipif(os.name != "posix", reason="only there")


@pytest.fixture
def folder(path: Path) -> Path:
    """The state folder, made."""
    folder = Path(f"{path}.state")
    folder.mkdir()
    return folder


@pytest.fixture
def left(path: Path, start: Callable[..., Any]) -> Callable[..., None]:
    """Has a process make workspaces, with an entry each, and die."""

    def leave(*names: str) -> None:
        process = start(
            """
import os, sys, groupstore
store = groupstore.Store(sys.argv[1], durability="normal", purge_interval=None)
workspaces = []
for name in sys.argv[2:]:
    workspaces.append(store.workspace(name))
    workspaces[-1].put("like", {"name": name})
os._exit(7)
""",
            path,
            *names,
        )
        out, err = process.communicate()
        assert (process.returncode, out, err) == (7, "", "")

    return leave


def names(workspaces: list[groupstore.Workspace]) -> list[str]:
    return [workspace.name for workspace in workspaces]


def test_name_order(file_store: groupstore.Store, left: Callable[..., None]) -> None:
    """What a dead process left comes back open, in the order of names, once."""
    left("b", "a", "é", "B", "a b")
    recovered = file_store.recover_workspaces()
    assert names(recovered) == ["B", "a", "a b", "b", "é"]
    assert file_store.recover_workspaces() == []
    for workspace in recovered:
        assert workspace.aggregate() == {"like": 1}
        workspace.put("more")
        assert workspace.count() == 2
        workspace.close()
    assert names(file_store.recover_workspaces()) == names(recovered)


def test_nothing_there(store: groupstore.Store, tmp_path: Path) -> None:
    """A folder that is missing or empty holds nothing, and is left so."""
    assert store.recover_workspaces() == []
    assert store.recover_workspaces(tmp_path / "missing") == []
    (tmp_path / "empty").mkdir()
    assert store.recover_workspaces(str(tmp_path / "empty")) == []
    assert not (tmp_path / "missing").exists()
    assert list((tmp_path / "empty").iterdir()) == []
    with pytest.raises(TypeError):
        store.recover_workspaces(7)  # type: ignore[arg-type]


def test_another_folder(
    open_store: Opener, left: Callable[..., None], path: Path, tmp_path: Path
) -> None:
    """A folder given is looked through instead of the store's own."""
    left("a")
    store = open_store(state_directory=tmp_path / "own")
    store.workspace("own").close()
    [workspace] = store.recover_workspaces(f"{path}.state")
    assert workspace.commit() == {"like": 1}
    assert store.get("workspace:a", "summary") == '{"like":1}'
    assert names(store.recover_workspaces()) == ["own"]


def damaged_page(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for start in range(4096, len(content), 4096):
        content[start : start + 64] = b"\xff" * 64
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def header(path: Path, position: int, value: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] = value
    path.write_bytes(content)


def garbage(path: Path) -> None:
    path.write_bytes(b"no database " * 1000)


def database(*statements: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        connection = sqlite3.connect(path)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()

    return make


BAD: dict[str, Callable[[Path], Any]] = {
    "garbage": garbage,
    "empty": lambda path: path.write_bytes(b""),
    "one byte": lambda path: path.write_bytes(b"x"),
    "damaged pages": damaged_page,
    "cut": cut,
    "one table more": database("CREATE TABLE t (x)"),
    "trigger": database("CREATE TRIGGER t AFTER INSERT ON workspace_entries BEGIN SELECT 1; END"),
    "no identity": database("DELETE FROM workspace_identity"),
    "two identities": database("INSERT INTO workspace_identity VALUES ('x')"),
    "no JSON": database("UPDATE workspace_entries SET data = '{'"),
    "blob": database("UPDATE workspace_entries SET data = x'7b7d'"),
    "read version": lambda path: header(path, 18, 3),
    "schema format": lambda path: header(path, 47, 9),
    "no object": database("UPDATE workspace_entries SET data = '[]'"),
    "no kind": database("UPDATE workspace_entries SET kind = ''"),
    "text as time": database("UPDATE workspace_entries SET created_at = 'x'"),
    "data no UTF-8": database(
        """UPDATE workspace_entries SET data = CAST(x'7b2261223a22ff227d' AS TEXT)"""
    ),
    "no UTF-8": database("UPDATE workspace_entries SET kind = CAST(x'ff' AS TEXT)"),
}


@pytest.mark.skipif(os.name != "posix", reason="links need no rights on POSIX")
def test_a_link_for_a_quarantine(
    file_store: groupstore.Store, path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A link in the quarantine's place is not followed: the file stays where it is."""
    file_store.workspace("a").close()
    folder, elsewhere = Path(f"{path}.state"), tmp_path / "elsewhere"
    BAD[next(iter(BAD))](folder / "a.db")
    elsewhere.mkdir()
    (folder / "quarantine").symlink_to(elsewhere)
    with caplog.at_level(logging.ERROR, "groupstore"):
        assert file_store.recover_workspaces() == []
    assert list(elsewhere.iterdir()) == []
    assert (folder / "a.db").exists()
    assert "a link is not followed" in caplog.records[0].getMessage()


@pytest.mark.parametrize("damage", BAD)
def test_quarantine(
    file_store: groupstore.Store, path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be read is moved aside as it is, and logged; the others come back."""
    for name in ("a", "b", "c"):
        with file_store.workspace(name) as workspace:
            workspace.put_many("like", [{"text": "x" * 500}] * 50)
    folder = Path(f"{path}.state")
    BAD[damage](folder / "b.db")
    content = (folder / "b.db").read_bytes()
    with caplog.at_level(logging.ERROR, "groupstore"):
        recovered = file_store.recover_workspaces()
    assert names(recovered) == ["a", "c"]
    assert (folder / "quarantine" / "b.db").read_bytes() == content
    assert not (folder / "b.db").exists()
    [record] = caplog.records
    assert (record.name, record.levelname) == ("groupstore", "ERROR")
    assert str(folder / "b.db") in record.getMessage()
    if os.name == "posix":
        assert (folder / "quarantine").stat().st_mode & 0o777 == 0o700
    file_store.workspace("b").discard()


def test_quarantine_overwrites_nothing(file_store: groupstore.Store, folder: Path) -> None:
    """Files of one name are kept side by side, with what belongs to them."""
    for number in range(3):
        (folder / "a.db").write_bytes(b"bad %d" % number)
        if number != 1:
            (folder / "a.db-wal").write_bytes(b"wal %d" % number)
        assert file_store.recover_workspaces() == []
    found = {file.name: file.read_bytes() for file in (folder / "quarantine").iterdir()}
    assert found == {
        **{"a.db": b"bad 0", "a.db-wal": b"wal 0", "a.db.1": b"bad 1"},
        **{"a.db.2": b"bad 2", "a.db.2-wal": b"wal 2"},
    }
    assert sorted(os.listdir(folder)) == [".lock", "quarantine"]


def test_what_is_left_alone(
    file_store: groupstore.Store, folder: Path, left: Callable[..., None]
) -> None:
    """Folders, other files, and names that no workspace can have stay where they are."""
    left("a")
    (folder / "folder.db").mkdir()
    (folder / "notes.txt").write_text("x")
    (folder / "..db").write_text("x")
    (folder / ".db").write_text("x")
    before = sorted(os.listdir(folder))
    assert names(file_store.recover_workspaces()) == ["a"]
    assert sorted(os.listdir(folder)) == before


@needs_posix
def test_names_that_are_no_text(file_store: groupstore.Store, folder: Path) -> None:
    """A file name that is no UTF-8 is passed over."""
    strange = folder / os.fsdecode(b"\xff.db")
    try:
        os.close(os.open(strange, os.O_CREAT | os.O_WRONLY))
    except OSError:
        pytest.skip("this file system holds no such name")
    file_store.workspace("a").close()
    assert names(file_store.recover_workspaces()) == ["a"]
    assert strange.exists()


@needs_posix
def test_links_are_not_followed(
    file_store: groupstore.Store, folder: Path, tmp_path: Path, path: Path
) -> None:
    """A link is left alone with what it points at; one in a side file's place is quarantined."""
    outside = tmp_path / "outside.db"
    file_store.workspace("a").close()
    (folder / "a.db").rename(outside)
    (folder / "a.db").symlink_to(outside)
    content = outside.read_bytes()
    file_store.workspace("b").close()
    log = tmp_path / "log"
    log.write_bytes(b"x" * 5000)
    (folder / "b.db-wal").symlink_to(log)
    assert file_store.recover_workspaces() == []
    assert outside.read_bytes() == content
    assert (folder / "a.db").is_symlink()
    assert log.read_bytes() == b"x" * 5000
    assert (folder / "quarantine" / "b.db").exists()
    with pytest.raises(groupstore.WorkspaceExistsError):
        file_store.workspace("a")


def test_linked_state_folder(
    open_store: Opener, left: Callable[..., None], path: Path, tmp_path: Path
) -> None:
    """The state folder itself may be a link, and is the same folder by each name."""
    left("a")
    link = tmp_path / "link"
    link.symlink_to(f"{path}.state", target_is_directory=True)
    store = open_store(state_directory=link)
    [workspace] = store.recover_workspaces()
    assert open_store().recover_workspaces() == []
    assert store.recover_workspaces(f"{path}.state") == []
    workspace.put("like")
    assert workspace.commit() == {"like": 2}


def test_live_ones_are_left_alone(
    file_store: groupstore.Store, start: Callable[..., Any], path: Path
) -> None:
    """Workspaces of a living process stay its own until it ends."""
    process = start(
        """
import sys, groupstore
store = groupstore.Store(sys.argv[1], purge_interval=None)
live, closed = store.workspace("live"), store.workspace("closed")
live.put("like")
closed.close()
print("ready", flush=True)
sys.stdin.read()
live.put("like")
import os
os._exit(0)
""",
        path,
    )
    assert process.stdout.readline() == "ready\n"
    [closed] = file_store.recover_workspaces()
    assert closed.name == "closed"
    assert process.communicate("") == ("", "")
    [workspace] = file_store.recover_workspaces()
    assert workspace.aggregate() == {"like": 2}


def test_open_in_another_program(
    file_store: groupstore.Store, start: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """A file that another program has locked is left where it is."""
    workspace = file_store.workspace("a")
    workspace.put("like")
    workspace.close()
    process = start(
        """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
connection.close()
""",
        workspace.path,
    )
    assert process.stdout.readline() == "locked\n"
    with caplog.at_level(logging.WARNING, "groupstore"):
        assert file_store.recover_workspaces() == []
    assert len(caplog.records) == 1
    assert process.communicate("") == ("", "")
    assert names(file_store.recover_workspaces()) == ["a"]


RACER = """
import json, os, sys, groupstore
store = groupstore.Store(sys.argv[1], durability="normal", purge_interval=None, busy_timeout=60)
print("ready", flush=True)
sys.stdin.readline()
recovered = store.recover_workspaces()
print(json.dumps([(w.name, w.aggregate()) for w in recovered]), flush=True)
sys.stdin.readline()
for workspace in recovered:
    workspace.commit()
store.close()
"""


def test_eight_processes_at_once(
    file_store: groupstore.Store,
    start: Callable[..., Any],
    left: Callable[..., None],
    path: Path,
) -> None:
    """Each of many files is recovered by exactly one process, and each bad one moved once."""
    expected = [f"job-{number:02}" for number in range(40)]
    left(*expected)
    folder = Path(f"{path}.state")
    for number in range(5):
        (folder / f"bad-{number}.db").write_bytes(b"bad" * 1000)
    racers = [start(RACER, path) for _ in range(8)]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("\n")
        racer.stdin.flush()
    found = [json.loads(racer.stdout.readline()) for racer in racers]
    for share in found:
        assert share == sorted(share)
    assert sorted(name for share in found for name, _ in share) == expected
    assert all(aggregate == {"like": 1} for share in found for _, aggregate in share)
    for racer in racers:
        out, err = racer.communicate("\n")
        assert (racer.returncode, out, err.count("moved to")) == (0, "", err.count("\n"))
    assert len(list((folder / "quarantine").iterdir())) == 5
    assert [group for group in file_store.groups() if group != "g"] == [
        f"workspace:{name}" for name in expected
    ]
    with file_store._engine.read("test") as connection:
        rows = connection.execute("SELECT measurement FROM journal_entries").fetchall()
    assert sorted(name for (name,) in rows) == expected


def test_thousands(file_store: groupstore.Store, path: Path) -> None:
    """Far more leftovers than a process may have files open come back, and can be used."""
    with file_store.workspace("job-0000") as workspace:
        workspace.put("like")
    folder = Path(f"{path}.state")
    content = (folder / "job-0000.db").read_bytes()
    for number in range(1, 2500):
        (folder / f"job-{number:04}.db").write_bytes(content)
    recovered = file_store.recover_workspaces()
    assert len(recovered) == 2500
    assert sum(workspace.count() for workspace in recovered) == 2500
    for workspace in recovered[:50]:
        workspace.put("like")
        workspace.discard()
    assert file_store.recover_workspaces() == []
    for workspace in recovered:
        workspace.close()
    assert len(list(folder.glob("*.db"))) == 2450


def test_unfinished_making(
    file_store: groupstore.Store, start: Callable[..., Any], path: Path
) -> None:
    """A process that dies while it makes a workspace leaves nothing in the way of the next."""
    process = start(
        """
import os, sys, groupstore
os.rename = lambda *arguments: os._exit(7)
groupstore.Store(sys.argv[1], purge_interval=None).workspace("job")
""",
        path,
    )
    process.communicate()
    assert process.returncode == 7
    assert file_store.recover_workspaces() == []
    workspace = file_store.workspace("job")
    workspace.put("like")
    workspace.discard()
    assert os.listdir(f"{path}.state") == [".lock"]


def test_foreign_databases_stay(
    file_store: groupstore.Store, path: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A sound database that is no workspace stays where it is, and so does the store's own file."""
    database("CREATE TABLE t (x)")(folder / "theirs.db")
    assert file_store.recover_workspaces() == []
    assert (folder / "theirs.db").exists()
    assert "no workspace" in caplog.text
    assert file_store.recover_workspaces(path.parent) == []
    assert path.exists()
    for bad in ("", "a\0b"):
        with pytest.raises(ValueError, match=r"^recover_workspaces: "):
            file_store.recover_workspaces(bad)
    with pytest.raises(TypeError, match=r"^recover_workspaces: "):
        file_store.recover_workspaces(b"x")  # type: ignore[arg-type]


@needs_posix
def test_link_as_default_folder(file_store: groupstore.Store, path: Path, tmp_path: Path) -> None:
    """The folder beside the store's file may be a link to another one."""
    (tmp_path / "elsewhere").mkdir()
    Path(f"{path}.state").symlink_to(tmp_path / "elsewhere")
    workspace = file_store.workspace("job")
    workspace.put("like")
    workspace.close()
    recovered = file_store.recover_workspaces()
    assert names(recovered) == ["job"]
    recovered[0].discard()
