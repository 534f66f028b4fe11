"""Processes that die while they archive: no entry is lost, none is archived twice."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import groupstore
from conftest import SLOW

Run = Callable[..., str]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

# Each child dies at another line of the code that archives, without any clean-up. What it leaves is
# looked at by a new process, as after any crash.
SCRIPT = """
import os, sys, threading, traceback, groupstore
from datetime import timedelta
from groupstore import folder
from groupstore.journal import archive, compaction, recorded

ALL = timedelta(days=-1)
path, format, output = sys.argv[1], sys.argv[2], sys.argv[3] or None
durability = sys.argv[4]
watched = {module.__file__ for module in (archive, compaction, folder, recorded)}
if format == "zstd":
    import zstandard

def opened(name):
    return groupstore.Store(name, purge_interval=None, durability=durability)

def in_child(call, *arguments):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            call(*arguments)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def die_at(line):
    "Ends the process at that line of the watched code, counted from now."
    left = line
    def trace(frame, event, argument):
        nonlocal left
        if frame.f_code.co_filename not in watched:
            return None
        if event == "line":
            left -= 1
            if left == 0:
                os._exit(9)
        return trace
    sys.settrace(trace)

def fill_and_die(name, line):
    store = opened(name)
    store.journal.append_many([("m", {"n": n}) for n in range(3)])
    die_at(line)
    store.journal.compact(ALL, output=output, format=format)
    sys.settrace(None)
    store.close()

def recover_and_die(name, line):
    die_at(line)
    opened(name).close()
    sys.settrace(None)

def files(name):
    place = output or name + ".archive"
    return sorted(os.listdir(place)) if os.path.isdir(place) else []

def look(name, before):
    store = opened(name)
    journal = store.journal
    archives = journal.archives()
    new = sorted(set(files(name)) - before)
    assert [os.path.basename(found.path) for found in archives] == new, (archives, new)
    archived = [e["fields"]["n"] for a in archives for e in groupstore.read_archive(a.path)]
    kept = [row["fields"]["n"] for row in journal.query()]
    assert sorted(archived + kept) == [0, 1, 2], (archived, kept)
    assert len(archived) == sum(found.entries for found in archives)
    store.journal.append("m", {"n": 3})
    last = journal.compact(ALL, output=output, format=format)
    assert last.entries == len(kept) + 1
    everything = [e["fields"]["n"] for a in journal.archives()
                  for e in groupstore.read_archive(a.path)]
    assert sorted(everything) == [0, 1, 2, 3]
    assert store.check() == []
    store.close()
"""


@pytest.mark.parametrize(
    ("first", "format", "durability"), [(1, "gzip", "full"), (2, "zstd", "normal")]
)
def test_dying_at_any_line(
    run: Run, tmp_path: Path, first: int, format: str, durability: str
) -> None:
    """Whatever line the process dies at, the next one finds each entry once."""
    script = """
line, died = int(sys.argv[5]), True
while died:
    line += int(sys.argv[6])
    name = f"{path}{line}"
    before = set(files(name))
    died = in_child(fill_and_die, name, line) == 9
    assert in_child(look, name, before) == 0, line
print(line)
"""
    output = tmp_path / "out" if format == "zstd" else ""
    step = 1 if SLOW else 4
    lines = run(SCRIPT + script, tmp_path / "store", format, output, durability, first - 1, step)
    assert int(lines) > 100


def test_dying_again_in_recovery(run: Run, tmp_path: Path) -> None:
    """A recovery that dies itself, at any line, is made good by the next."""
    script = """
def count_lines(name):
    "How many lines a compaction has, to die at a few of them."
    line = 0
    while in_child(fill_and_die, f"{name}-{line}", line + 1) == 9:
        line += 20
    return line

