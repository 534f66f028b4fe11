"""The command's frame: its subcommands, its errors, its exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

import groupstore
from groupstore.command_line import (
    bench,
    entries,
    journal,
    keeping,
    listings,
    transfer,
    workspaces,
)
from groupstore.command_line.terminal import open_output, printable
from groupstore.errors import ConfigError, StoreError

app = typer.Typer(
    name="groupstore",
    help="Look into groupstore's files, and change them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    *(entries.get, entries.set_value, entries.delete),
    *(listings.groups, listings.keys, listings.ls),
    *(journal.query, journal.compact),
    *(keeping.stats, keeping.check, keeping.backup),
    *(transfer.dump, transfer.load, bench.bench),
):
    app.command(name=command.__name__.removesuffix("_value"))(command)
app.add_typer(workspaces.app, name="workspaces")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"groupstore {groupstore.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line, by default the process's own; the exit code.

    0: done. 1: it failed, nothing was found, or there are problems. 2: it was called wrongly.
    130: interrupted.
    """
    # A shell's `>&-` leaves None.
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    if sys.stdout is None:
        return _fail("standard output is closed")
    try:
        open_output()
        code = app(arguments, prog_name="groupstore", standalone_mode=False)
        # What was printed may be refused only now.
        sys.stdout.flush()
    except BrokenPipeError:
        # Who read it has read enough.
        _drop_output()
        return 1
    except typer.TyperException as error:
        return _fail(error.format_message(), error.exit_code)
    except typer.Abort:
        return 130
    except (StoreError, OSError, ValueError, TypeError, OverflowError) as error:
        _drop_output()
        return _fail(str(error), 1 if _is_of_the_store(error) else 2)
    return code if isinstance(code, int) else 0


def _is_of_the_store(error: Exception) -> bool:
    """Whether the call was right. What is no StoreError says that an argument was wrong."""
    return isinstance(error, StoreError | OSError) and not isinstance(error, ConfigError)


def _drop_output() -> None:
    """Have the interpreter's end not write again what could not be written."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, code: int = 1) -> int:
    """Say in one line what is wrong."""
    if message:
        print(f"groupstore: {printable(' '.join(message.split()))}", file=sys.stderr)
    return code
