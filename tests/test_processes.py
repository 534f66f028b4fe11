"""One file, many processes: ours, and foreign ones that know SQLite alone."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import groupstore
from conftest import Opener
from groupstore import Quota, QuotaExceededError, StoreBusyError
from model import PATIENCE_S, Clock, drain

Start = Callable[..., subprocess.Popen[str]]
Run = Callable[..., str]
Foreign = Callable[..., list[list[Any]]]

OPEN = """
import sys, groupstore
store = groupstore.Store(sys.argv[1], purge_interval=None, durability="normal", busy_timeout=20)
"""


def outcomes(processes: list[subprocess.Popen[str]]) -> list[str]:
    """What each process printed at its end, which has to be a good one."""
    printed = []
    for process in processes:
        out, err = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, err) == (0, "")
        printed.append(out)
    return printed


def line(process: subprocess.Popen[str]) -> str:
    """The next line that a process prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str], text: str) -> str:
    """Sends a line to a process and gives the line that it answers."""
    assert process.stdin is not None
    process.stdin.write(text + "\n")
    process.stdin.flush()
    return line(process)


# --- Ours --------------------------------------------------------------------------------------


def test_counters_of_four_processes(path: Path, start: Start, file_store: groupstore.Store) -> None:
    """Four processes count, in calls and in transactions, to the sum of what each added."""
    script = (
        OPEN
        + """
for n in range(100):
    store.increment("g", "n")
    with store.transaction() as tx:
        tx.set("g", "m", str(int(tx.get("g", "m", "0")) + 1))
store.close()
"""
    )
    outcomes([start(script, path) for _ in range(4)])
    assert file_store.get_all("g") == {"m": "400", "n": "400"}


def test_four_processes_race_for_a_quota(
    path: Path, start: Start, file_store: groupstore.Store
) -> None:
    """Processes that declare the same limit never exceed it together, nor stop short of it."""
    script = (
        OPEN
        + """
scope = store.scoped("acme", groupstore.Quota(max_keys=100, max_groups=6))
added = 0
for n in range(80):
    try:
        scope.set(f"g{n % 2}-{sys.argv[2]}", str(n), "v")
        added += 1
    except groupstore.QuotaExceededError:
        pass
    assert scope.count_all() <= 100 and len(scope.groups()) <= 6
store.close()
print(added)
"""
    )
    added = outcomes([start(script, path, n) for n in range(4)])
    scope = file_store.scoped("acme", Quota(max_keys=100))
    assert sum(map(int, added)) == scope.count_all() == 100
    assert len(scope.groups()) <= 6
    with pytest.raises(QuotaExceededError):
        scope.set("g0-0", "another", "v")


def test_other_processes_writes_are_seen_at_once(
    path: Path, start: Start, file_store: groupstore.Store
) -> None:
    """A read never returns data older than a write that another process has finished."""
    script = (
        OPEN
        + """
scope = store.scoped("acme", groupstore.Quota(max_keys=10))
print("ready", flush=True)
for line in sys.stdin:
    value = line.strip()
    kind = int(value) % 4
    if kind == 0:
        store.delete("acme:g", "k")
    elif kind == 1:
        scope.set("g", "k", value)
    elif kind == 2:
        with store.transaction() as tx:
            tx.delete_group("acme:g")
            tx.set("acme:g", "k", value)
    else:
        store.set_many("acme:g", {"k": value, "k2": value})
    print("done", flush=True)
store.close()
"""
    )
    process = start(script, path)
    assert line(process) == "ready"
    scope = file_store.scoped("acme", Quota(max_keys=10))
    extra: dict[str, str] = {}
    for n in range(200):
        assert tell(process, str(n)) == "done"
        kind, value = n % 4, str(n)
        extra = {} if kind == 2 else {"k2": value} if kind == 3 else extra
        expected = extra if kind == 0 else {"k": value} | extra
        assert file_store.get("acme:g", "k", None) == expected.get("k")
        assert scope.get("g", "k", None) == expected.get("k")
        assert scope.get_all("g") == expected
        assert scope.count_all() == file_store.count("acme:g") == len(expected)
        assert file_store.groups() == (["acme:g"] if expected else [])
        # Our own write in between: its effect on any cache is the trickier one.
        if n % 5 == 0:
            file_store.set("own", "k", value)
            assert file_store.get("own", "k") == value
            file_store.delete_group("own")


def test_our_writes_are_seen_by_others(
    path: Path, start: Start, file_store: groupstore.Store
) -> None:
    """The same the other way round: another process reads what we have just written."""
    script = (
        OPEN
        + """
print("ready", flush=True)
for line in sys.stdin:
    print(store.get("g", "k"), flush=True)
store.close()
"""
    )
    process = start(script, path)
    assert line(process) == "ready"
    for n in range(100):
        file_store.set("g", "k", str(n))
        assert tell(process, "read") == str(n)


