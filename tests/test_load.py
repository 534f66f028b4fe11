"""load: what a dump held is set as it was, all of it or nothing, and damage is found."""

from __future__ import annotations

import json
import os
import random
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import groupstore
from conftest import Opener
from groupstore import (
    CorruptStoreError,
    Quota,
    QuotaExceededError,
    ReadOnlyError,
    StorageError,
    StoreClosedError,
    StoreError,
)
from model import Source, names, values
from test_dump import FAR_MS, HEADER, Enough, sealed

Foreign = Callable[..., list[list[Any]]]
Content = dict[tuple[str, str], tuple[str | bytes, int | None]]

contents = st.dictionaries(
    st.tuples(names, names),
    st.tuples(values, st.sampled_from((None, 1000, 5000.5, FAR_MS / 1000))),
    max_size=10,
)


def entry(group: str, key: str, value: str = "v", expires_at: int | None = None) -> str:
    """The line of an entry."""
    fields: dict[str, object] = {"group": group, "key": key, "value": value}
    if expires_at is not None:
        fields["expires_at"] = expires_at
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def everything(store: groupstore.Store) -> dict[str, dict[str, str | bytes]]:
    """All live keys of a store."""
    return {group: store.get_all(group) for group in store.groups()}


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
@given(contents)
def test_round_trip(tmp_path: Path, ending: str, content: Content) -> None:
    """A store that has loaded a dump holds the same, and dumps to the same bytes."""
    first, second = tmp_path / f"first{ending}", tmp_path / f"second{ending}"
    with groupstore.Store() as one, groupstore.Store() as two:
        for (group, key), (value, ttl) in content.items():
            one.set(group, key, value, ttl=ttl)
        assert one.dump(first) == two.load(first) == len(content)
        assert everything(one) == everything(two)
        two.dump(second)
        assert first.read_bytes() == second.read_bytes()
        assert two.check() == []


def test_round_trip_of_faces(source: Source, store: groupstore.Store, tmp_path: Path) -> None:
    """What one face has dumped another loads under its own names."""
    for n in range(5):
        source.set(f"g{n}", "k", b"v", ttl=1000)
    source.dump(tmp_path / "d")
    assert store.scoped("other").load(tmp_path / "d") == 5
    assert store.groups("other:") == [f"other:g{n}" for n in range(5)]
    assert store.get("other:g0", "k") == b"v"


def test_expiry_is_kept_to_the_millisecond(
    file_store: groupstore.Store, foreign: Foreign, tmp_path: Path
) -> None:
    """The row has the very expiry that the file names, whatever was there before."""
    path = tmp_path / "d"
    path.write_bytes(
        sealed(
            entry("g", "a", expires_at=FAR_MS), entry("g", "b"), entry("g", "c", "v", FAR_MS + 1)
        )
    )
    file_store.set("g", "b", "older", ttl=5)
    file_store.set("g", "kept", "v")
    assert file_store.load(path) == 3
    assert foreign("SELECT entry_key, expires_at FROM entries ORDER BY entry_key") == [
        ["a", FAR_MS],
        ["b", None],
        ["c", FAR_MS + 1],
        ["kept", None],
    ]
    assert file_store.get("g", "b") == "v"
    left_s = file_store.ttl("g", "a")
    assert left_s is not None
    assert abs(left_s - (FAR_MS / 1000 - time.time())) < 60


def test_expired_entries_are_left_out(store: groupstore.Store, tmp_path: Path) -> None:
    """What has expired since the dump was made neither comes back nor takes a place."""
    path = tmp_path / "d"
    path.write_bytes(sealed(entry("g", "new"), entry("g", "old", expires_at=1), entry("h", "k")))
    store.set("g", "old", "newer")
    assert store.scoped("acme", Quota(max_keys=2)).load(path) == 2
    assert store.load(path) == 2
    assert store.get("g", "old") == "newer"


