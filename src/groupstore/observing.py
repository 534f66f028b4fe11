"""What a store and a scope offer beside reading and writing: transactions, watchers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from groupstore.engine.keyspace import transaction_parts
from groupstore.engine.watcher import Watcher
from groupstore.iteration import Face
from groupstore.transaction import Transaction

if TYPE_CHECKING:
    from groupstore.engine.event import Event


class OpenFace(Face):
    """A face that is not bound to one transaction."""

    __slots__ = ()

    def transaction(self) -> Transaction:
        """A transaction, to be entered with `with`; within another one a savepoint."""
        self._engine.check_open("transaction")
        transaction = Transaction.__new__(Transaction, *transaction_parts(self))
        transaction._source = self
        return transaction

    def watch(self, group: str = "*", *, capacity: int = 16) -> Watcher:
        """Watch the mutations of `group`, or of all groups with `"*"`, from now on.

        The watcher buffers up to `capacity` events and drops the newest ones beyond that; the
        writer never waits for it. What a transaction of another thread wrote before is not seen.
        """
        if isinstance(capacity, bool) or not isinstance(capacity, int):
            raise TypeError(f"watch: capacity must be int, not {type(capacity).__name__}")
        if capacity < 1:
            raise ValueError(f"watch: capacity must be at least 1, not {capacity}")
        self._engine.check_open("watch")
        return self._engine.dispatcher.watch(self._prefix, group, capacity)

    def unwatch(self, watcher: Watcher) -> None:
        """Close `watcher`. Idempotent."""
        if not isinstance(watcher, Watcher):
            raise TypeError(f"unwatch: not a watcher: {watcher!r}")
        watcher.close()

    def on_change(self, callback: Callable[[Event], object]) -> Callable[[], None]:
        """Have `callback` called with each event, in the thread that writes, after each commit.

        Returns an idempotent function that ends it. What the callback raises is logged.
        """
        if not callable(callback):
            raise TypeError(f"on_change: callback must be callable, not {callback!r}")
        self._engine.check_open("on_change")
        return self._engine.dispatcher.on_change(self._prefix, callback)
