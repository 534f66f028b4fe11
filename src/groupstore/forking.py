"""`os.fork()`: no connection is open across one that the child could close or use by mistake.

SQLite's locks belong to the process that took them, and closing any descriptor of a file drops
all of its process's locks on it (https://sqlite.org/howtocorrupt.html, sections 2.2 and 2.6).
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from groupstore import file_system
from groupstore.config import MEMORY
from groupstore.errors import StoreError

if TYPE_CHECKING:
    from groupstore.engine.engine import Engine


class Hook(NamedTuple):
    """What others have to do around a fork."""

    before: Callable[[], None]
    in_parent: Callable[[], None]
    in_child: Callable[[], None]


class _Gate:
    """Lets a fork begin when no other thread is in a call that runs the user's code inside SQLite.

    That code may wait for anything that a fork takes, so that the fork has to wait for it first.
    """

    def __init__(self) -> None:
        # Its lock is reentrant: a signal handler may fork, or make a copy, in the middle.
        self._changed = threading.Condition()
        self._forker: int | None = None
        # By thread: calls within calls, which a fork would else wait for though it let them in.
        self._inside: dict[int, int] = {}

    def enter(self) -> None:
        """Wait for a fork that has begun, unless the thread is inside already."""
        thread = threading.get_ident()
        with self._changed:
            while self._forker not in (None, thread) and thread not in self._inside:
                self._changed.wait()
            self._inside[thread] = self._inside.get(thread, 0) + 1

    def leave(self) -> None:
        thread = threading.get_ident()
        with self._changed:
            self._inside[thread] -= 1
            if not self._inside[thread]:
                del self._inside[thread]
            self._changed.notify_all()

    def shut(self) -> None:
        """Begin a fork, once those of other threads are over and nobody else is inside."""
        thread = threading.get_ident()
        with self._changed:
            while self._forker is not None or self._inside.keys() - {thread}:
                self._changed.wait()
            self._forker = thread

    def open(self) -> None:
        with self._changed:
            self._forker = None
            self._changed.notify_all()

    def open_in_child(self) -> None:
        # The old lock may be held by a thread that does not exist here.
        self._changed = threading.Condition()
        self._forker = None


_gate = _Gate()
_hooks: list[Hook] = []
_engines: weakref.WeakSet[Engine] = weakref.WeakSet()
_taken: list[Engine] = []
_inherited_paths: set[str] = set()

opening = threading.RLock()
"""Held while a store is being opened, so that no fork happens in the middle of it."""


def register(engine: Engine) -> None:
    """Have `engine` take part in every fork from now on."""
    _engines.add(engine)


def take_part(hook: Hook) -> None:
    """Have `hook` run in every fork from now on, while no store is being opened."""
    _hooks.append(hook)


@contextmanager
def running_callbacks() -> Iterator[None]:
    """For a call that runs the user's code while it is inside SQLite; entered before it is.

    No fork begins until the block is left, but one by the thread itself.
    """
    _gate.enter()
    try:
        yield
    finally:
        _gate.leave()


def refuse_inherited(path: str) -> None:
    """Raise `StoreError` where this process has inherited a connection to `path`.

    SQLite would take the inherited locks, which are the parent's, for this process's own.
    """
    if path in _inherited_paths:
        raise StoreError(
            f"open: this process was forked while {path} was in use, and inherited a connection "
            "that it can neither use nor close; open the file in a new process"
        )


def _is_in_use(path: str, status: os.stat_result | None) -> bool:
    # Those that a child cannot use are among them: it has inherited a connection.
    return any(
        file_system.is_of(engine.path, path, status)
        for engine in list(_engines)
        if engine.path != MEMORY and not engine.is_closed
    )


file_system.in_use.append(_is_in_use)


def _before() -> None:
    # Before all else: those inside may wait for what is taken next.
    _gate.shut()
    opening.acquire()
    for hook in _hooks:
        hook.before()
    _taken[:] = list(_engines)
    for engine in _taken:
        engine.before_fork()


def _in_parent() -> None:
    for engine in _taken:
        engine.after_fork_in_parent()
    _taken.clear()
    for hook in _hooks:
        hook.in_parent()
    opening.release()
    _gate.open()


def _in_child() -> None:
    for engine in _taken:
        if engine.after_fork_in_child():
            _inherited_paths.add(engine.path)
    for engine in _taken:
        # Another store's connection to the same file poisons it for this process.
        if engine.path in _inherited_paths:
            engine.orphan(f"the process was forked while {engine.path} was in use")
    _taken.clear()
    for hook in _hooks:
        hook.in_child()
    opening.release()
    _gate.open_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
