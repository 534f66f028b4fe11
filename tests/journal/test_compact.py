"""Archives: what compact moves, the files, reading them back, retention."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import stat
import subprocess
import threading
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import groupstore
from conftest import Opener
from groupstore import (
    Archive,
    ConfigError,
    CorruptStoreError,
    DiskFullError,
    ReadOnlyError,
    StorageError,
    StoreBusyError,
    StoreClosedError,
    StoreConfig,
    StoreError,
    read_archive,
)
from model import PATIENCE_S

Foreign = Callable[..., list[list[Any]]]
Run = Callable[..., str]
Start = Callable[..., subprocess.Popen[str]]

ALL = timedelta(days=-1)
"""So long ago that it is tomorrow: every entry is older."""

FORMATS = ("gzip", "zstd")

posix = pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")


def fill(store: groupstore.Store, count: int = 3) -> None:
    """Appends that many entries, numbered from 0."""
    store.journal.append_many([("m", {"n": n}, {"t": "x"}) for n in range(count)])


def numbers(store: groupstore.Store) -> list[int]:
    """The numbers of the entries that are not archived."""
    return [row["fields"]["n"] for row in store.journal.query()]


def made(archive: Archive | None) -> Archive:
    """The archive, which has to be one."""
    assert archive is not None
    return archive


@pytest.mark.parametrize("format", FORMATS)
def test_compact(store: groupstore.Store, format: str) -> None:
    """Old entries move into a file with all that they hold, in order, and are marked."""
    entries = store.journal.append_many(
        [("a", {"é": [1, None, "\n\u2028"]}, {"t": "x"}), ("b",), ("a", {"n": 1e300})]
    )
    archive = made(store.journal.compact(ALL, format=format))
    times = [entry.committed_at for entry in entries]
    size = os.stat(archive.path).st_size
    assert archive == Archive(archive.path, 3, format, size, min(times), max(times))
    assert store.journal.archives() == [archive]
    assert list(read_archive(archive.path)) == [
        {
            "bucket": entry.bucket,
            "measurement": entry.measurement,
            "fields": entry.fields,
            "tags": entry.tags,
            "committed_at": entry.committed_at,
        }
        for entry in entries
    ]
    assert store.journal.query() == []
    rows = store.journal.query(archives=True)
    assert [row["entry_id"] for row in rows] == [1, 2, 3]
    assert len({row["archived_at"] for row in rows}) == 1
    assert abs(rows[0]["archived_at"] - time.time() * 1000) < 60_000
    assert store.journal.archives() == [archive]
    assert store.journal.compact(ALL, format=format) is None
    assert store.check() == []


@pytest.mark.parametrize("format", FORMATS)
def test_file(file_store: groupstore.Store, path: Path, format: str) -> None:
    """The file has the name of its time as UTC, is its owner's alone, and is JSON Lines."""
    fill(file_store)
    before = datetime.now(UTC).replace(microsecond=0)
    archive = made(file_store.journal.compact(ALL, format=format))
    ending = {"gzip": "gz", "zstd": "zst"}[format]
    file = Path(archive.path)
    match = re.fullmatch(rf"journal-(\d{{8}}-\d{{6}})\.\d{{9}}\.jsonl\.{ending}", file.name)
    assert match is not None
    moment = datetime.strptime(match[1], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    assert before <= moment <= datetime.now(UTC)
    assert file.parent == path.parent / "store.db.archive"
    assert os.listdir(file.parent) == [file.name]
    assert archive.path == str(file)


@posix
def test_modes(open_store: Opener, tmp_path: Path) -> None:
    """Files are 0600 and all folders made 0700, whatever the umask."""
    old = os.umask(0)
    try:
        store = open_store()
        fill(store)
        archive = made(store.journal.compact(ALL, output=tmp_path / "a" / "b"))
        fill(store)
        default = made(store.journal.compact(ALL))
    finally:
        os.umask(old)
    for file in (archive.path, default.path, f"{store.path}-archive.lock"):
        assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    for folder in (tmp_path / "a", tmp_path / "a" / "b", Path(default.path).parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize(("format", "tool"), [("gzip", "gzip"), ("zstd", "zstd")])
def test_command_line_tools(file_store: groupstore.Store, format: str, tool: str) -> None:
    """The usual tools test and read the file."""
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    fill(file_store, 1000)
    archive = made(file_store.journal.compact(ALL, format=format))
    subprocess.run([tool, "-t", archive.path], check=True, capture_output=True)
    out = subprocess.run([tool, "-dc", archive.path], check=True, capture_output=True).stdout
    lines = [json.loads(line) for line in out.splitlines()]
    assert lines == list(read_archive(archive.path))
    assert list(lines[0]) == ["bucket", "measurement", "fields", "tags", "committed_at"]
    if format == "zstd":
        # The flag of the checksum in the frame's header.
        assert Path(archive.path).read_bytes()[4] & 0b100


def test_before(file_store: groupstore.Store, foreign: Foreign) -> None:
    """What was committed before the time is archived, to the millisecond and exclusively."""
    fill(file_store, 4)
    foreign("UPDATE journal_entries SET committed_at = 1000000 + entry_id")
    journal = file_store.journal
    at = datetime(1970, 1, 1, 0, 16, 40, 2000, UTC)
    assert made(journal.compact(at)).entries == 1
    assert numbers(file_store) == [1, 2, 3]
    # Half a millisecond later the entry of that millisecond is older.
    assert made(journal.compact(at + timedelta(microseconds=500))).entries == 1
    zone = timezone(timedelta(hours=2))
    assert made(journal.compact((at + timedelta(milliseconds=2)).astimezone(zone))).entries == 1
    ago = datetime.now(UTC) - datetime(1970, 1, 1, 0, 16, 41, tzinfo=UTC)
    assert made(journal.compact(ago)).entries == 1
    assert journal.compact(timedelta.max) is None
    assert journal.compact(datetime.max.replace(tzinfo=UTC)) is None
    fill(file_store, 1)
    assert journal.compact(datetime.min.replace(tzinfo=UTC)) is None
    assert journal.compact(timedelta(hours=1)) is None


def test_times_out_of_order(file_store: groupstore.Store, foreign: Foreign) -> None:
    """Where the clock was set back, the old are archived from between the new, in commit order."""
    fill(file_store, 6)
    foreign(
        "UPDATE journal_entries SET committed_at = 1000 - entry_id WHERE entry_id % 2 = 0",
        "UPDATE journal_entries SET committed_at = 5000 WHERE entry_id % 2 = 1",
    )
    archive = made(file_store.journal.compact(datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC)))
    assert [entry["fields"]["n"] for entry in read_archive(archive.path)] == [1, 3, 5]
    assert numbers(file_store) == [0, 2, 4]


@pytest.mark.parametrize(
    ("arguments", "options", "error"),
    [
        ((None,), {}, TypeError),
        ((5,), {}, TypeError),
        (("2026-01-01",), {}, TypeError),
        ((date(2026, 1, 1),), {}, TypeError),
        ((datetime(2026, 1, 1),), {}, ValueError),  # noqa: DTZ001
        ((ALL,), {"format": "xz"}, ValueError),
        ((ALL,), {"format": None}, TypeError),
        ((ALL,), {"output": 5}, TypeError),
        ((ALL,), {"output": b"x"}, TypeError),
        ((ALL,), {"output": ""}, ValueError),
        ((ALL,), {"output": "a\0b"}, ValueError),
    ],
    ids=repr,
)
def test_wrong_arguments(
    store: groupstore.Store,
    arguments: tuple[Any, ...],
    options: dict[str, Any],
    error: type[Exception],
) -> None:
    """Wrong arguments are refused and nothing is archived."""
    fill(store)
    with pytest.raises(error):
        store.journal.compact(*arguments, **options)
    assert numbers(store) == [0, 1, 2]


def test_where_it_is_refused(open_store: Opener) -> None:
    """Not in a transaction, not read-only, not on a closed store."""
    store = open_store()
    fill(store)
    with store.transaction(), pytest.raises(StoreError, match=r"^compact: .*transaction"):
        store.journal.compact(ALL)
    reader = open_store(read_only=True)
    with pytest.raises(ReadOnlyError, match=r"^compact: "):
        reader.journal.compact(ALL)
    assert reader.journal.archives() == []
    made(store.journal.compact(ALL))
    assert len(reader.journal.archives()) == 1
    store.close()
    with pytest.raises(StoreClosedError):
        store.journal.compact(ALL)
    with pytest.raises(StoreClosedError):
        store.journal.archives()


def test_output_folders(open_store: Opener, tmp_path: Path) -> None:
    """Archives in any folder are listed in the order of creation, by any process, after a move."""
    store = open_store(archive_directory=tmp_path / "default")
    expected = []
    for output in (None, tmp_path / "other", str(tmp_path / "other"), None):
        fill(store, 1)
        expected.append(made(store.journal.compact(ALL, output=output)))
    folders = [Path(archive.path).parent.name for archive in expected]
    assert folders == ["default", "other", "other", "default"]
    assert store.journal.archives() == open_store().journal.archives() == expected
    (tmp_path / "default").rename(tmp_path / "moved")
    Path(expected[1].path).unlink()
    moved = open_store(archive_directory=tmp_path / "moved").journal.archives()
    assert [Path(archive.path).parent.name for archive in moved] == ["moved", "other", "moved"]
    assert [archive.size for archive in moved] == [expected[n].size for n in (0, 2, 3)]


def test_a_folder_that_cannot_be_made(file_store: groupstore.Store, tmp_path: Path) -> None:
    """Where there is a file in the way it is a StorageError, and nothing is archived."""
    fill(file_store)
    (tmp_path / "file").write_text("x")
    for output in (tmp_path / "file", tmp_path / "file" / "inner"):
        with pytest.raises(StorageError, match=r"^compact: "):
            file_store.journal.compact(ALL, output=output)
    assert numbers(file_store) == [0, 1, 2]
    assert file_store.journal.archives() == []
    assert made(file_store.journal.compact(ALL)).entries == 3


@pytest.mark.parametrize("call", ["fsync", "rename", "open", "fdopen"])
def test_failures_leave_nothing(
    file_store: groupstore.Store, path: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk or any other failure undoes all, and the next call archives everything."""
    fill(file_store)
    folder = Path(f"{path}.archive")
    folder.mkdir()
    real = getattr(os, call)

    def fail(*arguments: Any, **options: Any) -> Any:
        if call == "open" and "archive/" not in str(arguments[0]):
            return real(*arguments, **options)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(DiskFullError, match=r"^compact: .*journal-"):
            file_store.journal.compact(ALL)
    assert os.listdir(folder) == []
    assert file_store.journal.archives() == []
    assert file_store.journal.query("SELECT * FROM groupstore_archives") == []
    assert numbers(file_store) == [0, 1, 2]
    assert made(file_store.journal.compact(ALL)).entries == 3


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("bucket_name", "CAST(x'ff' AS TEXT)"),
        ("measurement", "CAST(x'ff' AS TEXT)"),
        ("fields_json", "CAST(x'22ff22' AS TEXT)"),
        ("fields_json", "'{'"),
        ("fields_json", "'NaN'"),
        ("tags_json", "''"),
    ],
)
def test_entries_that_no_line_can_hold(
    file_store: groupstore.Store,
    foreign: Foreign,
    column: str,
    value: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Another program's entry that is no UTF-8 or JSON is named in the log and left out."""
    fill(file_store)
    foreign(f"UPDATE journal_entries SET {column} = {value} WHERE entry_id = 2")
    archive = made(file_store.journal.compact(ALL))
    assert "entry 2 " in caplog.text
    assert archive.entries == 2
    assert [entry["fields"]["n"] for entry in read_archive(archive.path)] == [0, 2]
    # With nothing else to archive no file is made.
    assert file_store.journal.compact(ALL) is None
    assert os.listdir(Path(archive.path).parent) == [Path(archive.path).name]
    assert file_store.journal.archives() == [archive]
    foreign("UPDATE journal_entries SET bucket_name = 'b', measurement = 'm', fields_json = "
            "'{\n\"n\":\r 1.50}', tags_json = '{}' WHERE entry_id = 2")  # fmt: skip
    archive = made(file_store.journal.compact(ALL))
    assert [entry["fields"]["n"] for entry in read_archive(archive.path)] == [1.5]


def test_deep_stacks(file_store: groupstore.Store) -> None:
    """However deep the stack that they are called from, sound entries are read and archived."""
    value: Any = 1
    for _ in range(400):
        value = [value]
    file_store.journal.append("m", {"n": value})

    def deep(depth: int, call: Callable[[], Any]) -> Any:
        return deep(depth - 1, call) if depth else call()

    assert deep(700, file_store.journal.query)[0]["fields"] == {"n": value}
    archive = made(deep(700, lambda: file_store.journal.compact(ALL)))
    assert archive.entries == 1
    assert deep(700, lambda: list(read_archive(archive.path)))[0]["fields"] == {"n": value}


def test_entries_that_change_meanwhile(
    file_store: groupstore.Store, foreign: Foreign, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where another program has archived an entry meanwhile the archive is undone."""
    fill(file_store)
    real = os.rename

    def rename(*arguments: Any) -> None:
        real(*arguments)
        foreign("UPDATE journal_entries SET archived_at = 1 WHERE entry_id = 1")

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", rename)
        with pytest.raises(StoreError, match="another program"):
            file_store.journal.compact(ALL)
    assert file_store.journal.archives() == []
    assert numbers(file_store) == [1, 2]
    assert made(file_store.journal.compact(ALL)).entries == 2


def test_entries_that_come_meanwhile(
    file_store: groupstore.Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is appended while the file is written stays, and writers need not wait for the file."""
    fill(file_store)
    # Nothing but the file is put on the disk then.
    Path(f"{path}.archive").mkdir()
    real = os.fsync

    def fsync(descriptor: int) -> None:
        file_store.journal.append("m", {"n": 9})
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        assert made(file_store.journal.compact(ALL)).entries == 3
    assert set(numbers(file_store)) == {9}


def test_private_folder_of_a_store_in_memory() -> None:
    """A store in memory has a temporary folder for archives, which goes with it."""
    with groupstore.Store(purge_interval=None) as store:
        assert store.journal.archives() == []
        fill(store)
        archive = made(store.journal.compact(ALL))
        assert len(list(read_archive(archive.path))) == 3
    assert not Path(archive.path).parent.exists()


def test_private_folder_is_not_made_in_vain(open_store: Opener, tmp_path: Path) -> None:
    """Where there is nothing to archive no folder, file or table is made."""
    store = open_store(archive_directory=tmp_path / "archive")
    assert store.journal.compact(ALL) is None
    assert store.journal.archives() == []
    assert not (tmp_path / "archive").exists()
    names = [row["name"] for row in store.journal.query("SELECT name FROM sqlite_schema")]
    assert "groupstore_archives" not in names


def test_threads_at_once(store: groupstore.Store, threads: ThreadPoolExecutor) -> None:
    """Threads that archive and append at once put each entry into one archive."""
    start = threading.Barrier(6)

    def work(n: int) -> None:
        start.wait()
        for m in range(5):
            if n % 2:
                store.journal.append("m", {"n": n * 5 + m})
            else:
                store.journal.compact(ALL)

    list(threads.map(work, range(6)))
    store.journal.compact(ALL)
    found = [
        entry["fields"]["n"]
        for archive in store.journal.archives()
        for entry in read_archive(archive.path)
    ]
    assert sorted(found) == [n * 5 + m for n in (1, 3, 5) for m in range(5)]


def test_processes_at_once(file_store: groupstore.Store, path: Path, start: Start) -> None:
    """Processes that archive at once put each entry into one archive."""
    fill(file_store, 2000)
    script = """
import sys, groupstore
from datetime import timedelta
with groupstore.Store(sys.argv[1], purge_interval=None, durability="normal", busy_timeout=30) as s:
    print(flush=True)
    sys.stdin.readline()
    for _ in range(3):
        s.journal.append("m", {"n": int(sys.argv[2])})
        s.journal.compact(timedelta(days=-1), output=sys.argv[3])
"""
    processes = [start(script, path, 5000 + n, path.parent / f"out{n % 2}") for n in range(3)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
    for process in processes:
        process.stdin.write("\n")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
    for process in processes:
        _, err = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, err) == (0, "")
    archives = file_store.journal.archives()
    found = [entry["fields"]["n"] for made in archives for entry in read_archive(made.path)]
    assert sorted(found) == sorted([*range(2000), *(5000 + n for n in range(3) for _ in range(3))])
    assert sum(archive.entries for archive in archives) == len(found)
    assert numbers(file_store) == []


def test_waiting_for_another_compaction_has_an_end(
    open_store: Opener, monkeypatch: pytest.MonkeyPatch, threads: ThreadPoolExecutor
) -> None:
    """A second compaction waits for busy_timeout, and a store opened meanwhile undoes nothing."""
    store = open_store(busy_timeout=0.05)
    fill(store)
    is_writing, may_end = threading.Event(), threading.Event()
    real = os.fsync

    def fsync(descriptor: int) -> None:
        is_writing.set()
        may_end.wait(PATIENCE_S)
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        first = threads.submit(store.journal.compact, ALL)
        try:
            assert is_writing.wait(PATIENCE_S)
            with pytest.raises(StoreBusyError, match=r"^compact: "):
                store.journal.compact(ALL)
            assert open_store().journal.archives() == []
        finally:
            may_end.set()
        archive = made(first.result(PATIENCE_S))
    assert store.journal.archives() == [archive]
    assert len(list(read_archive(archive.path))) == 3


@pytest.mark.parametrize("format", FORMATS)
def test_constant_memory(file_store: groupstore.Store, format: str) -> None:
    """Neither writing nor reading an archive holds more than a part of it in memory."""
    for _ in range(20):
        file_store.journal.append_many([("m", {"pad": os.urandom(500).hex()}) for _ in range(500)])
    tracemalloc.start()
    try:
        archive = made(file_store.journal.compact(ALL, format=format))
        assert sum(1 for _ in read_archive(archive.path)) == 10_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert archive.size > 5_000_000
    assert peak < 3_000_000


# --- Reading ------------------------------------------------------------------------------------


@pytest.fixture(params=FORMATS)
def archive(request: pytest.FixtureRequest, file_store: groupstore.Store) -> Archive:
    """An archive of 300 entries in each format."""
    fill(file_store, 300)
    return made(file_store.journal.compact(ALL, format=request.param))


def test_reading_is_lazy(archive: Archive) -> None:
    """An iterator that is not run to its end, or not begun, leaves no file open."""
    entries = read_archive(archive.path)
    assert next(entries)["fields"] == {"n": 0}
    del entries
    read_archive(archive.path)
    read_archive(Path(archive.path))


def test_truncated(archive: Archive, tmp_path: Path) -> None:
    """A file that ends early, wherever, is reported as such, with its path."""
    data = Path(archive.path).read_bytes()
    cut = tmp_path / "cut"
    for length in {*range(0, len(data), 7), *range(len(data) - 12, len(data))}:
        cut.write_bytes(data[:length])
        with pytest.raises(CorruptStoreError, match=re.escape(str(cut))):
            list(read_archive(cut))


def test_altered(archive: Archive, tmp_path: Path) -> None:
    """A changed byte never goes unnoticed: an error is raised, or the entries are the same."""
    data = Path(archive.path).read_bytes()
    expected = list(read_archive(archive.path))
    altered = tmp_path / "altered"
    unnoticed = 0
    messages = set()
    for index in range(len(data)):
        altered.write_bytes(data[:index] + bytes([data[index] ^ 0x10]) + data[index + 1 :])
        try:
            assert list(read_archive(altered)) == expected
            unnoticed += 1
        except CorruptStoreError as error:
            messages.add(str(error))
    assert all(str(altered) in message for message in messages)
    # Time, flags and system in gzip's header.
    assert unnoticed <= 10


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        ('{"bucket":1}\n', 1),
        ("[]\n", 1),
        ("5\n", 1),
        ('{"bucket":"b","measurement":"m","fields":{},"tags":{},"committed_at":1}\nx\n', 2),
        ('{"bucket":"b","measurement":"m","fields":{},"tags":{},"committed_at":1}\n{}', 2),
        ("\n", 1),
        ("[" * 100_000 + "\n", 1),
        ("\udcff\n", 1),
    ],
)
def test_lines_that_are_no_entries(tmp_path: Path, lines: str, line: int) -> None:
    """A line that is no entry is named by its number."""
    file = tmp_path / "bad.jsonl.gz"
    file.write_bytes(gzip.compress(lines.encode(errors="surrogateescape")))
    with pytest.raises(CorruptStoreError, match=f"bad.jsonl.gz: line {line}: "):
        list(read_archive(file))


def test_archives_of_others(tmp_path: Path) -> None:
    """Files of several members, and entries with more names, are read; an empty one has none."""
    line = b'{"id":7,"bucket":"b","measurement":"m","fields":{"a":1},"tags":{},"committed_at":1}\n'
    file = tmp_path / "other.jsonl.gz"
    file.write_bytes(gzip.compress(line) + gzip.compress(line))
    entry = {"bucket": "b", "measurement": "m", "fields": {"a": 1}, "tags": {}, "committed_at": 1}
    assert list(read_archive(file)) == [entry, entry]
    file.write_bytes(gzip.compress(b""))
    assert list(read_archive(file)) == []


def test_what_cannot_be_read(tmp_path: Path) -> None:
    """A missing file or a folder is a StorageError, another file corrupt, at the call itself."""
    with pytest.raises(StorageError, match=r"^read_archive: .*missing"):
        read_archive(tmp_path / "missing")
    with pytest.raises(StorageError):
        read_archive(tmp_path)
    (tmp_path / "plain").write_text('{"bucket":"b"}\n')
    (tmp_path / "empty").write_text("")
    for name in ("plain", "empty"):
        with pytest.raises(CorruptStoreError, match=name):
            read_archive(tmp_path / name)
    with pytest.raises(TypeError):
        read_archive(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        read_archive(b"x")  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        read_archive("a\0b")


def test_reading_what_expands_a_lot(tmp_path: Path, run: Run) -> None:
    """A small file of gigabytes is read by parts, of several frames too, and its end is missed."""
    script = """
import io, resource, sys, zstandard, groupstore
line = b'{"bucket":"b","measurement":"m","fields":{"p":"%s"},"tags":{},"committed_at":1}\\n'
part = (line % (b"x" * 100_000)) * 10
made = io.BytesIO()
with zstandard.ZstdCompressor(write_checksum=True).stream_writer(made, closefd=False) as target:
    for _ in range(200):
        target.write(part)
empty = zstandard.ZstdCompressor().compress(b"")
data = made.getvalue()
with open(sys.argv[1], "wb") as file:
    file.write(empty + data + zstandard.ZstdCompressor().compress(part))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert sum(1 for _ in groupstore.read_archive(sys.argv[1])) == 2010
grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
assert grown_kb < 40_000, grown_kb
with open(sys.argv[1], "wb") as file:
    file.write(data[:-5])
try:
    for _ in groupstore.read_archive(sys.argv[1]):
        pass
except groupstore.CorruptStoreError as error:
    assert "line" in str(error)
else:
    raise AssertionError("the end was not missed")
"""
    pytest.importorskip("resource")
    run(script, tmp_path / "wide.jsonl.zst")


# --- In the background ---------------------------------------------------------------------------


def test_retention(open_store: Opener, foreign: Foreign) -> None:
    """With `archive_after` each background purge archives what is older than that."""
    with open_store() as store:
        fill(store, 3)
    foreign("UPDATE journal_entries SET committed_at = committed_at - 100000 WHERE entry_id < 3")
    store = open_store(purge_interval=0.005, archive_after=timedelta(seconds=90))
    deadline = time.monotonic() + PATIENCE_S
    while not store.journal.archives() and time.monotonic() < deadline:
        threading.Event().wait(0.005)
    (archive,) = store.journal.archives()
    assert archive.entries == 2
    assert numbers(store) == [2]


@pytest.mark.parametrize("value", [0, -1, float("nan"), "1", True, timedelta(0)])
def test_wrong_retention(value: Any) -> None:
    """Anything but a positive time is a ConfigError."""
    with pytest.raises(ConfigError, match="archive_after"):
        StoreConfig(archive_after=value)
    assert StoreConfig(archive_after=timedelta(days=1)).archive_after == 86400.0


@pytest.mark.parametrize("interval", [None, 0])
def test_retention_without_purge(interval: Any) -> None:
    """Where no background purge runs `archive_after` would do nothing: a ConfigError."""
    with pytest.raises(ConfigError, match=r"archive_after.*purge_interval"):
        StoreConfig(archive_after=5, purge_interval=interval)


def test_a_folder_with_an_archives_name(file_store: groupstore.Store) -> None:
    """What has an archive's name and is no file is none."""
    fill(file_store)
    archive = made(file_store.journal.compact(ALL))
    Path(archive.path).unlink()
    Path(archive.path).mkdir()
    assert file_store.journal.archives() == []


def test_a_format_that_is_no_text(store: groupstore.Store) -> None:
    """It is a TypeError that says so."""
    with pytest.raises(TypeError, match=r"^compact: format must be str, not list$"):
        store.journal.compact(ALL, format=[])  # type: ignore[arg-type]


def test_check_names_lost_archives(store: groupstore.Store) -> None:
    """A check tells of archives that are gone, or not as long as they were."""
    fill(store)
    first = made(store.journal.compact(ALL))
    fill(store)
    second = made(store.journal.compact(ALL))
    assert store.check() == []
    Path(first.path).unlink()
    os.truncate(second.path, second.size - 1)
    problems = store.check()
    assert len(problems) == 2
    assert first.path in problems[0]
    assert second.path in problems[1]
