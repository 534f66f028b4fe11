"""Copy a shelf into one group: `python from_shelve.py SHELF STORE [GROUP]`.

`str` and `bytes` stay what they are, other values become JSON. What JSON cannot hold ends the copy,
with nothing written.
"""

import json
import shelve
import sys
from typing import Any

import groupstore


def as_value(value: Any) -> str | bytes:
    return value if isinstance(value, str | bytes) else json.dumps(value)


def main(shelf: str, path: str, group: str = "shelf") -> None:
    with shelve.open(shelf, flag="r") as items, groupstore.Store(path) as store:
        store.set_many(group, ((key, as_value(value)) for key, value in items.items()))
        print(f"{store.count(group)} keys in group {group!r} of {path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
