"""A cache for Django, which its sessions, views and templates can use, in a groupstore.

CACHES = {"default": {"BACKEND": "groupstore_django.Cache", "LOCATION": "cache.db"}}
"""

import pickle
from collections.abc import Iterable
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

import groupstore

GROUP = "django"

_stores: dict[str, groupstore.Store] = {}


def store_at(path: str, **options: Any) -> groupstore.Store:
    """One store a process: Django makes a cache object for each thread."""
    if path not in _stores:
        _stores[path] = groupstore.Store(path, **options)
    return _stores[path]


def encode(value: Any) -> str | bytes:
    # Counters stay numbers in the file, so that `incr` is one step.
    return str(value) if type(value) is int else pickle.dumps(value)


def decode(value: str | bytes) -> Any:
    return int(value) if isinstance(value, str) else pickle.loads(value)


class Cache(BaseCache):
    def __init__(self, path: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        # What is lost in a power cut is computed again.
        options = {"durability": "normal"} | params.get("OPTIONS", {})
        options.pop("MAX_ENTRIES", None)
        self._store = store_at(path, **options)

    def _ttl(self, timeout: float | None) -> float | None:
        return self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout

    def _key(self, key: str, version: int | None) -> str:
        return self.make_and_validate_key(key, version=version)

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        value = self._store.get(GROUP, self._key(key, version), None)
        return default if value is None else decode(value)

    def set(
        self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> None:
        self.set_many({key: value}, timeout, version)

    def set_many(
        self, data: dict[str, Any], timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> list[str]:
        ttl = self._ttl(timeout)
        if ttl is not None and ttl <= 0:
            # Django's word for "expired at once".
            self.delete_many(data, version)
        else:
            items = {self._key(key, version): encode(value) for key, value in data.items()}
            self._store.set_many(GROUP, items, ttl=ttl)
        return []

    def add(
        self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        ttl = self._ttl(timeout)
        name = self._key(key, version)
        if ttl is not None and ttl <= 0:
            return not self._store.exists(GROUP, name)
        return self._store.add(GROUP, name, encode(value), ttl=ttl)

    def get_many(self, keys: Iterable[str], version: int | None = None) -> dict[str, Any]:
        names = {self._key(key, version): key for key in keys}
        found = self._store.get_many(GROUP, names)
        return {names[name]: decode(value) for name, value in found.items()}

    def touch(self, key: str, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        ttl = self._ttl(timeout)
        if ttl is not None and ttl <= 0:
            return self.delete(key, version)
        return self._store.expire(GROUP, self._key(key, version), ttl)

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        name = self._key(key, version)
        with self._store.transaction() as tx:
            if not tx.exists(GROUP, name):
                raise ValueError(f"Key {key!r} not found")
            return tx.increment(GROUP, name, delta)

    def delete(self, key: str, version: int | None = None) -> bool:
        return self._store.delete(GROUP, self._key(key, version))

    def delete_many(self, keys: Iterable[str], version: int | None = None) -> None:
        self._store.delete_many(GROUP, [self._key(key, version) for key in keys])

    def has_key(self, key: str, version: int | None = None) -> bool:
        return self._store.exists(GROUP, self._key(key, version))

    def clear(self) -> None:
        self._store.delete_group(GROUP)