def test_many_groups_and_long_values(store: groupstore.Store, tmp_path: Path) -> None:
    """More than one batch, by number of keys, by length, and by group."""
    store.set_many("many", {str(n): "v" for n in range(2500)})
    store.set_many("long", {str(n): b"v" * 400_000 for n in range(5)})
    for n in range(50):
        store.set(f"g{n}", "k", "v")
    assert store.dump(tmp_path / "d") == 2555
    with groupstore.Store() as other:
        assert other.load(tmp_path / "d") == 2555
        assert everything(other) == everything(store)
        assert other.check() == []


def test_events(source: Source, tmp_path: Path) -> None:
    """Each key set is a SET, in the order of the file, once all is there."""
    path = tmp_path / "d"
    path.write_bytes(
        sealed(
            entry("a", "1"), entry("a", "2", "w", FAR_MS), entry("a", "3", "v", 1), entry("b", "1")
        )
    )
    seen: list[tuple[str, str | None, object, int]] = []

    def note(event: groupstore.Event) -> None:
        assert event.type is groupstore.EventType.SET
        seen.append((event.group, event.key, event.value, source.count_all()))

    source.on_change(note)
    source.load(path)
    assert seen == [("a", "1", "v", 3), ("a", "2", "w", 3), ("b", "1", "v", 3)]


def test_quota(store: groupstore.Store, tmp_path: Path) -> None:
    """A scope without room for all of it sets none of it, and says so."""
    path = tmp_path / "d"
    path.write_bytes(sealed(*(entry(f"g{n}", "k") for n in range(4))))
    for quota, limit in ((Quota(max_keys=3), "keys"), (Quota(max_groups=3), "groups")):
        scope = store.scoped("acme", quota)
        watcher = scope.watch()
        with pytest.raises(QuotaExceededError, match=r"^load: ") as raised:
            scope.load(path)
        assert (raised.value.limit, raised.value.maximum) == (limit, 3)
        assert (store.count_all(), len(watcher)) == (0, 0)
    assert store.scoped("acme", Quota(max_keys=4, max_groups=4)).load(path) == 4


def test_in_a_transaction(source: Source, tmp_path: Path) -> None:
    """A load takes part in this thread's transaction; a failed one undoes itself alone."""
    (tmp_path / "d").write_bytes(sealed(entry("g", "k", "loaded")))
    (tmp_path / "bad").write_bytes(sealed(entry("g", "k", "bad"))[:-9])
    with source.transaction() as tx:
        tx.set("g", "other", "v")
        assert source.load(tmp_path / "d") == 1
        with pytest.raises(CorruptStoreError):
            source.load(tmp_path / "bad")
        assert tx.get_all("g") == {"k": "loaded", "other": "v"}
        tx.rollback()
    assert source.count_all() == 0


def refused(store: groupstore.Store, path: Path, data: bytes) -> str:
    """Has `store`, which is empty, refuse `data`; the message."""
    path.write_bytes(data)
    with pytest.raises(CorruptStoreError) as raised:
        store.load(path)
    assert store.count_all() == 0
    assert str(path) in str(raised.value)
    return str(raised.value)


@given(st.data())
def test_any_altered_byte_is_found(tmp_path: Path, data: st.DataObject) -> None:
    """No byte of a dump can be changed, dropped or doubled unnoticed, and nothing is set then."""
    sound = sealed(entry("a", "k", "é"), entry("b", "k", "v", FAR_MS), entry("b", "l", "x y"))
    at = data.draw(st.integers(0, len(sound) - 1))
    other = data.draw(st.integers(1, 255))
    with groupstore.Store() as store:
        flipped = sound[:at] + bytes([sound[at] ^ other]) + sound[at + 1 :]
        assert ": line " in refused(store, tmp_path / "d", flipped)
        refused(store, tmp_path / "d", sound[:at])
        refused(store, tmp_path / "d", sound[:at] + sound[at : at + 1] + sound[at:])
        refused(store, tmp_path / "d", sound + sound[at:])


