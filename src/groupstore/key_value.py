"""A key with its value."""

from typing import NamedTuple


class KeyValue(NamedTuple):
    """One entry of a group."""

    key: str
    value: str | bytes
