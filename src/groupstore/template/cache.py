"""A bounded cache of compiled templates."""

import threading
from collections import OrderedDict
from typing import Protocol


class Sized(Protocol):
    """What the cache holds: it knows what it takes."""

    @property
    def size(self) -> int:
        """Bytes, roughly."""
        ...


class Cache[Value]:
    pass
