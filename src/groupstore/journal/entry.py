"""What a journal entry is, and what it may hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

_DEEPEST = 500
"""Python reads JSON by recursion, so that what is much deeper could not be read back."""

_to_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode

_SCALARS = frozenset({str, int, float, bool, type(None)})


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """A record of the journal, as it was appended."""

    id: int
    """Its place in the order of commits."""
    bucket: str
    measurement: str
    fields: dict[str, Any]
    """JSON values by name: a copy of what was given."""
    tags: dict[str, str]
    committed_at: int
    """Unix time in milliseconds."""


def check_measurement(measurement: str, attempted: str) -> None:
    """Raise `TypeError` or `ValueError` for what is no name."""
    if not isinstance(measurement, str):
        raise TypeError(f"{attempted}: measurement must be str, not {type(measurement).__name__}")
    if not measurement:
        raise ValueError(f"{attempted}: measurement must not be empty")
    if not measurement.isascii():
        _check_encodable(measurement, attempted, "measurement")


class Document(NamedTuple):
    """A JSON object: its text, and what the text holds, with nothing in it that is the caller's."""

    text: str
    content: dict[str, Any]


def encode_fields(fields: Mapping[str, Any] | None, attempted: str) -> Document:
    """The fields as a JSON object.

    Raises `TypeError` for what JSON does not have and keys that are no `str`; `ValueError` for
    NaN, infinities, lone surrogates, circles, and nesting deeper than 500.
    """
    if not fields:
        _check_mapping(fields, attempted, "fields")
        return Document("{}", {})
    # A mapping that is no dict has no JSON.
    if type(fields) is not dict:
        _check_mapping(fields, attempted, "fields")
        fields = dict(fields)
    try:
        text = _to_json(fields)
        # The quickest look at the types of all keys, and then of all values.
        "".join(fields)
        if _SCALARS.issuperset(map(type, fields.values())):
            content = fields.copy()
        else:
            _check_keys(fields, 1)
            content = json.loads(text)
    except RecursionError:
        raise ValueError(f"{attempted}: fields are nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{attempted}: fields: {error}") from None
    except TypeError as error:
        raise TypeError(f"{attempted}: fields: {_reason(error)}") from None
    if not text.isascii():
        _check_encodable(text, attempted, "fields")
    return Document(text, content)


def encode_tags(tags: Mapping[str, str] | None, attempted: str) -> Document:
    """The tags as a JSON object of strings. Raises `TypeError` and `ValueError`."""
    if not tags:
        _check_mapping(tags, attempted, "tags")
        return Document("{}", {})
    if type(tags) is not dict:
        _check_mapping(tags, attempted, "tags")
        tags = dict(tags)
    try:
        "".join(tags)
        "".join(tags.values())
    except TypeError:
        raise TypeError(f"{attempted}: tags must be str by str") from None
    text = _to_json(tags)
    if not text.isascii():
        _check_encodable(text, attempted, "tags")
    return Document(text, tags.copy())


def _check_mapping(value: object, attempted: str, what: str) -> None:
    if value is not None and not isinstance(value, Mapping):
        raise TypeError(f"{attempted}: {what} must be a mapping, not {type(value).__name__}")


def _check_keys(value: Any, depth: int) -> None:
    """Raise `TypeError` for keys that are not `str`, which json would turn into such."""
    if depth > _DEEPEST:
        raise ValueError(f"nested deeper than {_DEEPEST}")
    if isinstance(value, dict):
        "".join(value)
        value = value.values()
    if not _SCALARS.issuperset(map(type, value)):
        for inner in value:
            if isinstance(inner, dict | list | tuple):
                _check_keys(inner, depth + 1)


def _reason(error: TypeError) -> str:
    """What json says of a value; of a key it is str.join that complains."""
    return "keys must be str" if str(error).startswith("sequence item") else str(error)


def _check_encodable(text: str, attempted: str, what: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{attempted}: {what}: a lone surrogate") from None
