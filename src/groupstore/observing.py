"""What a store and a scope offer beside reading and writing: transactions, watchers, dumps."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from groupstore.engine.keyspace import transaction_parts
from groupstore.engine.watcher import Watcher
from groupstore.iteration import Face
from groupstore.transaction import Transaction

if TYPE_CHECKING:
    from groupstore.engine.event import Event
    from groupstore.progress import Progress


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
        Raises `ValueError` for a `capacity` below 1.
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

        Returns an idempotent function that ends it. Callbacks are called in order of registration,
        with no lock held: they may read, write, watch and register, and those of different threads
        may overlap. What one raises is logged by the logger `groupstore`.
        """
        if not callable(callback):
            raise TypeError(f"on_change: callback must be callable, not {callback!r}")
        self._engine.check_open("on_change")
        return self._engine.dispatcher.on_change(self._prefix, callback)

    def dump(
        self, path: str | os.PathLike[str], prefix: str = "", progress: Progress | None = None
    ) -> int:
        """Write the live keys of the groups that start with `prefix` to a file; how many.

        The file is JSON Lines, compressed where its name ends in `.gz` or `.zst`; two equal
        stores give equal bytes. It replaces what was at `path` once it is complete. All is of one
        instant, while other threads and processes go on writing (in memory and on an exclusive
        file they wait); a transaction of this thread dumps what it has written.
        `progress(done, total)` is called every few entries, with numbers of entries; what it
        raises ends the dump, leaves `path` as it was, and goes on unchanged.

        Raises `StorageError` or `DiskFullError` where the file cannot be written, and
        `StoreError` where it is the store's own.
        """
        # Here, not above: JSON and hashing are needed by few, and take long to import.
        from groupstore.dump import dump  # noqa: PLC0415

        return dump(self, path, prefix, progress)

    def load(self, path: str | os.PathLike[str], progress: Progress | None = None) -> int:
        """Set all that a file made by `dump` holds, in one transaction; how many keys.

        Keys that are not in the file stay. Expiry times are kept to the millisecond, and what
        has expired by now is left out. Each key set is a `SET` event; they are kept until the
        end, so that with a watcher or callback the memory needed grows with the file.
        `progress(done, total)` is called now and then, with bytes of the file; what it raises
        undoes the whole and goes on unchanged.

        Raises `CorruptStoreError`, naming the line, for a file that is damaged or no dump, and
        `QuotaExceededError` in a namespace without room for it; nothing is set then.
        """
        from groupstore.load import load  # noqa: PLC0415 (as above)

        return load(self, path, progress)
