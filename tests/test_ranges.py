"""RANGE: `items`, `keys`, `count` and `get_page` over a part of a group."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import groupstore
from model import Face, between, names

KEYS = ["", "a", "a%", "aa", "ab", "b", "ba", "c", "\uffff", "\U00010000"]


@given(
    keys=st.sets(names, max_size=10),
    bounds=st.fixed_dictionaries(
        {},
        optional={
            "prefix": names,
            "start": st.none() | names,
            "stop": st.none() | names,
        },
    ),
    reverse=st.booleans(),
    offset=st.integers(0, 12),
    limit=st.integers(0, 12),
)
def test_ranges(
    face: Face,
    keys: set[str],
    bounds: dict[str, Any],
    reverse: bool,
    offset: int,
    limit: int,
) -> None:
    """Every way of reading a range agrees with filtering and sorting the keys."""
    face.delete_group("g")
    face.set_many("g", {key: "v" + key for key in keys})
    expected = [(key, "v" + key) for key in between(keys, **bounds, reverse=reverse)]
    assert list(face.items("g", **bounds, reverse=reverse)) == expected
    assert list(face.keys("g", **bounds, reverse=reverse)) == [key for key, _ in expected]
    assert face.count("g", **bounds) == len(expected)
    page = face.get_page("g", offset, limit, **bounds, reverse=reverse)
    assert page == expected[offset : offset + limit]


@pytest.fixture
def filled(face: Face) -> Face:
    """A face whose group `g` has the keys of KEYS, beside other groups."""
    for group in ("f", "g", "h"):
        face.set_many(group, {key: group + key for key in KEYS})
    return face


def test_without_bounds(filled: Face) -> None:
    """Without bounds a range is the whole group, in the order of code points."""
    assert list(filled.keys("g")) == KEYS
    assert list(filled.items("g")) == [(key, "g" + key) for key in KEYS]
    assert list(filled.keys("g", reverse=True)) == KEYS[::-1]
    assert filled.count("g") == len(KEYS)
    assert filled.count_all() == 3 * len(KEYS)


def test_start_and_stop(filled: Face) -> None:
    """`start` is included, `stop` is not, under `reverse` too."""
    assert list(filled.keys("g", start="aa", stop="b")) == ["aa", "ab"]
    assert list(filled.keys("g", start="aa", stop="b", reverse=True)) == ["ab", "aa"]
    assert list(filled.keys("g", start="", stop="a")) == [""]
    assert list(filled.keys("g", start="\U00010000")) == ["\U00010000"]
    assert list(filled.keys("g", start="zz", stop="\uffff")) == []


@pytest.mark.parametrize(
    "bounds", [{"stop": ""}, {"start": "b", "stop": "b"}, {"start": "c", "stop": "a"}]
)
@pytest.mark.parametrize("reverse", [False, True])
def test_empty_ranges(filled: Face, bounds: dict[str, str], reverse: bool) -> None:
    """`stop=""` and a range of nothing select nothing."""
    assert list(filled.keys("g", **bounds, reverse=reverse)) == []
    assert list(filled.items("g", **bounds, reverse=reverse)) == []
    assert filled.get_page("g", 0, 10, **bounds, reverse=reverse) == []
    assert filled.count("g", **bounds) == 0


def test_prefix_and_bounds_together(filled: Face) -> None:
    """A prefix and bounds narrow one another, wherever they lie."""
    assert list(filled.keys("g", prefix="a", start="aa")) == ["aa", "ab"]
    assert list(filled.keys("g", prefix="a", stop="aa")) == ["a", "a%"]
    assert list(filled.keys("g", prefix="a", start="b")) == []
    assert list(filled.keys("g", prefix="a%")) == ["a%"]
    assert filled.count("g", prefix="a", start="0", stop="zz") == 4


def test_pages(filled: Face) -> None:
    """Pages of any size put together are the group; beyond the end they are empty."""
    for size in (1, 3, len(KEYS), 100):
        pages = [filled.get_page("g", at, size) for at in range(0, len(KEYS), size)]
        assert [key for page in pages for key, _ in page] == KEYS
    assert filled.get_page("g", 0, 0) == []
    assert filled.get_page("g", len(KEYS), 5) == []
    assert filled.get_page("g", 0, 2**63 - 1) == list(filled.items("g"))
    assert filled.get_page("g", 2**63 - 1, 2**63 - 1) == []
    assert type(filled.get_page("g", 0, 2)) is list
    reverse = filled.get_page("g", 1, 2, reverse=True)
    assert [key for key, _ in reverse] == ["\uffff", "c"]


def test_long_group(face: Face) -> None:
    """A group of many times what is read at once comes whole, both ways round."""
    keys = [f"{n:05}" for n in range(5000)]
    face.set_many("g", {key: key for key in keys})
    assert [key for key, _ in face.items("g")] == keys
    assert [key for key, _ in face.items("g", reverse=True)] == keys[::-1]
    assert list(face.keys("g", prefix="01")) == keys[1000:2000]
    assert face.count("g", start="00010", stop="04990") == 4980


@pytest.mark.parametrize("method", ["items", "keys"])
@pytest.mark.parametrize("reverse", [False, True])
def test_writing_while_iterating(face: Face, method: str, reverse: bool) -> None:
    """A key that lives throughout comes exactly once, whatever the loop body does around it."""
    stable = [f"{n:03}" for n in range(0, 600, 2)]
    face.set_many("g", dict.fromkeys(stable, "v"))
    seen = []
    for found in getattr(face, method)("g", reverse=reverse):
        key = found if method == "keys" else found.key
        seen.append(key)
        at = int(key[:3])
        face.set("g", f"{at:03}x", "new beside it")
        face.set("g", f"{(at + 101) % 300 * 2 + 1:03}", "new elsewhere")
        face.delete("g", f"{(at + 203) % 300 * 2 + 1:03}")
        face.set("g", stable[at // 2], "overwritten")
    assert [key for key in seen if key in set(stable)] == sorted(stable, reverse=reverse)
    assert len(set(seen)) == len(seen)


def test_deleting_what_is_iterated(face: Face) -> None:
    """The loop body may delete the very key it was given, and all that are still to come."""
    keys = [f"{n:04}" for n in range(1000)]
    face.set_many("g", dict.fromkeys(keys, "v"))
    assert [key for key in face.keys("g") if face.delete("g", key)] == keys
    face.set_many("g", dict.fromkeys(keys, "v"))
    iterator = face.items("g")
    next(iterator)
    face.delete_group("g")
    face.set("g", "9999", "v")
    left = [key for key, _ in iterator]
    assert left == sorted(set(left))
    assert set(left) <= {*keys[1:], "9999"}


def test_iterators_side_by_side(filled: Face) -> None:
    """Iterators of one face do not disturb one another."""
    pairs = zip(filled.keys("g"), filled.keys("g", reverse=True), filled.items("h"), strict=True)
    assert [(a, b, c.key) for a, b, c in pairs] == list(
        zip(KEYS, reversed(KEYS), KEYS, strict=True)
    )


def test_abandoned_iterators_hold_nothing(
    file_store: groupstore.Store, path: Path, foreign: Callable[..., list[list[Any]]]
) -> None:
    """An iterator left half-way holds neither a lock nor a read: a checkpoint can truncate."""
    file_store.set_many("g", {f"{n:04}": "v" * 100 for n in range(2000)})
    scope = file_store.scoped("acme")
    scope.set_many("g", {f"{n:04}": "v" for n in range(2000)})
    left = [file_store.items("g"), file_store.keys("g", reverse=True), scope.items("g")]
    groups = file_store.iter_groups()
    for iterator in left:
        next(iterator)
    next(groups)
    rows = foreign(
        "BEGIN IMMEDIATE",
        "INSERT INTO entries(group_name, entry_key, entry_value) VALUES ('z', 'k', 'v')",
        "COMMIT",
        "PRAGMA wal_checkpoint(TRUNCATE)",
    )
    assert rows == [[0, 0, 0]]
    assert len(list(left[0])) == 1999
