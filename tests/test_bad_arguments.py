"""Every argument of every method, of the wrong type or out of range: refused, and nothing done."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import groupstore
from conftest import SLOW, Opener
from groupstore import KEEP, ConfigError, Quota, ReadOnlyError
from model import CALLS, WRITES, Call, Face, Source, drain

LONE_SURROGATES = ("\ud800", "a\udfffb")
NO_TEXT = (None, 1, 1.5, True, b"x", bytearray(b"x"), ["x"], object())
NO_VALUE = (1, 1.5, True, bytearray(b"x"), memoryview(b"x"), ["x"], {}, object())
NO_TIME = ("1", b"1", [], 1j, object())
NO_TIME_TO_LIVE = (
    0, -1, 0.0, -0.0, -0.5, math.nan, math.inf, -math.inf, 1e300, 2**63, -(2**63), 10**400,
    timedelta(days=-1), timedelta(microseconds=-1), timedelta.min,
)  # fmt: skip
NO_INTEGER = (None, 1.0, True, "1", b"1", [])
BEYOND_64_BITS = (2**63, -(2**63) - 1, 10**400)
TOO_LONG = 1_000_000_001  # SQLite's default limit is a thousand million bytes.

# For each parameter: what is no such thing at all, and what is one that can't be.
Bad = tuple[Iterable[Any], Iterable[Any]]
TEXT: Bad = (NO_TEXT, LONE_SURROGATES)
BAD: dict[str, Bad] = {
    "group": TEXT,
    "key": TEXT,
    "prefix": TEXT,
    "name": TEXT,
    "separator": (NO_TEXT, ()),
    "template": (NO_TEXT, ()),
    "start": ([bad for bad in NO_TEXT if bad is not None], LONE_SURROGATES),
    "stop": ([bad for bad in NO_TEXT if bad is not None], LONE_SURROGATES),
    "value": ((None, *NO_VALUE), LONE_SURROGATES),
    "expected": (NO_VALUE, LONE_SURROGATES),
    "items": (
        (None, 1, {"k": 1}, {"k": None}, {1: "v"}, [("new", "v"), ("k", 1)], [1], object()),
        ({"\ud800": "v"}, {"new": "v", "k": "\ud800"}, [("new", "v"), ("\udfff", "v")]),
    ),
    "keys": ((None, 1, ["k", 1], [None], [b"k"], object()), (["\ud800"], ["k", "\udfff"])),
    "ttl": (NO_TIME, NO_TIME_TO_LIVE),
    "amount": (NO_INTEGER, BEYOND_64_BITS),
    "initial": (NO_INTEGER, BEYOND_64_BITS),
    "offset": ([bad for bad in NO_INTEGER if bad is not True], (-1, -(2**63), -(2**70))),
    "limit": ([bad for bad in NO_INTEGER if bad is not True], (-1, -(2**63), -(2**70))),
}
# `compare_and_set` takes None for both; `expire` takes None, but not KEEP.
SPECIAL: dict[tuple[str, str], Bad] = {
    ("compare_and_set", "value"): (NO_VALUE, LONE_SURROGATES),
    ("expire", "ttl"): ((*NO_TIME, KEEP), NO_TIME_TO_LIVE),
}
FREE = {"default", "reverse", "strict"}


def bad_calls(call: Call) -> Iterable[tuple[dict[str, Any], type[Exception]]]:
    """Each change of one argument that spoils a call, and the error that it is."""
    for name in {**call.arguments, **call.keywords}:
        if name in FREE:
            continue
        wrong_type, wrong_value = SPECIAL.get((call.method, name), BAD[name])
        yield from (({name: bad}, TypeError) for bad in wrong_type)
        yield from (({name: bad}, ValueError) for bad in wrong_value)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_bad_arguments(face: Face, call: Call) -> None:
    """A bad argument is refused before anything is read: on a full group as on an empty one."""
    failures = []
    for state in ({}, {"k": "5"}):
        face.set_many("g", state)
        for changed, expected in bad_calls(call):
            try:
                result = call(face, **changed)
            except expected:
                pass
            except Exception as error:
                failures.append(f"{changed}: {error!r} for {expected.__name__}")
            else:
                failures.append(f"{changed}: {result!r} for {expected.__name__}")
            assert face.get_all("g") == state, changed
    assert failures == []
    assert face.count_all() == 1


@pytest.mark.parametrize("call", WRITES.values(), ids=WRITES)
def test_bad_arguments_emit_nothing(source: Source, call: Call) -> None:
    """A refused write tells nobody."""
    source.set("g", "k", "5")
    watcher = source.watch()
    for changed, expected in bad_calls(call):
        with pytest.raises(expected):
            call(source, **changed)
    assert drain(watcher) == []


def test_every_method_is_in_the_table(store: groupstore.Store) -> None:
    """The table that these tests go by has every method of a scope that takes a group or a key."""
    others = {"transaction", "watch", "unwatch", "on_change", "dump", "load"}
    properties = {"namespace", "quota", "store"}
    public = {name for name in dir(store.scoped("a")) if not name.startswith("_")}
    assert public - others - properties == set(CALLS)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_arguments_by_name(face: Face, call: Call) -> None:
    """Every argument can be given by its name, those after the star only so."""
    named = {**call.arguments, **call.keywords}
    face.set("g", "k", "5")
    getattr(face, call.method)(**named)
    if call.keywords:
        with pytest.raises(TypeError):
            getattr(face, call.method)(*call.arguments.values(), *call.keywords.values())


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_wrong_number_of_arguments(face: Face, call: Call) -> None:
    """Too few, too many and unknown arguments are a `TypeError`, as with any Python function."""
    method = getattr(face, call.method)
    arguments = list(call.arguments.values())
    with pytest.raises(TypeError):
        method(*arguments, *[None] * 3)
    with pytest.raises(TypeError):
        method(*arguments, unknown=1)
    if call.method not in ("count_all", "groups", "iter_groups", "purge_expired", "group"):
        with pytest.raises(TypeError):
            method()
    assert face.count_all() == 0


def test_default_ends_nothing_else(face: Face) -> None:
    """A default is for absent keys: it saves no bad argument."""
    for method in (face.get, face.pop):
        with pytest.raises(TypeError):
            method(1, "k", "default")  # type: ignore[arg-type]
        with pytest.raises(ValueError):
            method("g", "\ud800", "default")


def test_bad_pairs(face: Face) -> None:
    """What is no pair is refused, wherever it comes among good ones."""
    for items in ([("k",)], [("k", "v", "w")], ["abc"], [()], "ab", b"ab", [("new", "v"), "k"]):
        with pytest.raises((TypeError, ValueError)):
            face.set_many("g", items)  # type: ignore[arg-type]
    assert face.count_all() == 0


def test_subclasses_of_text(face: Face) -> None:
    """Subclasses of `str` and `bytes` are text and bytes."""

    class Text(str): ...

    class Bytes(bytes): ...

    face.set(Text("g"), Text("k"), Text("v"))
    face.set(Text("g"), Text("k2"), Bytes(b"v"))
    assert face.get_all("g") == {"k": "v", "k2": b"v"}
    assert face.get(Text("g"), Text("k")) == "v"
    assert {type(value) for value in face.get_all("g").values()} == {str, bytes}
    assert face.delete(Text("g"), Text("k"))
    absent: list[Callable[[str, str], object]] = [face.get, face.ttl, face.pop]
    for read in absent:
        with pytest.raises(groupstore.NotFoundError, match="'k' in group 'g'"):
            read(Text("g"), Text("k"))
    face.set("g", "n", "not a number")
    with pytest.raises(ValueError, match="'n' in group 'g'"):
        face.increment(Text("g"), Text("n"))


def test_bytes_over_the_length_limit(face: Face) -> None:
    """A value over SQLite's length limit is a `ValueError`, and nothing is written."""
    # Zeroed memory that is never touched takes none.
    value = bytes(TOO_LONG)
    with pytest.raises(ValueError):
        face.set("g", "k", value)
    with pytest.raises(ValueError):
        face.set_many("g", {"a": "v", "k": value})
    assert face.count_all() == 0
    face.set("g", "k", "v")


