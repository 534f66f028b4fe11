"""Expiry: when a key stops living, who sees that, and which event tells of it."""

from __future__ import annotations

import copy
import math
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

import groupstore
from conftest import Opener
from groupstore import KEEP
from model import PATIENCE_S, Change, Clock, Face, Source, drain

EXPIRED = Change("delete", "g", "k", None, "expired")


def test_moment_of_expiry(face: Face, clock: Clock) -> None:
    """A key lives until its expiry time, and no longer at that time."""
    face.set("g", "k", "v", ttl=2)
    clock.advance(1.999)
    assert face.get("g", "k") == "v"
    clock.advance(0.001)
    assert face.get("g", "k", None) is None


@pytest.mark.parametrize(
    ("ttl", "left"),
    [
        (1, 1.0),
        (1.5, 1.5),
        (0.001, 0.001),
        (0.0001, 0.001),
        (5e-324, 0.001),
        (1.0005, 1.001),
        (timedelta(minutes=1), 60.0),
        (timedelta(microseconds=1), 0.001),
        (timedelta(milliseconds=3, microseconds=1), 0.004),
        (timedelta(days=36500), 36500 * 86400.0),
        (10**9, 1e9),
    ],
)
def test_time_to_live(face: Face, clock: Clock, ttl: Any, left: float) -> None:
    """A time to live is kept in whole milliseconds, rounded up, however it is written."""
    face.set("g", "set", "v", ttl=ttl)
    face.set_many("g", {"set_many": "v"}, ttl=ttl)
    face.add("g", "add", "v", ttl=ttl)
    face.compare_and_set("g", "cas", None, "v", ttl=ttl)
    face.set("g", "expire", "v")
    face.expire("g", "expire", ttl)
    face.group("g").set("group", "v", ttl=ttl)
    for key in face.keys("g"):
        found = face.ttl("g", key)
        assert type(found) is float
        assert found == pytest.approx(left, abs=1e-9)


def test_ttl_reads(face: Face, clock: Clock) -> None:
    """`ttl` counts down; it is None without expiry, and absent or expired keys have none."""
    face.set("g", "k", "v", ttl=10)
    clock.advance(2.5)
    assert face.ttl("g", "k") == 7.5
    face.set("g", "forever", "v")
    assert face.ttl("g", "forever") is None
    with pytest.raises(groupstore.NotFoundError, match="missing"):
        face.ttl("g", "missing")
    clock.advance(7.5)
    with pytest.raises(groupstore.NotFoundError):
        face.ttl("g", "k")


def test_set_clears_expiry(face: Face, clock: Clock) -> None:
    """Every write without `ttl` clears an expiry that was there."""
    for key in ("set", "set_many", "cas", "expire", "group"):
        face.set("g", key, "v", ttl=1)
    face.set("g", "set", "v")
    face.set_many("g", {"set_many": "v"})
    face.compare_and_set("g", "cas", "v", "w")
    face.expire("g", "expire", None)
    face.group("g")["group"] = "v"
    clock.advance(2)
    assert list(face.keys("g")) == ["cas", "expire", "group", "set", "set_many"]


def test_keep(face: Face, clock: Clock) -> None:
    """`ttl=KEEP` leaves an expiry, or its absence, as it is."""
    for key in ("set", "set_many", "cas", "group"):
        face.set("g", key, "v", ttl=5)
    face.set("g", "forever", "v")
    clock.advance(1)
    face.set("g", "set", "w", ttl=KEEP)
    face.set_many("g", {"set_many": "w", "forever": "w", "new": "w"}, ttl=KEEP)
    face.compare_and_set("g", "cas", "v", "w", ttl=KEEP)
    face.group("g").set("group", "w", ttl=KEEP)
    left = {key: face.ttl("g", key) for key in face.keys("g")}
    assert left == {
        "cas": 4.0, "forever": None, "group": 4.0, "new": None, "set": 4.0, "set_many": 4.0,
    }  # fmt: skip
    assert set(face.get_all("g").values()) == {"w"}


