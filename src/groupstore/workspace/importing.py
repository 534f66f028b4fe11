"""Entries from files: JSON Lines, JSON and CSV, a record in memory at a time."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any, BinaryIO, NamedTuple

from groupstore.errors import StoreError
from groupstore.file_system import storage_error
from groupstore.json_values import check_name
from groupstore.workspace.file_format import FileName, Format, reading
from groupstore.workspace.json_stream import LONGEST_RECORD, JsonStream, decoder
from groupstore.workspace.payload import encode


class Row(NamedTuple):
    """What an entry's row holds, beside its number."""

    kind: str
    data: str
    created_at: int


class _Lines:
    """A JSON object a line; empty lines are passed over."""

    def __init__(self, file: BinaryIO) -> None:
        self.line = 1
        self._file = file

    def records(self) -> Iterator[Any]:
        for text in _text_lines(self._file):
            if text.strip():
                yield _decoded(text)
            self.line += 1


class _Csv:
    """A first row of names, then rows of as many values, all of them text."""

    def __init__(self, file: BinaryIO) -> None:
        self.line = 1
        self._file = file

    def records(self) -> Iterator[dict[str, str]]:
        rows = csv.reader(_text_lines(self._file), strict=True)
        names = next(rows, [])
        if len(set(names)) < len(names):
            raise ValueError("two columns have the same name")
        self.line = rows.line_num + 1
        for values in rows:
            if values:
                if len(values) != len(names):
                    raise ValueError(f"{len(values)} values for {len(names)} columns")
                yield dict(zip(names, values, strict=True))
            self.line = rows.line_num + 1


_Reader = _Lines | JsonStream | _Csv
_READERS: dict[Format, Callable[[BinaryIO], _Reader]] = {
    Format.LINES: _Lines,
    Format.JSON: JsonStream,
    Format.CSV: _Csv,
}


def _decoded(line: str) -> Any:
    try:
        return decoder.decode(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at character {error.pos + 1}") from None


def _text_lines(file: BinaryIO) -> Iterator[str]:
    encoding = "utf-8-sig"
    while line := file.readline(LONGEST_RECORD + 1):
        if len(line) > LONGEST_RECORD:
            raise ValueError(f"a line of more than {LONGEST_RECORD} bytes")
        yield line.decode(encoding)
        encoding = "utf-8"


def read_rows(path: str, name: FileName, kind: str | None) -> Generator[Row, None, None]:
    """The rows that a file's records become.

    A record is a JSON object, kept under `kind`, or the file's stem. One with the three members
    of an exported entry, and no others, is that entry: it keeps its time and, where `kind` is
    None, its kind. Raises `ValueError` with path and line of what is wrong, `StorageError` where
    the file cannot be read.
    """
    place = f"import_file: {path}"
    reader: _Reader | None = None
    now_ms = time.time_ns() // 1_000_000
    try:
        with reading(path, name.compression) as file:
            reader = _READERS[name.format](file)
            for record in reader.records():
                yield _row(record, kind, name.stem, now_ms)
    except StoreError:
        raise
    except (ValueError, TypeError, RecursionError, csv.Error) as error:
        line = reader.line if reader is not None else 1
        raise ValueError(f"{place}: line {line}: {error}") from error
    except OSError as error:
        raise storage_error(error, "import_file", path) from error


def _row(record: Any, kind: str | None, stem: str, now_ms: int) -> Row:
    if not isinstance(record, dict):
        raise TypeError(f"a record must be an object, not {type(record).__name__}")
    created_at = now_ms
    data = record
    if _is_entry(record):
        data, created_at = record["data"], record["created_at"]
        kind = record["kind"] if kind is None else kind
    if kind is None:
        kind = stem
    check_name(kind, "record", "kind")
    return Row(kind, encode(data, "record"), created_at)


def _is_entry(record: dict[str, Any]) -> bool:
    if record.keys() != {"kind", "data", "created_at"}:
        return False
    kind, data, created_at = record["kind"], record["data"], record["created_at"]
    return (
        isinstance(kind, str)
        and isinstance(data, dict)
        and type(created_at) is int
        and -(2**63) <= created_at < 2**63
    )