@pytest.mark.skipif(not SLOW, reason="takes gigabytes")
def test_text_over_the_length_limit(open_store: Opener, storage: str) -> None:
    """The same for text, as a value, a key or a group, also where UTF-8 makes it longer."""
    store = open_store(storage)
    for text in ("x" * TOO_LONG, "\u00e9" * (TOO_LONG // 2 + 1)):
        for arguments in (("g", "k", text), ("g", text, "v"), (text, "k", "v")):
            with pytest.raises(ValueError):
                store.set(*arguments)
        with pytest.raises(ValueError):
            store.increment("g", text)
    assert store.count_all() == 0
    store.set("g", "k", "v")


# --- Beyond the keyspace -----------------------------------------------------------------------


def test_watch(source: Source) -> None:
    """A bad group or capacity opens no watcher."""
    for bad in NO_TEXT:
        with pytest.raises(TypeError):
            source.watch(bad)  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        source.watch("\ud800")
    for capacity in (0, -1, -(2**63)):
        with pytest.raises(ValueError):
            source.watch(capacity=capacity)
    for no_integer in (None, 1.5, "1"):
        with pytest.raises(TypeError):
            source.watch(capacity=no_integer)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        source.watch("g", 16)  # type: ignore[misc]


def test_unwatch(source: Source) -> None:
    """Only a watcher can be unwatched."""
    for bad in (None, "g", object()):
        with pytest.raises(TypeError):
            source.unwatch(bad)  # type: ignore[arg-type]


def test_watcher_get(source: Source) -> None:
    """A timeout that is no number is a `TypeError`."""
    watcher = source.watch()
    for bad in ("1", b"1", [], object()):
        with pytest.raises(TypeError):
            watcher.get(bad)  # type: ignore[arg-type]


def test_on_change(source: Source) -> None:
    """What is not callable is no callback."""
    for bad in (None, 1, "print", []):
        with pytest.raises(TypeError):
            source.on_change(bad)  # type: ignore[arg-type]
    source.set("g", "k", "v")


def test_scoped(store: groupstore.Store) -> None:
    """A namespace that is no text and a quota that is no `Quota` are refused."""
    for bad in NO_TEXT:
        with pytest.raises((TypeError, ConfigError)):
            store.scoped(bad)  # type: ignore[arg-type]
    for bad_quota in (1, (1, 2), {"max_keys": 1}, "1"):
        with pytest.raises((TypeError, ConfigError)):
            store.scoped("acme", bad_quota)  # type: ignore[arg-type]


def test_quota() -> None:
    """A limit that is no whole number from 0 on is refused, by the quota itself."""
    for bad in (None, 1.0, "1", True):
        for name in ("max_keys", "max_groups"):
            with pytest.raises((TypeError, ConfigError)):
                Quota(**{name: bad})  # type: ignore[arg-type]
    for name in ("max_keys", "max_groups"):
        with pytest.raises(ConfigError):
            Quota(**{name: -1})


# --- Read-only ---------------------------------------------------------------------------------


@pytest.fixture
def read_only(path: Path, open_store: Opener) -> groupstore.Store:
    """A store opened for reading, with a key in `g` and in `acme:g`."""
    with open_store() as store:
        store.set("g", "k", "5")
        store.set("acme:g", "k", "5")
    return open_store(read_only=True)


@pytest.mark.parametrize("call", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("scoped", [False, True])
def test_writes_on_a_read_only_store(read_only: groupstore.Store, call: Call, scoped: bool) -> None:
    """Every writing method is refused, also where it would find nothing to do."""
    face = read_only.scoped("acme", Quota(max_keys=10)) if scoped else read_only
    for group in ("g", "absent"):
        for key in ("k", "absent"):
            for keys, items in (([key], {key: "v"}), ([], {})):
                changed = {"group": group, "key": key, "keys": keys, "items": items}
                with pytest.raises(ReadOnlyError):
                    call(face, **changed, prefix=group)
    with pytest.raises(ReadOnlyError):
        call(face, expected=None, value="w")
    with pytest.raises(ReadOnlyError):
        call(face, expected="other", value="w")
    assert face.get_all("g") == {"k": "5"}


@pytest.mark.parametrize(
    "call", [call for call in CALLS.values() if not call.writes], ids=lambda call: call.method
)
def test_reads_on_a_read_only_store(read_only: groupstore.Store, call: Call) -> None:
    """Every reading method works."""
    call(read_only)
    call(read_only.scoped("acme"))


def test_view_of_a_read_only_store(read_only: groupstore.Store) -> None:
    """The mapping view reads, and refuses every change."""
    view = read_only.group("g")
    assert dict(view) == {"k": "5"}
    for change in (
        lambda: view.update({}),
        lambda: view.clear(),
        lambda: view.pop("absent", None),
        lambda: view.setdefault("k", "v"),
        lambda: view.__setitem__("k", "v"),
        lambda: view.__delitem__("k"),
    ):
        with pytest.raises(ReadOnlyError):
            change()


PATH_TAKERS: dict[str, Callable[[groupstore.Store, Any], object]] = {
    "backup": lambda store, path: store.backup(path),
    "dump": lambda store, path: store.dump(path),
    "load": lambda store, path: store.load(path),
    "compact": lambda store, path: store.journal.compact(timedelta(days=-1), output=path),
    "read_archive": lambda store, path: groupstore.read_archive(path),
    "recover_workspaces": lambda store, path: store.recover_workspaces(path),
    "import_file": lambda store, path: store.workspace("job").import_file(path),
    "export_file": lambda store, path: store.workspace("job").export_file(path),
}


@pytest.mark.parametrize("name", PATH_TAKERS)
@pytest.mark.parametrize(
    ("path", "error"),
    [("", ValueError), ("a\0b", ValueError), ("a\ud800", ValueError), (b"a", TypeError)],
    ids=["empty", "NUL", "surrogate", "bytes"],
)
def test_paths(name: str, path: Any, error: type[Exception]) -> None:
    """What can be no path is refused by each call that takes one, which its message names."""
    with groupstore.Store() as store, pytest.raises(error, match=name) as caught:
        PATH_TAKERS[name](store, path)
    assert not isinstance(caught.value, UnicodeError)


def test_numbers_of_a_subclass(face: Face) -> None:
    """Of a subclass of `int` the number counts; its code does not run inside the store."""

    class Number(int):
        def __radd__(self, other: int) -> int:
            raise AssertionError

        __add__ = __radd__

    assert face.increment("g", "k", Number(2), initial=Number(3)) == 5
