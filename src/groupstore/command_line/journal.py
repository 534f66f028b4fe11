"""The journal: `query` and `compact`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import typer

from groupstore.command_line.rows import write_csv, write_json_array, write_table
from groupstore.command_line.stores import AsJson, File, reading, writing
from groupstore.command_line.terminal import read_input, text_of, write_line

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION = re.compile(r"(\d+)([smhdw])")
_COLUMNS = ("entry_id", "committed_at", "bucket_name", "measurement", "fields_json", "tags_json")
"""Of whole entries; what is decoded beside them would be there twice."""


def query(
    file: File,
    text: Annotated[
        str, typer.Argument(help="Flux, or a SELECT; - reads it from standard input.")
    ] = "",
    parameters: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="A parameter of a SELECT."),
    ] = None,
    archives: Annotated[bool, typer.Option("--archives", help="Archived entries too.")] = False,
    timeout: Annotated[float | None, typer.Option(metavar="SECONDS", help="Give up then.")] = None,
    json: AsJson = False,
    csv: Annotated[bool, typer.Option("--csv", help="Write CSV.")] = False,
) -> None:
    """Query the journal; without a text, every entry that is not archived."""
    if json and csv:
        raise typer.BadParameter("--json and --csv exclude each other")
    given = text_of(read_input(), "query: the text") if text == "-" else text
    bound = dict(map(_parameter, parameters or ()))
    with reading(file) as store:
        rows = store.journal.iter_query(given, timeout=timeout, archives=archives, **bound)
        if json:
            write_json_array(rows)
        elif csv:
            write_csv(
                {name: row[name] for name in row if name not in ("fields", "tags")} for row in rows
            )
        else:
            write_table(rows, None if given.strip() else _COLUMNS)


def _parameter(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise typer.BadParameter(f"--parameter {text}: NAME=VALUE is expected")
    if name in ("timeout", "archives"):
        raise typer.BadParameter(f"--parameter {text}: a parameter cannot have this name")
    return name, value


def compact(
    file: File,
    before: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="An age (90s, 15m, 12h, 30d, 4w) or an ISO 8601 time, UTC by default.",
        ),
    ],
    output: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Where the archive goes.")
    ] = None,
    format: Annotated[Literal["gzip", "zstd"], typer.Option(help="Its compression.")] = "gzip",
) -> None:
    """Move older entries of the journal into a new archive, and print its path."""
    with writing(file) as store:
        archive = store.journal.compact(_time(before), output=output, format=format)
    if archive is not None:
        write_line(archive.path)


def _time(text: str) -> datetime | timedelta:
    age = _DURATION.fullmatch(text)
    if age is not None:
        try:
            return timedelta(**{_UNITS[age[2]]: int(age[1])})
        except OverflowError:
            raise typer.BadParameter(f"--before {text}: this is before all time") from None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"--before {text}: an age as 30d, or an ISO 8601 time, is expected"
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
