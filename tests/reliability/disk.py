"""A disk that loses power: SQLite's writes and syncs, and what may be left of them.

As SQLite's own crash tests have it (https://sqlite.org/testing.html, section 3.3): what was synced
is there; of the rest, each write may have arrived, whole or sector by sector, in any order, or not.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import apsw

SECTOR_BYTES = 512

_BASE = "win32" if os.name == "nt" else "unix"


class Write(NamedTuple):
    """Bytes written at an offset; where `data` is None, the file was cut there."""

    name: str
    offset: int
    data: bytes | None


class Sync(NamedTuple):
    """All writes to the file so far are on the disk."""

    name: str


class Delete(NamedTuple):
    """The file's name was removed; `synced`: for good."""

    name: str
    synced: bool


class Acknowledged(NamedTuple):
    """The program was told that so many operations are done."""

    operations: int


Action = Write | Sync | Delete | Acknowledged


class _File(apsw.VFSFile):
    def __init__(self, log: list[Action], name: apsw.URIFilename | str | None, flags: list[int]):
        super().__init__(_BASE, name, flags)
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._log = log
        self._name = Path(path).name if path else ""

    def xWrite(self, data: bytes, offset: int) -> None:
        self._log.append(Write(self._name, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:
        self._log.append(Write(self._name, newsize, None))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:
        super().xSync(flags)
        self._log.append(Sync(self._name))


class _Recorder(apsw.VFS):
    def __init__(self, log: list[Action]) -> None:
        super().__init__("groupstore-recorder", _BASE)
        self._log = log

    def xOpen(self, name: apsw.URIFilename | str | None, flags: list[int]) -> apsw.VFSFile:
        return _File(self._log, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        super().xDelete(filename, syncdir)
        self._log.append(Delete(Path(filename).name, syncdir))


@contextmanager
def recording(log: list[Action]) -> Iterator[None]:
    """Databases that are opened within note in `log` what is done to their files."""
    before = apsw.vfs_names()[0]
    recorder = _Recorder(log)
    apsw.set_default_vfs("groupstore-recorder")
    try:
        yield
    finally:
        apsw.set_default_vfs(before)
        recorder.unregister()


@dataclass
class _Disk:
    """A file: what is on the disk for certain, and what was done since."""

    content: bytearray | None
    pending: list[Write | Delete] = field(default_factory=list)

    def settle(self) -> None:
        for action in self.pending:
            self.content = _done(self.content, action)
        self.pending.clear()


def _done(content: bytearray | None, action: Write | Delete) -> bytearray | None:
    if isinstance(action, Delete):
        return None
    content = bytearray() if content is None else content
    if action.data is None:
        del content[action.offset :]
        return content
    if len(content) < action.offset:
        content.extend(bytes(action.offset - len(content)))
    content[action.offset : action.offset + len(action.data)] = action.data
    return content


class Disks:
    """The files of a folder at each moment of a log, to be cut off from power at."""

    def __init__(self, folder: Path) -> None:
        self._disks = {path.name: _Disk(bytearray(path.read_bytes())) for path in folder.iterdir()}

    def advance(self, action: Action) -> None:
        """Let the next action of the log happen."""
        if isinstance(action, Acknowledged):
            return
        disk = self._disks.setdefault(action.name, _Disk(None))
        if isinstance(action, Sync) or (isinstance(action, Delete) and action.synced):
            disk.settle()
        if isinstance(action, Delete) and action.synced:
            disk.content = None
        elif not isinstance(action, Sync):
            disk.pending.append(action)

    def cut(self, target: Path, chance: random.Random, kept: float) -> None:
        """Write to `target` what is left when power is lost now.

        Of what was not synced each write is kept with the probability `kept`, and one in four of
        those in part only.
        """
        target.mkdir()
        for name, disk in self._disks.items():
            content = None if disk.content is None else bytearray(disk.content)
            for action in disk.pending:
                if chance.random() < kept:
                    for part in _torn(action, chance):
                        content = _done(content, part)
            if content is not None:
                (target / name).write_bytes(content)


def _torn(action: Write | Delete, chance: random.Random) -> Iterator[Write | Delete]:
    if isinstance(action, Delete) or action.data is None or chance.random() < 0.75:
        yield action
        return
    # Sectors are the disk's, not the write's.
    end = action.offset + len(action.data)
    begin = action.offset
    while begin < end:
        next_sector = min(end, (begin // SECTOR_BYTES + 1) * SECTOR_BYTES)
        if chance.random() < 0.5:
            part = action.data[begin - action.offset : next_sector - action.offset]
            yield Write(action.name, begin, part)
        begin = next_sector
