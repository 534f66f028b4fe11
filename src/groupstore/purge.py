"""The background purge: one thread a store, which removes expired rows and archives old entries."""

from __future__ import annotations

import atexit
import threading
import weakref
from datetime import timedelta
from typing import TYPE_CHECKING

from groupstore.errors import StoreClosedError, StoreError
from groupstore.log import logger

if TYPE_CHECKING:
    from groupstore.store import Store

_running: weakref.WeakSet[Purger] = weakref.WeakSet()


class Purger:
    """Purges every `interval` seconds, and when it is woken because a row was met expired.

    Between two purges the thread holds no reference to the store, so that a forgotten one can be
    collected; it is a daemon, and is ended at exit before the interpreter is torn down under it.
    """

    def __init__(self, store: Store, interval: float) -> None:
        self._store = weakref.ref(store)
        self._interval = interval
        self.start()
        _running.add(self)

    def start(self) -> None:
        """Start the thread: at first, and again in a forked child, which has none."""
        self._wake = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="groupstore-purge", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Purge soon."""
        self._wake.set()

    def stop(self, timeout: float | None = None) -> None:
        """End the thread, after the batch of rows that it may be removing, or give up waiting."""
        self._stopped = True
        # In a forked child that has not used the store yet the thread is not running.
        if not self._thread.is_alive():
            return
        self._wake.set()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            self._wake.wait(self._interval)
            self._wake.clear()
            if self._stopped:
                return
            store = self._store()
            if store is None:
                return
            try:
                self._purge(store)
            except StoreClosedError:
                return
            # It may be the last reference: then the store is closed here, by this thread.
            del store

    def _purge(self, store: Store) -> None:
        try:
            store.purge_expired()
        except StoreClosedError:
            raise
        except StoreError as error:
            # The rows stay invisible, and the next purge tries again.
            logger().warning("the background purge failed: %s", error)
        archive_after = store.config.archive_after
        if not isinstance(archive_after, float):
            return
        try:
            store.journal.compact(timedelta(seconds=archive_after))
        except StoreClosedError:
            raise
        except StoreError as error:
            # Nothing was archived, and the next round tries again.
            logger().warning("archiving in the background failed: %s", error)


@atexit.register
def _stop_all() -> None:
    for purger in list(_running):
        # It may be waiting for a transaction that nobody will end any more.
        purger.stop(timeout=0.5)
