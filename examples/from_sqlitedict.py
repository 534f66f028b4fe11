"""Copy each table of a sqlitedict file into a group: `python from_sqlitedict.py DICT STORE`.

`str` and `bytes` stay what they are, other values become JSON. What JSON cannot hold ends the copy,
with nothing written.
"""

import json
import sys
from typing import Any

from sqlitedict import SqliteDict

import groupstore


def as_value(value: Any) -> str | bytes:
    return value if isinstance(value, str | bytes) else json.dumps(value)


def main(source: str, path: str) -> None:
    with groupstore.Store(path) as store, store.transaction() as tx:
        for table in SqliteDict.get_tablenames(source):
            with SqliteDict(source, tablename=table, flag="r") as items:
                tx.set_many(table, ((key, as_value(value)) for key, value in items.items()))
            print(f"{tx.count(table)} keys in group {table!r} of {path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
