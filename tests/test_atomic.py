"""The atomic writes: `add`, `compare_and_set`, `increment`, `pop`."""

from __future__ import annotations

from typing import Any

import pytest

import groupstore
from model import Change, Face, Source, Value, drain

LARGEST, SMALLEST = 2**63 - 1, -(2**63)


def test_add(face: Face) -> None:
    """`add` sets where no live key is, and else leaves value and expiry alone."""
    assert face.add("g", "k", "first", ttl=60) is True
    assert face.add("g", "k", b"second") is False
    assert face.get("g", "k") == "first"
    assert face.ttl("g", "k") is not None
    face.delete("g", "k")
    assert face.add("g", "k", b"") is True
    assert face.get("g", "k") == b""


@pytest.mark.parametrize(
    ("found", "expected", "equal"),
    [
        ("v", "v", True),
        (b"v", b"v", True),
        ("v", b"v", False),
        (b"v", "v", False),
        ("v", "V", False),
        ("v", "v ", False),
        ("v\0", "v", False),
        ("", "", True),
        ("", b"", False),
        ("\u00e9", "e\u0301", False),
        ("1", "01", False),
        ("v", None, False),
        (None, None, True),
        (None, "v", False),
        (None, "", False),
        (None, b"", False),
    ],
)
def test_compare_and_set(
    face: Face, found: Value | None, expected: Value | None, equal: bool
) -> None:
    """A value is replaced only where it equals the expected one in type and content."""
    if found is not None:
        face.set("g", "k", found)
    assert face.compare_and_set("g", "k", expected, b"new") is equal
    assert face.get("g", "k", None) == (b"new" if equal else found)


def test_compare_and_set_to_nothing(face: Face) -> None:
    """`value=None` deletes where the value is the expected one."""
    face.set("g", "k", "v")
    assert face.compare_and_set("g", "k", "w", None) is False
    assert face.compare_and_set("g", "k", None, None) is False
    assert face.exists("g", "k")
    assert face.compare_and_set("g", "k", "v", None) is True
    assert not face.exists("g", "k")
    assert face.compare_and_set("g", "k", None, None) is True
    assert not face.exists("g", "k")


def test_compare_and_set_of_the_same(face: Face) -> None:
    """Setting the very value that is there is a write like any other: it clears the expiry."""
    face.set("g", "k", "v", ttl=60)
    assert face.compare_and_set("g", "k", "v", "v") is True
    assert face.ttl("g", "k") is None


def test_increment_from_nothing(face: Face) -> None:
    """An absent counter starts from `initial`, without expiry."""
    assert face.increment("g", "a") == 1
    assert face.increment("g", "b", 5) == 5
    assert face.increment("g", "c", 5, initial=-7) == -2
    assert face.increment("g", "d", 0, initial=9) == 9
    assert face.get_all("g") == {"a": "1", "b": "5", "c": "-2", "d": "9"}
    assert face.ttl("g", "a") is None


def test_increment(face: Face) -> None:
    """`increment` adds to what is there, whatever `initial` says, and returns an int."""
    face.set("g", "k", "40")
    assert face.increment("g", "k", 2, initial=1000) == 42
    assert face.increment("g", "k", -50) == -8
    assert type(face.increment("g", "k", 0)) is int
    assert face.get("g", "k") == "-8"


@pytest.mark.parametrize(
    ("text", "number"),
    [("007", 7), ("-0", 0), ("-007", -7), ("0" * 5000 + "1", 1), ("-" + "0" * 30, 0)],
)
def test_counters_become_canonical(face: Face, text: str, number: int) -> None:
    """A counter of odd form is accepted and stored in canonical form, by an increment of 0 too."""
    face.set("g", "k", text)
    assert face.increment("g", "k", 0) == number
    assert face.get("g", "k") == str(number)


