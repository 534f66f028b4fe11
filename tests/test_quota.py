"""Quotas: what they count, what they refuse, and that a refusal leaves no trace."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import groupstore
from groupstore import ConfigError, Quota, QuotaExceededError, ScopedStore
from model import PATIENCE_S, Clock, Face, drain

ADDING: dict[str, Callable[[Face], Any]] = {
    "set": lambda f: f.set("g", "new", "v"),
    "set_many": lambda f: f.set_many("g", {"new": "v"}),
    "add": lambda f: f.add("g", "new", "v"),
    "compare_and_set": lambda f: f.compare_and_set("g", "new", None, "v"),
    "increment": lambda f: f.increment("g", "new"),
    "item": lambda f: f.group("g").__setitem__("new", "v"),
    "setdefault": lambda f: f.group("g").setdefault("new", "v"),
    "update": lambda f: f.group("g").update(new="v"),
}
HARMLESS: dict[str, Callable[[Face], Any]] = {
    "set": lambda f: f.set("g", "a", "w"),
    "set_many": lambda f: f.set_many("g", {"a": "w", "b": "w"}),
    "add": lambda f: f.add("g", "a", "w"),
    "compare_and_set": lambda f: f.compare_and_set("g", "a", "1", "w"),
    "failing compare_and_set": lambda f: f.compare_and_set("g", "new", "x", "w"),
    "vain compare_and_set": lambda f: f.compare_and_set("g", "new", None, None),
    "increment": lambda f: f.increment("g", "a"),
    "expire": lambda f: f.expire("g", "a", 60),
    "expire of absent": lambda f: f.expire("g", "new", 60),
    "set_many of nothing": lambda f: f.set_many("new", {}),
    "get": lambda f: f.get("g", "new", None),
    "delete": lambda f: f.delete("g", "a"),
}


@pytest.fixture
def full(store: groupstore.Store) -> ScopedStore:
    """A scope with as many keys and as many groups as its quota allows."""
    scope = store.scoped("acme", Quota(max_keys=2, max_groups=1))
    scope.set_many("g", {"a": "1", "b": "2"})
    return scope


@pytest.mark.parametrize("write", ADDING)
def test_every_adding_write_is_refused(full: ScopedStore, write: str) -> None:
    """At the limit each method that would add a key raises, and writes and tells nothing."""
    watcher = full.watch()
    with pytest.raises(QuotaExceededError) as raised:
        ADDING[write](full)
    assert isinstance(raised.value, groupstore.StoreError)
    assert (raised.value.namespace, raised.value.limit, raised.value.maximum) == ("acme", "keys", 2)
    assert "acme" in str(raised.value)
    assert full.get_all("g") == {"a": "1", "b": "2"}
    assert drain(watcher) == []
    full.delete("g", "a")
    ADDING[write](full)
    assert full.exists("g", "new")


@pytest.mark.parametrize("write", HARMLESS)
def test_other_writes_are_not(full: ScopedStore, write: str) -> None:
    """At the limit everything that adds no key goes on, and what adds nothing never raises."""
    HARMLESS[write](full)


def test_groups_are_limited(store: groupstore.Store) -> None:
    """A key in a new group is refused at the limit of groups, one in an old group is not."""
    scope = store.scoped("acme", Quota(max_groups=2))
    scope.set("a", "k", "v")
    scope.set("b", "k", "v")
    with pytest.raises(QuotaExceededError) as raised:
        scope.set("c", "k", "v")
    assert (raised.value.namespace, raised.value.limit, raised.value.maximum) == (
        "acme", "groups", 2,
    )  # fmt: skip
    scope.set_many("a", {str(n): "v" for n in range(100)})
    assert scope.groups() == ["a", "b"]
    scope.delete("b", "k")
    scope.set("c", "k", "v")
    assert scope.groups() == ["a", "c"]


def test_keys_come_before_groups(full: ScopedStore) -> None:
    """Where both limits are exceeded, the error is of the keys."""
    with pytest.raises(QuotaExceededError) as raised:
        full.set("new group", "k", "v")
    assert raised.value.limit == "keys"


def test_set_many_is_all_or_nothing(store: groupstore.Store) -> None:
    """`set_many` is refused as a whole; overwritten and repeated keys do not count."""
    scope = store.scoped("acme", Quota(max_keys=4))
    scope.set_many("g", {"a": "1", "b": "1"})
    with pytest.raises(QuotaExceededError):
        scope.set_many("g", {"a": "2", "c": "2", "d": "2", "e": "2"})
    assert scope.get_all("g") == {"a": "1", "b": "1"}
    scope.set_many("g", [("a", "3"), ("c", "3"), ("d", "3"), ("c", "4"), ("d", "4"), ("c", "5")])
    assert scope.get_all("g") == {"a": "3", "b": "1", "c": "5", "d": "4"}
    with pytest.raises(QuotaExceededError):
        scope.set_many("g", {"e": "1"})


def test_zero_is_unlimited(store: groupstore.Store) -> None:
    """A limit of 0, the default, is none."""
    for quota in (Quota(), Quota(max_keys=0, max_groups=0), Quota(max_keys=1000), None):
        scope = store.scoped("acme", quota)
        for n in range(20):
            scope.set(str(n), str(quota), "v")


def test_quota_is_a_frozen_value() -> None:
    """A quota is compared by value and can't be changed; a negative one is a `ConfigError`."""
    assert Quota(max_keys=1) == Quota(1, 0)
    assert len({Quota(1, 2), Quota(1, 2), Quota(2, 1)}) == 2
    assert dataclasses.replace(Quota(1, 2), max_groups=3) == Quota(1, 3)
    with pytest.raises(AttributeError):
        Quota(1).max_keys = 2  # type: ignore[misc]
    for limits in ({"max_keys": -1}, {"max_groups": -1}):
        with pytest.raises(ConfigError, match=next(iter(limits))):
            Quota(**limits)


