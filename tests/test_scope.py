"""Scopes: tenants of one store that do not see one another."""

from __future__ import annotations

import pytest

import groupstore
from groupstore import ConfigError, Quota
from model import CALLS, Change, Clock, changes, drain

TENANTS = ("acme", "ACME", "a", "a-b", "b", "Acme", "acme2", "0", "-")
# Plain groups whose names come as near to a tenant's as names can without being one.
PLAIN = ("acme", "", ":", "acme-:x", "acm:e", "a-b-:", "workspace:x", "ac me:x", "acme\0:x")


@pytest.fixture
def tenants(store: groupstore.Store) -> dict[str, groupstore.ScopedStore]:
    """A scope for each tenant, its groups filled alike, beside the plain groups."""
    scopes = {name: store.scoped(name) for name in TENANTS}
    for group in PLAIN:
        store.set(group, "k", "plain")
    for name, scope in scopes.items():
        for group in ("", "g", "g:h", "x"):
            scope.set(group, "k", name)
    return scopes


def test_groups_underneath(store: groupstore.Store) -> None:
    """A scope's group is the group `namespace:group` of the store."""
    scope = store.scoped("acme")
    scope.set("g", "k", "v")
    scope.set("", "k", "v")
    store.set("acme:x", "k", "from the store")
    assert store.groups() == ["acme:", "acme:g", "acme:x"]
    assert scope.groups() == ["", "g", "x"]
    assert scope.get("x", "k") == "from the store"
    assert store.get("acme:g", "k") == "v"


def test_tenants_read_their_own(tenants: dict[str, groupstore.ScopedStore]) -> None:
    """Every read of a scope is of its own namespace, told apart by case and to the last letter."""
    for name, scope in tenants.items():
        assert scope.groups() == list(scope.iter_groups()) == ["", "g", "g:h", "x"]
        assert scope.groups("g") == ["g", "g:h"]
        assert scope.count_all() == 4
        assert scope.count_all("g") == 2
        assert {scope.get(group, "k") for group in scope.groups()} == {name}
        assert scope.get_all("g") == {"k": name}


@pytest.mark.parametrize("name", TENANTS)
def test_delete_prefix_stays_inside(
    store: groupstore.Store, tenants: dict[str, groupstore.ScopedStore], name: str
) -> None:
    """`delete_prefix("")` empties the one namespace and nothing beside it."""
    before = set(store.groups())
    own = {f"{name}:{group}" for group in ("", "g", "g:h", "x")}
    assert tenants[name].delete_prefix("") == 4
    assert set(store.groups()) == before - own


def test_purge_stays_inside(
    store: groupstore.Store, tenants: dict[str, groupstore.ScopedStore], clock: Clock
) -> None:
    """`purge_expired` of a scope removes that namespace's rows, that of the store all."""
    for scope in tenants.values():
        scope.set_many("expiring", {"a": "v", "b": "v"}, ttl=1)
    store.set("expiring", "a", "v", ttl=1)
    clock.advance(1)
    for scope in tenants.values():
        assert scope.purge_expired() == 2
        assert scope.purge_expired() == 0
    assert store.purge_expired() == 1


def test_watch_stays_inside(
    store: groupstore.Store, tenants: dict[str, groupstore.ScopedStore]
) -> None:
    """Watchers and callbacks of a scope hear of its namespace alone, in its own names."""
    scope = tenants["acme"]
    everything, one_group = scope.watch(capacity=100), scope.watch("g")
    told: list[groupstore.Event] = []
    scope.on_change(told.append)
    for group in (*PLAIN, "g", *(f"{name}:g" for name in TENANTS if name != "acme")):
        store.set(group, "k", "v")
        store.delete_group(group)
    assert drain(everything) == drain(one_group) == told == []
    scope.set("g", "k", "1")
    store.set("acme:g", "k", "2")
    store.scoped("acme").set("h", "k", "3")
    store.delete_prefix("acme:")
    expected = [
        Change("set", "g", "k", "1", "set"),
        Change("set", "g", "k", "2", "set"),
        Change("set", "h", "k", "3", "set"),
        *(
            Change("delete_group", group, None, None, "delete")
            for group in ("", "g", "g:h", "h", "x")
        ),
    ]
    assert drain(everything) == changes(told) == expected
    assert drain(one_group) == [change for change in expected if change.group == "g"]


