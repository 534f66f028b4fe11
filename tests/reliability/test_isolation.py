"""A tenant who chooses every argument of a scope neither reaches nor notices another's data."""

from __future__ import annotations

import os
import random
import stat
import threading
import time
from contextlib import nullcontext, suppress
from datetime import timedelta
from pathlib import Path

import pytest

import groupstore
from model import PATIENCE_S

SLOW = os.environ.get("GROUPSTORE_SLOW") == "1"
ROUNDS = 20_000 if SLOW else 500

# Names that look like another tenant's, like patterns, and like what SQLite or the store keep.
PIECES = (
    "victim",
    ":",
    "VICTIM",
    "%",
    "_",
    "*",
    "\0",
    "..",
    "/",
    "'",
    '"',
    "workspace",
    "é",
    "",
    "v",
)
QUOTA = groupstore.Quota(max_keys=50, max_groups=10)


def act(scope: groupstore.ScopedStore, dice: random.Random) -> None:  # noqa: PLR0912
    """One operation with hostile names; what the scope refuses is refused."""
    group, key, text = ("".join(dice.choices(PIECES, k=dice.randrange(5))) for _ in range(3))
    try:
        match dice.randrange(14):
            case 0 | 1 | 2:
                scope.set(group, key, f"mine{text}")
            case 3:
                scope.set_many(group, {f"{key}{n}": "mine" for n in range(dice.randrange(60))})
            case 4:
                scope.delete(group, key)
            case 5:
                scope.delete_group(group)
            case 6:
                scope.delete_prefix(text)
            case 7:
                scope.pop(group, key, None)
            case 8:
                scope.increment(group, key)
            case 9:
                scope.purge_expired()
            case 10:
                scope.expire(group, key, 1000)
            case 11:
                scope.render(f"{{{{ {text} }}}}{{{{ entries }}}}", group)
            case 12:
                with scope.transaction() as tx:
                    tx.delete_prefix("")
                    tx.set(group, key, "mine")
            case _:
                scope.compare_and_set(group, key, None, "mine")
    except (groupstore.QuotaExceededError, groupstore.TemplateError, ValueError):
        pass


@pytest.mark.parametrize("together", [True, False], ids=["one-commit", "a-commit-each"])
def test_hostile_names(tmp_path: Path, seed: int, together: bool) -> None:
    """Random operations under hostile names leave other tenants whole, unseen, and unheard."""
    dice = random.Random(seed)
    secret = {("g", "k"): "secret", ("", ""): "secret", ("a:b", "%"): "secret"}
    names = ("victim", "VICTIM", "v", "tenant-2", "tenan")
    with groupstore.Store(tmp_path / "store.db", durability="normal", purge_interval=None) as store:
        others = [store.scoped(name) for name in names]
        for other in others:
            for (group, key), value in secret.items():
                other.set(group, key, value)
        store.set("victim", "k", "secret")
        store.set("tenant", "k", "secret")
        heard = [other.watch("*") for other in others]
        scope = store.scoped("tenant", QUOTA)
        mine = scope.watch("*", capacity=100_000)
        with store.transaction() if together else nullcontext():
            for _ in range(ROUNDS):
                act(scope, dice)
                assert scope.count_all() <= QUOTA.max_keys
                assert len(scope.groups()) <= QUOTA.max_groups
        for other in others:
            other.set("g", "k", "secret")
        for other in others:
            assert other.groups() == sorted({group for group, _ in secret})
            assert {
                (group, key): value
                for group in other.groups()
                for key, value in other.get_all(group).items()
            } == secret
        for watcher in heard:
            assert [event.key for event in iter(watcher.get_nowait, None)] == ["k"]
        assert store.get("victim", "k") == store.get("tenant", "k") == "secret"
        assert not any(event.value == "secret" for event in iter(mine.get_nowait, None))
        assert not any(
            value == "secret" for group in scope.groups() for value in scope.get_all(group).values()
        )
        assert store.check() == []


def test_a_scope_has_no_way_out_but_store(tmp_path: Path) -> None:
    """What concerns the whole file is not on a scope; `store` is for the code that made it."""
    with groupstore.Store(tmp_path / "store.db") as store:
        scope = store.scoped("tenant")
        for name in ("journal", "workspace", "recover_workspaces", "scoped", "backup", "check"):
            assert not hasattr(scope, name)
        for name in ("stats", "vacuum", "close", "path", "config"):
            assert not hasattr(scope, name)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o277, 0o777])
