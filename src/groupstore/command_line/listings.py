"""What there is: `groups`, `keys` and `ls`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from groupstore.command_line.rows import write_json_array, write_table
from groupstore.command_line.stores import AsJson, File, Group, Namespace, face, reading
from groupstore.command_line.terminal import write_line
from groupstore.errors import NotFoundError
from groupstore.scope import ScopedStore
from groupstore.store import Store

_LAST = datetime.max.replace(tzinfo=UTC)
"""ISO 8601 has no later time without an agreement; keys may be there for longer."""

Prefix = Annotated[str, typer.Option(help="Only names that start with it.")]
EndsWithNul = Annotated[
    bool, typer.Option("--null", "-0", help="End each name with a NUL, not a newline.")
]


def groups(
    file: File,
    prefix: Prefix = "",
    namespace: Namespace = None,
    null: EndsWithNul = False,
    json: AsJson = False,
) -> None:
    """List the groups, a line each."""
    with reading(file) as store:
        names = face(store, namespace).iter_groups(prefix)
        if json:
            write_json_array({"group": name} for name in names)
            return
        for name in names:
            write_line(name, ends_with_nul=null)


def keys(
    file: File,
    group: Group,
    prefix: Prefix = "",
    start: Annotated[str | None, typer.Option(help="From this key on.")] = None,
    stop: Annotated[str | None, typer.Option(help="Up to this key, without it.")] = None,
    reverse: Annotated[bool, typer.Option("--reverse", help="From the last one.")] = False,
    namespace: Namespace = None,
    null: EndsWithNul = False,
    json: AsJson = False,
) -> None:
    """List a group's keys in their order, a line each."""
    with reading(file) as store:
        found = face(store, namespace).keys(
            group, prefix=prefix, start=start, stop=stop, reverse=reverse
        )
        if json:
            write_json_array({"key": key} for key in found)
            return
        for key in found:
            write_line(key, ends_with_nul=null)


def ls(
    file: File,
    group: Annotated[str | None, typer.Argument(help="The group.", show_default=False)] = None,
    namespace: Namespace = None,
    json: AsJson = False,
) -> None:
    """List the groups with their numbers of keys, or a group's keys with types, sizes, expiry."""
    with reading(file) as store:
        entries = face(store, namespace)
        rows = _groups(entries) if group is None else _keys(entries, group)
        if json:
            write_json_array(rows)
        else:
            write_table(rows)


def _groups(entries: Store | ScopedStore) -> Iterator[dict[str, Any]]:
    for name in entries.iter_groups():
        yield {"group": name, "keys": entries.count(name)}


def _keys(entries: Store | ScopedStore, group: str) -> Iterator[dict[str, Any]]:
    for key, value in entries.items(group):
        try:
            seconds_left = entries.ttl(group, key)
        except NotFoundError:
            # It has gone since.
            continue
        yield {
            "key": key,
            "type": "text" if isinstance(value, str) else "bytes",
            "size": len(value.encode() if isinstance(value, str) else value),
            "expires_at": None if seconds_left is None else _after(seconds_left),
        }


def _after(seconds: float) -> str:
    try:
        time = datetime.now(UTC) + timedelta(seconds=seconds)
    except OverflowError:
        time = _LAST
    return time.isoformat(timespec="seconds")
