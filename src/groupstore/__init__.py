"""groupstore: a group-namespaced key-value store in one SQLite file."""

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
from groupstore.maintenance import Stats
from groupstore.scope import ScopedStore
from groupstore.store import Store
from groupstore.transaction import Transaction

__all__ = [
    "DEFAULT_GROUP",
    "KEEP",
    "ConfigError",
    "CorruptStoreError",
    "DiskFullError",
    "Event",
    "EventType",
    "Group",
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
    "WorkspaceExistsError",
]

__version__ = "0.1.0"
