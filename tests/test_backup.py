"""backup: a whole copy of one instant, made beside writers, or none at all."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import groupstore
from conftest import Opener
from groupstore import StorageError, StoreClosedError, StoreError
from test_dump import Enough

Foreign = Callable[..., list[list[Any]]]


def fill(store: groupstore.Store, rows: int = 3000) -> None:
    """A store of some hundred pages."""
    store.set_many("g", {f"k{n:05}": f"{n:0300}" for n in range(rows)})


def listed(folder: Path) -> list[str]:
    """The names of what is in a folder."""
    return sorted(os.listdir(folder))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where nothing but the backup is."""
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder


def test_copy(store: groupstore.Store, folder: Path) -> None:
    """The copy is a store with the same content, sound, without side files."""
    fill(store)
    store.set("acme:a", "b", b"\xff", ttl=1000)
    store.backup(folder / "copy.db")
    assert listed(folder) == ["copy.db"]
    with groupstore.Store(folder / "copy.db") as copy:
        assert copy.check() == []
        assert copy.get_all("g") == store.get_all("g")
        assert copy.get("acme:a", "b") == b"\xff"
        assert copy.ttl("acme:a", "b") is not None
        copy.set("g", "k", "only here")
    assert store.get("g", "k", None) is None


def test_copy_can_be_read_only(store: groupstore.Store, folder: Path) -> None:
    """The copy needs no migration, and is whole without any log."""
    store.set("g", "k", "v")
    store.backup(folder / "copy.db")
    with groupstore.Store(folder / "copy.db", read_only=True) as copy:
        assert copy.get("g", "k") == "v"


def test_replaces_what_was_there(store: groupstore.Store, folder: Path) -> None:
    """An older backup, or any file, gives way once the new one is complete."""
    target = folder / "copy.db"
    target.write_text("older")
    target.chmod(0o644)
    for value in ("one", "two"):
        store.set("g", "k", value)
        store.backup(target)
        with groupstore.Store(target) as copy:
            assert copy.get("g", "k") == value
        assert listed(folder) == ["copy.db"]


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_mode(store: groupstore.Store, folder: Path) -> None:
    """The file is its owner's alone, from its making on."""
    fill(store)
    modes: set[int] = set()

    def progress(done: int, total: int) -> None:
        modes.update(stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir())

    store.backup(folder / "copy.db", progress)
    modes.add(stat.S_IMODE((folder / "copy.db").stat().st_mode))
    assert modes == {0o600}


def test_one_instant_beside_threads(
    file_store: groupstore.Store, folder: Path, threads: ThreadPoolExecutor
) -> None:
    """Writers go on at each step, and nothing that they write is in the copy."""
    fill(file_store)
    steps = 0

    def progress(done: int, total: int) -> None:
        nonlocal steps
        steps += 1
        items = {f"k{n:05}": "after" for n in range(3000)}
        threads.submit(file_store.set_many, "g", items).result()
        file_store.set("steps", str(steps), "from this thread")

    file_store.backup(folder / "copy.db", progress)
    assert file_store.count("steps") == steps > 0
    with groupstore.Store(folder / "copy.db") as copy:
        assert copy.check() == []
        assert copy.get_all("g") == {f"k{n:05}": f"{n:0300}" for n in range(3000)}
        assert copy.groups() == ["g"]


def test_ends_beside_a_steady_writer(
    file_store: groupstore.Store, path: Path, folder: Path, start: Callable[..., Any]
) -> None:
    """Another process that never stops to write cannot hold it up; the copy is of one commit."""
    fill(file_store)
    writer = start(
        """
        import sys, groupstore
        with groupstore.Store(sys.argv[1], durability="normal") as store:
            for n in range(10**9):
                store.set_many("pair", {"left": str(n), "right": str(n)})
                if n == 100:
                    print("writing", flush=True)
        """,
        path,
    )
    assert writer.stdout.readline() == "writing\n"
    before = int(file_store.get("pair", "left"))
    for _ in range(3):
        file_store.backup(folder / "copy.db")
    after = int(file_store.get("pair", "left"))
    with groupstore.Store(folder / "copy.db") as copy:
        assert copy.check() == []
        pair = copy.get_all("pair")
    assert pair["left"] == pair["right"]
    assert before <= int(pair["left"]) <= after


