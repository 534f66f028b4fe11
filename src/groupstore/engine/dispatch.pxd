cimport cython

from groupstore.engine.event cimport Event
from groupstore.engine.lock cimport brief_lock
from groupstore.engine.watcher cimport Ring, Watcher


@cython.final
cdef class Registration:
    """A callback, and the prefix of the scope that it was registered on."""

    # None once it is taken out.
    cdef object callback
    cdef str prefix


@cython.final
cdef class Dispatcher:
    cdef brief_lock lock
    # Group name to the rings that watch it. The tuples are replaced, never changed.
    cdef dict by_group
    # A scope's prefix ("tenant-42:") to the rings that watch all of it.
    cdef dict by_namespace
    cdef tuple everywhere
    cdef tuple callbacks
    cdef list stale
    # What watchers that are closed by now had no room for.
    cdef long dropped_before

    cdef bint active(self) noexcept
    cdef bint wanted(self, str group) except -1
    cdef int deliver(self, list events, list wakes) except -1
    cdef int call_back(self, list events) except -1
    cdef int clear(self) except -1
    cdef int prune(self) except -1
