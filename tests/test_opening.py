"""Opening: what a path may be, who may have it, and what is left of an attempt that fails."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import groupstore
from conftest import Opener
from groupstore import (
    ConfigError,
    CorruptStoreError,
    ReadOnlyError,
    StorageError,
    StoreBusyError,
    StoreConfig,
    file_system,
)
from groupstore.opening import Database, open_database

Run = Callable[..., str]
Start = Callable[..., "subprocess.Popen[str]"]
Foreign = Callable[..., list[list[Any]]]

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")

OPEN = """
    import sys
    import groupstore
    try:
        store = groupstore.Store(sys.argv[1], purge_interval=None, **eval(sys.argv[2]))
    except groupstore.StoreError as error:
        print(type(error).__name__, error)
    else:
        print("opened", store.get("g", "k", None))
        sys.stdout.flush()
        sys.stdin.readline()
        store.close()
"""

# The tests may run as root, whom no permission stops.
AS_NOBODY = "import os; os.getuid() == 0 and (os.setgroups([]), os.setgid(65534), os.setuid(65534))"


@pytest.fixture
def opened() -> Iterator[Callable[..., Database]]:
    """Opens databases below the store, and closes their first connections."""
    databases: list[Database] = []

    def open_it(path: object, **options: Any) -> Database:
        databases.append(open_database(StoreConfig(path=os.fspath(path), **options)))  # type: ignore[call-overload]
        return databases[-1]

    yield open_it
    for database in databases:
        database.first.close()


@pytest.fixture
def open_folder(tmp_path: Path) -> Path:
    """A folder that every user can come to and write to."""
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    for parent in [tmp_path, *tmp_path.parents][:3]:
        parent.chmod(parent.stat().st_mode | 0o011)
    return folder


@pytest.fixture
def as_nobody(run: Run) -> Callable[..., str]:
    """Opens a path in a process of a user without rights; what came of it."""

    def open_it(path: Path, **options: Any) -> str:
        # Python's own files need not be readable by others, so all imports come first.
        script = f"import pathlib, groupstore\n{AS_NOBODY}\n" + "\n".join(
            line[4:] for line in OPEN.splitlines()
        )
        return run(script, path, options).strip()

    return open_it


def modes(folder: Path) -> dict[str, int]:
    """The permissions of what is in a folder."""
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


@posix
def test_files_are_private(path: Path, open_store: Opener) -> None:
    """The file and SQLite's side files are for their owner alone, whatever the umask."""
    umask = os.umask(0)
    try:
        open_store().set("g", "k", "v")
    finally:
        os.umask(umask)
    assert modes(path.parent) == dict.fromkeys(["store.db", "store.db-wal", "store.db-shm"], 0o600)


@posix
def test_mode_of_an_older_file_is_kept(path: Path, open_store: Opener) -> None:
    """A file that is there keeps its permissions, and its side files have the same."""
    path.touch()
    path.chmod(0o640)
    open_store().set("g", "k", "v")
    assert set(modes(path.parent).values()) == {0o640}


