"""Copy a diskcache folder into one group: `python from_diskcache.py CACHE STORE [GROUP]`.

`str` and `bytes` stay what they are, other values become JSON; expiry times are kept. What has no
place in a groupstore (a key that is no `str`, a value that JSON cannot hold) ends the copy with
nothing written.
"""

import json
import sys
import time
from typing import Any

import diskcache

import groupstore


def as_value(value: Any) -> str | bytes:
    return value if isinstance(value, str | bytes) else json.dumps(value)


def copy(cache: diskcache.Cache, store: groupstore.Store, group: str) -> int:
    copied = 0
    with store.transaction() as tx:
        for key in cache.iterkeys():
            value, expires_at = cache.get(key, expire_time=True)
            ttl = None if expires_at is None else expires_at - time.time()
            if value is None or (ttl is not None and ttl <= 0):
                continue
            tx.set(group, key, as_value(value), ttl=ttl)
            copied += 1
    return copied


def main(folder: str, path: str, group: str = "diskcache") -> None:
    with diskcache.Cache(folder) as cache, groupstore.Store(path) as store:
        print(f"{copy(cache, store, group)} keys copied into group {group!r} of {path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