@pytest.mark.parametrize("ending", [".gz", ".zst"])
@given(st.data())
def test_damaged_compression(tmp_path: Path, ending: str, data: st.DataObject) -> None:
    """A compressed dump that was altered is refused, unless what it holds is still the same."""
    path = tmp_path / f"d{ending}"
    with groupstore.Store() as store, groupstore.Store() as other:
        store.set_many("g", {f"k{n}": f"value {n * n}" for n in range(40)})
        store.dump(path)
        sound = path.read_bytes()
        at = data.draw(st.integers(0, len(sound) - 1))
        other_bits = data.draw(st.integers(1, 255))
        # A cut may take no more than the end of the checksum of zstd's own.
        for altered in (
            sound[:at] + bytes([sound[at] ^ other_bits]) + sound[at + 1 :],
            sound[:at],
        ):
            path.write_bytes(altered)
            try:
                other.load(path)
            except CorruptStoreError:
                assert other.count_all() == 0
            else:
                assert everything(other) == everything(store)
                other.delete_prefix("")
        refused(other, path, sound + sound[at:] + b"x")


LINES = {
    "not JSON": "nonsense",
    "a list": "[1]",
    "a number": "5",
    "deep": "[" * 100_000,
    "no key": '{"group":"g","value":"v"}',
    "no value": '{"group":"g","key":"k"}',
    "two values": '{"group":"g","key":"k","value":"v","base64":""}',
    "more": '{"group":"g","key":"k","value":"v","colour":1}',
    "number as group": '{"group":1,"key":"k","value":"v"}',
    "number as key": '{"group":"g","key":1,"value":"v"}',
    "number as value": '{"group":"g","key":"k","value":1}',
    "null": '{"group":"g","key":"k","value":null}',
    "surrogate": '{"group":"g","key":"\\ud800","value":"v"}',
    "no base64": '{"group":"g","key":"k","base64":"*"}',
    "letters in expiry": '{"group":"g","key":"k","value":"v","expires_at":"5"}',
    "true as expiry": '{"group":"g","key":"k","value":"v","expires_at":true}',
    "fraction": '{"group":"g","key":"k","value":"v","expires_at":99999999999999.5}',
    "too late": f'{{"group":"g","key":"k","value":"v","expires_at":{2**63}}}',
    "null as expiry": '{"group":"g","key":"k","value":"v","expires_at":null}',
    "empty": "",
    "earlier": entry("a", "a"),
    "again": entry("a", "k"),
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_lines_that_are_no_entry(store: groupstore.Store, tmp_path: Path, line: str) -> None:
    """With a right checksum too, what is no entry, or in the wrong place, is named by its line."""
    message = refused(store, tmp_path / "d", sealed(entry("a", "k"), line, entry("z", "k")))
    assert ": line 3: " in message


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "beginning"),
        (b"\0" * 100, "beginning"),
        (b"\xff\xfe", "beginning"),
        (b"[1]\n", "beginning"),
        (HEADER.replace(b"1}", b"2}"), "version 2"),
        (HEADER, "ends before"),
        (sealed() + b"\n", "more after"),
        (sealed() + sealed(), "more after"),
        (sealed().replace(b"0", b"1", 1), "do not fit"),
    ],
)
def test_other_damage(store: groupstore.Store, tmp_path: Path, data: bytes, reason: str) -> None:
    """What begins or ends otherwise is refused with the reason."""
    assert reason in refused(store, tmp_path / "d", data)


