"""Keeping a store: `stats`, `check` and `backup`."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from groupstore.command_line.progress import bar
from groupstore.command_line.rows import write_json, write_table
from groupstore.command_line.stores import AsJson, File, examining, reading
from groupstore.command_line.terminal import write_line

# Of one that has just been opened they say nothing.
_OF_THE_PROCESS = ("cache_hits", "cache_misses", "watchers", "dropped_events")


def stats(file: File, json: AsJson = False) -> None:
    """Print sizes, in bytes, and counts."""
    with reading(file) as store:
        figures = dataclasses.asdict(store.stats())
    for name in _OF_THE_PROCESS:
        del figures[name]
    if json:
        write_json(figures)
    else:
        write_table({"figure": name, "value": value} for name, value in figures.items())


def check(file: File, json: AsJson = False) -> None:
    """Look for damage; exit code 1, and a line a problem, where there is any."""
    with examining(file) as store, bar("check") as progress:
        problems = store.check(progress)
    if json:
        write_json({"problems": problems})
    for problem in () if json else problems:
        write_line(problem)
    if problems:
        raise typer.Exit(1)


def backup(
    file: File,
    target: Annotated[str, typer.Argument(help="The copy's file.", show_default=False)],
) -> None:
    """Copy a store, also one that is in use, to a file."""
    if target == "-":
        raise typer.BadParameter("backup: a copy goes to a file: dump writes to standard output")
    with reading(file) as store, bar("backup") as progress:
        store.backup(target, progress)
