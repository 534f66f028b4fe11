"""What a journal entry is, and what it may hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from groupstore.json_values import (
    SCALARS,
    check_encodable,
    encode_object,
    to_dict,
    to_json,
)

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


class Document(NamedTuple):
    """A JSON object: its text, and what the text holds, with nothing in it that is the caller's."""

    text: str
    content: dict[str, Any]


def encode_fields(fields: Mapping[str, Any] | None, attempted: str) -> Document:
    """The fields as a JSON object.

    Raises `TypeError` for what JSON does not have and keys that are no `str`; `ValueError` for
    NaN, infinities, lone surrogates, circles, and nesting deeper than 500.
    """
    if fields is None:
        return Document("{}", {})
    fields = to_dict(fields, attempted, "fields")
    text = encode_object(fields, attempted, "fields", _DEEPEST)
    if SCALARS.issuperset(map(type, fields.values())):
        return Document(text, fields.copy())
    try:
        return Document(text, json.loads(text))
    except RecursionError:
        raise ValueError(f"{attempted}: fields: nested too deeply") from None


def encode_tags(tags: Mapping[str, str] | None, attempted: str) -> Document:
    """The tags as a JSON object of strings. Raises `TypeError` and `ValueError`."""
    if tags is None:
        return Document("{}", {})
    tags = to_dict(tags, attempted, "tags")
    try:
        "".join(tags)
        "".join(tags.values())
    except TypeError:
        raise TypeError(f"{attempted}: tags must be str by str") from None
    text = to_json(tags)
    if not text.isascii():
        check_encodable(text, attempted, "tags")
    return Document(text, tags.copy())