def test_deleting_frees(store: groupstore.Store) -> None:
    """Each way of removing keys makes room again."""
    scope = store.scoped("acme", Quota(max_keys=3, max_groups=1))
    removals: list[Callable[[], Any]] = [
        lambda: scope.delete_group("g"),
        lambda: scope.delete_prefix(""),
        lambda: scope.delete_many("g", ["a", "b", "c"]),
        lambda: [scope.pop("g", key) for key in "abc"],
        lambda: [scope.delete("g", key) for key in "abc"],
        lambda: [scope.compare_and_set("g", key, "v", None) for key in "abc"],
        lambda: scope.group("g").clear(),
        lambda: store.delete_group("acme:g"),
        lambda: store.delete_prefix("a"),
    ]
    for remove in removals:
        scope.set_many("g", dict.fromkeys("abc", "v"))
        with pytest.raises(QuotaExceededError):
            scope.set("g", "d", "v")
        remove()
        assert scope.count_all() == 0


def test_expiry_frees_at_its_moment(store: groupstore.Store, clock: Clock) -> None:
    """Expired keys and groups count no more from the moment of expiry, before any purge."""
    scope = store.scoped("acme", Quota(max_keys=2, max_groups=2))
    scope.set("a", "k", "v", ttl=1)
    scope.set("b", "k", "v", ttl=2)
    clock.advance(0.999)
    with pytest.raises(QuotaExceededError):
        scope.set("c", "k", "v")
    clock.advance(0.001)
    scope.set("c", "k", "v")
    with pytest.raises(QuotaExceededError):
        scope.set("d", "k", "v")
    clock.advance(1)
    scope.set("d", "k", "v")
    assert scope.groups() == ["c", "d"]
    assert scope.purge_expired() == 2
    with pytest.raises(QuotaExceededError):
        scope.set("e", "k", "v")


def test_overwriting_an_expired_key_adds_one(store: groupstore.Store, clock: Clock) -> None:
    """An expired row is no key: to write over it takes room."""
    scope = store.scoped("acme", Quota(max_keys=1))
    scope.set("g", "old", "v", ttl=1)
    clock.advance(1)
    scope.set("g", "new", "v")
    for write in (
        lambda: scope.set("g", "old", "w"),
        lambda: scope.add("g", "old", "w"),
        lambda: scope.increment("g", "old"),
        lambda: scope.set("g", "old", "w", ttl=groupstore.KEEP),
    ):
        with pytest.raises(QuotaExceededError):
            write()
    scope.delete("g", "new")
    scope.set("g", "old", "w")
    with pytest.raises(QuotaExceededError):
        scope.set("g", "new", "v")


def test_changed_expiry_counts(store: groupstore.Store, clock: Clock) -> None:
    """A key whose expiry was put off or cleared goes on counting, one made to expire does not."""
    scope = store.scoped("acme", Quota(max_keys=3))
    scope.set_many("g", {"a": "v", "b": "v", "c": "v"}, ttl=1)
    scope.expire("g", "a", 10)
    scope.expire("g", "b", None)
    clock.advance(1)
    scope.set("g", "d", "v")
    with pytest.raises(QuotaExceededError):
        scope.set("g", "e", "v")
    scope.expire("g", "b", 1)
    clock.advance(1)
    scope.set("g", "e", "v")


def test_clock_that_steps_back_counts_again(store: groupstore.Store, clock: Clock) -> None:
    """When the clock was set back, keys that live again count again."""
    scope = store.scoped("acme", Quota(max_keys=2))
    scope.set("g", "a", "v", ttl=10)
    scope.set("g", "b", "v")
    clock.advance(10)
    assert scope.count_all() == 1
    clock.advance(-5)
    with pytest.raises(QuotaExceededError):
        scope.set("g", "c", "v")


