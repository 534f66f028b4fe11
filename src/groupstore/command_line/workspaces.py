"""Workspaces that programs left behind: `workspaces list`, `commit` and `discard`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from groupstore.command_line.rows import write_json, write_json_array, write_table
from groupstore.command_line.stores import AsJson, File, writing
from groupstore.errors import NotFoundError
from groupstore.workspace.workspace import Workspace

app = typer.Typer(
    help="Workspaces that programs left behind; those in use are neither shown nor touched.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="The workspace's name.", show_default=False)]
Folder = Annotated[
    str | None,
    typer.Option("--directory", metavar="FOLDER", help="Their folder, FILE.state by default."),
]


@contextmanager
def _left(file: str, folder: str | None) -> Iterator[dict[str, Workspace]]:
    """Those that no living process uses, by name; who is not committed or discarded stays."""
    with writing(file) as store:
        yield {workspace.name: workspace for workspace in store.recover_workspaces(folder)}


def _found(workspaces: dict[str, Workspace], name: str, attempted: str) -> Workspace:
    if name not in workspaces:
        raise NotFoundError(f"{attempted}: no workspace {name!r}, or a process uses it")
    return workspaces[name]


@app.command("list")
def show(file: File, directory: Folder = None, json: AsJson = False) -> None:
    """List them with the numbers of their entries."""
    with _left(file, directory) as workspaces:
        rows = (
            {"name": name, "entries": workspace.count(), "kinds": workspace.aggregate()}
            for name, workspace in workspaces.items()
        )
        if json:
            write_json_array(rows)
        else:
            write_table(rows)


@app.command()
def commit(file: File, name: Name, directory: Folder = None) -> None:
    """Commit one, and print its aggregate as JSON."""
    with _left(file, directory) as workspaces:
        write_json(_found(workspaces, name, "commit").commit())


@app.command()
def discard(file: File, name: Name, directory: Folder = None) -> None:
    """Remove one with all that is in it."""
    with _left(file, directory) as workspaces:
        _found(workspaces, name, "discard").discard()
