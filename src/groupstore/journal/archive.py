"""Archive files: JSON Lines of entries, compressed, written once and read back."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, Final, Protocol, cast

from groupstore.errors import CorruptStoreError
from groupstore.file_system import named, storage_error
from groupstore.journal.room import with_room

NAMES = ("bucket", "measurement", "fields", "tags", "committed_at")
"""What a line holds."""

ENDINGS: Final[dict[str, str]] = {"gzip": "jsonl.gz", "zstd": "jsonl.zst"}
"""What the name of a file ends with, by format."""

# Measured on 10 MB of 60,000 entries: gzip takes a sixth less room than at level 1; level 9 would
# save 6 % more in 2.4 times the time. zstd is no smaller at levels up to 9, and slower at each.
_GZIP_LEVEL = 6
_ZSTD_LEVEL = 1

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

_CHUNK_BYTES = 64 * 1024

# No line of JSON begins with it.
_AFTER_THE_END = b"\0end"

_to_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Archive:
    """A file of entries that `Journal.compact` has made."""

    path: str
    entries: int
    format: str
    """`"gzip"` or `"zstd"`."""
    size: int
    """Bytes of the file."""
    first_committed_at: int
    """When the oldest of its entries was committed, in Unix ms."""
    last_committed_at: int
    """When the newest was."""


class Sink(Protocol):
    """What lines are written to."""

    def write(self, data: bytes, /) -> object:
        """Take all of `data`."""


@contextmanager
def compressed(file: IO[bytes], format: str) -> Iterator[Sink]:
    """A file whose content is compressed into `file`, and ended when the block is left."""
    if format == "gzip":
        # Without name and time, the same entries give the same file.
        with gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as target:
            yield target
        return
    # Here, not above: only those who ask for it load it.
    import zstandard  # noqa: PLC0415

    compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True)
    with compressor.stream_writer(file, closefd=False) as target:
        yield target


def line_of(
    bucket: str, measurement: str, fields_json: str, tags_json: str, committed_at: int
) -> bytes:
    """The line of an entry. Raises `ValueError` or `RecursionError` for what is no JSON."""
    start = _to_json({"bucket": bucket, "measurement": measurement})
    fields, tags = _in_one_line(fields_json), _in_one_line(tags_json)
    time = _to_json(committed_at)
    return f'{start[:-1]},"fields":{fields},"tags":{tags},"committed_at":{time}}}\n'.encode()


def _in_one_line(text: str) -> str:
    """JSON as it stands, so that no number of another program's is rounded, or on one line."""
    value = json.loads(text, parse_constant=_refuse_constant)
    return _to_json(value) if "\n" in text or "\r" in text else text


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def read_archive(path: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """Iterate over the entries of an archive, in the order of their commits.

    Each is a dict of `bucket`, `measurement`, `fields`, `tags` and `committed_at` (Unix ms). The
    file is read as it is needed, and closed at the iterator's end. Raises `StorageError` where it
    cannot be opened, and `CorruptStoreError` where it is no archive, ends early or was altered,
    which may come after entries that are sound.
    """
    name = named(path, "read_archive", "path")
    try:
        with open(name, "rb") as file:  # noqa: PTH123 (pathlib is costly to import)
            magic = file.read(len(_ZSTD_MAGIC))
    except OSError as error:
        raise storage_error(error, "read_archive", name) from error
    if magic.startswith(_GZIP_MAGIC):
        return _entries(name, _gzip_chunks)
    if magic == _ZSTD_MAGIC:
        return _entries(name, _zstd_chunks)
    raise CorruptStoreError(f"read_archive: {name}: neither gzip nor zstd")


def _entries(path: str, chunks: Callable[[IO[bytes]], Iterator[bytes]]) -> Iterator[dict[str, Any]]:
    number = 1
    try:
        with open(path, "rb") as file:  # noqa: PTH123 (as above)
            for line in _lines(chunks(file)):
                yield _entry(line)
                number += 1
    except (EOFError, gzip.BadGzipFile, zlib.error, _DamageError) as error:
        raise CorruptStoreError(f"read_archive: {path}: line {number}: {error}") from error
    except OSError as error:
        raise storage_error(error, "read_archive", path) from error


class _DamageError(Exception):
    """What is wrong with a file; the message lacks where."""


def _entry(line: bytes) -> dict[str, Any]:
    try:
        entry = with_room(json.loads, line)
        return {name: entry[name] for name in NAMES}
    except (ValueError, RecursionError, TypeError) as error:
        raise _DamageError(f"no JSON object: {error}") from error
    except KeyError as error:
        raise _DamageError(f"{error} is missing") from error


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Lines without their ends."""
    begun: list[bytes] = []
    for chunk in chunks:
        first, *others = chunk.split(b"\n")
        begun.append(first)
        for other in others:
            yield b"".join(begun)
            begun = [other]
    if any(begun):
        raise _DamageError("the last line has no end")


def _gzip_chunks(file: IO[bytes]) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=file, mode="rb") as source:
        while chunk := source.read(_CHUNK_BYTES):
            yield chunk


def _zstd_chunks(file: IO[bytes]) -> Iterator[bytes]:
    import zstandard  # noqa: PLC0415 (only archives of this format need it)

    # The library's reader takes a file that ends early for a short one, but then does not come to
    # the frame after it. Its other interface gives all that a chunk decompresses to at once.
    rest = zstandard.ZstdCompressor().compress(_AFTER_THE_END)
    # No more than `read` is called.
    ended = cast("IO[bytes]", _Followed(file, rest))
    source = zstandard.ZstdDecompressor().stream_reader(ended, read_across_frames=True)
    held = b""
    try:
        while chunk := source.read(_CHUNK_BYTES):
            chunk = held + chunk
            held = chunk[-len(_AFTER_THE_END) :]
            yield chunk[: -len(_AFTER_THE_END)]
    except zstandard.ZstdError as error:
        raise _DamageError(str(error)) from error
    if held != _AFTER_THE_END:
        raise _DamageError("the file ends early")


class _Followed:
    """A file, and some bytes after its end."""

    def __init__(self, file: IO[bytes], rest: bytes) -> None:
        self._file = file
        self._rest = rest

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        if not data:
            data, self._rest = self._rest[:size], self._rest[size:]
        return data
