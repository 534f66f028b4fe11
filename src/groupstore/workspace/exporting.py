"""Entries into files, which appear complete or not at all."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from groupstore.errors import StoreError
from groupstore.file_system import replacement, storage_error
from groupstore.json_values import to_json
from groupstore.workspace.file_format import FileName, Format, compressing

Entries = Callable[[], Iterable[tuple[Any, ...]]]
"""Kind, data as JSON and time of every entry, in their order; each call begins anew."""


def write_file(path: str, name: FileName, entries: Entries) -> int:
    """Write all entries into a new file that then takes the place of `path`; how many.

    Raises `StorageError`, or `DiskFullError`.
    """
    writer = {Format.LINES: _lines, Format.JSON: _array, Format.CSV: _table}[name.format]
    written = 0
    try:
        with (
            replacement(path, "export_file") as temporary,
            open(temporary, "wb") as file,  # noqa: PTH123
            compressing(file, name.compression) as target,
        ):
            for text, number in writer(entries):
                target.write(text.encode())
                written += number
    except StoreError:
        raise
    except OSError as error:
        raise storage_error(error, "export_file", path) from error
    return written


def _entry(kind: str, data: str, created_at: int) -> str:
    return f'{{"kind":{to_json(kind)},"data":{data},"created_at":{created_at}}}'


def _lines(entries: Entries) -> Iterator[tuple[str, int]]:
    for row in entries():
        yield f"{_entry(*row)}\n", 1


def _array(entries: Entries) -> Iterator[tuple[str, int]]:
    before = "[\n"
    for row in entries():
        yield before + _entry(*row), 1
        before = ",\n"
    yield ("[]\n" if before == "[\n" else "\n]\n"), 0


def _table(entries: Entries) -> Iterator[tuple[str, int]]:
    """A column for each key that any entry has, in the order in which they come up."""
    names: dict[str, None] = {}
    for _, data, _ in entries():
        names.update(dict.fromkeys(json.loads(data)))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    if names:
        writer.writerow(names)
    for _, data, _ in entries():
        record = json.loads(data)
        writer.writerow([_cell(record.get(name, "")) for name in names])
        yield text.getvalue(), 1
        text.seek(0)
        text.truncate()


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else to_json(value)