total = count_lines(path)
deaths = 0
for line in range(total // 3, total + 20, 19):
    again, died = 0, True
    while died:
        again += 9
        name = f"{path}+{line}+{again}"
        in_child(fill_and_die, name, line)
        died = in_child(recover_and_die, name, again) == 9
        deaths += died
        assert in_child(look, name, set()) == 0, (line, again)
print(deaths)
"""
    assert int(run(SCRIPT + script, tmp_path / "store", "gzip", "", "full")) > 20


def test_a_fragment_is_removed_at_the_next_open(run: Run, tmp_path: Path) -> None:
    """Opening the store is enough: the fragment is gone, and the entries are where they were."""
    script = """
import signal
name = path
store = opened(name)
store.journal.append("m", {"n": 1})
real = os.rename
def die(*arguments):
    os._exit(9)
os.rename = die
assert in_child(store.journal.compact, ALL) == 9
os.rename = real
(fragment,) = files(name)
assert fragment.startswith(".journal-")
assert store.journal.archives() == []
with opened(name):
    assert files(name) == []
    assert len(store.journal.query()) == 1

real_write = compaction._settle
compaction._settle = die
assert in_child(store.journal.compact, ALL) == 9
compaction._settle = real_write
assert len(store.journal.query()) == 1
with opened(name):
    (archive,) = store.journal.archives()
    assert archive.entries == 1 and archive.size == os.stat(archive.path).st_size
    assert store.journal.query() == []

store.journal.append("m", {"n": 2})
compaction._settle = die
assert in_child(store.journal.compact, ALL) == 9
compaction._settle = real_write
(new,) = set(files(name)) - {os.path.basename(archive.path)}
os.truncate(os.path.join(name + ".archive", new), 20)
import logging
logging.disable()
with opened(name):
    # What cannot be read whole is left to look at, and counts for nothing.
    assert len(files(name)) == 2
    assert len(store.journal.archives()) == 1
    assert len(store.journal.query()) == 1
    assert store.journal.compact(ALL).entries == 1
store.close()
"""
    run(SCRIPT + script, tmp_path / "store", "gzip", "", "normal")


COPY = """
import shutil, sys, groupstore
name, copied = sys.argv[1:]
for ending in ("", "-wal"):
    shutil.copyfile(name + ending, copied + ending)
with groupstore.Store(copied, purge_interval=None) as store:
    kept = [row["fields"]["n"] for row in store.journal.query()]
    archived = [entry["fields"]["n"] for archive in store.journal.archives()
                for entry in groupstore.read_archive(archive.path)]
    assert sorted(kept + archived) == [0, 1, 2], (kept, archived)
    assert store.check() == []
print(len(archived))
"""


def test_a_copy_of_the_database_undoes_nothing(
    run: Run, path: Path, file_store: groupstore.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that is made and opened while the original archives does the original no harm."""
    file_store.journal.append_many([("m", {"n": n}) for n in range(3)])
    archived = []

    def after(name: str) -> Any:
        real = getattr(os, name)

        def call(*arguments: Any) -> None:
            real(*arguments)
            archived.append(int(run(COPY, path, f"{path}.copy{len(archived)}")))

        return call

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", after("fsync"))
        patch.setattr(os, "rename", after("rename"))
        archive = file_store.journal.compact(timedelta(days=-1))
    assert archive is not None
    # Before and after the file has its name: it is the original's, which may yet undo it.
    assert len(archived) >= 2
    assert set(archived) == {0}
    assert file_store.journal.archives() == [archive]
    assert len(list(groupstore.read_archive(archive.path))) == 3
    assert file_store.journal.query() == []


def test_a_backup_knows_no_unfinished_archive(
    path: Path, file_store: groupstore.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup made while the original archives holds all entries, and leaves the file alone."""
    file_store.journal.append_many([("m", {"n": n}) for n in range(3)])
    real = os.rename
    copied = f"{path}.backup"

    def rename(*arguments: Any) -> None:
        real(*arguments)
        file_store.backup(copied)
        with groupstore.Store(copied, purge_interval=None) as backup:
            assert backup.journal.query("SELECT * FROM groupstore_archives") == []
            assert len(backup.journal.query()) == 3
            assert backup.check() == []

    with monkeypatch.context() as patch:
        # The backup renames too, by another function.
        patch.setattr(os, "rename", rename)
        archive = file_store.journal.compact(timedelta(days=-1))
    assert Path(copied).exists()
    assert file_store.journal.archives() == [archive]
    assert archive is not None
    assert len(list(groupstore.read_archive(archive.path))) == 3
    assert not Path(f"{copied}-wal").exists()


MOVED = """
os.mkdir(path)
store = opened(path + "/s.db")
store.journal.append_many([("m", {"n": n}) for n in range(3)])
compaction._settle = lambda *arguments: os._exit(9)
assert in_child(lambda: store.journal.compact(ALL, output=output)) == 9
store.close()
os.rename(path, path + "-moved")
def look_moved():
    with opened(path + "-moved/s.db") as store:
        (archive,) = store.journal.archives()
        assert archive.path.startswith(output or path + "-moved/s.db.archive/"), archive
        assert os.path.isfile(archive.path) and archive.entries == 3
        (row,) = store.journal.query("SELECT path FROM groupstore_archives")
        assert row["path"] == archive.path
        assert store.journal.query() == []
        assert store.journal.compact(ALL) is None
from importlib import reload
reload(compaction)
look_moved()
"""


@pytest.mark.parametrize("output", ["", "out"])
def test_a_moved_store_finds_its_archive(run: Run, tmp_path: Path, output: str) -> None:
    """Moved after a crash between naming and marking, a store archives no entry twice."""
    folder = tmp_path / output if output else ""
    run(SCRIPT + MOVED, tmp_path / "store", "gzip", folder, "normal")


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="links are followed on this system")
def test_opening_where_the_lock_cannot_be_taken(run: Run, path: Path) -> None:
    """What keeps recovery from its lock is logged, and the store opens."""
    script = """
store = opened(path)
store.journal.append("m")
compaction._settle = lambda *arguments: os._exit(9)
assert in_child(store.journal.compact, ALL) == 9
store.close()
os.unlink(path + "-archive.lock")
os.symlink("elsewhere", path + "-archive.lock")
import logging
said = []
logging.getLogger("groupstore").addFilter(lambda record: said.append(record.getMessage()))
with opened(path) as store:
    assert len(store.journal.query()) == 1
assert len(said) == 1 and path in said[0], said
"""
    run(SCRIPT + script, path, "gzip", "", "normal")


def test_recovery_knows_what_was_left_out(run: Run, path: Path, foreign: Any) -> None:
    """After a crash, too, what no line can hold stays, and the others are archived once."""
    with groupstore.Store(path, purge_interval=None) as store:
        store.journal.append_many([("m", {"n": n}) for n in range(3)])
    foreign("UPDATE journal_entries SET fields_json = '{' WHERE entry_id = 2")
    script = """
import logging
logging.disable()
store = opened(path)
compaction._settle = lambda *arguments: os._exit(9)
assert in_child(store.journal.compact, ALL) == 9
store.close()
"""
    run(SCRIPT + script, path, "gzip", "", "normal")
    with groupstore.Store(path, purge_interval=None) as store:
        (archive,) = store.journal.archives()
        assert archive.entries == 2
        found = [entry["fields"]["n"] for entry in groupstore.read_archive(archive.path)]
        assert found == [0, 2]
        sql = "SELECT entry_id FROM journal_entries WHERE archived_at IS NULL"
        assert store.journal.query(sql) == [{"entry_id": 2}]