def test_block_of_another_process(path: Path, start: Start, open_store: Opener) -> None:
    """Beside another process's open block reads do not wait, and writes do, up to the timeout."""
    script = (
        OPEN
        + """
with store.transaction() as tx:
    tx.set("g", "k", "theirs")
    tx.set("g", "k2", "theirs")
    print("inside", flush=True)
    sys.stdin.readline()
store.close()
print("committed", flush=True)
"""
    )
    store = open_store(busy_timeout=0.2)
    store.set("g", "k", "ours")
    process = start(script, path)
    assert line(process) == "inside"
    assert store.get("g", "k") == "ours"
    assert store.get_all("g") == {"k": "ours"}
    assert store.count_all() == 1
    began = time.monotonic()
    with pytest.raises(StoreBusyError) as raised:
        store.set("g", "k", "ours again")
    assert 0.18 < time.monotonic() - began < 5
    assert raised.value.__cause__ is not None
    with pytest.raises(StoreBusyError), store.transaction():
        raise AssertionError("entered")
    assert store.get("g", "k") == "ours"
    assert tell(process, "leave") == "committed"
    assert store.get_all("g") == {"k": "theirs", "k2": "theirs"}
    store.set("g", "k", "ours again")


def test_get_leaves_expired_rows_where_another_process_writes(
    path: Path, start: Start, open_store: Opener, clock: Clock
) -> None:
    """`get` neither waits nor fails where it can't remove the expired row that it met."""
    script = (
        OPEN
        + """
with store.transaction() as tx:
    print("inside", flush=True)
    sys.stdin.readline()
store.close()
print("committed", flush=True)
"""
    )
    store = open_store(busy_timeout=60)
    store.set("g", "k", "v", ttl=1)
    clock.advance(1)
    watcher = store.watch()
    process = start(script, path)
    assert line(process) == "inside"
    began = time.monotonic()
    assert store.get("g", "k", None) is None
    assert time.monotonic() - began < PATIENCE_S
    assert drain(watcher) == []
    assert tell(process, "leave") == "committed"
    assert store.get("g", "k", None) is None
    assert [change.reason for change in drain(watcher)] == ["expired"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL")
def test_killed_in_a_transaction(path: Path, start: Start, file_store: groupstore.Store) -> None:
    """What a killed process had not committed is not there, what it had is, its lock is free."""
    script = (
        OPEN
        + """
store.set("g", "committed", "v")
tx = store.transaction().__enter__()
tx.set_many("g", {str(n): "v" * 1000 for n in range(5000)})
print("inside", flush=True)
sys.stdin.readline()
"""
    )
    process = start(script, path)
    assert line(process) == "inside"
    process.kill()
    process.wait(PATIENCE_S)
    file_store.set("g", "k", "v")
    assert file_store.get_all("g") == {"committed": "v", "k": "v"}
    assert file_store.check() == []


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL")
def test_acknowledged_writes_survive_a_kill(path: Path, start: Start, open_store: Opener) -> None:
    """Every write that was acknowledged before the process was killed is there afterwards."""
    script = (
        OPEN
        + """
n = 0
while True:
    n += 1
    store.set("g", str(n), "v" * 200)
    print(n, flush=True)
"""
    )
    process = start(script, path)
    for _ in range(300):
        acknowledged = int(line(process))
    process.kill()
    # Not communicate(): it would leave out what the stream has read ahead.
    assert process.stdout is not None
    out = process.stdout.read()
    numbers = [int(text) for text in out.splitlines(keepends=True) if text.endswith("\n")]
    acknowledged = max([acknowledged, *numbers])
    with open_store() as store:
        assert store.count("g") in (acknowledged, acknowledged + 1)
        assert store.check() == []


def test_events_stay_in_their_process(path: Path, run: Run, file_store: groupstore.Store) -> None:
    """Watchers and callbacks hear nothing of other processes' writes."""
    watcher = file_store.watch()
    run(OPEN + "store.set('g', 'k', 'v'); store.close()", path)
    assert file_store.get("g", "k") == "v"
    assert drain(watcher) == []


def test_expired_by_another_process(path: Path, run: Run, file_store: groupstore.Store) -> None:
    """An expiry that another process set or cleared counts here at once."""
    file_store.set("g", "a", "v", ttl=3600)
    file_store.set("g", "b", "v")
    assert file_store.get_all("g") == {"a": "v", "b": "v"}
    run(OPEN + "store.expire('g', 'a', None); store.expire('g', 'b', 1800); store.close()", path)
    assert file_store.ttl("g", "a") is None
    left = file_store.ttl("g", "b")
    assert left is not None
    assert 1700 < left <= 1800


# --- Foreign -----------------------------------------------------------------------------------

INSERT = "INSERT INTO entries (group_name, entry_key, entry_value, expires_at) VALUES "


def test_foreign_rows(file_store: groupstore.Store, foreign: Foreign) -> None:
    """Rows that another program inserts are there by every read, cached absence or not."""
    assert file_store.get("g", "k", None) is None
    assert file_store.count_all() == 0
    foreign(INSERT + "('g', 'k', 'v', NULL), ('h', '', '', NULL), ('acme:x', 'a', '1', NULL)")
    assert file_store.get("g", "k") == "v"
    assert file_store.get_all("h") == {"": ""}
    assert file_store.groups() == ["acme:x", "g", "h"]
    assert file_store.count_all() == 3
    assert file_store.scoped("acme").get("x", "a") == "1"
    assert file_store.increment("acme:x", "a") == 2
    assert file_store.check() == []


def test_our_rows_seen_by_a_foreign_program(file_store: groupstore.Store, foreign: Foreign) -> None:
    """Another program finds our rows in go-store's table and columns."""
    file_store.set("g", "k", "v\0\U0001f600")
    file_store.set("g", "k2", "v", ttl=3600)
    rows = foreign(
        "SELECT group_name, entry_key, entry_value, typeof(expires_at),"
        " abs(expires_at - strftime('%s', 'now') * 1000 - 3600000) < 60000"
        " FROM entries ORDER BY entry_key"
    )
    assert rows == [["g", "k", "v\0\U0001f600", "null", None], ["g", "k2", "v", "integer", 1]]


def test_foreign_changes(file_store: groupstore.Store, foreign: Foreign) -> None:
    """Another program's updates, renamings, replacements and deletions are followed everywhere."""
    scope = file_store.scoped("acme", Quota(max_keys=3, max_groups=2))
    scope.set_many("g", {"a": "1", "b": "2"})
    scope.set("h", "c", "3")
    with pytest.raises(QuotaExceededError):
        scope.set("g", "d", "v")
    assert scope.get("g", "a") == "1"
    foreign("UPDATE entries SET entry_value = 'changed' WHERE entry_key = 'a'")
    assert scope.get("g", "a") == "changed"
    foreign("UPDATE entries SET group_name = 'other:g' WHERE entry_key = 'a'")
    assert scope.get("g", "a", None) is None
    assert file_store.get("other:g", "a") == "changed"
    assert (scope.count_all(), file_store.count_all()) == (2, 3)
    scope.set("g", "d", "v")
    with pytest.raises(QuotaExceededError):
        scope.set("g", "e", "v")
    foreign("UPDATE entries SET group_name = 'acme:h' WHERE entry_key = 'b'")
    assert {group: scope.count(group) for group in scope.groups()} == {"g": 1, "h": 2}
    foreign("UPDATE entries SET entry_key = 'z' WHERE entry_key = 'b'")
    assert list(scope.keys("h")) == ["c", "z"]
    foreign("DELETE FROM entries WHERE group_name = 'acme:h'")
    assert scope.groups() == ["g"]
    assert scope.count_all() == 1
    scope.set_many("g", {"e": "v", "f": "v"})
    with pytest.raises(QuotaExceededError):
        scope.set("g", "g", "v")
    assert file_store.check() == []


def test_foreign_expiry(file_store: groupstore.Store, foreign: Foreign, clock: Clock) -> None:
    """Another program's expiry times mean the same as ours, when inserted and when changed."""
    now = clock.now_ms
    scope = file_store.scoped("acme", Quota(max_keys=2))
    foreign(
        INSERT + f"('acme:g', 'past', 'v', {now - 1}), ('acme:g', 'now', 'v', {now}),"
        f" ('acme:g', 'soon', 'v', {now + 1}), ('acme:g', 'zero', 'v', 0),"
        " ('acme:g', 'negative', 'v', -1)"
    )
    assert scope.get_all("g") == {"soon": "v"}
    assert scope.count_all() == 1
    scope.set("g", "ours", "v")
    with pytest.raises(QuotaExceededError):
        scope.set("g", "more", "v")
    clock.advance(0.001)
    scope.set("g", "more", "v")
    foreign("UPDATE entries SET expires_at = 1 WHERE entry_key = 'ours'")
    assert scope.get_all("g") == {"more": "v"}
    scope.set("g", "another", "v")
    foreign("UPDATE entries SET expires_at = NULL WHERE entry_key = 'soon'")
    assert scope.get_all("g") == {"another": "v", "more": "v", "soon": "v"}
    with pytest.raises(QuotaExceededError):
        scope.set("g", "yet another", "v")
    assert file_store.purge_expired() == 5
    assert file_store.check() == []


def test_foreign_upsert(file_store: groupstore.Store, foreign: Foreign) -> None:
    """go-store's own upsert counts an overwritten key once."""
    scope = file_store.scoped("acme", Quota(max_keys=2))
    scope.set("g", "a", "1")
    upsert = (
        INSERT + "('acme:g', 'a', '2', NULL) ON CONFLICT(group_name, entry_key)"
        " DO UPDATE SET entry_value = excluded.entry_value, expires_at = NULL"
    )
    foreign(upsert, upsert, upsert)
    assert scope.get_all("g") == {"a": "2"}
    scope.set("g", "b", "v")
    with pytest.raises(QuotaExceededError):
        scope.set("g", "c", "v")


def test_foreign_transaction_that_is_rolled_back(
    file_store: groupstore.Store, foreign: Foreign
) -> None:
    """What another program takes back was never there."""
    file_store.set("g", "k", "v")
    foreign("BEGIN", "DELETE FROM entries", INSERT + "('x', 'y', 'z', NULL)", "ROLLBACK")
    assert file_store.get_all("g") == {"k": "v"}
    assert file_store.count_all() == 1


def test_foreign_values_that_are_no_utf8(file_store: groupstore.Store, foreign: Foreign) -> None:
    """A TEXT value that is not UTF-8, which Go allows, comes back as bytes, by every read."""
    foreign(INSERT + "('g', 'k', CAST(x'61ff62' AS TEXT), NULL)")
    for _ in range(2):
        assert file_store.get("g", "k") == b"a\xffb"
    assert file_store.get_all("g") == {"k": b"a\xffb"}
    assert file_store.get_page("g", 0, 1) == [("k", b"a\xffb")]
    assert list(file_store.items("g")) == [("k", b"a\xffb")]
    assert file_store.pop("g", "k") == b"a\xffb"


def test_foreign_names_that_are_no_utf8(file_store: groupstore.Store, foreign: Foreign) -> None:
    """A group or key that is not UTF-8 is left out of listings and named by `check`."""
    file_store.set("g", "k", "v")
    foreign(
        INSERT + "('g', CAST(x'ff01' AS TEXT), 'v', NULL), (CAST(x'fe02' AS TEXT), 'k', 'v', NULL)"
    )
    assert file_store.groups() == list(file_store.iter_groups()) == ["g"]
    assert file_store.get_all("g") == {"k": "v"}
    assert list(file_store.keys("g")) == ["k"]
    assert [item.key for item in file_store.items("g")] == ["k"]
    assert file_store.get_page("g", 0, 10) == [("k", "v")]
    problems = " ".join(file_store.check()).lower()
    assert "ff01" in problems.replace("\\x", "").replace("\\", "")
    assert "fe02" in problems.replace("\\x", "").replace("\\", "")


def test_foreign_replace_is_reported_and_mended(
    file_store: groupstore.Store, foreign: Foreign
) -> None:
    """After a program's REPLACE, which escapes triggers, the counts are right or are mended."""
    scope = file_store.scoped("acme", Quota(max_keys=2))
    scope.set("g", "a", "1")
    foreign(
        *["REPLACE INTO entries (group_name, entry_key, entry_value) VALUES ('acme:g', 'a', '2')"]
        * 3
    )
    assert scope.get_all("g") == {"a": "2"}
    file_store.check()
    assert file_store.check() == []
    assert scope.count_all() == 1
    scope.set("g", "b", "v")
    with pytest.raises(QuotaExceededError):
        scope.set("g", "c", "v")


def test_foreign_schema_changes(file_store: groupstore.Store, foreign: Foreign) -> None:
    """Compiled statements survive what another program does to the schema meanwhile."""
    file_store.set("g", "k", "v")
    assert file_store.get("g", "k") == "v"
    for change in (
        "CREATE TABLE theirs (x)",
        "CREATE INDEX theirs_idx ON entries (entry_value)",
        "ALTER TABLE entries ADD COLUMN note TEXT DEFAULT 'none'",
        "DROP INDEX theirs_idx",
        "DROP TABLE theirs",
        "VACUUM",
        "ANALYZE",
    ):
        foreign(change)
        assert file_store.get("g", "k") == "v"
        file_store.set("g", "k2", change)
        assert file_store.get_all("g") == {"k": "v", "k2": change}
        file_store.set_many("g", {str(n): "v" for n in range(300)})
        assert file_store.delete_many("g", map(str, range(300))) == 300
        with file_store.transaction() as tx:
            assert tx.count("g") == 2
    assert file_store.check() == []


def test_foreign_checkpoint(file_store: groupstore.Store, foreign: Foreign) -> None:
    """Reads stay right when another program moves the log into the file between them."""
    for n in range(5):
        file_store.set("g", "k", str(n))
        assert file_store.get("g", "k") == str(n)
        foreign("PRAGMA wal_checkpoint(TRUNCATE)", f"UPDATE entries SET entry_value = 'x{n}'")
        assert file_store.get("g", "k") == f"x{n}"
