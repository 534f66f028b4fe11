"""Rows on standard output: a table for people, JSON and CSV for programs."""

from __future__ import annotations

import csv
import json
import math
import sys
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from groupstore.command_line.terminal import is_terminal, printable, printable_json, takes_unicode

Row = Mapping[str, Any]

_ROWS_A_TABLE = 1000
"""Columns are as wide as the widest cell, so that a table's rows have to be in memory."""


def value_fields(value: str | bytes) -> dict[str, str]:
    """A value as JSON has it, in a dump's form: text under `value`, bytes under `base64`."""
    if isinstance(value, str):
        return {"value": value}
    return {"base64": b64encode(value).decode()}


def write_json(row: Row) -> None:
    """Write one object."""
    print(_encode(row))


def write_json_array(rows: Iterable[Row]) -> None:
    """Write an array of objects, a line each, as they come."""
    separator = "[\n"
    for row in rows:
        print(separator, _encode(row), sep="", end="")
        separator = ",\n"
    print("[]" if separator == "[\n" else "\n]")


def write_csv(rows: Iterable[Row]) -> None:
    """Write the rows with a line of names; those of the first row are everyone's."""
    remaining = iter(rows)
    first = next(remaining, None)
    if first is None:
        return
    writer = csv.DictWriter(sys.stdout, list(first), restval="", extrasaction="ignore")
    writer.writerow({name: _shown(name) for name in first})
    for row in chain([first], remaining):
        writer.writerow({name: _shown(_cell(value)) for name, value in row.items()})


def write_table(rows: Iterable[Row], columns: Sequence[str] | None = None) -> None:
    """Write a table on a terminal, and lines of cells with tabs between elsewhere.

    `columns` are by default those of the first row.
    """
    remaining = iter(rows)
    while page := list(islice(remaining, _ROWS_A_TABLE)):
        names = columns or list(page[0])
        cells = [[printable(_cell(row.get(name))) for name in names] for row in page]
        if not is_terminal():
            for line in cells:
                print(*line, sep="\t")
            continue
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in names:
            table.add_column(Text(printable(name)), overflow="fold")
        for line in cells:
            table.add_row(*map(Text, line))
        Console(highlight=False).print(table)


def _encode(row: Row) -> str:
    # Not ASCII alone: a key in Greek is to be read. Lone surrogates cannot be in a store.
    text = json.dumps(_finite(row), ensure_ascii=not takes_unicode(), default=_unencodable)
    return printable_json(text) if is_terminal() else text


def _finite(value: Any) -> Any:
    """SQL and Python know infinities, JSON does not: null, as with jq."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list) else value


def _unencodable(value: object) -> object:
    if isinstance(value, bytes):
        return {"base64": b64encode(value).decode()}
    raise TypeError(f"no JSON for {type(value).__name__}")


def _shown(text: str) -> str:
    return printable(text) if is_terminal() else text


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
