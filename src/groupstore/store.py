"""The face of the whole store, which owns its engine."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any, Self

from groupstore import file_system, forking, maintenance
from groupstore.config import MEMORY, Quota, StoreConfig
from groupstore.engine.engine import Engine
from groupstore.engine.keyspace import store_parts
from groupstore.observing import OpenFace
from groupstore.opening import open_database
from groupstore.purge import Purger
from groupstore.scope import ScopedStore

if TYPE_CHECKING:
    from types import TracebackType

    from groupstore.journal.journal import Journal


class Store(OpenFace):
    """A group-namespaced key-value store in one SQLite file, or in memory.

    `path` is the file's name, or `":memory:"`; the options are the fields of `StoreConfig`. Safe
    to use from many threads, and the file from many processes. Close it, or use it as a context
    manager.

    Raises `ConfigError` for a wrong option, `StorageError`, `ReadOnlyError`, `StoreBusyError` or
    `CorruptStoreError` where the file cannot be opened.
    """

    _config: StoreConfig
    _purger: Purger | None
    _journal: Journal | None

    def __new__(cls, path: str | os.PathLike[str] = ":memory:", **options: Any) -> Self:
        return cls.from_config(StoreConfig(path=path, **options))

    @classmethod
    def from_config(cls, config: StoreConfig) -> Self:
        """Open a store by a configuration that was made before."""
        if not isinstance(config, StoreConfig):
            raise TypeError(
                f"from_config: config must be a StoreConfig, not {type(config).__name__}"
            )
        with forking.opening:
            if config.path != MEMORY:
                forking.refuse_inherited(file_system.locate(os.fspath(config.path))[0])
            database = open_database(config)
            engine = Engine(database)
            forking.register(engine)
        self = super().__new__(cls, *store_parts(engine))
        self._config = config
        self._purger = None
        self._journal = None
        if database.has_unfinished_archives:
            from groupstore.journal.compaction import recover  # noqa: PLC0415 (after crashes)

            recover(engine)
        self._start_purger()
        return self

    def _start_purger(self) -> None:
        interval = self._config.purge_interval
        if not isinstance(interval, float) or interval == 0 or self._config.read_only:
            return
        self._purger = purger = Purger(self, interval)
        self._engine.on_expired = purger.wake
        self._engine.on_child = purger.start

    @property
    def path(self) -> str:
        """The path as it was given."""
        return str(self._config.path)

    @property
    def config(self) -> StoreConfig:
        """The options that the store was opened with."""
        return self._config

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return bool(self._engine.is_closed)

    def close(self) -> None:
        """End the purge thread, close every watcher, checkpoint, and release the file.

        Idempotent. Waits for calls under way in other threads. Raises `StoreError` inside a
        transaction, and `StoreBusyError` where another thread keeps one open.
        """
        if not self._engine.close():
            return
        if self._purger is not None:
            self._purger.stop()
        if self._journal is not None:
            self._journal._folder.close()

    def __enter__(self) -> Self:
        self._engine.check_open("enter")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if not self.closed:
            try:
                warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)
            finally:
                self.close()

    def scoped(self, namespace: str, quota: Quota | None = None) -> ScopedStore:
        """The part of the store that is `namespace`'s, limited by `quota`.

        Raises `ConfigError` where `namespace` does not match `[a-zA-Z0-9-]+` or is reserved.
        """
        return ScopedStore(self, namespace, quota)

    @property
    def journal(self) -> Journal:
        """Append-only records in the same file, with queries over them and archives."""
        # Two threads would each make one.
        with forking.opening:
            if self._journal is None:
                # Loads what a store without a journal does not need.
                from groupstore.journal.journal import Journal  # noqa: PLC0415

                self._journal = Journal(self._engine)
            return self._journal

    def stats(self) -> maintenance.Stats:
        """Sizes and counts, as of now."""
        return maintenance.collect_stats(self)

    def check(self) -> list[str]:
        """Problems found in the file, a sentence each; empty where it is sound.

        Damage is reported, not raised. Counts that another program's REPLACE has put wrong are
        reported once, and mended.
        """
        return maintenance.check(self._engine)

    def vacuum(self) -> None:
        """Give the free pages of the file back to the file system, by rebuilding it.

        Raises `StoreError` inside a transaction, and `StoreBusyError` where other processes keep
        the file locked.
        """
        maintenance.vacuum(self._engine)

    def __repr__(self) -> str:
        return f"<Store {self.path!r}{', closed' if self.closed else ''}>"
