"""What is put into a workspace, checked and turned into JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any

from groupstore.json_values import (
    SCALARS,
    check_keys,
    encode_object,
    to_dict,
    to_json,
)

ROWS_AT_ONCE = 500
"""How many rows are turned into JSON, and inserted, by one call."""

_DEEPEST = 999
"""SQLite reads 1,000 levels of JSON, one of which is the array that rows are inserted by."""

_LONGEST_ARRAY = 2**26
"""Characters: SQLite's limit is for one row, and not for those that happen to come with it."""


def encode(data: Mapping[str, Any] | None, attempted: str) -> str:
    """`data` as the text of a JSON object, `{}` for None. Raises what `encode_object` does."""
    if data is None:
        return "{}"
    return encode_object(to_dict(data, attempted, "data"), attempted, "data", _DEEPEST)


def encode_rows(rows: Iterable[Mapping[str, Any] | None], attempted: str) -> Iterator[str]:
    """JSON arrays of up to `ROWS_AT_ONCE` rows each; `encode`'s errors name the row, from 0."""
    if not isinstance(rows, Iterable):
        raise TypeError(f"{attempted}: rows must be iterable, not {type(rows).__name__}")
    remaining = iter(rows)
    done = 0
    while batch := list(islice(remaining, ROWS_AT_ONCE)):
        yield from _encode_batch(batch, done, attempted)
        done += len(batch)


def _encode_batch(batch: list[Any], before: int, attempted: str) -> Iterator[str]:
    """The whole batch by one call where all is well, else row by row, to say which is wrong."""
    try:
        if not _is_flat(batch):
            for row in batch:
                if type(row) is not dict:
                    raise TypeError
                check_keys(row, _DEEPEST)
        text = to_json(batch)
        if not text.isascii():
            text.encode()
    except (TypeError, ValueError, RecursionError):
        for number, row in enumerate(batch, before):
            yield f"[{encode(row, f'{attempted}: row {number}')}]"
        return
    if len(text) <= _LONGEST_ARRAY or len(batch) == 1:
        yield text
        return
    middle = len(batch) // 2
    yield from _encode_batch(batch[:middle], before, attempted)
    yield from _encode_batch(batch[middle:], before + middle, attempted)


def _is_flat(batch: list[Any]) -> bool:
    """Whether all rows are dicts of scalars, found without a step in Python for each.

    Raises `TypeError` where a key of such rows is no `str`.
    """
    if set(map(type, batch)) != {dict}:
        return False
    if not SCALARS.issuperset(map(type, chain.from_iterable(map(dict.values, batch)))):
        return False
    "".join(chain.from_iterable(batch))
    return True
