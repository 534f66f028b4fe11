"""Values: what goes in comes back, by every way of writing and reading."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given

import groupstore
from conftest import Opener
from model import VALUES, Face, Value, values


@pytest.mark.parametrize("value", VALUES)
def test_value_comes_back_as_it_went_in(face: Face, value: Value) -> None:
    """A value keeps its content and its type, by every way of reading it."""
    face.set("g", "k", value)
    found = [
        face.get("g", "k"),
        face.get_many("g", ["k"])["k"],
        face.get_all("g")["k"],
        face.get_page("g", 0, 1)[0].value,
        next(iter(face.items("g"))).value,
        face.group("g")["k"],
        face.pop("g", "k"),
    ]
    assert [(type(v), v) for v in found] == [(type(value), value)] * len(found)


@given(values)
def test_any_value_comes_back(face: Face, value: Value) -> None:
    """Any text or bytes come back, written again over whatever was there."""
    face.set("g", "k", value)
    found = face.get("g", "k")
    assert (type(found), found) == (type(value), value)


def test_large_value(face: Face) -> None:
    """Values of several MiB, far over a page of the file, come back."""
    text, binary = "\U0001f600x" * 500_000, bytes(range(256)) * 10_000
    face.set_many("g", {"text": text, "binary": binary})
    assert face.get("g", "text") == text
    assert face.get("g", "binary") == binary


def test_set_overwrites(face: Face) -> None:
    """`set` returns nothing and replaces a value, of the other type too."""
    assert face.set("g", "k", "1") is None  # type: ignore[func-returns-value]
    face.set("g", "k", b"1")
    assert face.get("g", "k") == b"1"
    face.set("g", "k", "1")
    assert face.get("g", "k") == "1"
    assert face.count("g") == 1


def test_get_of_absent_key(face: Face) -> None:
    """`get` of an absent key raises a `KeyError` that names it, or gives the default, even None."""
    with pytest.raises(groupstore.NotFoundError) as raised:
        face.get("config", "colour")
    assert isinstance(raised.value, KeyError)
    assert str(raised.value) == "get: no key 'colour' in group 'config'"
    assert face.get("config", "colour", None) is None
    assert face.get("config", "colour", "red") == "red"
    marker = object()
    assert face.get("config", "colour", default=marker) is marker


def test_get_of_present_key_ignores_default(face: Face) -> None:
    """The default of `get` and `pop` is for absent keys alone, an empty value is no absent one."""
    face.set("g", "k", "")
    assert face.get("g", "k", "default") == ""
    assert face.pop("g", "k", "default") == ""


def test_get_many(face: Face) -> None:
    """`get_many` gives what is there in the order asked, each key once, from any iterable."""
    face.set_many("g", {"a": "1", "b": "2", "c": b"3"})
    asked = ["c", "missing", "a", "c", ""]
    assert list(face.get_many("g", asked).items()) == [("c", b"3"), ("a", "1")]
    assert list(face.get_many("g", iter(asked))) == ["c", "a"]
    assert face.get_many("g", []) == {}
    assert face.get_many("absent", asked) == {}


def test_get_many_of_many(face: Face) -> None:
    """`get_many` takes more keys than one SQL statement could."""
    face.set_many("g", {str(n): str(n) for n in range(0, 40_000, 2)})
    asked = [str(n) for n in range(40_000)]
    assert face.get_many("g", asked) == {str(n): str(n) for n in range(0, 40_000, 2)}


def test_exists(face: Face) -> None:
    """`exists` and `group_exists` are plain bools of what is there now."""
    assert face.exists("g", "k") is False
    assert face.group_exists("g") is False
    face.set("g", "k", "")
    assert face.exists("g", "k") is True
    assert face.group_exists("g") is True
    assert face.exists("g", "K") is False
    face.delete("g", "k")
    assert face.exists("g", "k") is False
    assert face.group_exists("g") is False


def test_get_all(face: Face) -> None:
    """`get_all` is a dict of the group's keys, in key order, and the caller's own."""
    face.set_many("g", {"b": "2", "a": b"1", "\U00010000": "4", "\uffff": "3"})
    found = face.get_all("g")
    assert type(found) is dict
    assert list(found.items()) == [("a", b"1"), ("b", "2"), ("\uffff", "3"), ("\U00010000", "4")]
    found.clear()
    assert len(face.get_all("g")) == 4
    assert face.get_all("absent") == {}


def test_key_value_is_a_named_tuple(face: Face) -> None:
    """Pages and items are of `KeyValue`, which has names and unpacks."""
    face.set("g", "k", "v")
    for found in (face.get_page("g", 0, 1)[0], next(iter(face.items("g")))):
        assert isinstance(found, groupstore.KeyValue)
        assert (found.key, found.value) == found == ("k", "v")


@pytest.mark.parametrize("make", [dict, lambda d: list(d.items()), lambda d: iter(d.items())])
def test_set_many(face: Face, make: object) -> None:
    """`set_many` takes a mapping, pairs or an iterator of pairs, and overwrites."""
    face.set("g", "b", "old")
    items = {"b": "2", "a": b"1", "": ""}
    assert face.set_many("g", make(items)) is None  # type: ignore[operator]
    assert face.get_all("g") == items


def test_set_many_of_nothing(face: Face) -> None:
    """`set_many` of nothing makes no group."""
    face.set_many("g", {})
    face.set_many("g", [])
    assert not face.group_exists("g")


def test_set_many_of_equal_keys(face: Face) -> None:
    """The last of equal keys in `set_many` wins."""
    face.set_many("g", [("k", "1"), ("other", "x"), ("k", "2")])
    assert face.get_all("g") == {"k": "2", "other": "x"}


@pytest.mark.parametrize(
    "bad", [("k2", 1), ("k2", None), (2, "v"), ("\ud800", "v"), ("k2", "\udfff")]
)
def test_set_many_is_all_or_nothing(face: Face, bad: tuple[object, object]) -> None:
    """One bad pair among good ones, and nothing is written."""
    face.set("g", "k1", "old")
    with pytest.raises((TypeError, ValueError)):
        face.set_many("g", [("k0", "v"), ("k1", "new"), bad, ("k3", "v")])  # type: ignore[list-item]
    assert face.get_all("g") == {"k1": "old"}


def test_set_many_of_a_failing_iterator(face: Face) -> None:
    """An exception from the caller's iterator propagates, and nothing is written."""

    def pairs() -> Iterator[tuple[str, str]]:
        yield "a", "1"
        raise LookupError("the caller's own")

    with pytest.raises(LookupError, match="the caller's own"):
        face.set_many("g", pairs())
    assert face.count_all() == 0
    face.set("g", "k", "v")
    assert face.get("g", "k") == "v"


