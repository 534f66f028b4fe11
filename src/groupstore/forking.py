"""`os.fork()`: no connection is open across one that the child could close or use by mistake.

SQLite's locks belong to the process that took them, and closing any descriptor of a file drops
all of its process's locks on it (https://sqlite.org/howtocorrupt.html, sections 2.2 and 2.6).
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING

from groupstore.errors import StoreError

if TYPE_CHECKING:
    from groupstore.engine.engine import Engine

_engines: weakref.WeakSet[Engine] = weakref.WeakSet()
_taken: list[Engine] = []
_inherited_paths: set[str] = set()

opening = threading.RLock()
"""Held while a store is being opened, so that no fork happens in the middle of it."""


def register(engine: Engine) -> None:
    """Have `engine` take part in every fork from now on."""
    _engines.add(engine)


def refuse_inherited(path: str) -> None:
    """Raise `StoreError` where this process has inherited a connection to `path`.

    SQLite would take the inherited locks, which are the parent's, for this process's own.
    """
    if path in _inherited_paths:
        raise StoreError(
            f"open: this process was forked while {path} was in use, and inherited a connection "
            "that it can neither use nor close; open the file in a new process"
        )


def _before() -> None:
    opening.acquire()
    _taken[:] = list(_engines)
    for engine in _taken:
        engine.before_fork()


def _in_parent() -> None:
    for engine in _taken:
        engine.after_fork_in_parent()
    _taken.clear()
    opening.release()


def _in_child() -> None:
    for engine in _taken:
        if engine.after_fork_in_child():
            _inherited_paths.add(engine.path)
    for engine in _taken:
        # Another store's connection to the same file poisons it for this process.
        if engine.path in _inherited_paths:
            engine.orphan(f"the process was forked while {engine.path} was in use")
    _taken.clear()
    opening.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
