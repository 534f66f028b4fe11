"""The background checkpoint: one thread a store, which keeps the write-ahead log short."""

from __future__ import annotations

import logging
import threading
import weakref
from typing import TYPE_CHECKING

from groupstore.errors import StoreBusyError, StoreClosedError, StoreError

if TYPE_CHECKING:
    from groupstore.engine.engine import Engine

_logger = logging.getLogger("groupstore")


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

    def wake(self) -> None:
        """Checkpoint soon. Called by the thread that has the turn to write."""
        self._wake.set()
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(
                target=self._run, name="groupstore-checkpoint", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """End the thread, after the checkpoint that it may be doing."""
        self._stopped = True
        self._wake.set()
        thread = self._thread
        if thread is not None and thread.is_alive() and thread is not threading.current_thread():
            thread.join()

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
                _logger.warning("the background checkpoint failed: %s", error)
            del engine
