"""The face of one namespace."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from groupstore.config import DEFAULT_GROUP, Quota
from groupstore.engine.keyspace import scope_parts
from groupstore.errors import ConfigError
from groupstore.observing import OpenFace

if TYPE_CHECKING:
    from groupstore.group import Group
    from groupstore.store import Store

_NAMESPACE = re.compile(r"[a-zA-Z0-9-]+")

RESERVED_NAMESPACE = "workspace"
"""Its groups hold the summaries of committed workspaces."""


class ScopedStore(OpenFace):
    """A tenant's part of a store: its groups alone, under their local names.

    Made by `Store.scoped`. With a quota, what would add more keys or groups than it allows raises
    `QuotaExceededError`.
    """

    __slots__ = ("_namespace", "_quota", "_store")

    _namespace: str
    _quota: Quota | None
    _store: Store

    def __new__(cls, store: Store, namespace: str, quota: Quota | None = None) -> ScopedStore:
        """`namespace` matches `[a-zA-Z0-9-]+` and is not `"workspace"`, else `ConfigError`."""
        if not isinstance(namespace, str) or not _NAMESPACE.fullmatch(namespace):
            raise ConfigError(f"scoped: namespace must match {_NAMESPACE.pattern}: {namespace!r}")
        if namespace == RESERVED_NAMESPACE:
            raise ConfigError(f"scoped: namespace {namespace!r} is reserved")
        if quota is not None and not isinstance(quota, Quota):
            raise ConfigError(f"scoped: quota must be a Quota, not {quota!r}")
        store._engine.check_open("scoped")
        self = super().__new__(cls, *scope_parts(store, namespace, quota))
        self._namespace = namespace
        self._quota = quota
        self._store = store
        return self

    @property
    def namespace(self) -> str:
        """The namespace's name."""
        return self._namespace

    @property
    def quota(self) -> Quota | None:
        """The limits given, or None."""
        return self._quota

    @property
    def store(self) -> Store:
        """The store that this is a part of."""
        return self._store

    def group(self, name: str = DEFAULT_GROUP) -> Group:
        """A view of one group as a mutable mapping."""
        return super().group(name)

    def __repr__(self) -> str:
        return f"<ScopedStore {self._namespace!r} of {self._store!r}>"
