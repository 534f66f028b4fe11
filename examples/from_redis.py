"""Copy strings and hashes of a Redis database: `python from_redis.py redis://localhost/0 STORE`.

A string `user:1` becomes the key `user:1` of the group `redis`, with its expiry; a hash becomes a
group of its name. Values that are UTF-8 become `str`, others `bytes`. Lists, sets, sorted sets and
streams are named and left out.
"""

import sys

import redis

import groupstore

STRINGS = "redis"
BATCH = 1000


def as_value(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def main(url: str, path: str) -> None:
    with redis.Redis.from_url(url) as source, groupstore.Store(path) as store:
        for name in source.scan_iter(count=BATCH):
            kind = source.type(name).decode()
            if kind == "string":
                ttl_ms = source.pttl(name)
                value = source.get(name)
                # None, or -2: it has expired since.
                if value is not None and ttl_ms != -2:
                    ttl = None if ttl_ms == -1 else max(ttl_ms, 1) / 1000
                    store.set(STRINGS, name.decode(), as_value(value), ttl=ttl)
            elif kind == "hash":
                fields = source.hscan_iter(name, count=BATCH)
                store.set_many(name.decode(), ((f.decode(), as_value(v)) for f, v in fields))
            else:
                print(f"left out: {name.decode(errors='replace')!r}, a {kind}")
        print(f"{store.count_all()} keys in {len(store.groups())} groups of {path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
