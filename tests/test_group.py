"""`Group`: what users of `collections.abc.MutableMapping` expect."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import groupstore
from model import PATIENCE_S, Change, Clock, Face, Source, Value, drain, values

View = MutableMapping[str, Value]


def test_is_a_mutable_mapping(face: Face) -> None:
    """A group is a `MutableMapping` and a view of what the store holds."""
    view = face.group("config")
    assert isinstance(view, groupstore.Group)
    assert isinstance(view, MutableMapping)
    assert len(view) == 0
    assert not view
    view["colour"] = "blue"
    assert face.get("config", "colour") == "blue"
    face.set("config", "size", b"9")
    assert view["size"] == b"9"
    assert len(view) == 2
    assert view


def test_item_access(face: Face) -> None:
    """Items are read, written, deleted and looked for by key."""
    view = face.group("g")
    view["b"], view["a"] = "2", b"1"
    assert ("a" in view, "c" in view) == (True, False)
    del view["b"]
    assert dict(view) == {"a": b"1"}
    for fail in (lambda: view["b"], lambda: view.pop("b")):
        with pytest.raises(KeyError) as raised:
            fail()
        assert isinstance(raised.value, groupstore.NotFoundError)
    with pytest.raises(KeyError):
        del view["b"]


def test_iteration_is_in_key_order(face: Face) -> None:
    """Iteration, `keys`, `values` and `items` are in key order."""
    view = face.group("g")
    for key in ("b", "\U00010000", "", "a", "\uffff"):
        view[key] = "v" + key
    expected = ["", "a", "b", "\uffff", "\U00010000"]
    assert list(view) == list(view.keys()) == expected
    assert list(view.values()) == ["v" + key for key in expected]
    assert list(view.items()) == [(key, "v" + key) for key in expected]


def test_views_of_a_mapping(face: Face) -> None:
    """`keys`, `values` and `items` are live, have a length and know what is in them."""
    view = face.group("g")
    keys, items, values = view.keys(), view.items(), view.values()
    view.update(a="1", b="2")
    assert (len(keys), len(items), len(values)) == (2, 2, 2)
    assert "a" in keys
    assert ("a", "1") in items
    assert ("a", "2") not in items
    assert "2" in values
    assert keys & {"a", "x"} == {"a"}
    assert keys == {"a", "b"}


def test_get_and_default(face: Face) -> None:
    """`get` gives None or the default where the key is absent."""
    view = face.group("g")
    view["k"] = ""
    assert view.get("k", "default") == ""
    assert view.get("missing") is None
    assert view.get("missing", "default") == "default"


def test_pop_and_popitem(face: Face) -> None:
    """`pop` takes a default; `popitem` gives each item once and raises `KeyError` at the end."""
    view = face.group("g")
    view.update({"a": "1", "b": b"2"})
    assert view.pop("a") == "1"
    assert view.pop("a", None) is None
    assert view.pop("a", "x") == "x"
    assert view.popitem() == ("b", b"2")
    with pytest.raises(KeyError):
        view.popitem()


def test_setdefault(face: Face) -> None:
    """`setdefault` gives what is there, or sets what is not."""
    view = face.group("g")
    assert view.setdefault("k", "first") == "first"
    assert view.setdefault("k", b"second") == "first"
    assert face.get("g", "k") == "first"
    with pytest.raises(TypeError):
        view.setdefault("other")  # type: ignore[call-arg]
    assert "other" not in view


def test_update(face: Face) -> None:
    """`update` takes what that of a dict takes, and is all or nothing."""
    view = face.group("g")
    view.update({"a": "1"}, b="2")
    view.update([("c", b"3"), ("a", "4")])
    view.update(d="5")
    view.update(face.group("g"))
    assert dict(view) == {"a": "4", "b": "2", "c": b"3", "d": "5"}
    with pytest.raises(TypeError):
        view.update({"a": "changed", "e": 1})  # type: ignore[dict-item]
    assert dict(view) == {"a": "4", "b": "2", "c": b"3", "d": "5"}


def test_clear(face: Face) -> None:
    """`clear` empties the one group."""
    face.set("other", "k", "v")
    view = face.group("g")
    view.update(a="1", b="2")
    view.clear()
    view.clear()
    assert dict(view) == {}
    assert face.groups() == ["other"]


def test_equality(face: Face) -> None:
    """A group equals any mapping of the same items."""
    view = face.group("g")
    view.update(a="1", b=b"2")
    assert view == {"b": b"2", "a": "1"}
    assert view != {"a": "1"}
    assert view != {"a": "1", "b": "2"}
    assert view == face.group("g")
    face.set_many("h", view)
    assert view == face.group("h")


def test_set_with_ttl(face: Face, clock: Clock) -> None:
    """`set` takes a time to live; item assignment clears it; expired keys are absent."""
    view = face.group("g")
    view.set("k", "v", ttl=1)
    view.set("forever", "v")
    assert face.ttl("g", "k") == 1.0
    clock.advance(1)
    assert dict(view) == {"forever": "v"}
    assert "k" not in view
    assert view.setdefault("k", "again") == "again"
    view.set("k", "v", ttl=1)
    view["k"] = "v"
    assert face.ttl("g", "k") is None


def test_writing_while_iterating(face: Face) -> None:
    """Unlike a dict, a group may be changed by the body of the loop over it."""
    view = face.group("g")
    view.update({f"{n:03}": "v" for n in range(300)})
    assert [key for key in view if view.pop(key)] == [f"{n:03}" for n in range(300)]
    assert not view


def test_wrong_types(face: Face) -> None:
    """Keys and values of other types are a `TypeError`, and nothing is written."""
    view: Any = face.group("g")
    calls: list[Callable[[], Any]] = [
        lambda: view[1],
        lambda: view.__setitem__(b"k", "v"),
        lambda: view.__setitem__("k", 1),
        lambda: view.__setitem__("k", None),
        lambda: view.__delitem__(None),
        lambda: view.get(1),
        lambda: view.pop(1, None),
        lambda: view.setdefault("k", 1),
        lambda: view.set("k", 1),
        lambda: view.set("k", "v", ttl="1"),
        lambda: view.update({1: "v"}),
        lambda: face.group(1),  # type: ignore[arg-type]
    ]
    for call in calls:
        with pytest.raises(TypeError):
            call()
    assert len(view) == 0


def test_default_group(store: groupstore.Store) -> None:
    """The group of a scope called without a name is `default`."""
    assert groupstore.DEFAULT_GROUP == "default"
    scope = store.scoped("acme")
    scope.group()["k"] = "v"
    assert scope.get("default", "k") == "v"
    assert store.get("acme:default", "k") == "v"


def test_repr(face: Face) -> None:
    """The repr of a group names it and does not spill its contents."""
    view = face.group("config")
    view["secret"] = "value"
    assert "config" in repr(view)
    assert "value" not in repr(view)


def test_events(source: Source) -> None:
    """`update` is one `set_many`, `clear` one `delete_group`, the rest emit as the store's do."""
    view = source.group("g")
    watcher = source.watch(capacity=100)
    view.update({"a": "1", "b": "2"})
    view["a"] = "3"
    view.setdefault("a", "4")
    view.setdefault("c", "5")
    del view["a"]
    view.pop("b")
    view.clear()
    view.clear()
    assert drain(watcher) == [
        Change("set", "g", "a", "1", "set"),
        Change("set", "g", "b", "2", "set"),
        Change("set", "g", "a", "3", "set"),
        Change("set", "g", "c", "5", "set"),
        Change("delete", "g", "a", None, "delete"),
        Change("delete", "g", "b", None, "delete"),
        Change("delete_group", "g", None, None, "delete"),
    ]


