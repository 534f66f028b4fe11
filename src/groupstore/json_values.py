"""JSON as the journal and workspaces write it, and what Python's own encoder lets through."""

from __future__ import annotations

import json
from collections.abc import Mapping
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


def check_name(name: str, attempted: str, what: str) -> None:
    """Raise `TypeError` or `ValueError` for what is no text, empty, or has a lone surrogate."""
    if not isinstance(name, str):
        raise TypeError(f"{attempted}: {what} must be str, not {type(name).__name__}")
    if not name:
        raise ValueError(f"{attempted}: {what} must not be empty")
    if not name.isascii():
        check_encodable(name, attempted, what)


def to_dict(value: Mapping[str, Any], attempted: str, what: str) -> dict[str, Any]:
    """A mapping as the dict that JSON needs; a dict is given back. Raises `TypeError`."""
    if type(value) is dict:
        return value
    if not isinstance(value, Mapping):
        raise TypeError(f"{attempted}: {what} must be a mapping, not {type(value).__name__}")
    return dict(value)


def encode_object(value: dict[str, Any], attempted: str, what: str, deepest: int) -> str:
    """The text of a JSON object; `what` it is begins errors.

    Raises `TypeError` for what JSON does not have and keys that are no `str`; `ValueError` for
    NaN, infinities, lone surrogates, circles, and nesting deeper than `deepest`.
    """
    try:
        text = to_json(value)
        check_keys(value, deepest)
    except RecursionError:
        raise ValueError(f"{attempted}: {what}: nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{attempted}: {what}: {error}") from None
    except TypeError as error:
        raise TypeError(f"{attempted}: {what}: {error}") from None
    if not text.isascii():
        check_encodable(text, attempted, what)
    return text


def check_encodable(text: str, attempted: str, what: str) -> None:
    """Raise `ValueError` where `text` holds a lone surrogate, which UTF-8 has none of."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{attempted}: {what} holds a lone surrogate") from None
