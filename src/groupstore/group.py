"""One group as a mutable mapping."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, MutableMapping, ValuesView
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import timedelta

    from groupstore.config import Keep
    from groupstore.iteration import Face

Value = str | bytes


class Group(MutableMapping[str, Value]):
    """A live view of one group: what it shows and changes is the store itself.

    It works as a `dict` of `str` or `bytes` values in key order does; each operation is one of
    the store's. Through a transaction's `group` it is part of that transaction.
    """

    __slots__ = ("_face", "_name")

    def __init__(self, face: Face, name: str) -> None:
        # Checks the name, and that the store is open.
        face.group_exists(name)
        self._face = face
        self._name = name

    @property
    def name(self) -> str:
        """The group's name, as this face knows it."""
        return self._name

    def __getitem__(self, key: str) -> Value:
        return self._face.get(self._name, key)

    def __setitem__(self, key: str, value: Value) -> None:
        self._face.set(self._name, key, value)

    def __delitem__(self, key: str) -> None:
        self._face.pop(self._name, key)

    def __contains__(self, key: object) -> bool:
        try:
            return isinstance(key, str) and self._face.exists(self._name, key)
        except ValueError:
            # No key that could be there: a lone surrogate.
            return False

    def __iter__(self) -> Iterator[str]:
        return self._face.keys(self._name)

    def __reversed__(self) -> Iterator[str]:
        return self._face.keys(self._name, reverse=True)

    def __len__(self) -> int:
        return self._face.count(self._name)

    def set(self, key: str, value: Value, *, ttl: float | timedelta | Keep | None = None) -> None:
        """Set `key`, to expire after `ttl`; as `Store.set`."""
        self._face.set(self._name, key, value, ttl=ttl)

    # dict's signatures, which are wider than the checkers' view of MutableMapping.

    def get(self, key: str, default: Any = None) -> Any:
        """The value of `key`, or `default`."""
        return self._face.get(self._name, key, default)

    def pop(self, key: str, *default: Any) -> Any:
        """Remove `key` and return its value; `default` or `NotFoundError` where it is absent."""
        return self._face.pop(self._name, key, *default)

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value of `key`, set to `default` before where it is absent, in one step."""
        # Under a second name: pyright takes `default` for `Any | None` once it was compared.
        value: Any = default
        if default is not None and self._face.add(self._name, key, value):
            return value
        found = self._face.get(self._name, key, None)
        while found is None:
            if self._face.add(self._name, key, value):
                return value
            # None: it was removed, or expired, since; then `add` has its way.
            found = self._face.get(self._name, key, None)
        return found

    def items(self) -> ItemsView[str, Value]:
        """The keys and values, read page by page: what vanishes meanwhile is left out."""
        return _Items(self)

    def values(self) -> ValuesView[Value]:
        """The values, read as those of `items`."""
        return _Values(self)

    def clear(self) -> None:
        """Remove every live key, in one transaction."""
        self._face.delete_group(self._name)

    def update(self, items: Any = (), /, **named: Value) -> None:
        """Set all of `items` and the named ones, in one transaction."""
        self._face.set_many(self._name, [*dict(items).items(), *named.items()])

    def __repr__(self) -> str:
        return f"<Group {self._name!r} of {self._face!r}>"


# The inherited views look each key up again, and would fail on one that has expired since.


class _Items(ItemsView[str, Value]):
    _mapping: Group

    def __iter__(self) -> Iterator[tuple[str, Value]]:
        return iter(self._mapping._face.items(self._mapping._name))


class _Values(ValuesView[Value]):
    _mapping: Group

    def __iter__(self) -> Iterator[Value]:
        return (value for _, value in self._mapping._face.items(self._mapping._name))
