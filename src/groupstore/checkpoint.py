"""The background checkpoint: one thread a store, which keeps the write-ahead log short."""

from __future__ import annotations

import atexit
import threading
import weakref
from typing import TYPE_CHECKING

from groupstore.errors import StoreBusyError, StoreClosedError, StoreError
from groupstore.log import logger

if TYPE_CHECKING:
    from groupstore.engine.engine import Engine

_running: weakref.WeakSet[Checkpointer] = weakref.WeakSet()


class Checkpointer:
    """Checkpoints whenever the log has grown, so that no writer has to do it on its way.

    The thread is started by the first growth, and again in a forked child, which has none; it
    ends when the store is closed or collected.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = weakref.ref(engine, self._end)
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._stopped = False
        _running.add(self)

    def wake(self) -> None:
        """Checkpoint soon. Called by the thread that has the turn to write."""
        if self._stopped or (self._thread is not None and self._thread.is_alive()):
            self._wake.set()
            return
        # A new one, as a fork may have copied the old one locked.
        self._wake = threading.Event()
        self._wake.set()
        self._thread = threading.Thread(target=self._run, name="groupstore-checkpoint", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            # None can be had now, at the end of the interpreter say: the next commit asks again.
            logger().debug("no thread for the checkpoint", exc_info=True)
            engine = self._engine()
            if engine is not None:
                engine.checkpoint_is_due = False

    def stop(self, timeout: float | None = None) -> None:
        """End the thread, after the checkpoint that it may be doing, or give up waiting."""
        self._stopped = True
        self._wake.set()
        thread = self._thread
        if thread is not None and thread.is_alive() and thread is not threading.current_thread():
            thread.join(timeout)

    def _end(self, _: object) -> None:
        self._stopped = True
        self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._stopped:
                return
            engine = self._engine()
            if engine is None:
                return
            try:
                engine.checkpoint_log()
            except StoreBusyError:
                # Another process is at it.
                pass
            except StoreClosedError:
                return
            except StoreError as error:
                # Nothing is lost: what is committed stays in the log, and the next one tries again.
                logger().warning("the background checkpoint failed: %s", error)
            del engine


@atexit.register
def _stop_all() -> None:
    # Before the interpreter is torn down under it: closing a store waits for who is inside SQLite.
    for checkpointer in list(_running):
        checkpointer.stop(timeout=10)
