"""The face of the whole store, which owns its engine."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any, Self

from groupstore import data_folder, file_system, forking, maintenance
from groupstore.checkpoint import Checkpointer
from groupstore.config import MEMORY, Quota, StoreConfig
from groupstore.engine.engine import Engine
from groupstore.engine.keyspace import store_parts
from groupstore.observing import OpenFace
from groupstore.opening import open_database
from groupstore.purge import Purger
from groupstore.scope import ScopedStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from groupstore.data_folder import DataFolder
    from groupstore.journal.journal import Journal
    from groupstore.progress import Progress
    from groupstore.stats import Stats
    from groupstore.workspace.workspace import Workspace


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
    _checkpointer: Checkpointer | None
    _state_folder: DataFolder
    _archive_folder: DataFolder
    # None until a workspace may be open.
    _close_workspaces: Callable[[Store], None] | None

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
        self._checkpointer = None
        self._state_folder = data_folder.of_workspaces(engine)
        self._archive_folder = data_folder.of_archives(engine)
        self._close_workspaces = None
        if database.has_unfinished_archives:
            from groupstore.journal.compaction import recover  # noqa: PLC0415 (after crashes)

            recover(engine)
        self._start_purger()
        if engine.shared and not config.read_only:
            self._checkpointer = Checkpointer(engine)
            engine.on_log_growth = self._checkpointer.wake
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
        """End the purge thread, close every watcher and workspace, checkpoint, release the file.

        Idempotent. Waits for calls under way in other threads. Raises `StoreError` inside a
        transaction, and `StoreBusyError` where another thread keeps one open. The workspaces'
        files are kept, but for those of a store in memory.
        """
        if not self._engine.close():
            return
        if self._purger is not None:
            self._purger.stop()
        if self._checkpointer is not None:
            self._checkpointer.stop()
        if self._close_workspaces is not None:
            self._close_workspaces(self)
        self._state_folder.close()
        self._archive_folder.close()

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

    def workspace(self, name: str) -> Workspace:
        """A new workspace: a buffer of work in progress, in the file `<state_directory>/<name>.db`.

        Raises `WorkspaceExistsError` where the file is there; `ValueError` where `name` is empty,
        contains a path separator, `..` or NUL, or is too long for a file name; `StorageError`
        where the file cannot be made; `ReadOnlyError` where the store is read-only.
        """
        # Loads what a store without workspaces does not need.
        from groupstore.workspace import live, making, naming  # noqa: PLC0415

        naming.check_name(name, "workspace")
        self._engine.check_open("workspace")
        making.refuse_read_only(self, "workspace")
        self._close_workspaces = live.close_all
        return making.make(self, self._state_folder.path(), name)

    def recover_workspaces(
        self, directory: str | os.PathLike[str] | None = None
    ) -> list[Workspace]:
        """The workspaces that dead processes left in `directory`, opened, in the order of names.

        `directory` is `state_directory` where none is given. Those that were committed are just
        removed. Those that cannot be read are moved into `quarantine/` in the folder, under a new
        name where theirs is taken, and logged. Those that a living process uses, this one
        included, are left alone, and so is what has no workspace's name, links, and what the
        system fails to open, which is logged. Of processes that recover at once, each gets other
        workspaces.

        Raises `StorageError` where the folder cannot be read, `ReadOnlyError` where the store is
        read-only.
        """
        # As in workspace().
        from groupstore.workspace import live, making, recovery  # noqa: PLC0415

        self._engine.check_open("recover_workspaces")
        making.refuse_read_only(self, "recover_workspaces")
        if directory is None:
            folder = self._state_folder.path()
        else:
            given = file_system.named(directory, "recover_workspaces", "directory")
            folder = os.path.realpath(given)
        self._close_workspaces = live.close_all
        return recovery.recover(self, folder)

    @property
    def journal(self) -> Journal:
        """Append-only records in the same file, with queries over them and archives."""
        # Loads what a store without a journal does not need.
        from groupstore.journal.journal import Journal  # noqa: PLC0415

        # Made anew each time, as it keeps the store alive.
        return Journal(self)

    def stats(self) -> Stats:
        """Sizes and counts, as of now."""
        # Making its class is a tenth of what a cold process pays.
        from groupstore.stats import collect_stats  # noqa: PLC0415

        return collect_stats(self)

    def check(self, progress: Progress | None = None) -> list[str]:
        """Problems found in the file, a sentence each; empty where it is sound.

        Damage is reported, not raised. Counts that another program's REPLACE has put wrong are
        reported once, and mended. `progress(done, total)` is called after each examination, with
        their numbers; what it raises ends the check.
        """
        # Here, not above: it loads the journal.
        from groupstore.journal.examination import missing_archives  # noqa: PLC0415

        return maintenance.check(self._engine, progress) + missing_archives(self._engine)

    def vacuum(self, progress: Progress | None = None) -> None:
        """Give the free pages of the file back to the file system.

        In a file that a store has made this goes by small steps, between which others may write.
        One that another program has made, and a store in memory, is rebuilt as a whole, while
        writers wait. `progress(done, total)` is called with numbers of pages to free; what it
        raises ends the vacuum: what is freed by then stays so, and nothing else has changed.

        Raises `StoreError` inside a transaction, and `StoreBusyError` where other processes keep
        the file locked.
        """
        maintenance.vacuum(self._engine, progress)

    def backup(self, path: str | os.PathLike[str], progress: Progress | None = None) -> None:
        """Copy the whole store, journal included, to a file that can be opened as a store.

        The copy is of one instant. Other threads and processes go on reading and writing (in
        memory and on an exclusive file they wait). It replaces what was at `path` once it is
        complete. `progress(done, total)` is called after each step, with numbers of pages; what
        it raises ends the backup, leaves `path` as it was, and goes on unchanged.

        Raises `StoreError` inside a transaction and where `path` is the store's own or that of
        a database in use, `StorageError` or `DiskFullError` where the file cannot be written.
        """
        # Here, not above: few programs need it, and they can wait for the import.
        from groupstore.backup import backup  # noqa: PLC0415

        backup(self._engine, path, progress)

    def __repr__(self) -> str:
        return f"<Store {self.path!r}{', closed' if self.closed else ''}>"
