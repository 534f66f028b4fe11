"""Single entries: `get`, `set` and `delete`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from groupstore.command_line.rows import value_fields, write_json
from groupstore.command_line.stores import (
    AsJson,
    File,
    Group,
    Namespace,
    change,
    face,
    reading,
    writing,
)
from groupstore.command_line.terminal import read_input, text_of, write_value
from groupstore.config import KEEP

Key = Annotated[str, typer.Argument(help="The key.", show_default=False)]


def get(
    file: File, group: Group, key: Key, namespace: Namespace = None, json: AsJson = False
) -> None:
    """Write a value to standard output.

    To a pipe or file it goes byte for byte, without a newline after it; on a terminal control
    characters are escaped.
    """
    with reading(file) as store:
        entries = face(store, namespace)
        value = entries.get(group, key)
        if json:
            seconds_left = entries.ttl(group, key)
            write_json({"group": group, "key": key, **value_fields(value), "ttl": seconds_left})
        else:
            write_value(value)


def set_value(
    file: File,
    group: Group,
    key: Key,
    value: Annotated[
        str, typer.Argument(help="The value; - reads standard input.", show_default=False)
    ],
    namespace: Namespace = None,
    ttl: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Have it expire after so long.")
    ] = None,
    keep_ttl: Annotated[bool, typer.Option(help="Leave the key's expiry as it is.")] = False,
    binary: Annotated[bool, typer.Option("--bytes", help="Keep it as bytes, not text.")] = False,
) -> None:
    """Set a key, in a new file where there is none yet."""
    if keep_ttl and ttl is not None:
        raise typer.BadParameter("--ttl and --keep-ttl exclude each other")
    # Arguments have what is no UTF-8 as surrogates.
    content = read_input() if value == "-" else os.fsencode(value)
    new = content if binary else text_of(content, "set: the value")
    change(
        file,
        lambda store: face(store, namespace).set(group, key, new, ttl=KEEP if keep_ttl else ttl),
    )


def delete(
    file: File,
    group: Group,
    keys: Annotated[list[str] | None, typer.Argument(help="The keys.", show_default=False)] = None,
    namespace: Namespace = None,
    whole: Annotated[bool, typer.Option("--all", help="Remove the whole group.")] = False,
) -> None:
    """Remove keys, or a whole group; exit code 1 where there was nothing to remove."""
    if bool(keys) == whole:
        raise typer.BadParameter("delete: name the keys to remove, or --all for the whole group")
    with writing(file) as store:
        entries = face(store, namespace)
        removed = entries.delete_many(group, keys) if keys else entries.delete_group(group)
    if not removed:
        raise typer.Exit(1)