def test_set_many_from_the_same_store(face: Face) -> None:
    """The iterator given to `set_many`, `get_many` and `delete_many` may itself use the store."""
    face.set_many("a", {"x": "1", "y": "2"})
    face.set_many("b", face.items("a"))
    assert face.get_many("b", face.keys("a")) == {"x": "1", "y": "2"}
    assert face.delete_many("b", face.keys("b")) == 2
    assert face.get_all("a") == {"x": "1", "y": "2"}


def test_delete(face: Face) -> None:
    """`delete` tells whether there was a key to remove."""
    face.set_many("g", {"a": "1", "b": "2"})
    assert face.delete("g", "a") is True
    assert face.delete("g", "a") is False
    assert face.delete("absent", "a") is False
    assert face.get_all("g") == {"b": "2"}


def test_delete_many(face: Face) -> None:
    """`delete_many` counts the keys it removed, equal ones once."""
    face.set_many("g", {"a": "1", "b": "2", "c": "3"})
    assert face.delete_many("g", ["a", "missing", "c", "a"]) == 2
    assert face.get_all("g") == {"b": "2"}
    assert face.delete_many("g", []) == 0
    assert face.delete_many("g", iter(["b"])) == 1
    assert not face.group_exists("g")


def test_delete_many_is_all_or_nothing(face: Face) -> None:
    """One bad key among good ones, and nothing is removed."""
    face.set_many("g", {"a": "1", "b": "2"})
    with pytest.raises(TypeError):
        face.delete_many("g", ["a", 1, "b"])  # type: ignore[list-item]
    assert face.get_all("g") == {"a": "1", "b": "2"}


def test_delete_group(face: Face) -> None:
    """`delete_group` removes the one group and counts its keys."""
    face.set_many("g", {"a": "1", "b": "2"})
    face.set("g2", "a", "1")
    face.set("G", "a", "1")
    assert face.delete_group("g") == 2
    assert face.delete_group("g") == 0
    assert face.groups() == ["G", "g2"]


def test_values_survive_reopening(open_store: Opener) -> None:
    """What was written to a file is there when it is opened again, with or without `exclusive`."""
    values = {str(n): value for n, value in enumerate(VALUES)}
    for storage in ("file", "exclusive", "file"):
        with open_store(storage) as store:
            store.set_many(storage, values)
        with open_store("file") as store:
            assert store.get_all(storage) == values


def test_get_split(face: Face) -> None:
    """`get_split` gives the parts between separators, empty ones too, as `str.split` does."""
    face.set("g", "k", "a,,b, c,")
    parts = face.get_split("g", "k", ",")
    assert next(parts) == "a"
    assert list(parts) == ["", "b", " c", ""]
    assert list(face.get_split("g", "k", ", ")) == ["a,,b", "c,"]
    assert list(face.get_split("g", "k", ";")) == ["a,,b, c,"]
    face.set("g", "k", "")
    assert list(face.get_split("g", "k", ",")) == [""]


def test_get_fields(face: Face) -> None:
    """`get_fields` gives the words between runs of white space."""
    face.set("g", "k", "  alpha\t beta\n\u2003gamma ")
    assert list(face.get_fields("g", "k")) == ["alpha", "beta", "gamma"]
    face.set("g", "k", " ")
    assert list(face.get_fields("g", "k")) == []


def test_split_of_what_is_no_text(face: Face) -> None:
    """Bytes can't be split (`TypeError`), an absent key neither, nor anything by nothing."""
    face.set("g", "binary", b"a,b")
    face.set("g", "text", "a,b")
    for split in (lambda k: face.get_split("g", k, ","), lambda k: face.get_fields("g", k)):
        with pytest.raises(TypeError):
            list(split("binary"))
        with pytest.raises(groupstore.NotFoundError):
            list(split("missing"))
    with pytest.raises(ValueError):
        list(face.get_split("g", "text", ""))
