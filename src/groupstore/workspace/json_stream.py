"""Records from JSON text of any length, one in memory at a time."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import Any, BinaryIO, NoReturn

LONGEST_RECORD = 16 * 1024 * 1024
"""Characters: no longer text can be queried, and in memory it may be thirty times as much."""

_CHUNK_BYTES = 2**16
_WHITE_SPACE = " \t\r\n"

# An error this close to the end of what was read may be the end's: of a literal, or an escape.
_LONGEST_TOKEN = 16

_LISTS = ("entries", "records", "data")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


decoder = json.JSONDecoder(parse_constant=_refuse_constant)
"""Takes no NaN and no infinity."""


class JsonStream:
    """A file of JSON: an array of records, one object that is a record, or one that holds them."""

    def __init__(self, file: BinaryIO) -> None:
        self.line = 1
        """Where the reading is, from 1."""
        self._file = file
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._text = ""
        self._position = 0
        self._is_complete = False

    def records(self) -> Iterator[Any]:
        """The records. `ValueError` for what is no JSON; `line` says where."""
        opening = self._peek()
        if opening == "[":
            yield from self._elements()
        elif opening == "{":
            yield from self._members()
        else:
            raise ValueError("expected an array or an object")
        if self._peek():
            raise ValueError("expected the end of the file")

    def _elements(self) -> Iterator[Any]:
        self._take("[")
        if self._peek() == "]":
            self._take("]")
            return
        while True:
            self._peek()
            yield self._value()
            if self._take(",]") == "]":
                return

    def _members(self) -> Iterator[Any]:
        """The elements of the array under a known name; without one, the object itself."""
        members: dict[str, Any] = {}
        holds_records = False
        self._take("{")
        if self._peek() == "}":
            self._take("}")
            yield members
            return
        while True:
            if self._peek() != '"':
                raise ValueError("expected a name in double quotes")
            name = self._value()
            self._take(":")
            if self._peek() == "[" and name in _LISTS:
                if holds_records:
                    raise ValueError(f"{name!r} is a second array of records")
                holds_records = True
                members.clear()
                yield from self._elements()
            else:
                value = self._value()
                if not holds_records:
                    members[name] = value
            if self._take(",}") == "}":
                break
        if not holds_records:
            yield members

    def _peek(self) -> str:
        """The next character that is no white space, or nothing at the end."""
        while True:
            while self._position < len(self._text):
                character = self._text[self._position]
                if character not in _WHITE_SPACE:
                    return character
                self.line += character == "\n"
                self._position += 1
            if not self._read():
                return ""

    def _take(self, expected: str) -> str:
        character = self._peek()
        if not character or character not in expected:
            wanted = " or ".join(repr(one) for one in expected)
            raise ValueError(
                f"expected {wanted}, not {character!r}"
                if character
                else f"expected {wanted}, not the end of the file"
            )
        self._position += 1
        return character

    def _value(self) -> Any:
        while True:
            try:
                value, end = decoder.raw_decode(self._text, self._position)
            except json.JSONDecodeError as error:
                is_cut_off = error.msg.startswith("Unterminated") or (
                    error.pos >= len(self._text) - _LONGEST_TOKEN
                )
                if is_cut_off and self._read():
                    continue
                self.line += self._text.count("\n", self._position, error.pos)
                raise ValueError(error.msg) from None
            # A number may go on.
            if end + _LONGEST_TOKEN <= len(self._text) or not self._read():
                break
        self.line += self._text.count("\n", self._position, end)
        self._position = end
        return value

    def _read(self) -> bool:
        """As much again as there is, so that a long record is not begun again too often."""
        begun = len(self._text) - self._position
        if begun > LONGEST_RECORD:
            raise ValueError(f"a record of more than {LONGEST_RECORD} characters")
        while not self._is_complete:
            chunk = self._file.read(max(_CHUNK_BYTES, begun))
            self._is_complete = not chunk
            text = self._decode(chunk, self._is_complete)
            if text:
                # At the end of the file all stays: positions in it are still in use.
                self._text = self._text[self._position :] + text
                self._position = 0
                return True
        return False
