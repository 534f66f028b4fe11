"""The format of a dump: JSON Lines, from a header to a closing line that shows any damage.

docs/file-format.md describes it.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

from groupstore.errors import CorruptStoreError, StoreError
from groupstore.file_system import storage_error

if TYPE_CHECKING:
    from types import TracebackType

_VERSION = 1

_NAMES = ({"group", "key", "value"}, {"group", "key", "base64"})

# Large enough for the compressors and for the system's calls.
_CHUNK_BYTES = 256 * 1024

# An entry's line has seven strings. Of what is nested a small file could fill the memory, before it
# is known for no entry.
_FLAT = re.compile(rb'\{(?:[^"\[{]{0,100}"(?:[^"\\]++|\\.)*+"){0,8}[^"\[{]{0,100}')
_LONG_LINE_BYTES = 1024 * 1024

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Entry(NamedTuple):
    """A live key of a dump."""

    group: str
    key: str
    value: str | bytes
    expires_at_ms: int | None
    """Unix time; None: never."""


def _line(fields: dict[str, object]) -> bytes:
    return f"{_encode(fields)}\n".encode()


_HEADER = _line({"format": "groupstore dump", "version": _VERSION})
_CLOSING = b'{"entries":'


def _entry_line(entry: Entry) -> bytes:
    fields: dict[str, object] = {"group": entry.group, "key": entry.key}
    if isinstance(entry.value, str):
        fields["value"] = entry.value
    else:
        fields["base64"] = b64encode(entry.value).decode()
    if entry.expires_at_ms is not None:
        fields["expires_at"] = entry.expires_at_ms
    return _line(fields)


def _closing_line(entries: int, checksum: str) -> bytes:
    return _line({"entries": entries, "sha256": checksum})


def _parse_entry(line: bytes) -> Entry:
    """The entry of a line; what is wrong with it is a ValueError."""
    if len(line) > _LONG_LINE_BYTES and not _FLAT.fullmatch(line):
        raise ValueError("not an entry")
    try:
        fields = json.loads(line.decode())
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(fields, dict) or fields.keys() - {"expires_at"} not in _NAMES:
        raise ValueError("not an entry")
    expires_at = fields.get("expires_at")
    if "expires_at" in fields and not (type(expires_at) is int and 0 <= expires_at < 2**63):
        raise ValueError("expires_at is no time")
    return Entry(_text(fields, "group"), _text(fields, "key"), _value(fields), expires_at)


def _text(fields: dict[str, Any], name: str) -> str:
    text = fields[name]
    if not isinstance(text, str):
        raise ValueError(f"{name} is no string")
    # JSON can escape half of a surrogate pair, which no store holds.
    text.encode()
    return text


def _value(fields: dict[str, Any]) -> str | bytes:
    if "value" in fields:
        return _text(fields, "value")
    return b64decode(_text(fields, "base64"), validate=True)


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


class _Plain:
    def compress(self, data: bytes) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


def _has_suffix(path: str, suffix: str) -> bool:
    return path.lower().endswith(suffix)


def _compressor(path: str) -> _Compressor:
    if _has_suffix(path, ".gz"):
        # A gzip header of zlib's own holds neither a time nor a name.
        return zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    if _has_suffix(path, ".zst"):
        # Here, not above: only who asks for it pays for the import.
        import zstandard  # noqa: PLC0415

        return zstandard.ZstdCompressor(write_checksum=True).compressobj()
    return _Plain()


class DumpWriter:
    """Writes a dump into the file `temporary`, which is there, compressed as `path` says.

    Raises `StorageError` or `DiskFullError`.
    """

    def __init__(self, temporary: str, path: str) -> None:
        self._path = path
        self._compressor = _compressor(path)
        self._checksum = hashlib.sha256()
        self._lines: list[bytes] = []
        self._pending_bytes = 0
        self.entries = 0
        try:
            self._file = open(temporary, "wb", buffering=0)  # noqa: PTH123, SIM115
        except OSError as error:
            raise storage_error(error, "dump", path) from error
        self._add(_HEADER)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._file.close()
        except OSError as failure:
            # NFS may tell here that the disk is full.
            if error is None:
                raise storage_error(failure, "dump", self._path) from failure

    def write(self, entry: Entry) -> None:
        """Write the next entry; they come in the order of group and key."""
        self._add(_entry_line(entry))
        self.entries += 1

    def finish(self) -> None:
        """Write the closing line, and all that is pending."""
        self._flush()
        self._lines = [_closing_line(self.entries, self._checksum.hexdigest())]
        self._flush()
        self._write(self._compressor.flush())

    def _add(self, line: bytes) -> None:
        self._lines.append(line)
        self._pending_bytes += len(line)
        if self._pending_bytes >= _CHUNK_BYTES:
            self._flush()

    def _flush(self) -> None:
        chunk = b"".join(self._lines)
        self._lines = []
        self._pending_bytes = 0
        self._checksum.update(chunk)
        self._write(self._compressor.compress(chunk))

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise storage_error(error, "dump", self._path) from error


class DumpReader:
    """Reads the dump in the file `real_path`, compressed as `path` says.

    Raises `StorageError` where that cannot be read, and `CorruptStoreError`, naming path and
    line, for what is no dump or a damaged one.
    """

    def __init__(self, real_path: str, path: str) -> None:
        self._path = path
        self._line_number = 0
        try:
            self._file = open(real_path, "rb")  # noqa: PTH123, SIM115
            self.size_bytes = os.stat(real_path).st_size
        except OSError as error:
            raise storage_error(error, "load", path) from error
        self._damage: tuple[type[Exception], ...] = (gzip.BadGzipFile, EOFError, zlib.error)
        self._stream = self._decompressed()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        with suppress(OSError):
            self._stream.close()
        self._file.close()

    @property
    def read_bytes(self) -> int:
        """How much of the file has been read."""
        return self._file.tell()

    def entries(self) -> Iterator[Entry]:
        """The entries; when they have ended, all of the file was found sound."""
        self._require_header()
        checksum = hashlib.sha256(_HEADER)
        last: tuple[str, str] | None = None
        number = 0
        while not (line := self._next_line()).startswith(_CLOSING):
            entry = self._entry(line)
            place = (entry.group, entry.key)
            if last is not None and place <= last:
                raise self._damaged("an entry that is out of order")
            last = place
            yield entry
            checksum.update(line)
            number += 1
        if line != _closing_line(number, checksum.hexdigest()):
            raise self._damaged("number of entries and checksum do not fit what came before")
        if self._read_line():
            raise self._damaged("more after the closing line")

    def _decompressed(self) -> io.BufferedIOBase:
        if _has_suffix(self._path, ".gz"):
            return gzip.GzipFile(fileobj=self._file, mode="rb")
        if _has_suffix(self._path, ".zst"):
            import zstandard  # noqa: PLC0415 (as above)

            self._damage += (zstandard.ZstdError,)
            # Across frames: what follows the first one is looked at, not left out.
            reader = zstandard.ZstdDecompressor().stream_reader(
                self._file, read_across_frames=True, closefd=False
            )
            return io.BufferedReader(reader, _CHUNK_BYTES)
        return self._file

    def _require_header(self) -> None:
        line = self._read_line()
        if line == _HEADER:
            return
        with suppress(ValueError, RecursionError):
            fields = json.loads(line)
            if isinstance(fields, dict) and fields.get("format") == "groupstore dump":
                raise self._damaged(
                    f"version {fields.get('version')!r} of the format, where {_VERSION} is known"
                )
        raise self._damaged("not the beginning of a dump")

    def _entry(self, line: bytes) -> Entry:
        try:
            return _parse_entry(line)
        except ValueError as error:
            raise self._damaged(str(error)) from error

    def _next_line(self) -> bytes:
        line = self._read_line()
        if not line:
            raise self._damaged("the dump ends before its closing line")
        return line

    def _read_line(self) -> bytes:
        self._line_number += 1
        try:
            return self._stream.readline()
        except self._damage as error:
            raise self._damaged(str(error)) from error
        except OSError as error:
            raise storage_error(error, "load", self._path) from error

    def _damaged(self, reason: str) -> StoreError:
        return CorruptStoreError(f"load: {self._path}: line {self._line_number}: {reason}")
