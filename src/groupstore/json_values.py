"""JSON as the journal and workspaces write it, and what Python's own encoder lets through."""

from __future__ import annotations

import json
from typing import Any

SCALARS = frozenset({str, int, float, bool, type(None)})
"""The types of values that nothing is nested in."""

to_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
"""Turns into JSON what is known to be fit for it."""


def check_keys(value: Any, deepest: int) -> None:
    """Raise `TypeError` for keys that are not `str`, which json would turn into such.

    `value` is a dict, list or tuple, and a `ValueError` what is nested in it deeper than `deepest`.
    """
    _check_keys(value, 1, deepest)


def _check_keys(value: Any, depth: int, deepest: int) -> None:
    if depth > deepest:
        raise ValueError(f"nested deeper than {deepest}")
    if isinstance(value, dict):
        try:
            # The quickest look at the types of all keys.
            "".join(value)
        except TypeError:
            raise TypeError("keys must be str") from None
        value = value.values()
    if not SCALARS.issuperset(map(type, value)):
        for inner in value:
            if isinstance(inner, dict | list | tuple):
                _check_keys(inner, depth + 1, deepest)


def check_encodable(text: str, attempted: str, what: str) -> None:
    """Raise `ValueError` where `text` holds a lone surrogate, which UTF-8 has none of."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{attempted}: {what} holds a lone surrogate") from None