def test_without_hard_links(
    path: Path, open_store: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system without hard links will do."""

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    open_store().set("g", "k", "v")
    assert set(modes(path.parent)) == {"store.db", "store.db-wal", "store.db-shm"}


def test_empty_file_is_a_new_store(path: Path, open_store: Opener) -> None:
    """An empty file becomes a store."""
    path.touch()
    store = open_store()
    store.set("g", "k", "v")
    assert store.get("g", "k") == "v"


@pytest.mark.parametrize(
    "name",
    ["file:x.db", "file:x.db?mode=memory", "a b%20c?x#y.db", "-.db", "ünïcode.db", "'\";.db"],
)
def test_plain_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_store: Opener, name: str
) -> None:
    """A path is a file name and nothing else, relative to the folder at the time of opening."""
    monkeypatch.chdir(tmp_path)
    store = groupstore.Store(name, purge_interval=None)
    store.set("g", "k", "v")
    monkeypatch.chdir("/")
    assert store.get("g", "k") == "v"
    store.close()
    assert [file.name for file in tmp_path.iterdir()] == [name]


@posix
def test_symbolic_links(tmp_path: Path) -> None:
    """All names of a file lead to one store, and its side files stand beside the file."""
    folder = tmp_path / "real"
    folder.mkdir()
    link, link_to_folder = tmp_path / "link.db", tmp_path / "folder"
    link.symlink_to(folder / "store.db")
    link_to_folder.symlink_to(folder)
    with (
        groupstore.Store(link, purge_interval=None) as one,
        groupstore.Store(link_to_folder / "store.db", purge_interval=None) as other,
    ):
        one.set("g", "k", "v")
        assert other.get("g", "k") == "v"
        assert set(modes(folder)) == {"store.db", "store.db-wal", "store.db-shm"}
        assert link.is_symlink()


def test_what_no_store_can_be(tmp_path: Path) -> None:
    """A folder, a missing folder, a file in its place or a loop of links is a `StorageError`."""
    (tmp_path / "file").touch()
    names = ["", "missing/store.db", "file/store.db", "n" * 300]
    if os.name == "posix":
        (tmp_path / "loop").symlink_to(tmp_path / "loop")
        os.mkfifo(tmp_path / "pipe")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.path.relpath(tmp_path / "socket"))
        names += ["loop", "pipe", "socket"]
    for name in names:
        path = tmp_path / name
        with pytest.raises(StorageError) as raised:
            groupstore.Store(path, purge_interval=None)
        assert str(path) in str(raised.value)
        assert isinstance(raised.value, OSError)


SCHEMA_PAGE_BYTES = 4096


@pytest.mark.parametrize("read_only", [False, True], ids=["writing", "read-only"])
@pytest.mark.parametrize("damage", ["text", "header", "format", "schema", "short"])
def test_no_database(path: Path, open_store: Opener, damage: str, read_only: bool) -> None:
    """A file that is no database, or a damaged one, is refused by name and left as it is."""
    open_store().close()
    content = bytearray(path.read_bytes())
    if damage == "text":
        content[:] = b"colour = blue\n" * 100
    elif damage == "header":
        content[:16] = b"SQLite format 4\0"
    elif damage == "format":
        # The schema's format, of which 4 is the highest.
        content[47] = 9
    elif damage == "schema":
        content[100:SCHEMA_PAGE_BYTES] = os.urandom(SCHEMA_PAGE_BYTES - 100)
    else:
        del content[50:]
    path.write_bytes(content)
    with pytest.raises(CorruptStoreError) as raised:
        open_store(read_only=read_only)
    assert str(path) in str(raised.value)
    assert raised.value.__cause__ is not None
    assert path.read_bytes() == content


def test_failed_opening_leaves_nothing_open(path: Path, open_store: Opener) -> None:
    """After an opening that failed the process has no more descriptors than before."""
    path.write_bytes(b"colour = blue\n" * 100)
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("no list of this process's descriptors")
    before = len(list(descriptors.iterdir()))
    for _ in range(5):
        with pytest.raises(CorruptStoreError):
            open_store()
    assert len(list(descriptors.iterdir())) == before


RACE = """
    import sys
    import groupstore
    print("ready", flush=True)
    sys.stdin.readline()
    with groupstore.Store(sys.argv[1], purge_interval=None, busy_timeout=30) as store:
        store.increment("tenant:race", "opened")
        assert store.get("tenant:race", "k", "v") == "v"
    print("done", flush=True)
"""
PROCESSES = 8


@pytest.mark.parametrize("form", ["new", "empty", "kv", "no expiry", "rollback journal"])
def test_processes_race_to_open(
    path: Path, start: Start, foreign: Foreign, open_store: Opener, form: str
) -> None:
    """Processes that open a new, or an older, file at the same time all succeed."""
    rows = "INSERT INTO {} VALUES ('tenant:race', 'k', 'v')"
    columns = "(grp TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (grp, key))"
    if form == "empty":
        path.touch()
    elif form == "kv":
        foreign(f"CREATE TABLE kv {columns}", rows.format("kv"))
    elif form == "no expiry":
        columns = columns.replace("grp", "group_name").replace("key", "entry_key")
        columns = columns.replace("value", "entry_value").replace(
            "PRIMARY entry_key", "PRIMARY KEY"
        )
        foreign(f"CREATE TABLE entries {columns}", rows.format("entries"))
    elif form == "rollback journal":
        open_store().close()
        foreign("PRAGMA journal_mode = DELETE")
    processes = [start(RACE, path) for _ in range(PROCESSES)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert (out, err) == ("done\n", "")
    store = open_store()
    assert store.get("tenant:race", "opened") == str(PROCESSES)
    assert store.scoped("tenant").count_all() == (2 if form in ("kv", "no expiry") else 1)
    assert [name for name in modes(path.parent) if not name.startswith("store.db")] == []
    assert set(modes(path.parent)) == {"store.db", "store.db-wal", "store.db-shm"}


def test_threads_race_to_open(path: Path) -> None:
    """So do the threads of one process, and none of them loses a write."""
    failures: list[BaseException] = []
    barrier = threading.Barrier(8)

    def open_and_count() -> None:
        try:
            barrier.wait()
            with groupstore.Store(path, purge_interval=None, busy_timeout=30) as store:
                store.increment("race", "opened")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=open_and_count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with groupstore.Store(path, purge_interval=None) as store:
        assert store.get("race", "opened") == "8"


@pytest.mark.parametrize("read_only", [False, True], ids=["writing", "read-only"])
def test_up_to_date_file_is_not_written(
    path: Path, opened: Callable[..., Database], start: Start, read_only: bool
) -> None:
    """Opening an up-to-date file writes nothing and waits for no writer."""
    connection = opened(path).first
    connection.execute("INSERT INTO entries VALUES ('g', 'k', 'v', NULL)")
    connection.execute("BEGIN IMMEDIATE")
    files = [path, Path(f"{path}-wal")]
    before = [(file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    process = start(OPEN, path, {"busy_timeout": 0, "read_only": read_only})
    assert process.stdout is not None
    assert process.stdout.readline() == "opened v\n"
    assert [(file.stat().st_size, file.stat().st_mtime_ns) for file in files] == before


def test_connections_are_ready(path: Path, opened: Callable[..., Database]) -> None:
    """Each connection sees what the others committed, waits for nobody, and holds nothing open."""
    database = opened(path)
    assert (database.path, database.shared, database.immutable, database.counted) == (
        *(str(path), True, False, True),
    )
    other = database.connect()
    database.first.execute("INSERT INTO entries VALUES ('g', 'k', 'v', NULL)")
    assert other.execute("SELECT entry_value FROM entries").get == "v"
    assert not database.first.in_transaction
    assert not other.in_transaction
    # A checkpoint of the whole log succeeds only where no read transaction is open.
    assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall() == [(0, 0, 0)]
    database.first.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    with pytest.raises(Exception, match="locked"):
        other.execute("BEGIN IMMEDIATE")
    assert time.monotonic() - began < 0.5
    database.first.execute("ROLLBACK")
    other.close()


@pytest.mark.parametrize(("durability", "level"), [("full", 2), ("normal", 1)])
def test_durability(
    path: Path, opened: Callable[..., Database], durability: str, level: int
) -> None:
    """Every connection has the synchronous level that the durability asks for."""
    database = opened(path, durability=durability)
    other = database.connect()
    assert database.first.pragma("synchronous") == other.pragma("synchronous") == level
    other.close()


def test_memory(opened: Callable[..., Database]) -> None:
    """A database in memory has the schema and a single connection."""
    database = opened(":memory:")
    assert (database.path, database.shared, database.counted) == (":memory:", False, True)
    assert database.first.execute("SELECT count(*) FROM entries").get == 0


def test_exclusive_has_the_file_alone(path: Path, open_store: Opener, run: Run) -> None:
    """While a store has a file exclusively nobody else can open it, in any way, until it closes."""
    store = open_store("exclusive")
    for options in ({}, {"exclusive": True}, {"read_only": True}):
        assert run(OPEN, path, options | {"busy_timeout": 0.1}).startswith("StoreBusyError")
    with pytest.raises(StoreBusyError):
        open_store(busy_timeout=0.1)
    store.set("g", "k", "v")
    assert set(modes(path.parent)) == {"store.db", "store.db-wal"}
    store.close()
    assert run(OPEN.replace("sys.stdin.readline()", ""), path, {}) == "opened v\n"


@pytest.mark.parametrize("written", [False, True])
def test_exclusive_beside_another_process(
    path: Path, open_store: Opener, start: Start, written: bool
) -> None:
    """What another process has open cannot be had exclusively, even if it never wrote to it."""
    if written:
        open_store().close()
    process = start(OPEN, path, {})
    assert process.stdout is not None
    assert process.stdout.readline() == "opened None\n"
    with pytest.raises(StoreBusyError) as raised:
        open_store("exclusive", busy_timeout=0.1)
    assert str(path) in str(raised.value)
    process.communicate("\n", timeout=30)
    open_store("exclusive").set("g", "k", "v")


def test_exclusive_waits(path: Path, open_store: Opener, start: Start) -> None:
    """It waits up to `busy_timeout` for the other to close, and no longer."""
    process = start(OPEN, path, {})
    assert process.stdout is not None
    process.stdout.readline()
    began = time.monotonic()
    with pytest.raises(StoreBusyError):
        open_store("exclusive", busy_timeout=0.3)
    assert 0.3 <= time.monotonic() - began < 3
    closer = threading.Timer(0.2, process.communicate, ["\n"])
    closer.start()
    open_store("exclusive", busy_timeout=30)
    closer.join()


@posix
def test_interrupt_while_waiting(path: Path, open_store: Opener, start: Start) -> None:
    """Control-C ends the waiting."""
    open_store("exclusive")
    process = start(OPEN, path, {"busy_timeout": 60})
    time.sleep(0.7)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in err


def test_read_only(path: Path, open_store: Opener) -> None:
    """A read-only store reads what is there and what others write later, and refuses to write."""
    writer = open_store()
    writer.set("g", "k", "v")
    reader = open_store(read_only=True)
    assert reader.get("g", "k") == "v"
    writer.set("g", "k", "w")
    assert reader.get("g", "k") == "w"
    with pytest.raises(ReadOnlyError):
        reader.set("g", "k", "x")
    assert writer.get("g", "k") == "w"


def test_read_only_needs_a_file(path: Path, open_store: Opener) -> None:
    """Reading makes no file."""
    with pytest.raises(StorageError):
        open_store(read_only=True)
    assert list(path.parent.iterdir()) == []


GO_ENTRIES = """CREATE TABLE entries (
    group_name TEXT NOT NULL, entry_key TEXT NOT NULL, entry_value TEXT NOT NULL{}
    PRIMARY KEY (group_name, entry_key))"""


@pytest.mark.parametrize(
    "older",
    [
        "CREATE TABLE kv (grp TEXT, key TEXT, value TEXT, PRIMARY KEY (grp, key))",
        GO_ENTRIES.format(","),
        "CREATE TABLE colours (name TEXT)",
    ],
    ids=["kv", "no expiry", "no entries"],
)
def test_read_only_does_not_migrate(
    path: Path, open_store: Opener, foreign: Foreign, older: str
) -> None:
    """An older form has to be migrated first, and the error says so."""
    foreign(older)
    before = path.read_bytes()
    with pytest.raises(ReadOnlyError, match="migrated"):
        open_store(read_only=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_read_only_file_of_go_store(
    path: Path, opened: Callable[..., Database], open_store: Opener, foreign: Foreign, mode: str
) -> None:
    """go-store's own file can be read without our additions, and is not changed by that."""
    foreign(
        f"PRAGMA journal_mode = {mode}",
        GO_ENTRIES.format(", expires_at INTEGER,"),
        "INSERT INTO entries VALUES ('acme:a', 'k', 'v', NULL), ('b', 'k', 'w', 1)",
    )
    before = path.read_bytes()
    assert not opened(path, read_only=True).counted
    store = open_store(read_only=True)
    assert store.get("acme:a", "k") == "v"
    assert (store.groups(), store.count_all(), store.scoped("acme").count_all()) == (
        *(["acme:a"], 1, 1),
    )
    assert path.read_bytes() == before


@posix
def test_file_that_cannot_be_written(open_folder: Path, as_nobody: Callable[..., str]) -> None:
    """A file without permission to write is a `ReadOnlyError`, and can be opened read-only."""
    path = open_folder / "store.db"
    with groupstore.Store(path, purge_interval=None) as store:
        store.set("g", "k", "v")
    path.chmod(0o444)
    assert as_nobody(path).startswith("ReadOnlyError")
    assert as_nobody(path, exclusive=True).startswith("ReadOnlyError")
    assert as_nobody(path, read_only=True) == "opened v"


@posix
def test_file_that_cannot_be_read(open_folder: Path, as_nobody: Callable[..., str]) -> None:
    """A file without any permission is a `StorageError`."""
    path = open_folder / "store.db"
    groupstore.Store(path, purge_interval=None).close()
    path.chmod(0)
    assert as_nobody(path).startswith("StorageError")
    assert as_nobody(path, read_only=True).startswith("StorageError")


@posix
@pytest.mark.parametrize("name", ["store.db", "a b%20?c#.db"])
@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_folder_that_cannot_be_written(
    open_folder: Path, as_nobody: Callable[..., str], run: Run, name: str, mode: str
) -> None:
    """There a store can be read, and not opened for writing, nor made."""
    path = open_folder / name
    with groupstore.Store(path, purge_interval=None) as store:
        store.set("g", "k", "v")
    switch = (
        "import sqlite3, sys; connection = sqlite3.connect(sys.argv[1]);"
        " connection.execute(sys.argv[2]); connection.close()"
    )
    run(switch, path, f"PRAGMA journal_mode = {mode}")
    path.chmod(0o666)
    open_folder.chmod(0o555)
    assert as_nobody(path, read_only=True) == "opened v"
    assert as_nobody(path).split()[0] in ("StorageError", "ReadOnlyError")
    assert as_nobody(open_folder / "new.db").startswith("StorageError")
    assert [file.name for file in open_folder.iterdir()] == [name]


KILLED = """
    import os, sys
    import groupstore
    store = groupstore.Store(sys.argv[1], purge_interval=None)
    store.set("g", "k", "only in the log")
    os._exit(0)
"""


@posix
def test_log_in_a_folder_that_cannot_be_written(
    open_folder: Path, as_nobody: Callable[..., str], run: Run
) -> None:
    """Where a log with content cannot be read, the error says so: the file alone would be older."""
    path = open_folder / "store.db"
    groupstore.Store(path, purge_interval=None).close()
    run(KILLED, path)
    Path(f"{path}-shm").unlink()
    path.chmod(0o444)
    open_folder.chmod(0o555)
    answer = as_nobody(path, read_only=True)
    assert answer.startswith("StorageError")
    assert f"{path}-wal" in answer


@posix
def test_live_store_in_a_folder_that_cannot_be_written(
    open_folder: Path, as_nobody: Callable[..., str]
) -> None:
    """Beside a live writer its log is read as well, by whoever may read the files."""
    path = open_folder / "store.db"
    path.touch()
    path.chmod(0o644)
    open_folder.chmod(0o755)
    with groupstore.Store(path, purge_interval=None) as store:
        store.set("g", "k", "v")
        assert Path(f"{path}-wal").stat().st_size > 0
        assert as_nobody(path, read_only=True) == "opened v"


@posix
def test_immutable(path: Path, opened: Callable[..., Database], run: Run) -> None:
    """Only where SQLite could not open the file otherwise is it taken for immutable."""
    opened(path)
    assert not opened(path, read_only=True).immutable


MOUNTS = """22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:40 / /srv/nfs rw,relatime - nfs4 server:/export rw
24 22 0:41 / /srv/with\\040space rw shared:7 master:2 - cifs //server/share rw
25 22 0:42 / /srv/nine rw - 9p host rw
26 23 0:43 / /srv/nfs/local rw - tmpfs tmpfs rw
27 22 0:44 / /srv/hidden rw - nfs server:/old rw
28 22 0:45 / /srv/hidden rw - xfs /dev/vdb rw
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's table of mounts")
@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/nfs/app.db", "nfs4"),
        ("/srv/nfs/folder/app.db", "nfs4"),
        ("/srv/with space/app.db", "cifs"),
        ("/srv/nine/app.db", "9p"),
        ("/srv/nfs/local/app.db", None),
        ("/srv/nfsother/app.db", None),
        ("/srv/hidden/app.db", None),
        ("/app.db", None),
    ],
)
def test_network_file_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, kind: str | None
) -> None:
    """A path below a network file system's mount is a `ConfigError` that names path and kind."""
    table = tmp_path / "mountinfo"
    table.write_text(MOUNTS)
    monkeypatch.setattr(file_system, "_MOUNTS", str(table))
    if kind is None:
        file_system.refuse_network(path)
        return
    with pytest.raises(ConfigError) as raised:
        file_system.refuse_network(path)
    assert path in str(raised.value)
    assert kind in str(raised.value)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's table of mounts")
def test_store_on_a_network_file_system(
    path: Path, open_store: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store there is refused and makes no file, but `exclusive` opens it."""
    table = path.with_name("mountinfo")
    table.write_text(f"1 1 0:1 / {path.parent} rw - nfs server:/export rw\n")
    monkeypatch.setattr(file_system, "_MOUNTS", str(table))
    with pytest.raises(ConfigError, match="nfs"):
        open_store()
    assert not path.exists()
    open_store("exclusive").set("g", "k", "v")
