cimport cython
from cpython.pythread cimport PyThread_type_lock
from libc.stdint cimport int64_t

from groupstore.engine.connection cimport Connection
from groupstore.engine.lock cimport brief_lock


cdef class Write

# Does a write inside a transaction, in whichever thread, and returns what the call returns.
ctypedef object (*Body)(Write, Connection)


@cython.final
@cython.no_gc
cdef class Write:
    # NULL where the turn alone is waited for.
    cdef Body body
    cdef str verb
    # Whether it takes several statements, which are done all or not at all.
    cdef bint several
    # Whether it takes so long that others should not wait for its end.
    cdef bint is_long

    # What it was called with, checked: the keyspace, and what its body makes of the rest.
    cdef object keyspace
    cdef str full
    cdef str key
    cdef object value
    cdef object other
    cdef int64_t expires_at_ms

    # What it has come to: for the thread that it belongs to.
    cdef object result
    cdef object error
    # What kept the commit from being done that it was part of.
    cdef object commit_error
    cdef list events

    # In the queue, and then among those of one commit: the one behind this one.
    cdef Write next
    # Owned, NULL before it was queued up. Locked; released for the write's thread to look.
    cdef PyThread_type_lock gate
    cdef long is_called
    # Whether the thread is running a handler of a signal, and is to be passed over.
    cdef bint is_aside
    cdef bint is_taken
    cdef bint is_done
    # Whether the turn was handed to the write's thread, and how often others took it before.
    cdef bint has_turn
    cdef int missed
    # Borrowed from `next`.
    cdef PyThread_type_lock next_gate

    cdef int make_gate(self) except -1
    cdef bint wait(self, PyThread_type_lock turn, long long slice_us) noexcept
    cdef int end_all(self, object commit_error) noexcept
    cdef int wake_next(self) noexcept


cdef Write new_write(Body body, str verb, object keyspace, str full, str key)


@cython.final
cdef class Queue:
    cdef Write first
    cdef Write last
    # Held by whoever changes the queue.
    cdef brief_lock lock
    # Owned. Locked; released once as many writes have come as somebody waits for.
    cdef PyThread_type_lock company
    cdef Py_ssize_t awaited

    cdef int put(self, Write write) noexcept
    cdef bint step_aside(self, Write write, bint aside) noexcept
    cdef Write foremost(self)
    cdef Write take(self)
    cdef bint drop(self, Write write) noexcept
    cdef int unlink(self, Write write) noexcept
    cdef bint hand_over(self) noexcept
    cdef int call_first(self) noexcept
    cdef Py_ssize_t length(self) noexcept
    cdef int await_company(self, Py_ssize_t awaited, long long pause_us) noexcept
