"""Bytes changed anywhere in a database file: a clear error or an answer, no crash and no hang."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import groupstore

SLOW = os.environ.get("GROUPSTORE_SLOW") == "1"
FILES = 5000 if SLOW else 60

USE = """
import sys
import groupstore
outcomes = {"error": 0, "done": 0}
for path in sys.argv[1:]:
    print(path, flush=True)
    try:
        with groupstore.Store(path, purge_interval=None, durability="normal") as store:
            for step in (
                lambda: [store.get_all(group) for group in store.groups()],
                lambda: store.get("g1", "k1", None),
                lambda: store.count_all(),
                lambda: store.check(),
                lambda: store.journal.query(),
                lambda: store.set("g1", "k1", "new"),
                lambda: store.delete_group("g2"),
                lambda: store.purge_expired(),
                lambda: store.vacuum(),
            ):
                try:
                    step()
                    outcomes["done"] += 1
                except groupstore.StoreError:
                    outcomes["error"] += 1
    except groupstore.StoreError:
        outcomes["error"] += 1
print(outcomes)
"""


def test_flipped_bytes(tmp_path: Path, seed: int) -> None:
    """Every call on a file with one to eight changed bytes answers or raises a `StoreError`."""
    sound = tmp_path / "sound.db"
    with groupstore.Store(sound, purge_interval=None) as store:
        for group in range(8):
            store.set_many(f"g{group}", {f"k{key}": "v" * key for key in range(60)}, ttl=1000)
        for number in range(20):
            store.journal.append("m", {"n": number})
    content = sound.read_bytes()
    dice = random.Random(seed)
    paths = []
    for number in range(FILES):
        damaged = bytearray(content)
        # Half of them near a page's start, where its structure is.
        for _ in range(dice.randint(1, 8)):
            page = dice.randrange(len(content) // 4096)
            within = dice.randrange(4096 if dice.random() < 0.5 else 64)
            damaged[page * 4096 + within] = dice.randrange(256)
        path = tmp_path / f"damaged-{number}.db"
        path.write_bytes(damaged)
        paths.append(str(path))
    for first in range(0, FILES, 100):
        ended = subprocess.run(
            [sys.executable, "-X", "faulthandler", "-c", USE, *paths[first : first + 100]],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout[-300:] + ended.stderr[-3000:]
        # Both happen, or the bytes were changed where nothing looks.
        print(ended.stdout.splitlines()[-1])
