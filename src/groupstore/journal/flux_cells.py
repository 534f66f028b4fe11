"""Values of JSON as SQL values, "cells", that keep their type.

Null, strings, floats and integers of 64 bits are SQLite's own. The rest are BLOBs: `x'00'` false,
`x'01'` true, `i` and digits an integer beyond 64 bits, the text of an array or object these.
A loose cell has a float for the integer beyond 64 bits, which can be compared; an exact one tells
apart what is not the same.
"""

import json
from typing import Any, Final

from groupstore.errors import CorruptStoreError

FALSE: Final = b"\x00"
TRUE: Final = b"\x01"
_LARGE: Final = b"i"
# Only in what a query gives back: text in SQLite need not be UTF-8.
_TEXT: Final = b"s"

_COMMON: Final = """WHEN 'true' THEN x'01' WHEN 'false' THEN x'00'
        WHEN 'array' THEN CAST(value AS BLOB) WHEN 'object' THEN CAST(value AS BLOB)"""

JSON_LOOSE: Final = f"CASE type {_COMMON} ELSE value END"
"""The loose cell of a row of json_each()."""


def json_exact(document: str) -> str:
    """The exact cell of a row of json_each() over the column `document`."""
    return f"""CASE type {_COMMON}
        WHEN 'integer' THEN iif(typeof(value) = 'integer', value,
            CAST('i' || ({document} -> fullkey) AS BLOB)) ELSE value END"""


def loose(cell: str) -> str:
    """The loose cell of an exact one."""
    return f"""CASE WHEN typeof({cell}) = 'blob' AND substr({cell}, 1, 1) = x'69'
        THEN CAST(CAST(substr({cell}, 2) AS TEXT) AS REAL) ELSE {cell} END"""


def rank(cell: str) -> str:
    """The place of a loose cell's type in the order of all: 1 to 4, null for null."""
    return f"""CASE typeof({cell}) WHEN 'blob' THEN iif({cell} <= x'01', 1, 4)
        WHEN 'integer' THEN 2 WHEN 'real' THEN 2 WHEN 'text' THEN 3 END"""


def is_number(cell: str) -> str:
    """Whether a loose cell is a number."""
    return f"typeof({cell}) IN ('integer', 'real')"


def is_text(cell: str) -> str:
    """Whether a cell is a string."""
    return f"typeof({cell}) = 'text'"


def is_boolean(cell: str) -> str:
    """Whether a cell is true or false."""
    return f"{cell} IN (x'00', x'01')"


def exported(cell: str) -> str:
    """An exact cell in the form that `imported` reads."""
    return f"iif(typeof({cell}) = 'text', CAST('s' || {cell} AS BLOB), {cell})"


def exported_text(column: str) -> str:
    """The value of a column of the entry in the form that `imported` reads."""
    return f"CAST('s' || {column} AS BLOB)"


def imported(value: Any) -> Any:
    """The value of an exported cell, as JSON would have given it; bytes where it is not UTF-8.

    Raises CorruptStoreError for what JSON could not have given.
    """
    if not isinstance(value, bytes):
        return value
    if value in {FALSE, TRUE}:
        return value == TRUE
    if value.startswith(_TEXT):
        try:
            # What an escape of JSON made may be half of a pair.
            return value[1:].decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return value[1:]
    if value.startswith(_LARGE):
        return _large(value)
    return decoded(value.decode("utf-8", "replace"))


def decoded(document: Any) -> Any:
    """What a text of JSON stands for. Raises CorruptStoreError where it is none."""
    try:
        return json.loads(document)
    except (TypeError, ValueError, RecursionError) as error:
        raise CorruptStoreError(
            f"query: an entry's JSON cannot be read: {str(document)[:100]!r}"
        ) from error


def _large(cell: bytes) -> int:
    try:
        return int(cell[1:])
    except ValueError as error:
        raise CorruptStoreError(f"query: an entry's integer cannot be read: {error}") from error


def number(value: int | float) -> int | float:
    """A number in a form that can be bound: an integer beyond 64 bits as a float."""
    if isinstance(value, float) or -(2**63) <= value < 2**63:
        return value
    return as_float(value)


def as_float(value: int) -> float:
    """The nearest float, infinite where there is none near."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def number_of(cell: Any) -> int | float | None:
    """The number that an exact cell is, or None where it is something else."""
    if isinstance(cell, bytes):
        return _large(cell) if cell.startswith(_LARGE) else None
    return cell if isinstance(cell, int | float) else None


def cell_of(value: int | float) -> int | float | bytes:
    """The exact cell of a number; the nearest float of more digits than Python reads."""
    if isinstance(value, float) or -(2**63) <= value < 2**63:
        return value
    try:
        return _LARGE + str(value).encode()
    except ValueError:
        return as_float(value)
