"""dump: what the file holds, that equal stores give equal bytes, and that it is there or not."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import stat
import threading
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import apsw
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

import groupstore
from conftest import Opener
from groupstore import StorageError, StoreClosedError, StoreError
from model import Source, names, values

Foreign = Callable[..., list[list[Any]]]

FAR_MS = 99_999_999_999_999
HEADER = b'{"format":"groupstore dump","version":1}\n'


def sealed(*lines: str) -> bytes:
    """A dump of these entry lines, with the closing line that the format asks for."""
    body = HEADER + b"".join(f"{line}\n".encode() for line in lines)
    checksum = hashlib.sha256(body).hexdigest()
    return body + f'{{"entries":{len(lines)},"sha256":"{checksum}"}}\n'.encode()


def test_format(file_store: groupstore.Store, foreign: Foreign, tmp_path: Path) -> None:
    """A header, an entry a line in order of group and key, and a closing line with a checksum."""
    file_store.set("b", "k", "é\n\0")
    file_store.set("a", "\U00010000", b"\xff\x00")
    file_store.set("a", "\uffff", "")
    file_store.set("", "", "v", ttl=100)
    foreign(f"UPDATE entries SET expires_at = {FAR_MS} WHERE group_name = ''")
    assert file_store.dump(tmp_path / "d") == 4
    assert (tmp_path / "d").read_bytes() == sealed(
        f'{{"group":"","key":"","value":"v","expires_at":{FAR_MS}}}',
        '{"group":"a","key":"\uffff","value":""}',
        '{"group":"a","key":"\U00010000","base64":"/wA="}',
        '{"group":"b","key":"k","value":"é\\n\\u0000"}',
    )


def test_empty(store: groupstore.Store, tmp_path: Path) -> None:
    """A store without keys gives a dump without entries."""
    assert store.dump(tmp_path / "d") == 0
    assert (tmp_path / "d").read_bytes() == sealed()


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
def test_equal_stores_give_equal_bytes(tmp_path: Path, ending: str) -> None:
    """Neither the order of writing, nor the name, nor the time shows in the file."""
    pairs = [("g", "k", "v" * 1000), ("h", "k", b"w"), ("a", "k", "")]
    found = []
    for name, items in (("one", pairs), ("two", pairs[::-1])):
        with groupstore.Store() as store:
            for group, key, value in items:
                store.set(group, key, value)
            store.set("gone", "k", "v")
            store.delete("gone", "k")
            store.dump(tmp_path / f"{name}{ending}")
        found.append((tmp_path / f"{name}{ending}").read_bytes())
    assert found[0] == found[1]


def test_compression(store: groupstore.Store, tmp_path: Path) -> None:
    """The name's ending chooses gzip or Zstandard; what is inside is the same."""
    store.set_many("g", {f"k{n}": "v" * 50 for n in range(3000)})
    for name in ("d", "d.gz", "d.zst"):
        assert store.dump(tmp_path / name) == 3000
    plain = (tmp_path / "d").read_bytes()
    compressed = (tmp_path / "d.gz").read_bytes()
    assert gzip.decompress(compressed) == plain
    # Bytes 3 to 7 of a gzip header: flags, among them that of a name, and the time.
    assert compressed[3:8] == bytes(5)
    with zstandard.open(tmp_path / "d.zst", "rb") as file:
        assert file.read() == plain


def test_live_keys_alone(file_store: groupstore.Store, foreign: Foreign, tmp_path: Path) -> None:
    """What has expired, or has a name that no listing shows, is not in the dump."""
    file_store.set("g", "k", "v")
    row = "INSERT INTO entries VALUES ({}, {}, {}, {})"
    foreign(
        row.format("'g'", "'old'", "'v'", "1"),
        row.format("CAST(x'67ff' AS TEXT)", "'k'", "'v'", "NULL"),
        row.format("'g'", "CAST(x'ff' AS TEXT)", "'v'", "NULL"),
        row.format("x'67'", "'k'", "'v'", "NULL"),
        row.format("'g'", "'raw'", "CAST(x'ff' AS TEXT)", "NULL"),
    )
    seen: list[tuple[int, int]] = []
    assert file_store.dump(tmp_path / "d", progress=lambda *far: seen.append(far)) == 2
    assert (tmp_path / "d").read_bytes() == sealed(
        '{"group":"g","key":"k","value":"v"}', '{"group":"g","key":"raw","base64":"/w=="}'
    )
    assert seen[-1][0] == seen[-1][1]


