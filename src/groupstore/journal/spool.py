"""Rows that wait to be iterated over: in memory, or in a temporary file where they are many."""

from __future__ import annotations

import io
import marshal
import os
from collections.abc import Generator
from tempfile import TemporaryFile, gettempdir
from typing import IO, Any

from groupstore.file_system import storage_error

_IN_MEMORY_BYTES = 1024 * 1024
_LENGTH_BYTES = 8


class Spool:
    """Takes rows by `put`, and gives them back by `rows` once all are in.

    A forked child has the file in common with its parent, the position in it included. So nothing
    is read by that position, and nothing is left in a buffer that both would write.
    """

    def __init__(self) -> None:
        self._begun = bytearray()
        self._file: IO[bytes] | None = None

    def close(self) -> None:
        """Remove the temporary file, where there is one."""
        if self._file is not None:
            self._file.close()

    def put(self, row: dict[str, Any]) -> None:
        """Add a row."""
        record = marshal.dumps(row)
        self._begun += len(record).to_bytes(_LENGTH_BYTES, "big")
        self._begun += record
        if len(self._begun) > _IN_MEMORY_BYTES:
            self._write()

    def rows(self) -> Generator[dict[str, Any], None, None]:
        """The rows in the order in which they were put."""
        source = io.BytesIO(self._begun) if self._file is None else self._reader()
        while header := source.read(_LENGTH_BYTES):
            yield marshal.loads(source.read(int.from_bytes(header, "big")))

    def _write(self) -> None:
        try:
            if self._file is None:
                self._file = TemporaryFile(buffering=0)  # noqa: SIM115 (closed by close)
            rest = memoryview(self._begun)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise storage_error(error, "query", gettempdir()) from error
        self._begun = bytearray()

    def _reader(self) -> IO[bytes] | io.BufferedReader:
        assert self._file is not None
        self._write()
        if hasattr(os, "pread"):
            return io.BufferedReader(_Positioned(self._file.fileno()))
        # No pread, no fork.
        self._file.seek(0)
        return self._file


class _Positioned(io.RawIOBase):
    """A file read from its start by a position of its own."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = os.pread(self._descriptor, len(buffer), self._position)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
