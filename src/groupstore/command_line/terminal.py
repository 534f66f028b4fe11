"""Text and bytes on standard streams: as they are for programs, harmless for terminals."""

from __future__ import annotations

import codecs
import io
import json
import sys
from typing import BinaryIO

from groupstore.errors import StoreError

_BLANKS = frozenset("\n\t")


def is_terminal() -> bool:
    """Whether somebody reads standard output as it comes."""
    return sys.stdout.isatty()


def open_output() -> None:
    """Have standard output buffered, and know every character.

    Without a buffer (`PYTHONUNBUFFERED`) Python loses what the system has not taken at once. What
    programs read is UTF-8 whatever the locale; what a terminal cannot show becomes an escape.
    """
    if not isinstance(sys.stdout, io.TextIOWrapper):
        return
    if isinstance(sys.stdout.buffer, io.RawIOBase):
        sys.stdout = open(  # noqa: SIM115
            sys.stdout.fileno(), "w", encoding=sys.stdout.encoding, closefd=False
        )
    sys.stdout.reconfigure(encoding=None if is_terminal() else "utf-8", errors="backslashreplace")


def takes_unicode() -> bool:
    """Whether standard output knows every character."""
    return codecs.lookup(sys.stdout.encoding).name == "utf-8"


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


def printable_json(text: str) -> str:
    """The same JSON with what a terminal would obey as JSON's escapes."""
    return "".join(
        one if one.isprintable() or one in _BLANKS else json.dumps(one)[1:-1] for one in text
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
    # Names that end with NULs are kept apart on a terminal too.
    print(printable(text) if is_terminal() else text, end="\0" if ends_with_nul else "\n")


def read_input() -> bytes:
    """All of standard input. Raises `OSError` where it is closed."""
    return input_stream().read()


def input_stream() -> BinaryIO:
    """Standard input, as bytes."""
    if sys.stdin is None:
        raise OSError("standard input is closed")
    return sys.stdin.buffer


def text_of(content: bytes, what: str) -> str:
    """Bytes that were given as text. Raises `StoreError` for others than UTF-8."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise StoreError(
            f"{what} is not valid UTF-8: byte {error.start} is {content[error.start]:#04x}"
        ) from None