@pytest.mark.parametrize(
    "value",
    [
        "", "-", "+1", " 1", "1 ", "1\n", "1.0", "1e3", "0x1", "1_000", "--1", "1-", "\0", "1\0",
        "\u0661", "\uff11", "\u00b2", "\u22121", "one", b"1", b"",
        str(LARGEST + 1), str(SMALLEST - 1), "9" * 5000,
    ],
)  # fmt: skip
def test_increment_of_what_is_no_counter(face: Face, value: Value) -> None:
    """What is no decimal text within 64 bits is a `ValueError` and stays."""
    face.set("g", "k", value, ttl=60)
    with pytest.raises(ValueError):
        face.increment("g", "k")
    with pytest.raises(ValueError):
        face.increment("g", "k", 0)
    assert face.get("g", "k") == value
    assert face.ttl("g", "k") is not None


def test_bounds_of_increment(face: Face) -> None:
    """Amount, initial and result reach to the ends of 64 bits and not beyond."""
    assert face.increment("g", "high", LARGEST) == LARGEST
    assert face.increment("g", "low", SMALLEST) == SMALLEST
    assert face.increment("g", "both", SMALLEST, initial=LARGEST) == -1
    for key, amount in (("high", 1), ("high", LARGEST), ("low", -1), ("low", SMALLEST)):
        before = face.get("g", key)
        with pytest.raises(ValueError):
            face.increment("g", key, amount)
        assert face.get("g", key) == before
    assert face.increment("g", "high", SMALLEST) == -1
    for amount, initial in ((1, LARGEST), (-1, SMALLEST), (LARGEST, LARGEST)):
        with pytest.raises(ValueError):
            face.increment("g", "absent", amount, initial=initial)
    assert not face.exists("g", "absent")


def test_pop(face: Face) -> None:
    """`pop` removes and returns; of an absent key it raises or gives the default."""
    face.set_many("g", {"a": "1", "b": b"2"})
    assert face.pop("g", "a") == "1"
    assert face.pop("g", "b", "default") == b"2"
    assert not face.group_exists("g")
    assert face.pop("g", "a", None) is None
    assert face.pop("g", "a", default=3) == 3
    with pytest.raises(groupstore.NotFoundError, match="pop") as raised:
        face.pop("config", "colour")
    assert isinstance(raised.value, KeyError)
    assert "'colour'" in str(raised.value)
    assert "'config'" in str(raised.value)


WRITES: list[tuple[str, tuple[Any, ...], list[Change]]] = [
    ("add", ("g", "new", "v"), [Change("set", "g", "new", "v", "set")]),
    ("add", ("g", "k", "v"), []),
    ("compare_and_set", ("g", "k", "5", b"6"), [Change("set", "g", "k", b"6", "set")]),
    ("compare_and_set", ("g", "k", "5", "5"), [Change("set", "g", "k", "5", "set")]),
    ("compare_and_set", ("g", "k", "5", None), [Change("delete", "g", "k", None, "delete")]),
    ("compare_and_set", ("g", "k", "6", "7"), []),
    ("compare_and_set", ("g", "new", None, None), []),
    ("compare_and_set", ("g", "new", None, "v"), [Change("set", "g", "new", "v", "set")]),
    ("increment", ("g", "k", 3), [Change("set", "g", "k", "8", "set")]),
    ("increment", ("g", "k", 0), [Change("set", "g", "k", "5", "set")]),
    ("increment", ("g", "new"), [Change("set", "g", "new", "1", "set")]),
    ("pop", ("g", "k"), [Change("delete", "g", "k", None, "delete")]),
    ("pop", ("g", "new", None), []),
]


@pytest.mark.parametrize(("method", "arguments", "told"), WRITES)
def test_events(
    source: Source, method: str, arguments: tuple[Any, ...], told: list[Change]
) -> None:
    """Each atomic write emits what it did, and nothing where it did nothing."""
    source.set("g", "k", "5")
    watcher = source.watch()
    getattr(source, method)(*arguments)
    assert drain(watcher) == told


def test_failed_increment_emits_nothing(source: Source) -> None:
    """An increment that raised has no event."""
    source.set("g", "k", "x")
    watcher = source.watch()
    with pytest.raises(ValueError):
        source.increment("g", "k")
    assert drain(watcher) == []
