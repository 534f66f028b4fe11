"""What a journal entry is, and what it may hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from groupstore.json_values import SCALARS, check_encodable, check_keys, to_json

_DEEPEST = 500
"""Python reads JSON by recursion, so that what is much deeper could not be read back."""


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
        check_encodable(measurement, attempted, "measurement")


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
        text = to_json(fields)
        check_keys(fields, _DEEPEST)
        is_flat = SCALARS.issuperset(map(type, fields.values()))
        content = fields.copy() if is_flat else json.loads(text)
    except RecursionError:
        raise ValueError(f"{attempted}: fields are nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{attempted}: fields: {error}") from None
    except TypeError as error:
        raise TypeError(f"{attempted}: fields: {error}") from None
    if not text.isascii():
        check_encodable(text, attempted, "fields")
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
    text = to_json(tags)
    if not text.isascii():
        check_encodable(text, attempted, "tags")
    return Document(text, tags.copy())


def _check_mapping(value: object, attempted: str, what: str) -> None:
    if value is not None and not isinstance(value, Mapping):
        raise TypeError(f"{attempted}: {what} must be a mapping, not {type(value).__name__}")