def test_keep_on_absent_or_expired(face: Face, clock: Clock) -> None:
    """Where no live key is, KEEP means no expiry."""
    face.set("g", "set", "v", ttl=1)
    face.set("g", "add", "v", ttl=1)
    face.set("g", "cas", "v", ttl=1)
    clock.advance(1)
    face.set("g", "set", "w", ttl=KEEP)
    assert face.add("g", "add", "w", ttl=KEEP)
    assert face.compare_and_set("g", "cas", None, "w", ttl=KEEP)
    face.set("g", "absent", "w", ttl=KEEP)
    assert {face.ttl("g", key) for key in face.keys("g")} == {None}
    assert face.count("g") == 4


def test_keep_is_a_singleton() -> None:
    """KEEP stays itself through copy and pickle, and its repr names it."""
    assert "KEEP" in repr(KEEP)
    assert copy.copy(KEEP) is KEEP
    assert copy.deepcopy(KEEP) is KEEP
    assert pickle.loads(pickle.dumps(KEEP)) is KEEP


def test_expire(face: Face, clock: Clock) -> None:
    """`expire` sets or clears the expiry of a live key and leaves its value alone."""
    face.set("g", "k", b"v")
    assert face.expire("g", "k", 1.5) is True
    assert (face.get("g", "k"), face.ttl("g", "k")) == (b"v", 1.5)
    assert face.expire("g", "k", timedelta(seconds=3)) is True
    assert face.ttl("g", "k") == 3.0
    assert face.expire("g", "k", None) is True
    assert face.ttl("g", "k") is None
    assert face.expire("g", "absent", 1) is False
    assert not face.exists("g", "absent")
    face.expire("g", "k", 1)
    clock.advance(1)
    assert face.expire("g", "k", None) is False
    assert not face.exists("g", "k")


READS: dict[str, tuple[Callable[[Face], Any], Any]] = {
    "exists": (lambda f: f.exists("g", "k"), False),
    "group_exists": (lambda f: f.group_exists("g"), False),
    "get_many": (lambda f: f.get_many("g", ["k", "k2"]), {}),
    "get_all": (lambda f: f.get_all("g"), {}),
    "get_page": (lambda f: f.get_page("g", 0, 10), []),
    "items": (lambda f: list(f.items("g")), []),
    "keys": (lambda f: list(f.keys("g")), []),
    "keys in reverse": (lambda f: list(f.keys("g", reverse=True)), []),
    "count": (lambda f: f.count("g"), 0),
    "count by prefix": (lambda f: f.count("g", prefix="k"), 0),
    "count_all": (lambda f: f.count_all(), 1),
    "count_all by prefix": (lambda f: f.count_all("g"), 0),
    "groups": (lambda f: f.groups(), ["other"]),
    "groups by prefix": (lambda f: f.groups("g"), []),
    "iter_groups": (lambda f: list(f.iter_groups()), ["other"]),
    "len": (lambda f: len(f.group("g")), 0),
    "in": (lambda f: "k" in f.group("g"), False),
    "iter": (lambda f: list(f.group("g")), []),
    "items of the view": (lambda f: list(f.group("g").items()), []),
    "render": (lambda f: f.render("{{ k }}", "g"), "<no value>"),
    "get": (lambda f: f.get("g", "k", "none"), "none"),
    "get_split": (lambda f: _missing(lambda: list(f.get_split("g", "k", ","))), True),
    "get_fields": (lambda f: _missing(lambda: list(f.get_fields("g", "k"))), True),
    "ttl": (lambda f: _missing(lambda: f.ttl("g", "k")), True),
}


def _missing(call: Callable[[], Any]) -> bool:
    try:
        call()
    except groupstore.NotFoundError:
        return True
    return False


@pytest.mark.parametrize("read", READS)
def test_expired_keys_are_invisible(face: Face, clock: Clock, read: str) -> None:
    """Every read leaves an expired key out from the moment of expiry, read before or not."""
    call, expected = READS[read]
    face.set_many("g", {"k": "v", "k2": "v"}, ttl=1)
    face.set("other", "k", "v", ttl=100)
    assert call(face) != expected
    clock.advance(1)
    assert call(face) == expected
    assert call(face) == expected