@given(st.sets(names, max_size=12), names)
def test_prefix(tmp_path: Path, groups: set[str], prefix: str) -> None:
    """A prefix chooses the groups whose names start with it, whatever its characters are."""
    with groupstore.Store() as store:
        for group in groups:
            store.set(group, "k", "v")
        chosen = sorted(group for group in groups if group.startswith(prefix))
        assert store.dump(tmp_path / "d", prefix) == len(chosen)
    lines = (tmp_path / "d").read_text(encoding="utf-8").split("\n")[1:-2]
    assert [json.loads(line)["group"] for line in lines] == chosen


def test_scope(store: groupstore.Store, tmp_path: Path) -> None:
    """A scope dumps its own groups under their local names."""
    for group in ("acme:a", "acme:b", "acme", "ACME:a", "acme-x:a"):
        store.set(group, "k", "v")
    scope = store.scoped("acme")
    assert scope.dump(tmp_path / "all") == 2
    assert scope.dump(tmp_path / "some", prefix="b") == 1
    one, two = (f'{{"group":"{group}","key":"k","value":"v"}}' for group in "ab")
    assert (tmp_path / "all").read_bytes() == sealed(one, two)
    assert (tmp_path / "some").read_bytes() == sealed(two)


def test_in_a_transaction(source: Source, tmp_path: Path) -> None:
    """A dump inside a transaction holds what that has written, and leaves it open."""
    source.set("g", "k", "before")
    with source.transaction() as tx:
        tx.set("g", "k", "after")
        assert source.dump(tmp_path / "d") == 1
        tx.rollback()
    assert b"after" in (tmp_path / "d").read_bytes()
    assert source.get("g", "k") == "before"


def test_one_instant(
    file_store: groupstore.Store, tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    """What other threads write meanwhile is in it as a whole or not at all; here not."""
    file_store.set_many("g", {f"k{n:05}": "before" for n in range(3000)})
    calls = 0

    def progress(done: int, total: int) -> None:
        nonlocal calls
        calls += 1
        items = {f"k{n:05}": "after" for n in range(3000)}
        threads.submit(file_store.set_many, "g", items).result()
        file_store.set("new", str(calls), "from this thread")
        assert total == 3000

    assert file_store.dump(tmp_path / "d", progress=progress) == 3000
    assert calls > 2
    assert b"after" not in (tmp_path / "d").read_bytes()
    assert file_store.count("new") == calls


def test_progress(store: groupstore.Store, tmp_path: Path) -> None:
    """It rises to the number of entries, and is called for an empty dump too."""
    seen: list[tuple[int, int]] = []
    store.dump(tmp_path / "d", progress=lambda done, total: seen.append((done, total)))
    store.set_many("g", {str(n): "v" for n in range(2500)})
    store.dump(tmp_path / "d", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 0), (1000, 2500), (2000, 2500), (2500, 2500)]