def test_store_hears_of_its_scopes(store: groupstore.Store) -> None:
    """The store's watchers and callbacks hear of scopes' writes, in the full names."""
    scope = store.scoped("acme")
    everything, one_group = store.watch(), store.watch("acme:g")
    told: list[groupstore.Event] = []
    store.on_change(told.append)
    scope.set("g", "k", "v")
    with scope.transaction() as tx:
        tx.delete("g", "k")
    expected = [
        Change("set", "acme:g", "k", "v", "set"),
        Change("delete", "acme:g", "k", None, "delete"),
    ]
    assert drain(everything) == drain(one_group) == changes(told) == expected


def test_scope_group_called_like_the_wildcard(store: groupstore.Store) -> None:
    """In a scope too `"*"` means all of its groups, and no others."""
    scope = store.scoped("acme")
    watcher = scope.watch("*")
    store.set("*", "k", "v")
    scope.set("*", "k", "v")
    scope.set("g", "k", "v")
    assert [change.group for change in drain(watcher)] == ["*", "g"]


def test_errors_name_the_scopes_own_group(store: groupstore.Store) -> None:
    """Messages to a tenant use the tenant's names."""
    with pytest.raises(groupstore.NotFoundError) as raised:
        store.scoped("acme").get("config", "colour")
    assert str(raised.value) == "get: no key 'colour' in group 'config'"


def test_properties(store: groupstore.Store) -> None:
    """A scope knows its namespace, its quota and its store."""
    scope = store.scoped("acme")
    assert (scope.namespace, scope.quota, scope.store) == ("acme", None, store)
    quota = Quota(max_keys=3)
    assert store.scoped("acme", quota).quota == quota
    assert store.scoped("acme", quota=Quota()).quota == Quota()
    for name in ("namespace", "quota", "store"):
        with pytest.raises(AttributeError):
            setattr(scope, name, None)
    assert "acme" in repr(scope)


def test_methods(store: groupstore.Store) -> None:
    """A scope has the methods of the keyspace, of watching and of dumps, and no others."""
    expected = {*CALLS, "transaction", "watch", "unwatch", "on_change", "dump", "load"}
    public = {name for name in dir(store.scoped("acme")) if not name.startswith("_")}
    assert public == expected | {"namespace", "quota", "store"}


@pytest.mark.parametrize(
    "name", ["a", "A-Z", "0", "-", "tenant-42", "x" * 1000, "workspaces", "WORKSPACE"]
)
def test_valid_names(store: groupstore.Store, name: str) -> None:
    """Letters, digits and hyphens of ASCII make a namespace, of any length."""
    scope = store.scoped(name)
    scope.set("g", "k", "v")
    assert store.groups() == [name + ":g"]


@pytest.mark.parametrize(
    "name",
    [
        "", " ", "a b", "a:b", "a:", ":", "a_b", "a.b", "a/b", "a\n", "\na", "a\0", "%", "*",
        "\u00e9", "\u0661", "\uff41", "\U0001f600", "\ud800", "workspace",
    ],
)  # fmt: skip
def test_invalid_names(store: groupstore.Store, name: str) -> None:
    """Anything else is a `ConfigError`, and so is the namespace of workspaces."""
    with pytest.raises(ConfigError):
        store.scoped(name)


def test_scopes_of_one_namespace_are_one(store: groupstore.Store) -> None:
    """Scopes of the same name see the same rows at once, through any cache of their own."""
    first, second = store.scoped("acme"), store.scoped("acme")
    for n in range(5):
        first.set("g", "k", str(n))
        assert second.get("g", "k") == store.get("acme:g", "k") == str(n)
        second.delete("g", "k")
        assert first.get("g", "k", None) is None
        assert store.get("acme:g", "k", None) is None
        store.set("acme:g", "k", "store")
        assert first.get("g", "k") == second.get("g", "k") == "store"


def test_scope_keeps_its_store_alive(open_store: object) -> None:
    """A scope whose store nobody else holds works on."""
    scope = groupstore.Store(purge_interval=None).scoped("acme")
    scope.set("g", "k", "v")
    assert scope.get("g", "k") == "v"
    scope.store.close()


def test_scope_in_a_transaction_of_the_store(store: groupstore.Store) -> None:
    """A scope's calls take part in the store's block, the store's in the scope's."""
    scope = store.scoped("acme")
    with store.transaction() as tx:
        scope.set("g", "a", "v")
        assert tx.get("acme:g", "a") == "v"
        with scope.transaction() as scoped_tx:
            scoped_tx.set("g", "b", "v")
            tx.set("acme:g", "c", "v")
            assert list(scoped_tx.keys("g")) == ["a", "b", "c"]
            assert scoped_tx.groups() == ["g"]
        tx.rollback()
    assert store.count_all() == 0