def test_modes_under_a_umask(tmp_path: Path, umask: int) -> None:
    """Every file is 0600 and every folder 0700, whatever the umask."""
    top = tmp_path / "top"
    top.mkdir(mode=0o700)
    before = os.umask(umask)
    try:
        with groupstore.Store(top / "store.db") as store:
            store.set("g", "k", "v")
            workspace = store.workspace("w")
            workspace.put("kind", {})
            store.journal.append("m")
            store.journal.compact(before=timedelta(days=-1))
            store.backup(top / "copy.db")
            store.dump(top / "dump.jsonl")
            workspace.close()
            found = {
                str(one.relative_to(top)): oct(stat.S_IMODE(one.lstat().st_mode))
                for one in top.rglob("*")
            }
            expected = {name: "0o700" if (top / name).is_dir() else "0o600" for name in found}
    finally:
        os.umask(before)
    assert len(found) > 6
    assert found == expected


def test_a_link_in_the_place_of_a_workspace(tmp_path: Path) -> None:
    """A symbolic link under a workspace's name is not followed: its target stays as it is."""
    target = tmp_path / "target"
    target.write_bytes(b"untouched")
    with groupstore.Store(tmp_path / "store.db") as store:
        folder = tmp_path / "store.db.state"
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / "w.db").symlink_to(target)
        with pytest.raises(groupstore.StoreError):
            store.workspace("w")
        (folder / "gone.db").symlink_to(tmp_path / "made")
        with pytest.raises(groupstore.StoreError):
            store.workspace("gone")
        for workspace in store.recover_workspaces():
            workspace.discard()
    assert target.read_bytes() == b"untouched"
    assert not (tmp_path / "made").exists()


def test_a_hostile_dump(tmp_path: Path) -> None:
    """Whatever groups a dump names, loading it into a scope sets keys of the scope alone."""
    path = tmp_path / "dump.jsonl"
    with groupstore.Store(purge_interval=None) as other:
        for group in ("victim:g", "tenant:g", "../g", "", ":", "workspace:w"):
            other.set(group, "k", "hostile")
        other.dump(path)
    with groupstore.Store(tmp_path / "store.db", purge_interval=None) as store:
        victim = store.scoped("victim")
        victim.set("g", "k", "secret")
        heard = victim.watch("*")
        store.scoped("tenant").load(path)
        assert store.groups() == [
            *("tenant:", "tenant:../g", "tenant::", "tenant:tenant:g", "tenant:victim:g"),
            *("tenant:workspace:w", "victim:g"),
        ]
        assert victim.get_all("g") == {"k": "secret"}
        assert heard.get_nowait() is None


@pytest.mark.skipif(os.name != "posix", reason="links need no rights on POSIX")
def test_races_on_links(tmp_path: Path) -> None:
    """Links that come and go under the names of a workspace's files are never written through."""
    outside = tmp_path / "outside"
    outside.mkdir()
    target = outside / "target"
    target.write_bytes(b"untouched")
    folder = tmp_path / "store.db.state"
    folder.mkdir(mode=0o700)
    ended = threading.Event()
    swaps = 0

    def swap() -> None:
        nonlocal swaps
        names = [f"w.db{ending}" for ending in ("", "-new", "-wal", "-shm", "-journal")]
        while not ended.is_set():
            for name in names:
                with suppress(OSError):
                    (folder / name).symlink_to(target if swaps % 2 else outside / f"made{swaps}")
                with suppress(OSError):
                    if (folder / name).is_symlink():
                        (folder / name).unlink()
                swaps += 1

    thread = threading.Thread(target=swap)
    done, deadline = 0, time.monotonic() + PATIENCE_S * 10
    with groupstore.Store(tmp_path / "store.db", durability="normal", purge_interval=None) as store:
        thread.start()
        try:
            while done < (500 if SLOW else 10) and time.monotonic() < deadline:
                with suppress(groupstore.StoreError), store.workspace("w") as workspace:
                    workspace.put("like", {"n": done})
                    workspace.commit() if done % 2 else workspace.discard()
                    done += 1
                for left in store.recover_workspaces():
                    with suppress(groupstore.StoreError):
                        left.discard()
        finally:
            ended.set()
            thread.join()
        assert store.check() == []
    assert done > 0
    assert swaps > 0
    assert target.read_bytes() == b"untouched"
    assert os.listdir(outside) == ["target"]