class Enough(Exception):
    """What a test's progress raises."""


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
@pytest.mark.parametrize("at", [1000, 2500])
def test_an_exception_ends_it(
    store: groupstore.Store, tmp_path: Path, ending: str, at: int
) -> None:
    """What progress raises comes out unchanged, what was there stays, and nothing is left."""
    store.set_many("g", {str(n): "v" for n in range(2500)})
    folder = tmp_path / "dumps"
    folder.mkdir()
    (folder / f"d{ending}").write_text("older")
    error = Enough()

    def progress(done: int, total: int) -> None:
        if done == at:
            raise error

    with pytest.raises(Enough) as raised:
        store.dump(folder / f"d{ending}", progress=progress)
    assert raised.value is error
    assert [file.read_text() for file in folder.iterdir()] == ["older"]
    store.set("g", "k", "still usable")


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_mode(store: groupstore.Store, tmp_path: Path) -> None:
    """The file is its owner's alone, also where it replaces one that was not."""
    path = tmp_path / "d"
    path.write_text("older")
    path.chmod(0o644)
    store.dump(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_own_files(file_store: groupstore.Store, path: Path, tmp_path: Path) -> None:
    """The store's files, by whatever name, are never replaced."""
    file_store.set("g", "k", "v")
    (tmp_path / "link").symlink_to(path)
    os.link(path, tmp_path / "hard")
    targets = [path, f"{path}-wal", f"{path}-shm", f"{path}-journal"]
    for target in [*targets, tmp_path / "link", tmp_path / "hard"]:
        with pytest.raises(StoreError, match=r"dump: .*own file"):
            file_store.dump(target)
    assert file_store.get("g", "k") == "v"
    assert file_store.check() == []


def test_another_store_in_use(file_store: groupstore.Store, tmp_path: Path) -> None:
    """A database that somebody has open is not replaced either."""
    with groupstore.Store(tmp_path / "other.db") as other:
        other.set("g", "k", "v")
        with pytest.raises(StoreError, match="in use"):
            file_store.dump(tmp_path / "other.db")
        assert other.check() == []


def test_places_where_no_file_can_be(store: groupstore.Store, tmp_path: Path) -> None:
    """A folder, and a folder that is not there, are StorageErrors that name the path."""
    for target in (tmp_path, tmp_path / "missing" / "d", f"{tmp_path}/d/"):
        with pytest.raises(StorageError, match="dump: ") as raised:
            store.dump(target)
        assert str(tmp_path) in str(raised.value)


def test_link_is_followed(store: groupstore.Store, tmp_path: Path) -> None:
    """What a symbolic link points to is replaced, and the link stays one."""
    (tmp_path / "link").symlink_to(tmp_path / "real")
    store.dump(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == sealed()


def test_wrong_arguments(store: groupstore.Store, tmp_path: Path) -> None:
    """Wrong types are TypeErrors, a lone surrogate is a ValueError, and no file is made."""
    target = tmp_path / "d"
    calls: list[Callable[[], object]] = [
        lambda: store.dump(5),  # type: ignore[arg-type]
        lambda: store.dump(b"d"),  # type: ignore[arg-type]
        lambda: store.dump(target, None),  # type: ignore[arg-type]
        lambda: store.dump(target, progress=5),  # type: ignore[arg-type]
    ]
    for call in calls:
        with pytest.raises(TypeError):
            call()
    with pytest.raises(ValueError, match="surrogate"):
        store.dump(target, "\ud800")
    assert not target.exists()


def test_read_only(open_store: Opener, tmp_path: Path) -> None:
    """A store opened for reading can be dumped."""
    with open_store() as store:
        store.set("g", "k", "v")
    assert open_store(read_only=True).dump(tmp_path / "d") == 1


def test_closed(store: groupstore.Store, tmp_path: Path) -> None:
    """A closed store has nothing to dump."""
    store.close()
    with pytest.raises(StoreClosedError):
        store.dump(tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_full_disk(run: Callable[..., str], tmp_path: Path) -> None:
    """Where the system refuses to write on, that is a StorageError, and nothing is left."""
    out = run(
        """
        import os, resource, sys, groupstore
        store = groupstore.Store()
        store.set_many("g", {str(n): os.urandom(40).hex() for n in range(20000)})
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        for name in ("d", "d.gz", "d.zst"):
            try:
                store.dump(os.path.join(sys.argv[1], name))
            except groupstore.StorageError as error:
                print(sys.argv[1] in str(error), os.listdir(sys.argv[1]))
        store.close()
        """,
        tmp_path,
    )
    assert out == "True []\n" * 3


def test_memory_is_bounded(file_store: groupstore.Store, tmp_path: Path) -> None:
    """Values go through one after another: the lines at hand stay far below the whole."""
    file_store.set_many("g", {str(n): "v" * 20_000 for n in range(1000)})
    file_store.dump(tmp_path / "first")
    tracemalloc.start()
    try:
        file_store.dump(tmp_path / "d")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000 < (tmp_path / "d").stat().st_size


@given(st.dictionaries(st.tuples(names, names), values, max_size=8))
def test_order_and_count(tmp_path: Path, content: dict[tuple[str, str], str | bytes]) -> None:
    """Entries stand in the order of code points, and the closing line has their number."""
    with groupstore.Store() as store:
        for (group, key), value in content.items():
            store.set(group, key, value)
        assert store.dump(tmp_path / "d") == len(content)
    lines = [json.loads(line) for line in (tmp_path / "d").read_bytes().split(b"\n")[1:-1]]
    assert [(line["group"], line["key"]) for line in lines[:-1]] == sorted(content)
    assert lines[-1]["entries"] == len(content)


def test_two_at_once(file_store: groupstore.Store, tmp_path: Path) -> None:
    """Two dumps to one path leave one whole file."""
    file_store.set_many("g", {str(n): "v" for n in range(2000)})
    workers = [threading.Thread(target=file_store.dump, args=(tmp_path / "d",)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    with groupstore.Store() as other:
        assert other.load(tmp_path / "d") == 2000
    assert [name for name in os.listdir(tmp_path) if name.endswith(".new")] == []


def test_files_in_use(file_store: groupstore.Store, tmp_path: Path) -> None:
    """What this process has open as a database, or locks by, is neither replaced nor read."""
    other_path = tmp_path / "other.db"
    with groupstore.Store(other_path, exclusive=True) as other, file_store.workspace("job") as job:
        other.set("g", "k", "v")
        job.put("like")
        lock = Path(job.path).parent / ".lock"
        (tmp_path / "other").mkdir()
        targets = [other_path, job.path, lock, f"{other_path}-shm", f"{job.path}-journal"]
        for number, path in enumerate([other_path, job.path, lock]):
            os.link(path, tmp_path / "other" / str(number))
            targets.append(tmp_path / "other" / str(number))
        calls = (file_store.dump, file_store.backup, file_store.load)
        for target in targets:
            for call in calls:
                with pytest.raises(StoreError, match=r"in use|lock file|belongs to the database"):
                    call(target)
        assert (other.check(), job.count()) == ([], 1)
        job.discard()


def test_name_of_a_side_file(store: groupstore.Store, tmp_path: Path) -> None:
    """A journal put beside somebody's database would be played back into it."""
    (tmp_path / "foreign.db").touch()
    for ending in ("-wal", "-shm", "-journal"):
        with pytest.raises(StoreError, match="belongs to the database"):
            store.dump(tmp_path / f"foreign.db{ending}")
        assert store.dump(tmp_path / f"alone{ending}") == 0


def test_an_error_of_sqlite_from_progress(store: groupstore.Store, tmp_path: Path) -> None:
    """An error that the store would turn into one of its own comes out unchanged, too."""
    store.set_many("g", {str(n): "v" for n in range(2500)})
    store.dump(tmp_path / "source")
    error = apsw.FullError("of the caller")

    def progress(done: int, total: int) -> None:
        raise error

    for call, name in ((store.dump, "d"), (store.backup, "d"), (store.load, "source")):
        with pytest.raises(apsw.FullError) as raised:
            call(tmp_path / name, progress=progress)
        assert raised.value is error
    assert not (tmp_path / "d").exists()
    assert store.check() == []


@pytest.mark.parametrize("ending", [".gz", ".GZ", ".zst", ".Zst"])
def test_the_name_given_chooses_the_compression(
    store: groupstore.Store, tmp_path: Path, ending: str
) -> None:
    """In any case of the letters, and not the name of what a link points to."""
    store.set("g", "k", "v")
    link = tmp_path / f"link{ending}"
    link.symlink_to(tmp_path / "real")
    store.dump(link)
    magic = b"\x1f\x8b" if ending.lower() == ".gz" else b"\x28\xb5\x2f\xfd"
    assert (tmp_path / "real").read_bytes().startswith(magic)
    assert store.load(link) == 1


def test_longest_names(store: groupstore.Store, tmp_path: Path) -> None:
    """A name may be as long as the file system has them, and the temporary one fits, too."""
    store.set("g", "k", "v")
    for name in ("n" * 255, "é" * 127):
        assert store.dump(tmp_path / name) == 1
        assert store.load(tmp_path / name) == 1


def test_interrupt_at_the_making(
    store: groupstore.Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt that comes when the temporary file has just been made leaves none."""
    close = os.close

    def interrupted(descriptor: int) -> None:
        close(descriptor)
        raise KeyboardInterrupt

    folder = tmp_path / "dumps"
    folder.mkdir()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "close", interrupted)
        store.dump(folder / "d")
    assert os.listdir(folder) == []
