"""Processes killed at any moment: all that they were told is done is there, and nothing by half."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from writers import MOST_KEYS, write_until_killed

import groupstore
from conftest import SLOW

KILLS = 2000 if SLOW else 12
LIVES_OF_A_FILE = 40
PROCESSES = 2
LONGEST_LIFE_S = 0.15

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")


class Lives:
    """What the processes of one file have been told is done."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.latest: dict[tuple[str, str], int] = {}
        self.appended: set[tuple[str, int]] = set()
        self.committed: set[str] = set()

    def run(self, life: int, chance: random.Random) -> list[str]:
        """Let processes live and be killed; what they said."""
        readers = [
            self._start(life * 100_000 + process * 50_000, process) for process in range(PROCESSES)
        ]
        for _, read in readers:
            assert os.read(read, 6) == b"ready\n"
        time.sleep(chance.uniform(0, LONGEST_LIFE_S))
        said = ""
        for process, _ in readers:
            os.kill(process, signal.SIGKILL)
        for process, read in readers:
            os.waitpid(process, 0)
            while text := os.read(read, 65536):
                said += text.decode()
            os.close(read)
        return said.splitlines()

    def _start(self, first: int, process: int) -> tuple[int, int]:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(read)
                write_until_killed(self.path, write, first, f"p{process}")
            finally:
                os._exit(9)
        os.close(write)
        return child, read

    def check(self, said: list[str]) -> None:
        """Compare the file with what was said, and take for said what was done beyond that."""
        told: dict[tuple[str, str], list[int]] = defaultdict(list)
        for line in said:
            who, name, number = line.split()
            told[who, name].append(int(number))
        with groupstore.Store(self.path, durability="normal", purge_interval=None) as store:
            for workspace in store.recover_workspaces():
                # Its commit had not begun to count.
                assert (
                    int(workspace.name.partition("-")[2])
                    not in told[workspace.name.partition("-")[0], "workspace"]
                )
                workspace.discard()
            assert store.check() == []
            self._check_entries(store, told)
            self._check_journal(store, told)
            tenant = store.scoped("tenant")
            assert tenant.count_all() <= MOST_KEYS
            assert store.stats().rows >= store.count_all()
        # Backups that were not finished, which check() would name.
        for left in self.path.parent.glob("*.backup-*.new"):
            left.unlink()
        for backup in self.path.parent.glob("*.backup"):
            with groupstore.Store(backup, purge_interval=None) as copy:
                assert copy.check() == []
            backup.unlink()

    def _check_entries(
        self, store: groupstore.Store, told: dict[tuple[str, str], list[int]]
    ) -> None:
        for who in {who for who, _ in told}:
            for name, (group, key) in {
                "set": (who, "set"),
                "transaction": (who, "left"),
                "set_many": (f"{who}:many", "k0"),
            }.items():
                found = int(store.get(group, key, "-1"))
                done = told[who, name] or [self.latest.get((who, name), -1)]
                # One more may have been done, and not said.
                assert found >= done[-1], f"{who}: {name} {done[-1]} is lost: there is {found}"
                self.latest[who, name] = found
            assert store.get(who, "left", None) == store.get(who, "right", None)
            rest = set(store.get_all(f"{who}:rest").values())
            assert rest <= {store.get(who, "left", None)}
            assert len(set(store.get_all(f"{who}:many").values())) <= 1

    def _check_journal(
        self, store: groupstore.Store, told: dict[tuple[str, str], list[int]]
    ) -> None:
        rows = store.journal.query(archives=True)
        entries = Counter(
            (row["tags"]["who"], row["fields"]["number"])
            for row in rows
            if row["measurement"] == "life"
        )
        commits = Counter(row["measurement"] for row in rows if "workspace" in row["tags"])
        assert set(entries.values()) | set(commits.values()) <= {1}
        self.appended |= {
            (who, number)
            for (who, name), numbers in told.items()
            if name == "append"
            for number in numbers
        }
        assert self.appended <= entries.keys()
        self.appended = set(entries)
        self.committed |= {
            f"{who}-{number}"
            for (who, name), numbers in told.items()
            if name == "workspace"
            for number in numbers
        }
        assert self.committed <= commits.keys()
        self.committed = set(commits)
        for name in commits:
            assert store.get(f"workspace:{name}", "summary") == '{"row":5}'
        self._check_archives(store, rows)

    def _check_archives(self, store: groupstore.Store, rows: list[dict[str, object]]) -> None:
        archived = [row for row in rows if row["archived_at"] is not None]
        written = [
            entry
            for archive in store.journal.archives()
            for entry in groupstore.read_archive(archive.path)
        ]
        assert len(written) == len(archived)
        assert [entry["fields"] for entry in written] == [row["fields"] for row in archived]


def test_kills(tmp_path: Path, seed: int) -> None:
    """Whenever its processes are killed, a file holds what they were told it does."""
    chance = random.Random(seed)
    lives = None
    for life in range(KILLS // PROCESSES):
        if life % LIVES_OF_A_FILE == 0:
            lives = Lives(tmp_path / f"{life}.db")
        assert lives is not None
        lives.check(lives.run(life + 1, chance))
    print(f"{KILLS} kills", file=sys.stderr)
