"""What the killed processes do: threads that write by every way, and tell what is done."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import groupstore

THREADS = 3
MOST_KEYS = 8

Call = Callable[[groupstore.Store, str, int], None]


def _set(store: groupstore.Store, who: str, number: int) -> None:
    store.set(who, "set", str(number))


def _transaction(store: groupstore.Store, who: str, number: int) -> None:
    with store.transaction() as tx:
        tx.set(who, "left", str(number))
        tx.set_many(f"{who}:rest", {f"k{n}": str(number) for n in range(20)})
        with store.transaction() as inner:
            inner.set(who, "right", str(number))


def _set_many(store: groupstore.Store, who: str, number: int) -> None:
    store.set_many(f"{who}:many", {f"k{n}": str(number) for n in range(300)})


def _append(store: groupstore.Store, who: str, number: int) -> None:
    store.journal.append("life", {"number": number}, {"who": who})


def _quota(store: groupstore.Store, who: str, number: int) -> None:
    tenant = store.scoped("tenant", groupstore.Quota(max_keys=MOST_KEYS))
    try:
        tenant.set("g", f"{who}-{number}", "v", ttl=0.05 if number % 3 else None)
    except groupstore.QuotaExceededError:
        tenant.delete_group("g")


def _workspace(store: groupstore.Store, who: str, number: int) -> None:
    with store.workspace(f"{who}-{number}") as workspace:
        workspace.put_many("row", [{"n": n} for n in range(5)])
        workspace.commit()


def _compact(store: groupstore.Store, who: str, number: int) -> None:
    store.journal.compact(timedelta(days=-1), format="zstd" if number % 2 else "gzip")


def _backup(store: groupstore.Store, who: str, number: int) -> None:
    store.backup(f"{store.path}.{who}.backup")


def _purge(store: groupstore.Store, who: str, number: int) -> None:
    store.purge_expired()


CALLS: dict[str, Call] = {
    "set": _set,
    "transaction": _transaction,
    "set_many": _set_many,
    "append": _append,
    "quota": _quota,
    "workspace": _workspace,
    "compact": _compact,
    "backup": _backup,
    "purge": _purge,
}
_OFTEN = ["set", "append", "transaction", "set", "append", "quota", "set_many", "workspace"]
_SELDOM = ["compact", "backup", "purge"]


def write_until_killed(path: Path, said: int, first: int, name: str) -> None:
    """Write with several threads, from number `first` on; `said` takes a line for each deed.

    The threads are named after the process's `name`.
    """

    def work(who: str, number: int) -> None:
        while True:
            deeds = _SELDOM if number % 25 == 24 else _OFTEN
            deed = deeds[number % len(deeds)]
            try:
                CALLS[deed](store, who, number)
            except groupstore.StoreBusyError:
                # Another one is archiving, say.
                pass
            else:
                os.write(said, f"{who} {deed} {number}\n".encode())
            number += 1

    with groupstore.Store(path, durability="normal", purge_interval=0.05) as store:
        threads = [
            threading.Thread(target=work, args=(f"{name}t{thread}", first + thread * 7))
            for thread in range(THREADS)
        ]
        os.write(said, b"ready\n")
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
