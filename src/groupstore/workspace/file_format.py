"""What a file's name says about its content, and the way through its compression."""

from __future__ import annotations

import enum
import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, BinaryIO, NamedTuple, cast

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# What is decompressed by one call: a byte may stand for 32 KiB.
_COMPRESSED_AT_ONCE = 1024


class Format(enum.Enum):
    """How entries are written down."""

    LINES = "JSON Lines"
    JSON = "JSON"
    CSV = "CSV"


class FileName(NamedTuple):
    """A file's name, taken apart."""

    stem: str
    format: Format
    compression: str
    """`".gz"`, `".zst"` or empty."""


def parse(path: str) -> FileName:
    """What the suffixes say, in upper or lower case; unknown ones mean JSON Lines."""
    stem, compression = os.path.splitext(os.path.basename(path))  # noqa: PTH119, PTH122
    if compression.lower() not in (".gz", ".zst"):
        stem, compression = os.path.basename(path), ""  # noqa: PTH119
    stem, suffix = os.path.splitext(stem)  # noqa: PTH122
    kinds = {".json": Format.JSON, ".csv": Format.CSV}
    return FileName(stem, kinds.get(suffix.lower(), Format.LINES), compression.lower())


@contextmanager
def reading(path: str, compression: str) -> Iterator[BinaryIO]:
    """The content, decompressed as it is read.

    Raises `OSError`, and `ValueError` for what is wrong with the compression.
    """
    with open(path, "rb") as file:  # noqa: PTH123
        if compression == ".gz":
            source = cast("IO[bytes]", gzip.GzipFile(fileobj=file, mode="rb"))
        elif compression == ".zst":
            source = cast("IO[bytes]", io.BufferedReader(_ZstandardReader(file)))
        else:
            source = file
        try:
            yield cast("BinaryIO", source)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(f"the compressed data: {error}") from error
        finally:
            source.close()


@contextmanager
def compressing(file: BinaryIO, compression: str) -> Iterator[BinaryIO]:
    """Where to write what `file` takes compressed; complete when the block is left."""
    if compression == ".gz":
        with gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as target:
            yield cast("BinaryIO", target)
    elif compression == ".zst":
        # Loaded by nothing else that a store does.
        import zstandard  # noqa: PLC0415

        with zstandard.ZstdCompressor().stream_writer(file, closefd=False) as writer:
            yield cast("BinaryIO", writer)
    else:
        yield file


class _ZstandardReader(io.RawIOBase):
    """Frames of Zstandard, one after another; a last one that is cut off is an `EOFError`.

    The library's own reader takes such a one for complete.
    """

    def __init__(self, file: BinaryIO) -> None:
        import zstandard  # noqa: PLC0415 (as above)

        self._file = file
        self._new_frame = zstandard.ZstdDecompressor().decompressobj
        self._error = zstandard.ZstdError
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        target = memoryview(buffer).cast("B")
        while not self._ready:
            chunk = self._file.read(_COMPRESSED_AT_ONCE)
            if not chunk:
                if self._frame is not None:
                    raise EOFError("it ends in the middle of a frame")
                return 0
            self._ready = memoryview(self._decompress(chunk))
        size = min(len(target), len(self._ready))
        target[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def _decompress(self, chunk: bytes) -> bytes:
        parts = []
        try:
            while chunk:
                frame = self._frame = self._frame or self._new_frame()
                parts.append(frame.decompress(chunk))
                if not frame.eof:
                    break
                chunk, self._frame = frame.unused_data, None
        except self._error as error:
            raise EOFError(str(error)) from error
        return b"".join(parts)