@pytest.mark.parametrize("storage", ["memory", "exclusive"])
def test_threads_wait(store: groupstore.Store, folder: Path, threads: ThreadPoolExecutor) -> None:
    """Where there is one connection, a write in between waits and is done after it."""
    fill(store)
    begun = threading.Event()
    written = []

    def progress(done: int, total: int) -> None:
        if not begun.is_set():
            written.append(threads.submit(store.set, "g", "late", "v"))
            begun.set()

    store.backup(folder / "copy.db", progress)
    written[0].result()
    with groupstore.Store(folder / "copy.db") as copy:
        assert copy.count("g") == 3000
    assert store.count("g") == 3001


def test_not_by_the_turn(
    file_store: groupstore.Store, folder: Path, threads: ThreadPoolExecutor
) -> None:
    """A transaction of another thread neither holds it up nor is seen by it."""
    file_store.set("g", "k", "before")
    with file_store.transaction() as tx:
        tx.set("g", "k", "uncommitted")
        threads.submit(file_store.backup, folder / "copy.db").result()
    with groupstore.Store(folder / "copy.db") as copy:
        assert copy.get("g", "k") == "before"


def test_progress(store: groupstore.Store, folder: Path) -> None:
    """It rises to the number of pages, which is the size of the copy."""
    fill(store)
    seen: list[tuple[int, int]] = []
    store.backup(folder / "copy.db", progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert len(seen) > 1
    assert {total for _, total in seen} == {seen[-1][0]}
    # SQLite's pages are of 4096 bytes, unless somebody says otherwise.
    assert (folder / "copy.db").stat().st_size == seen[-1][0] * 4096


@pytest.mark.parametrize("at_end", [False, True])
def test_an_exception_ends_it(store: groupstore.Store, folder: Path, at_end: bool) -> None:
    """What progress raises comes out unchanged, what was there stays, and nothing is left."""
    fill(store)
    (folder / "copy.db").write_text("older")
    error = Enough()

    def progress(done: int, total: int) -> None:
        if (done == total) == at_end:
            raise error

    with pytest.raises(Enough) as raised:
        store.backup(folder / "copy.db", progress)
    assert raised.value is error
    assert (listed(folder), (folder / "copy.db").read_text()) == (["copy.db"], "older")
    store.set("g", "k", "still usable")
    assert store.check() == []


def test_own_path(file_store: groupstore.Store, path: Path, tmp_path: Path) -> None:
    """The store's own file, by its name, through a link or as a hard link, is refused."""
    file_store.set("g", "k", "v")
    (tmp_path / "link").symlink_to(path)
    os.link(path, tmp_path / "hard")
    here = os.path.relpath(path)
    for target in (path, here, f"{path}-wal", tmp_path / "link", tmp_path / "hard"):
        with pytest.raises(StoreError, match=r"backup: .*own file"):
            file_store.backup(target)
    assert file_store.check() == []
    assert file_store.get("g", "k") == "v"


def test_database_in_use(store: groupstore.Store, tmp_path: Path) -> None:
    """What another store has open is refused: its log would be played into the copy."""
    store.set("g", "k", "mine")
    with groupstore.Store(tmp_path / "other.db") as other:
        other.set("g", "k", "theirs")
        with pytest.raises(StoreError, match="in use"):
            store.backup(tmp_path / "other.db")
        assert other.check() == []
    store.backup(tmp_path / "other.db")
    with groupstore.Store(tmp_path / "other.db") as other:
        assert other.get("g", "k") == "mine"


def test_in_a_transaction(store: groupstore.Store, folder: Path) -> None:
    """A copy of what may be rolled back makes no sense."""
    with (
        store.transaction(),
        pytest.raises(StoreError, match="backup: not possible inside a transaction"),
    ):
        store.backup(folder / "copy.db")
    assert listed(folder) == []


def test_places_where_no_file_can_be(store: groupstore.Store, folder: Path) -> None:
    """A folder, and a folder that is not there, are StorageErrors that name the path."""
    for target in (folder, folder / "missing" / "copy.db", f"{folder}/copy/"):
        with pytest.raises(StorageError, match="backup: ") as raised:
            store.backup(target)
        assert str(folder) in str(raised.value)
    assert listed(folder) == []


def test_wrong_arguments(store: groupstore.Store, folder: Path) -> None:
    """Wrong types are TypeErrors, and no file is made."""
    with pytest.raises(TypeError):
        store.backup(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        store.backup(folder / "copy.db", 5)  # type: ignore[arg-type]
    assert listed(folder) == []


def test_read_only(open_store: Opener, folder: Path) -> None:
    """A store opened for reading can be copied."""
    with open_store() as store:
        fill(store)
    open_store(read_only=True).backup(folder / "copy.db")
    with groupstore.Store(folder / "copy.db") as copy:
        assert (copy.count("g"), copy.check()) == (3000, [])


def test_closed(store: groupstore.Store, folder: Path) -> None:
    """A closed store has nothing to copy."""
    store.close()
    with pytest.raises(StoreClosedError):
        store.backup(folder / "copy.db")
    assert listed(folder) == []


def test_full_disk(run: Callable[..., str], tmp_path: Path) -> None:
    """Where the system refuses to write on, that is a StorageError, and nothing is left."""
    out = run(
        """
        import os, resource, sys, groupstore
        store = groupstore.Store()
        store.set_many("g", {str(n): "v" * 100 for n in range(20000)})
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            store.backup(os.path.join(sys.argv[1], "copy.db"))
        except groupstore.StorageError as error:
            print(sys.argv[1] in str(error), os.listdir(sys.argv[1]))
            assert "not an error" not in str(error), error
        print(store.count("g"))
        store.close()
        """,
        tmp_path,
    )
    assert out == "True []\n20000\n"


def test_killed(run: Callable[..., str], folder: Path) -> None:
    """A process that dies in the middle leaves what was at the path, and the path free."""
    script = """
        import os, sys, groupstore
        store = groupstore.Store()
        store.set_many("g", {str(n): "v" * 100 for n in range(20000)})
        store.backup(sys.argv[1], lambda done, total: os._exit(0))
    """
    (folder / "copy.db").write_text("older")
    run(script, folder / "copy.db")
    assert (folder / "copy.db").read_text() == "older"
    with groupstore.Store() as store:
        store.set("g", "k", "v")
        store.backup(folder / "copy.db")
    with groupstore.Store(folder / "copy.db") as copy:
        assert copy.get("g", "k") == "v"


def test_all_tables(open_store: Opener, foreign: Foreign, folder: Path) -> None:
    """All tables go with it, another program's too, and a copy can be copied."""
    foreign("CREATE TABLE colours (name TEXT)", "INSERT INTO colours VALUES ('blue')")
    open_store().backup(folder / "copy.db")
    with groupstore.Store(folder / "copy.db") as copy:
        copy.backup(folder / "again.db")
        assert copy.check() == []
    assert (folder / "copy.db").read_bytes().count(b"blue") == 1


def test_fork_waits(run: Callable[..., str], tmp_path: Path) -> None:
    """A process forked while another thread makes a backup has a store that works."""
    out = run(
        """
        import os, sys, threading, groupstore
        store = groupstore.Store(sys.argv[1] + "/forked.db")
        store.set_many("g", {str(n): "v" * 100 for n in range(20000)})
        begun = threading.Event()
        worker = threading.Thread(
            target=store.backup, args=(sys.argv[1] + "/copy.db", lambda *far: begun.set())
        )
        worker.start()
        begun.wait()
        child = os.fork()
        if child == 0:
            store.set("g", "child", "v")
            os._exit(0 if store.count("g") == 20001 else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        worker.join()
        print(store.check(), store.get("g", "child"))
        store.close()
        """,
        tmp_path,
    )
    assert out == "0\n[] v\n"


def test_file_named_like_memory(
    folder: Path, monkeypatch: pytest.MonkeyPatch, open_store: Opener
) -> None:
    """The name of a store in memory is that of a file here, which is not the store's own."""
    monkeypatch.chdir(folder)
    store = open_store("memory")
    for _ in range(2):
        store.backup(":memory:")
    assert listed(folder) == [":memory:"]