def test_some_keys_of_a_group_expire(face: Face, clock: Clock) -> None:
    """Counts are of the live keys when only some have expired, at each moment."""
    for n in range(5):
        face.set("g", str(n), "v", ttl=n + 1)
    face.set("g", "forever", "v")
    for n in range(6):
        assert face.count("g") == face.count_all() == 6 - n
        assert face.groups() == ["g"]
        clock.advance(1)


def test_writes_on_expired_keys(face: Face, clock: Clock) -> None:
    """To every writing method an expired key is an absent one."""
    keys = ("add", "cas", "cas delete", "increment", "pop", "delete", "delete many", "expire")
    face.set_many("g", dict.fromkeys(keys, "5"), ttl=1)
    clock.advance(1)
    assert face.add("g", "add", "new") is True
    assert face.compare_and_set("g", "cas", "5", "new") is False
    assert face.compare_and_set("g", "cas", None, "new") is True
    assert face.compare_and_set("g", "cas delete", "5", None) is False
    assert face.compare_and_set("g", "cas delete", None, None) is True
    assert face.increment("g", "increment", 2, initial=10) == 12
    assert face.ttl("g", "increment") is None
    assert face.pop("g", "pop", "default") == "default"
    with pytest.raises(groupstore.NotFoundError):
        face.pop("g", "pop")
    assert face.delete("g", "delete") is False
    assert face.delete_many("g", ["delete many", "add"]) == 1
    assert face.expire("g", "expire", 10) is False
    assert face.get_all("g") == {"cas": "new", "increment": "12"}


def test_deleting_groups_counts_live_keys(face: Face, clock: Clock) -> None:
    """`delete_group` and `delete_prefix` count live keys alone."""
    for group in ("a", "ab", "b"):
        face.set("expired:" + group, "k", "v", ttl=1)
        face.set_many(group, {"k": "v", "k2": "v"}, ttl=1)
        face.set(group, "live", "v")
    clock.advance(1)
    assert face.delete_group("expired:a") == 0
    assert face.delete_prefix("expired:") == 0
    assert face.delete_group("b") == 1
    assert face.delete_prefix("a") == 2
    assert face.count_all() == 0


def test_increment_keeps_expiry(face: Face, clock: Clock) -> None:
    """`increment` of a live counter leaves its expiry as it is."""
    face.set("g", "k", "1", ttl=10)
    clock.advance(4)
    assert face.increment("g", "k") == 2
    assert face.ttl("g", "k") == 6.0


def test_purge(face: Face, clock: Clock) -> None:
    """`purge_expired` removes what has expired and nothing else, and counts it."""
    assert face.purge_expired() == 0
    face.set_many("g", {str(n): "v" for n in range(100)}, ttl=1)
    face.set_many("h", {"k": "v", "k2": "v"}, ttl=2)
    face.set("h", "forever", "v")
    clock.advance(1)
    assert face.purge_expired() == 100
    assert face.purge_expired() == 0
    clock.advance(1)
    assert face.purge_expired() == 2
    assert face.get_all("h") == {"forever": "v"}


def test_clock_in_a_transaction(store: groupstore.Store, clock: Clock) -> None:
    """The clock is read at each call, so keys expire inside a transaction too."""
    store.set("g", "before", "v", ttl=1)
    with store.transaction() as tx:
        tx.set("g", "inside", "v", ttl=2)
        assert tx.count("g") == 2
        clock.advance(1)
        assert list(tx.keys("g")) == ["inside"]
        clock.advance(1)
        assert not tx.group_exists("g")
        tx.set("g", "late", "v", ttl=3)
    assert store.ttl("g", "late") == 3.0
    assert store.get_all("g") == {"late": "v"}


