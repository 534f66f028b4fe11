"""groupstore: a group-namespaced key-value store in one SQLite file."""

from typing import TYPE_CHECKING

from groupstore.config import DEFAULT_GROUP, KEEP, Quota, StoreConfig
from groupstore.engine.event import Event
from groupstore.engine.watcher import Watcher
from groupstore.errors import (
    ConfigError,
    CorruptStoreError,
    DiskFullError,
    NotFoundError,
    QueryError,
    QuotaExceededError,
    ReadOnlyError,
    StorageError,
    StoreBusyError,
    StoreClosedError,
    StoreError,
    TemplateError,
    WorkspaceExistsError,
)
from groupstore.event import EventType
from groupstore.group import Group
from groupstore.key_value import KeyValue
from groupstore.scope import ScopedStore
from groupstore.store import Store
from groupstore.transaction import Transaction

if TYPE_CHECKING:
    from groupstore.journal.archive import Archive, read_archive
    from groupstore.journal.entry import JournalEntry
    from groupstore.stats import Stats
    from groupstore.workspace.workspace import Workspace

__all__ = [
    "DEFAULT_GROUP",
    "KEEP",
    "Archive",
    "ConfigError",
    "CorruptStoreError",
    "DiskFullError",
    "Event",
    "EventType",
    "Group",
    "JournalEntry",
    "KeyValue",
    "NotFoundError",
    "QueryError",
    "Quota",
    "QuotaExceededError",
    "ReadOnlyError",
    "ScopedStore",
    "Stats",
    "StorageError",
    "Store",
    "StoreBusyError",
    "StoreClosedError",
    "StoreConfig",
    "StoreError",
    "TemplateError",
    "Transaction",
    "Watcher",
    "Workspace",
    "WorkspaceExistsError",
    "read_archive",
]

__version__ = "0.1.0"

_LAZY = {
    "Archive": "groupstore.journal.archive",
    "JournalEntry": "groupstore.journal.entry",
    "Stats": "groupstore.stats",
    "Workspace": "groupstore.workspace.workspace",
    "read_archive": "groupstore.journal.archive",
}


def __getattr__(name: str) -> object:
    # What no plain use of a store needs is loaded when it is first asked for.
    if name in _LAZY:
        from importlib import import_module  # noqa: PLC0415

        value: object = getattr(import_module(_LAZY[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