def test_setdefault_is_atomic(store: groupstore.Store, threads: ThreadPoolExecutor) -> None:
    """Threads that race for a default agree on one."""
    view = store.group("g")
    for round_ in range(20):
        racers = [threads.submit(view.setdefault, str(round_), str(n)) for n in range(8)]
        assert len({racer.result(PATIENCE_S) for racer in racers}) == 1


def test_popitem_is_atomic(store: groupstore.Store, threads: ThreadPoolExecutor) -> None:
    """Threads that pop items share them out, each item to one."""
    view = store.group("g")
    view.update({str(n): "v" for n in range(200)})

    def pop_all() -> list[str]:
        popped = []
        while True:
            try:
                popped.append(view.popitem()[0])
            except KeyError:
                return popped

    shares = [threads.submit(pop_all) for _ in range(4)]
    popped = [key for share in shares for key in share.result(PATIENCE_S)]
    assert sorted(popped) == sorted(str(n) for n in range(200))


def test_view_of_a_transaction_ends_with_it(store: groupstore.Store) -> None:
    """A view got from a transaction is as unusable after the block as the transaction itself."""
    with store.transaction() as tx:
        view = tx.group("g")
        view["k"] = "v"
    with pytest.raises(groupstore.StoreError):
        view["k"]
    with pytest.raises(groupstore.StoreError):
        view["k"] = "w"
    assert store.get("g", "k") == "v"


