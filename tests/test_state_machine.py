"""Random calls against the store, a scope with a quota and transactions, beside the model."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import groupstore
from model import (
    Clock,
    Database,
    Model,
    Snapshot,
    Unspecified,
    changes,
    drain,
    local,
    names,
    outcome,
    ttls,
    values,
)

NAMESPACE = "acme"
QUOTA = groupstore.Quota(max_keys=4, max_groups=3)
# Few names, so that calls meet; with those that have broken stores among them now and then.
groups = st.one_of(st.sampled_from(["g", "h", "g2", "acme:g", "ACME:g"]), names)
keys = st.one_of(st.sampled_from(["a", "b", "c"]), names)
times = st.one_of(st.none(), st.just(groupstore.KEEP), ttls)
contents = st.one_of(st.sampled_from(["1", "2", b"1"]), values)
bounds = st.fixed_dictionaries(
    {},
    optional={"prefix": names, "start": names, "stop": names, "reverse": st.booleans()},
)

ARGUMENTS: dict[str, st.SearchStrategy[tuple[tuple[Any, ...], dict[str, Any]]]] = {
    "set": st.tuples(st.tuples(groups, keys, contents), st.fixed_dictionaries({"ttl": times})),
    "set_many": st.tuples(
        st.tuples(groups, st.dictionaries(keys, contents, max_size=4)),
        st.fixed_dictionaries({"ttl": times}),
    ),
    "add": st.tuples(st.tuples(groups, keys, contents), st.fixed_dictionaries({"ttl": times})),
    "compare_and_set": st.tuples(
        st.tuples(groups, keys, st.none() | contents, st.none() | contents),
        st.fixed_dictionaries({"ttl": times}),
    ),
    "increment": st.tuples(
        st.tuples(groups, keys, st.sampled_from([0, 1, -3, 2**63 - 1, -(2**63)])),
        st.fixed_dictionaries({"initial": st.integers(-5, 5)}),
    ),
    "expire": st.tuples(st.tuples(groups, keys, st.none() | ttls), st.just({})),
    "pop": st.tuples(st.tuples(groups, keys), st.just({})),
    "delete": st.tuples(st.tuples(groups, keys), st.just({})),
    "delete_many": st.tuples(
        st.tuples(groups, st.lists(keys, unique=True, max_size=4)), st.just({})
    ),
    "delete_group": st.tuples(st.tuples(groups), st.just({})),
    "delete_prefix": st.tuples(st.tuples(names), st.just({})),
    "purge_expired": st.tuples(st.just(()), st.just({})),
    "get": st.tuples(st.tuples(groups, keys), st.just({})),
    "get_many": st.tuples(st.tuples(groups, st.lists(keys, max_size=4)), st.just({})),
    "exists": st.tuples(st.tuples(groups, keys), st.just({})),
    "group_exists": st.tuples(st.tuples(groups), st.just({})),
    "ttl": st.tuples(st.tuples(groups, keys), st.just({})),
    "get_all": st.tuples(st.tuples(groups), st.just({})),
    "items": st.tuples(st.tuples(groups), bounds),
    "keys": st.tuples(st.tuples(groups), bounds),
    "get_page": st.tuples(st.tuples(groups, st.integers(0, 3), st.integers(0, 3)), bounds),
    "count_all": st.tuples(st.tuples(names), st.just({})),
    "groups": st.tuples(st.tuples(names), st.just({})),
    "iter_groups": st.tuples(st.tuples(names), st.just({})),
}


class Transaction:
    """An open block, and where the model goes back to when it fails."""

    def __init__(
        self, block: groupstore.Transaction, prefix: str, quota: groupstore.Quota | None
    ) -> None:
        self.block = block
        self.prefix = prefix
        self.quota = quota
        self.before: Snapshot | None = None


class StoreMachine(RuleBasedStateMachine):
    """Every step is made on both; results, errors and events have to be the same."""

    storage = "memory"

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.clock = Clock()
        self.database = Database(self.clock)
        self.open_blocks: list[Transaction] = []
        self.open_store()

    def open_store(self) -> None:
        path = ":memory:" if self.storage == "memory" else self.folder / "store.db"
        self.store = groupstore.Store(
            path,
            purge_interval=None,
            durability="normal",
            exclusive=self.storage == "exclusive",
        )
        self.scope = self.store.scoped(NAMESPACE, QUOTA)
        self.watcher = self.store.watch(capacity=10_000)
        self.local_watcher = self.scope.watch(capacity=10_000)
        self.called_back: list[groupstore.Event] = []
        self.store.on_change(self.called_back.append)

    def faces(self) -> list[tuple[Any, str, groupstore.Quota | None]]:
        plain = [(self.store, "", None), (self.scope, f"{NAMESPACE}:", QUOTA)]
        return plain + [(each.block, each.prefix, each.quota) for each in self.open_blocks]

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        while self.open_blocks:
            self.open_blocks.pop().block.__exit__(KeyError, KeyError(), None)
        self.store.close()
        self.clock.release()
        shutil.rmtree(self.folder)

    def settle(self) -> None:
        """Outside of transactions: what the watchers saw is what the model expected."""
        if self.open_blocks:
            assert len(self.watcher) == len(self.local_watcher) == 0
            return
        seen = drain(self.watcher)
        assert drain(self.local_watcher) == local(seen, NAMESPACE)
        assert changes(self.called_back) == seen
        self.called_back.clear()
        self.database.settle(seen)

    @rule(data=st.data(), method=st.sampled_from(sorted(ARGUMENTS)), number=st.integers(0, 7))
    def call(self, data: st.DataObject, method: str, number: int) -> None:
        faces = self.faces()
        face, prefix, quota = faces[number % len(faces)]
        positional, named = data.draw(ARGUMENTS[method])
        model = Model(self.database, prefix, quota)
        before = self.database.snapshot()
        try:
            expected = outcome(lambda: getattr(model, method)(*positional, **named))
        except Unspecified:
            self.database.restore(before)
            return
        if expected[0] == "error" and expected[1] != "not found":
            self.database.restore(before)
        found = outcome(lambda: getattr(face, method)(*positional, **named))
        self.compare(expected, found)
        self.settle()

    @staticmethod
    def compare(expected: tuple[str, Any], found: tuple[str, Any]) -> None:
        kind, wanted = expected
        if kind == "result" and isinstance(wanted, range):
            assert found[0] == kind
            assert found[1] in wanted
        else:
            assert found == expected
            assert type(found[1]) is type(wanted)

    @rule(seconds=st.sampled_from([0.001, 0.5, 1, 1.5, 4, -1]))
    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @precondition(lambda self: len(self.open_blocks) < 3)
    @rule(scoped=st.booleans())
    def enter(self, scoped: bool) -> None:
        owner: Callable[[], groupstore.Transaction]
        owner = self.scope.transaction if scoped else self.store.transaction
        opened = Transaction(owner(), f"{NAMESPACE}:" if scoped else "", QUOTA if scoped else None)
        opened.block.__enter__()
        opened.before = self.database.snapshot()
        self.open_blocks.append(opened)

    @precondition(lambda self: self.open_blocks)
    @rule(how=st.sampled_from(["commit", "commit", "fail", "rollback"]))
    def leave(self, how: str) -> None:
        opened = self.open_blocks.pop()
        assert opened.before is not None
        if how == "rollback":
            opened.block.rollback()
            with pytest.raises(groupstore.StoreError):
                opened.block.get("g", "a", None)
        error = KeyError() if how == "fail" else None
        assert not opened.block.__exit__(type(error) if error else None, error, None)
        if how != "commit":
            self.database.restore(opened.before)
        self.settle()

    @precondition(lambda self: self.storage != "memory" and not self.open_blocks)
    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.open_store()

    @invariant()
    def counts_agree(self) -> None:
        if hasattr(self, "store"):
            model = Model(self.database)
            assert self.store.count_all() == model.count_all()
            assert self.store.groups() == model.groups()
            scope = Model(self.database, f"{NAMESPACE}:")
            assert self.scope.count_all() == scope.count_all()


@pytest.mark.parametrize("storage", ["memory", "file", "exclusive"])
def test_store_is_as_the_model(storage: str) -> None:
    """Results, errors and events of any run of calls are those of a plain model."""
    machine = type("Machine", (StoreMachine,), {"storage": storage})
    run_state_machine_as_test(machine)
