"""Dumps, in files and in standard streams: `dump` and `load`."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated

import typer

from groupstore.command_line.progress import bar
from groupstore.command_line.stores import File, Namespace, change, face, reading
from groupstore.command_line.terminal import input_stream, is_terminal, printable_json
from groupstore.errors import StoreError

_ENDINGS = {b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst"}
"""By the first bytes: https://www.rfc-editor.org/rfc/rfc1952, https://www.rfc-editor.org/rfc/rfc8878"""


def dump(
    file: File,
    target: Annotated[
        str, typer.Argument(help="The dump's file (.gz, .zst); - writes to standard output.")
    ] = "-",
    prefix: Annotated[str, typer.Option(help="Only groups that start with it.")] = "",
    namespace: Namespace = None,
) -> None:
    """Write the live keys to a file of JSON Lines."""
    with reading(file) as store, bar("dump") as progress:
        entries = face(store, namespace)
        if not _is_stream(target):
            entries.dump(target, prefix, progress)
            return
        # Complete first: a reader of the stream must not take the half of one for a whole.
        with _temporary_folder() as folder:
            path = os.path.join(folder, "dump.jsonl")  # noqa: PTH118
            entries.dump(path, prefix, progress)
            _write(path, target)


def load(
    file: File,
    source: Annotated[str, typer.Argument(help="A dump's file; - reads standard input.")] = "-",
    namespace: Namespace = None,
) -> None:
    """Set all that a dump holds, or nothing; in a new file where there is none yet."""
    with _temporary_folder() as folder, bar("load") as progress:
        path = _spooled(source, folder) if _is_stream(source) else source
        try:
            change(file, lambda store: face(store, namespace).load(path, progress))
        except StoreError as error:
            # The temporary file means nothing to anybody.
            name = "standard input" if source == "-" else source
            raise type(error)(str(error).replace(path, name)) from error


@contextmanager
def _temporary_folder() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="groupstore-") as folder:
        yield folder


def _is_stream(name: str) -> bool:
    """Whether it is no file that can be read twice: -, or a pipe as of a shell's `<(...)`."""
    if name == "-":
        return True
    with suppress(OSError):
        mode = os.stat(name).st_mode
        return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)
    return False


def _write(path: str, target: str) -> None:
    """Copy a dump to a stream."""
    with open(path, "rb") as content:  # noqa: PTH123
        if target != "-":
            with open(target, "wb") as output:  # noqa: PTH123
                shutil.copyfileobj(content, output)
        elif is_terminal():
            for line in content:
                print(printable_json(line.decode()), end="")
        else:
            shutil.copyfileobj(content, sys.stdout.buffer)


def _spooled(name: str, folder: str) -> str:
    """A file with the content of a stream, named after its compression."""
    stream = input_stream() if name == "-" else open(name, "rb")  # noqa: PTH123, SIM115
    with stream:
        beginning = stream.read(4)
        ending = next((end for magic, end in _ENDINGS.items() if beginning.startswith(magic)), "")
        path = os.path.join(folder, f"dump.jsonl{ending}")  # noqa: PTH118
        with open(path, "xb") as content:  # noqa: PTH123
            content.write(beginning)
            shutil.copyfileobj(stream, content)
    return path