class GroupMachine(RuleBasedStateMachine):
    """A group beside a dict: the same calls give the same results."""

    keys = st.sampled_from(["", "a", "b", "\0", "\U0001f600"])

    @initialize(scoped=st.booleans())
    def open(self, scoped: bool) -> None:
        self.store = groupstore.Store(purge_interval=None)
        face = self.store.scoped("acme") if scoped else self.store
        face.set("g2", "k", "beside")
        self.view: View = face.group("g")
        self.dict: dict[str, Value] = {}

    def both(self, call: Callable[[View], Any]) -> None:
        results = []
        for mapping in (self.dict, self.view):
            try:
                result = call(mapping)
                if isinstance(result, Iterator):
                    result = list(result)
            except KeyError:
                result = KeyError
            results.append(result)
        assert results[0] == results[1]

    @rule(key=keys, value=values)
    def setitem(self, key: str, value: Value) -> None:
        self.both(lambda m: m.__setitem__(key, value))

    @rule(key=keys)
    def delitem(self, key: str) -> None:
        self.both(lambda m: m.__delitem__(key))

    @rule(key=keys)
    def getitem(self, key: str) -> None:
        self.both(lambda m: m[key])

    @rule(key=keys, default=st.none() | values)
    def get(self, key: str, default: Value | None) -> None:
        self.both(lambda m: m.get(key, default))

    @rule(key=keys, default=st.none() | values)
    def pop(self, key: str, default: Value | None) -> None:
        self.both(lambda m: m.pop(key, default))

    @rule(key=keys)
    def pop_strictly(self, key: str) -> None:
        self.both(lambda m: m.pop(key))

    @rule(key=keys, value=values)
    def setdefault(self, key: str, value: Value) -> None:
        self.both(lambda m: m.setdefault(key, value))

    @rule(items=st.dictionaries(keys, values, max_size=4))
    def update(self, items: Mapping[str, Value]) -> None:
        self.both(lambda m: m.update(items))

    @rule()
    def clear(self) -> None:
        self.both(lambda m: m.clear())

    @rule(key=keys)
    def contains(self, key: str) -> None:
        self.both(lambda m: key in m)

    @invariant()
    def same(self) -> None:
        assert list(self.view.items()) == sorted(self.dict.items())
        assert len(self.view) == len(self.dict)
        assert self.view == self.dict

    def teardown(self) -> None:
        self.store.close()


TestGroupMachine = GroupMachine.TestCase
TestGroupMachine.__doc__ = "A group behaves as a dict does under random calls."
