"""A watcher: a bounded ring buffer of events, and those who wait at its end."""

import _thread
import time

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.ref cimport Py_DECREF, Py_INCREF

from groupstore.engine.event cimport Event
from groupstore.engine.lock cimport brief_acquire, brief_init, brief_release
from groupstore.errors import StoreClosedError


cdef enum:
    FIRST_PLACES = 16


@cython.final
cdef class Ring:
    """The buffer between writers and one watcher; a full one drops the newest event.

    The store holds the ring and the user the watcher, so that a forgotten watcher can be
    collected, and then closes its ring.
    """

    def __cinit__(
        self, Py_ssize_t capacity, Py_ssize_t prefix_length, dict table, str name, list stale
    ):
        brief_init(&self.lock)
        self.capacity = capacity
        self.prefix_length = prefix_length
        self.table = table
        self.name = name
        self.stale = stale
        self.waiting = []

    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self.count):
            Py_DECREF(<object>self.places[(self.first + i) % self.size])
        PyMem_Free(self.places)

    cdef int grow(self) except -1:
        """Double the places; only called while all of them are in use."""
        cdef Py_ssize_t size = min(self.capacity, max(FIRST_PLACES, self.size * 2))
        cdef Py_ssize_t i
        cdef void **places = <void **>PyMem_Malloc(size * sizeof(void *))
        if places is NULL:
            raise MemoryError
        for i in range(self.count):
            places[i] = self.places[(self.first + i) % self.size]
        PyMem_Free(self.places)
        self.places = places
        self.first = 0
        self.size = size
        return 0

    cdef object put(self, Event event):
        """Add an event; the return value, unless None, wakes a waiting consumer when called.

        The writer calls it after it has let go of its locks.
        """
        cdef object wake = None
        brief_acquire(&self.lock)
        if self.closed:
            pass
        elif self.count == self.capacity:
            self.dropped += 1
        else:
            try:
                if self.count == self.size:
                    self.grow()
                Py_INCREF(event)
                self.places[(self.first + self.count) % self.size] = <void *>event
                self.count += 1
                if self.waiting:
                    wake = self.waiting.pop(0)
            except MemoryError:
                self.dropped += 1
        brief_release(&self.lock)
        return wake

    cdef Event take(self):
        """The oldest event, or None."""
        cdef Event event = None
        brief_acquire(&self.lock)
        if self.count:
            event = <Event>self.places[self.first]
            Py_DECREF(event)
            self.first = (self.first + 1) % self.size
            self.count -= 1
        brief_release(&self.lock)
        return event

    cdef int close(self) except -1:
        """Take no more events; those who wait are woken to see it."""
        brief_acquire(&self.lock)
        if not self.closed:
            self.closed = True
            self.stale.append(self)
        waiting, self.waiting = self.waiting, []
        brief_release(&self.lock)
        for wake in waiting:
            wake()
        return 0

    cdef int disown(self) except -1:
        """Close the ring in a forked child, where nobody waits and nobody holds the lock."""
        brief_init(&self.lock)
        self.closed = True
        self.waiting = []
        return 0

    cdef bint enlist(self, object wake) except -1:
        """Have `wake` called at the next event, unless there is something to see already."""
        cdef bint waits
        brief_acquire(&self.lock)
        waits = self.count == 0 and not self.closed
        if waits:
            self.waiting.append(wake)
        brief_release(&self.lock)
        return waits

    cdef int leave(self, object wake) except -1:
        """Give up waiting; a wake-up that came meanwhile is passed on to the next in line."""
        cdef object heir = None
        brief_acquire(&self.lock)
        if wake in self.waiting:
            self.waiting.remove(wake)
        elif self.count and self.waiting:
            heir = self.waiting.pop(0)
        brief_release(&self.lock)
        if heir is not None:
            heir()
        return 0


class _AsyncWaiter:
    """Wakes a coroutine through its own loop, from whichever thread writes."""

    def __init__(self, loop):
        self.loop = loop
        self.future = loop.create_future()

    def __call__(self):
        try:
            self.loop.call_soon_threadsafe(self._finish)
        except RuntimeError:
            # The loop was closed under its waiting consumer: nobody is left to wake.
            pass

    def _finish(self):
        if not self.future.done():
            self.future.set_result(None)


cdef class Watcher:
    """The events of one group or of all, in commit order, from the moment it was made.

    Iterate it (`for` blocks, `async for` waits in the event loop), or `get()` one at a time.
    Iteration ends when the watcher is closed and empty. Leaving a `with` block closes it.

    Made by `watch`.
    """

    def __cinit__(self, Ring ring not None):
        self.ring = ring

    @property
    def capacity(self):
        """The most events that are buffered, an `int`."""
        return self.ring.capacity

    @property
    def dropped(self):
        """How many events did not fit and were dropped, since the watcher was made."""
        return self.ring.dropped

    @property
    def closed(self):
        """Whether it takes no more events; what is buffered can still be read."""
        return self.ring.closed

    def close(self):
        """Take no more events; what is buffered can still be read. Idempotent."""
        self.ring.close()

    def get_nowait(self):
        """The oldest buffered event, or None where there is none."""
        return self.ring.take()

    def get(self, timeout=None):
        """The oldest buffered event, waiting for one for at most `timeout` seconds.

        Raises `TimeoutError`, or `StoreClosedError` once the watcher is closed and empty.
        """
        cdef Event event = self.ring.take()
        if event is not None:
            return event
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            lock = _thread.allocate_lock()
            lock.acquire()
            wake = lock.release
            if self.ring.enlist(wake):
                try:
                    woken = lock.acquire(True, _remaining(deadline))
                finally:
                    self.ring.leave(wake)
            else:
                woken = True
            event = self.ring.take()
            if event is not None:
                return event
            if self.ring.closed:
                raise StoreClosedError("get: the watcher is closed and has no more events")
            if not woken:
                raise TimeoutError(f"get: no event within {timeout} s")

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return self.get()
        except StoreClosedError:
            raise StopIteration from None

    def __aiter__(self):
        return self

    async def __anext__(self):
        import asyncio

        while True:
            event = self.get_nowait()
            if event is not None:
                return event
            if self.closed:
                raise StopAsyncIteration
            waiter = _AsyncWaiter(asyncio.get_running_loop())
            if self.ring.enlist(waiter):
                try:
                    await waiter.future
                finally:
                    self.ring.leave(waiter)

    def __len__(self):
        return self.ring.count

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    def __repr__(self):
        state = "closed" if self.ring.closed else "open"
        return f"<Watcher {state}, {self.ring.count} of {self.ring.capacity} buffered>"

    def __del__(self):
        # Only marked here: the store drops the ring at the next chance, for a finaliser may run
        # in the middle of anything.
        if self.ring is not None:
            self.ring.close()


def _remaining(deadline):
    """The seconds that `Lock.acquire` may wait until `deadline`; -1 is for ever."""
    if deadline is None:
        return -1
    return min(max(0.0, deadline - time.monotonic()), _thread.TIMEOUT_MAX)