def test_a_long_line_that_is_nested(store: groupstore.Store, tmp_path: Path) -> None:
    """It is known for no entry before it is taken apart, which would take thirty times its size."""
    line = '{"group":"g","key":"k","value":[1' + ",[]" * 1_000_000 + "]}\n"
    path = tmp_path / "dump.jsonl"
    path.write_bytes(HEADER + line.encode())
    tracemalloc.start()
    with pytest.raises(CorruptStoreError, match="not an entry"):
        store.load(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * len(line)


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_not_compressed_as_named(store: groupstore.Store, tmp_path: Path, ending: str) -> None:
    """A name that promises a compression which is not there is damage at line 1."""
    assert ": line 1: " in refused(store, tmp_path / f"d{ending}", sealed(entry("g", "k")))


def progress_of(store: groupstore.Store, path: Path) -> list[tuple[int, int]]:
    """What a load tells of its progress."""
    seen: list[tuple[int, int]] = []
    store.load(path, lambda done, total: seen.append((done, total)))
    return seen


def test_progress(store: groupstore.Store, tmp_path: Path) -> None:
    """It rises to the size of the file in bytes."""
    chance = random.Random(1)
    # Compressed, it is still more than Python reads ahead.
    store.set_many("g", {str(n): chance.randbytes(75).hex() for n in range(5000)})
    for name in ("d", "d.gz"):
        store.dump(tmp_path / name)
        size = (tmp_path / name).stat().st_size
        seen = progress_of(store, tmp_path / name)
        assert seen == sorted(seen)
        assert {total for _, total in seen} == {size}
        assert seen[-1][0] == size
        assert len(seen) > 1


@pytest.mark.parametrize("last", [False, True])
def test_an_exception_ends_it(source: Source, tmp_path: Path, last: bool) -> None:
    """What progress raises comes out unchanged, and all is as it was before."""
    source.set_many("g", {str(n): "v" * 100 for n in range(5000)})
    source.dump(tmp_path / "d")
    source.delete_group("g")
    source.set("g", "0", "kept")
    watcher = source.watch()
    error = Enough()

    def progress(done: int, total: int) -> None:
        if (done == total) == last:
            raise error

    with pytest.raises(Enough) as raised:
        source.load(tmp_path / "d", progress)
    assert raised.value is error
    assert source.get_all("g") == {"0": "kept"}
    assert len(watcher) == 0
    source.set("g", "k", "still usable")


def test_read_only(open_store: Opener, tmp_path: Path) -> None:
    """A store opened for reading refuses, before it looks at the file."""
    open_store().close()
    store = open_store(read_only=True)
    with pytest.raises(ReadOnlyError, match=r"^load: "):
        store.load(tmp_path / "missing")


def test_closed(store: groupstore.Store, tmp_path: Path) -> None:
    """A closed store loads nothing."""
    store.close()
    with pytest.raises(StoreClosedError):
        store.load(tmp_path / "d")


def test_places_where_no_dump_is(store: groupstore.Store, tmp_path: Path) -> None:
    """What is missing, or no file, is a StorageError that names it."""
    for place in (tmp_path, tmp_path / "missing"):
        with pytest.raises(StorageError, match="load: ") as raised:
            store.load(place)
        assert str(place) in str(raised.value)


def test_own_file(file_store: groupstore.Store, path: Path, run: Callable[..., str]) -> None:
    """The store's own file is not even opened: to close it again would drop the store's locks."""
    file_store.set("g", "k", "v")
    os.link(path, f"{path}.link")
    with file_store.transaction() as tx:
        for name in (path, f"{path}-shm", f"{path}.link"):
            with pytest.raises(StoreError, match="own file"):
                file_store.load(name)
        tx.set("g", "k", "w")
        out = run(
            """
            import sys, groupstore
            with groupstore.Store(sys.argv[1], busy_timeout=0) as store:
                try:
                    store.set("g", "k", "x")
                except groupstore.StoreBusyError:
                    print("locked")
            """,
            path,
        )
    assert out == "locked\n"
    assert file_store.get("g", "k") == "w"


def test_wrong_arguments(store: groupstore.Store, tmp_path: Path) -> None:
    """A path that is none, and a progress that cannot be called, are TypeErrors."""
    with pytest.raises(TypeError):
        store.load(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        store.load(b"d")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        store.load(tmp_path / "d", 5)  # type: ignore[arg-type]


def test_nothing_heavy_is_imported(run: Callable[..., str]) -> None:
    """The modules of dumps and of Zstandard load with the first use alone."""
    out = run(
        """
        import os, sys, tempfile, groupstore
        names = ("groupstore.dump", "groupstore.load", "groupstore.backup", "zstandard")
        with groupstore.Store() as store:
            store.set("g", "k", "v")
            print([name for name in names if name in sys.modules])
            with tempfile.TemporaryDirectory() as folder:
                store.dump(os.path.join(folder, "d"))
                store.load(os.path.join(folder, "d"))
            print([name for name in names if name in sys.modules])
        """
    )
    assert out == "[]\n['groupstore.dump', 'groupstore.load']\n"
