"""Text and bytes on standard streams: as they are for programs, harmless for terminals."""

from __future__ import annotations

import sys
from typing import BinaryIO

_BLANKS = frozenset("\n\t")


def is_terminal() -> bool:
    """Whether somebody reads standard output as it comes."""
    return sys.stdout.isatty()


def printable(text: str, keep: frozenset[str] = frozenset()) -> str:
    """`text` with what a terminal would obey, and lone surrogates, as escapes of Python's.

    Keys and values are anybody's, and control sequences in them could change what is seen.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character in keep else _escape(character)
        for character in text
    )


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


def write_value(value: str | bytes) -> None:
    """Write a value to standard output: to the byte for a program, readable on a terminal."""
    if is_terminal():
        text = value if isinstance(value, str) else value.decode(errors="backslashreplace")
        print(printable(text, keep=_BLANKS))
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(value.encode() if isinstance(value, str) else value)


def write_line(text: str, *, ends_with_nul: bool = False) -> None:
    """Write a name: on a terminal with control characters escaped, else as it is."""
    if ends_with_nul or not is_terminal():
        sys.stdout.flush()
        sys.stdout.buffer.write(f"{text}{chr(0) if ends_with_nul else chr(10)}".encode())
    else:
        print(printable(text))


def read_input() -> bytes:
    """All of standard input. Raises `ValueError` where it is closed."""
    return input_stream().read()


def input_stream() -> BinaryIO:
    """Standard input, as bytes."""
    if sys.stdin is None:
        raise ValueError("standard input is closed")
    return sys.stdin.buffer