def test_clock_that_steps_back(store: groupstore.Store, clock: Clock) -> None:
    """A key that was only seen to be expired lives again when the clock was set back."""
    store.set("g", "k", "v", ttl=10)
    clock.advance(10)
    assert not store.exists("g", "k")
    assert store.count_all() == 0
    clock.advance(-5)
    assert store.get("g", "k") == "v"
    assert store.count_all() == 1
    assert store.ttl("g", "k") == 5.0


def test_expiry_survives_reopening(open_store: Opener, clock: Clock) -> None:
    """An expiry is kept in the file."""
    with open_store() as store:
        store.set_many("g", {"a": "v", "b": "v"}, ttl=10)
        store.expire("g", "b", 20)
    clock.advance(10)
    with open_store() as store:
        assert store.get_all("g") == {"b": "v"}
        assert store.ttl("g", "b") == 10.0


def test_very_long_ttl(face: Face) -> None:
    """The longest `timedelta` is a time to live as good as any."""
    face.set("g", "k", "v", ttl=timedelta.max)
    left = face.ttl("g", "k")
    assert left is not None
    assert math.isclose(left, timedelta.max.total_seconds(), rel_tol=1e-6)


# --- Events of expiry --------------------------------------------------------------------------


@pytest.fixture
def expired(source: Source, clock: Clock) -> groupstore.Watcher:
    """A watcher that sees all from when `g`/`k` has just expired; `g`/`live` has not."""
    source.set("g", "k", "5", ttl=1)
    source.set("g", "live", "v")
    clock.advance(1)
    return source.watch(capacity=100)


def test_get_removes_what_it_finds_expired(source: Source, expired: groupstore.Watcher) -> None:
    """`get` removes an expired row it meets and tells so before it returns, once."""
    assert source.get("g", "k", None) is None
    assert drain(expired) == [EXPIRED]
    assert source.get("g", "k", None) is None
    assert source.purge_expired() == 0
    assert drain(expired) == []


def test_get_that_raises_removes_too(source: Source, expired: groupstore.Watcher) -> None:
    """`get` without a default does the same before it raises."""
    with pytest.raises(groupstore.NotFoundError):
        source.get("g", "k")
    assert drain(expired) == [EXPIRED]


def test_get_in_a_transaction_removes_too(source: Source, expired: groupstore.Watcher) -> None:
    """Inside a transaction the removal is staged, and undone with it."""
    with pytest.raises(LookupError), source.transaction() as tx:
        assert tx.get("g", "k", None) is None
        raise LookupError
    assert drain(expired) == []
    with source.transaction() as tx:
        assert tx.get("g", "k", None) is None
        assert drain(expired) == []
    assert drain(expired) == [EXPIRED]
    assert source.purge_expired() == 0


@pytest.mark.parametrize("read", [name for name in READS if name != "get"])
def test_other_reads_remove_nothing(
    source: Source, clock: Clock, expired: groupstore.Watcher, read: str
) -> None:
    """Of the reads `get` alone removes: after any other the row is left for the purge."""
    READS[read][0](source)
    assert drain(expired) == []
    assert source.purge_expired() == 1
    assert drain(expired) == [EXPIRED]


def test_purge_tells_of_each_row(source: Source, expired: groupstore.Watcher, clock: Clock) -> None:
    """The purge emits one DELETE, with the reason `expired`, for each row."""
    source.set_many("h", {"a": "v", "b": "v"}, ttl=1)
    clock.advance(1)
    drain(expired)
    assert source.purge_expired() == 3
    told = drain(expired)
    assert len(told) == 3
    assert set(told) == {
        EXPIRED,
        Change("delete", "h", "a", None, "expired"),
        Change("delete", "h", "b", None, "expired"),
    }


OVERWRITES: dict[str, tuple[Callable[[Face], Any], str]] = {
    "set": (lambda f: f.set("g", "k", "new"), "new"),
    "set_many": (lambda f: f.set_many("g", {"k": "new"}), "new"),
    "add": (lambda f: f.add("g", "k", "new"), "new"),
    "compare_and_set": (lambda f: f.compare_and_set("g", "k", None, "new"), "new"),
    "increment": (lambda f: f.increment("g", "k", 7), "7"),
}


