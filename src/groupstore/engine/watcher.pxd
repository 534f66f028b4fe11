cimport cython

from groupstore.engine.event cimport Event
from groupstore.engine.lock cimport brief_lock


@cython.final
cdef class Ring:
    cdef brief_lock lock
    # Owned: a reference to each of the `count` events from `first` on, `size` places in all.
    cdef void **places
    cdef Py_ssize_t size
    cdef Py_ssize_t first
    cdef Py_ssize_t count
    cdef readonly Py_ssize_t capacity
    cdef readonly Py_ssize_t dropped
    # Characters of a group's name that the watcher does not see: a scope's prefix.
    cdef readonly Py_ssize_t prefix_length
    cdef readonly bint closed
    cdef list waiting
    # Where the store finds the ring: under `name` in `table`, or among those that watch all.
    cdef dict table
    cdef str name
    # The store's list of closed rings, which it lets go of at the next chance.
    cdef list stale

    cdef object put(self, Event event)
    cdef Event take(self)
    cdef int close(self) except -1
    cdef int disown(self) except -1
    cdef int grow(self) except -1
    cdef bint enlist(self, object wake) except -1
    cdef int leave(self, object wake) except -1


cdef class Watcher:
    cdef Ring ring
    cdef object __weakref__