def test_other_namespaces_do_not_count(store: groupstore.Store) -> None:
    """Only the namespace's own keys fill its quota, told apart by case and to the last letter."""
    for group in ("ACME:g", "acme", "acme-x:g", "acm:g", "acme2:g", "g", ":acme:g", "Acme:"):
        store.set_many(group, {str(n): "v" for n in range(10)})
    scope = store.scoped("acme", Quota(max_keys=2, max_groups=2))
    scope.set("g", "a", "v")
    scope.set("h", "b", "v")
    with pytest.raises(QuotaExceededError):
        scope.set("g", "c", "v")


def test_plain_writes_count_and_are_not_limited(store: groupstore.Store) -> None:
    """Keys written through the store, or a scope without quota, count and are never refused."""
    scope = store.scoped("acme", Quota(max_keys=2))
    store.set("acme:g", "a", "v")
    store.scoped("acme").set("g", "b", "v")
    with pytest.raises(QuotaExceededError):
        scope.set("g", "c", "v")
    store.set_many("acme:g", {"c": "v", "d": "v"})
    scope.set("g", "d", "overwritten")
    scope.delete("g", "d")
    scope.delete("g", "c")
    with pytest.raises(QuotaExceededError):
        scope.set("g", "c", "v")
    scope.delete("g", "b")
    scope.set("g", "c", "v")


def test_each_scope_has_its_own_limit(store: groupstore.Store) -> None:
    """Scopes of one namespace count together, each against the quota it was made with."""
    small, large = store.scoped("acme", Quota(1)), store.scoped("acme", Quota(3))
    small.set("g", "a", "v")
    large.set("g", "b", "v")
    with pytest.raises(QuotaExceededError):
        small.set("g", "c", "v")
    large.set("g", "c", "v")
    with pytest.raises(QuotaExceededError) as raised:
        large.set("g", "d", "v")
    assert raised.value.maximum == 3


def test_quota_in_a_transaction(full: ScopedStore) -> None:
    """A block's own writes count; a refusal inside it undoes that one call, and it can go on."""
    full.delete("g", "b")
    with full.transaction() as tx:
        tx.set("g", "c", "v")
        for write in (lambda: tx.set("g", "d", "v"), lambda: full.set_many("g", {"d": "v"})):
            with pytest.raises(QuotaExceededError):
                write()
        tx.delete("g", "a")
        tx.set("g", "d", "v")
    assert list(full.keys("g")) == ["c", "d"]


def test_rollback_frees(full: ScopedStore) -> None:
    """What a rolled back block or savepoint wrote or deleted is not counted."""
    full.delete_group("g")
    with full.transaction() as tx:
        tx.set("g", "a", "v")
        with full.transaction() as inner:
            inner.set("g", "b", "v")
            with pytest.raises(QuotaExceededError):
                inner.set("g", "c", "v")
            inner.rollback()
        tx.set("g", "c", "v")
        with full.transaction() as inner:
            inner.delete("g", "a")
            inner.rollback()
        with pytest.raises(QuotaExceededError):
            tx.set("g", "d", "v")
        tx.rollback()
    full.set_many("g", {"x": "v", "y": "v"})


def test_quota_of_a_full_namespace_in_the_stores_transaction(
    store: groupstore.Store, full: ScopedStore
) -> None:
    """The quota of a scope holds inside a block of the store, which itself has none."""
    with store.transaction() as tx:
        with pytest.raises(QuotaExceededError):
            full.set("g", "c", "v")
        tx.set("acme:g", "c", "v")
    assert full.count_all() == 3


def test_threads_race_for_the_last_key(
    store: groupstore.Store, threads: ThreadPoolExecutor
) -> None:
    """Eight threads that race never exceed the limit, nor stop short of it."""
    scopes = [store.scoped("acme", Quota(max_keys=50)) for _ in range(8)]
    together = threading.Barrier(8)

    def fill(n: int) -> int:
        refused = 0
        together.wait(PATIENCE_S)
        for at in range(20):
            try:
                scopes[n].set(f"g{n}", str(at), "v")
            except QuotaExceededError:
                refused += 1
        return refused

    refused = sum(
        filling.result(PATIENCE_S) for filling in [*map(threads.submit, [fill] * 8, range(8))]
    )
    assert refused == 8 * 20 - 50
    assert store.scoped("acme").count_all() == 50


def test_threads_race_for_groups(store: groupstore.Store, threads: ThreadPoolExecutor) -> None:
    """The limit of groups holds among threads that fill and empty them."""
    scope = store.scoped("acme", Quota(max_groups=3))

    def churn(n: int) -> int:
        worst = 0
        for _ in range(30):
            try:
                with scope.transaction() as tx:
                    tx.set(f"g{n}", "k", "v")
                    worst = max(worst, len(tx.groups()))
            except QuotaExceededError:
                continue
            scope.delete_group(f"g{n}")
        return worst

    churning = [threads.submit(churn, n) for n in range(8)]
    assert max(each.result(PATIENCE_S) for each in churning) <= 3
    assert scope.groups() == []