@pytest.mark.parametrize("write", OVERWRITES)
def test_overwriting_tells_of_the_set_alone(
    source: Source, expired: groupstore.Watcher, write: str
) -> None:
    """Overwriting an expired row emits its SET and never a DELETE."""
    call, value = OVERWRITES[write]
    call(source)
    assert drain(expired) == [Change("set", "g", "k", value, "set")]
    assert source.purge_expired() == 0
    assert drain(expired) == []


VAIN: dict[str, Callable[[Face], Any]] = {
    "delete": lambda f: f.delete("g", "k"),
    "delete_many": lambda f: f.delete_many("g", ["k"]),
    "expire": lambda f: f.expire("g", "k", 10),
    "pop": lambda f: f.pop("g", "k", None),
    "compare_and_set": lambda f: f.compare_and_set("g", "k", "5", "6"),
    "compare_and_set of nothing": lambda f: f.compare_and_set("g", "k", None, None),
}


@pytest.mark.parametrize("write", VAIN)
def test_vain_writes_tell_once(source: Source, expired: groupstore.Watcher, write: str) -> None:
    """After a write that found the row expired, exactly one DELETE has come by the next purge."""
    VAIN[write](source)
    source.purge_expired()
    source.get("g", "k", None)
    source.purge_expired()
    assert drain(expired) == [EXPIRED]


def test_delete_group_tells_of_the_group_alone(source: Source, expired: groupstore.Watcher) -> None:
    """With a live key in the group its DELETE_GROUP stands for the expired ones as well."""
    assert source.delete_group("g") == 1
    source.purge_expired()
    assert drain(expired) == [Change("delete_group", "g", None, None, "delete")]


@pytest.mark.parametrize("write", ["delete_group", "delete_prefix"])
def test_groups_of_expired_rows_are_left_to_the_purge(
    source: Source, expired: groupstore.Watcher, write: str
) -> None:
    """Deleting a group of expired rows alone emits nothing; the purge tells of each row."""
    source.delete("g", "live")
    drain(expired)
    assert getattr(source, write)("g") == 0
    assert drain(expired) == []
    assert source.purge_expired() == 1
    assert drain(expired) == [EXPIRED]


def test_get_never_waits_to_remove(
    file_store: groupstore.Store, clock: Clock, threads: ThreadPoolExecutor
) -> None:
    """Where another thread holds the write lock, `get` leaves an expired row to the purge."""
    file_store.set("g", "k", "v", ttl=1)
    clock.advance(1)
    watcher = file_store.watch()
    with file_store.transaction() as tx:
        tx.set("g", "other", "v")
        asked = threads.submit(file_store.get, "g", "k", "none")
        assert asked.result(PATIENCE_S) == "none"
    assert [change.key for change in drain(watcher)] == ["other"]
    assert file_store.purge_expired() == 1
    assert drain(watcher) == [EXPIRED]


def test_background_purge(open_store: Opener, storage: str, clock: Clock) -> None:
    """The purge thread removes expired rows by itself and tells of them."""
    store = open_store(storage, purge_interval=0.01)
    watcher = store.watch()
    store.set("g", "k", "v", ttl=60)
    assert watcher.get(PATIENCE_S).key == "k"
    clock.advance(60)
    event = watcher.get(PATIENCE_S)
    assert (str(event.type), event.key, event.reason) == ("delete", "k", "expired")
    assert store.purge_expired() == 0


def test_background_purge_outlives_a_callback_that_raises(
    open_store: Opener, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """A callback that raises in the purge thread is logged, and the next purge comes."""
    store = open_store(purge_interval=0.01)
    called = threading.Semaphore(0)

    def fail(event: groupstore.Event) -> None:
        if event.reason == "expired":
            called.release()
            raise LookupError("the callback's own")

    store.on_change(fail)
    for _ in range(2):
        store.set("g", "k", "v", ttl=1)
        clock.advance(1)
        assert called.acquire(timeout=PATIENCE_S)
