"""Names of keys and groups: any text, told apart by code points and by nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import NAMES, Face, between, names


def test_names_are_told_apart(face: Face) -> None:
    """Every odd name is a group and a key of its own, beside all the others."""
    for group in NAMES:
        face.set_many(group, {key: f"{group}/{key}" for key in NAMES})
    assert face.count_all() == len(NAMES) ** 2
    assert face.groups() == sorted(NAMES)
    for group in NAMES:
        assert face.get_all(group) == {key: f"{group}/{key}" for key in NAMES}
        assert list(face.keys(group)) == sorted(NAMES)
        assert face.get(group, group) == f"{group}/{group}"
    for group in NAMES:
        assert face.delete(group, group) is True
        assert face.delete_group(group) == len(NAMES) - 1
    assert face.count_all() == 0


@given(names, names)
def test_any_name(face: Face, group: str, key: str) -> None:
    """Any text that UTF-8 can encode names a group and a key."""
    face.set(group, key, "v")
    assert face.get(group, key) == "v"
    assert face.exists(group, key)
    assert face.groups() == [group]
    assert list(face.keys(group)) == [key]
    assert face.delete(group, key)
    assert not face.group_exists(group)


@given(st.sets(names, max_size=8), names)
def test_groups_by_prefix(face: Face, groups: set[str], prefix: str) -> None:
    """A prefix of group names is taken literally, and groups come in the order of code points."""
    face.delete_prefix("")
    for group in groups:
        face.set_many(group, {"a": "1", "b": "2"})
    expected = between(groups, prefix=prefix)
    assert face.groups(prefix) == list(face.iter_groups(prefix)) == expected
    assert face.count_all(prefix) == 2 * len(expected)
    assert face.delete_prefix(prefix) == 2 * len(expected)
    assert face.groups() == sorted(groups - set(expected))


@pytest.mark.parametrize("prefix", ["%", "_", "^", "*", "[a]", "\\", "a%", "a_", "\x7f", "\ud7ff"])
@pytest.mark.parametrize("literally", [True, False])
def test_wildcards_mean_themselves(face: Face, prefix: str, literally: bool) -> None:
    """A wildcard of LIKE, GLOB or a pattern in a prefix matches that character alone."""
    group = prefix + "x" if literally else "abc"
    face.set(group, "k", "v")
    assert face.groups(prefix) == ([group] if literally else [])
    assert face.count_all(prefix) == int(literally)
    assert face.delete_prefix(prefix) == int(literally)


@pytest.mark.parametrize("last", ["\x7f", "\u07ff", "\ud7ff", "\uffff", "\U0010ffff"])
def test_prefix_at_the_end_of_a_range(face: Face, last: str) -> None:
    """A prefix that ends in the last code point of its length in UTF-8 finds what starts so."""
    names = [last, last + last, last + "\U0010ffff", "x" + last]
    for name in names:
        face.set(name, name, "v")
    expected = between(list(dict.fromkeys(names)), prefix=last)
    assert face.groups(last) == expected
    face.set_many("g", dict.fromkeys(names, "v"))
    assert list(face.keys("g", prefix=last)) == expected
    assert face.delete_prefix(last) == len(expected)


def test_case_matters(face: Face) -> None:
    """Case tells names apart, in prefixes too."""
    face.set("acme", "k", "lower")
    face.set("ACME", "k", "upper")
    face.set("acme", "K", "upper key")
    assert face.groups("a") == ["acme"]
    assert face.groups("A") == ["ACME"]
    assert face.delete_prefix("acme") == 2
    assert face.get("ACME", "k") == "upper"


def test_no_normalisation(face: Face) -> None:
    """Equal-looking names of different code points are different."""
    face.set("g", "\u00e9", "composed")
    face.set("g", "e\u0301", "decomposed")
    assert face.get_all("g") == {"e\u0301": "decomposed", "\u00e9": "composed"}


def test_numbers_stay_text(face: Face) -> None:
    """Names and values that look like numbers keep their form."""
    face.set("1", "01", "1.0")
    assert not face.exists("1", "1")
    assert not face.exists("01", "01")
    assert face.get_all("1") == {"01": "1.0"}


def test_group_lives_as_long_as_a_key(face: Face) -> None:
    """A group comes with its first key and goes with its last."""
    assert face.groups() == []
    face.set("g", "a", "1")
    face.set("g", "b", "2")
    face.delete("g", "a")
    assert face.groups() == ["g"]
    face.pop("g", "b")
    assert face.groups() == []
    assert face.count_all() == 0


def test_iter_groups_while_writing(face: Face) -> None:
    """A group that lives throughout comes once, whatever the loop body writes and deletes."""
    stable = [f"g{n:03}" for n in range(0, 300, 2)]
    for group in stable:
        face.set(group, "k", "v")
    seen = []
    for n, group in enumerate(face.iter_groups()):
        seen.append(group)
        face.set(f"g{(2 * n + 1) % 300:03}", "k", "v")
        face.delete_group(f"g{(2 * n - 1) % 300:03}")
    assert [group for group in seen if group in stable] == stable
    assert len(set(seen)) == len(seen)


def test_iter_groups_is_an_iterator(face: Face) -> None:
    """`iter_groups` gives an iterator that ends for good; `groups` a list of the caller's own."""
    face.set("g", "k", "v")
    iterator = face.iter_groups()
    assert iter(iterator) is iterator
    assert list(iterator) == ["g"]
    assert list(iterator) == []
    face.groups().clear()
    assert face.groups() == ["g"]
