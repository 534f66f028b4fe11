"""A write that is asked for, which another thread may do, and the queue for the turn to write.

Threads that queue their work up for whoever holds the lock, instead of each waiting for the lock:
"flat combining", Hendler et al., SPAA 2010. Here it saves the waits for the disk as well.
"""

cimport cython
from cpython.pythread cimport (
    NOWAIT_LOCK, PyThread_allocate_lock, PyThread_free_lock, PyThread_type_lock,
)

from groupstore.engine.lock cimport (
    atomic_get, atomic_set, brief_acquire, brief_init, brief_release,
)


cdef extern from "pythread.h":
    # Cython's own declaration of it wants the GIL.
    int PyThread_acquire_lock(PyThread_type_lock, int) noexcept nogil
    void PyThread_release_lock(PyThread_type_lock) noexcept nogil
    ctypedef enum PyLockStatus:
        PY_LOCK_ACQUIRED
    PyLockStatus PyThread_acquire_lock_timed(PyThread_type_lock, long long, int) noexcept nogil


cdef enum:
    # How often others take the turn before one that waits for it.
    MOST_MISSED = 32


cdef PyThread_type_lock locked() except NULL:
    """A new lock, held; the caller owns it."""
    cdef PyThread_type_lock lock = PyThread_allocate_lock()
    if lock is NULL:
        raise MemoryError
    PyThread_acquire_lock(lock, NOWAIT_LOCK)
    return lock


@cython.final
@cython.no_gc
@cython.freelist(64)
cdef class Write:

    def __dealloc__(self):
        if self.gate is not NULL:
            PyThread_free_lock(self.gate)

    cdef int make_gate(self) except -1:
        self.gate = locked()
        return 0

    cdef bint wait(self, PyThread_type_lock turn, long long slice_us) noexcept:
        """Wait until the write is done, or its thread has the turn, or for as long.

        Returns whether the turn was taken; it may have been handed over instead.
        """
        cdef bint taken
        with nogil:
            taken = await_call(self, turn, slice_us)
        return taken

    cdef int end_all(self, object commit_error) noexcept:
        """Tell this write and those chained to it that their commit has been done, or failed."""
        cdef Write write = self
        cdef Write following
        while write is not None:
            # Before its thread, which may be awake for another reason, lets go of it.
            following = write.next
            write.commit_error = commit_error
            write.is_done = True
            write = following
        # Only now that all are done: who is woken too early waits for the rest of its time.
        write = self
        while write.next is not None:
            following = write.next
            write.next_gate = following.gate
            write = following
        return 0

    cdef int wake_next(self) noexcept:
        """Wake the thread of the write behind this one, which wakes the one behind it."""
        if self.next_gate is not NULL:
            PyThread_release_lock(self.next_gate)
            self.next_gate = NULL
        self.next = None
        return 0


cdef bint await_call(Write write, PyThread_type_lock turn, long long slice_us) noexcept nogil:
    """Wait at a write's gate; whether the turn was taken. Who is too late for it waits on."""
    while PyThread_acquire_lock_timed(write.gate, slice_us, 1) == PY_LOCK_ACQUIRED:
        if write.is_done:
            # Before the wait for the GIL, so that all of them are awake as soon.
            if write.next_gate is not NULL:
                PyThread_release_lock(write.next_gate)
                write.next_gate = NULL
            return False
        if write.has_turn:
            return False
        # Before the attempt: whoever gives the turn back after it calls again.
        atomic_set(&write.is_called, 0)
        if PyThread_acquire_lock(turn, NOWAIT_LOCK):
            return True
    return False


cdef Write new_write(Body body, str verb, object keyspace, str full, str key):
    cdef Write write = Write.__new__(Write)
    write.body = body
    write.verb = verb
    write.keyspace = keyspace
    write.full = full
    write.key = key
    return write


@cython.final
cdef class Queue:

    def __cinit__(self):
        brief_init(&self.lock)
        self.company = locked()

    def __dealloc__(self):
        if self.company is not NULL:
            PyThread_free_lock(self.company)

    cdef int put(self, Write write) noexcept:
        brief_acquire(&self.lock)
        if self.first is None:
            self.first = write
        else:
            self.last.next = write
        self.last = write
        if self.awaited > 0:
            self.awaited -= 1
            if self.awaited == 0:
                PyThread_release_lock(self.company)
        brief_release(&self.lock)
        return 0

    cdef bint step_aside(self, Write write, bint aside) noexcept:
        """Have a write be passed over, or not any more; False where it is not in the queue."""
        brief_acquire(&self.lock)
        write.is_aside = aside
        cdef bint is_there = not write.is_taken
        brief_release(&self.lock)
        return is_there

    cdef Write foremost(self):
        """The write that has waited longest; called with the lock held."""
        cdef Write write = self.first
        while write is not None and write.is_aside:
            write = write.next
        return write

    cdef Write take(self):
        """The write that has waited longest, to be done; None where nobody waits, or for a turn."""
        cdef Write write
        brief_acquire(&self.lock)
        write = self.foremost()
        if write is not None:
            if write.body is NULL:
                write = None
            else:
                self.unlink(write)
        brief_release(&self.lock)
        return write

    cdef bint drop(self, Write write) noexcept:
        """Take a certain write out; False where it is not there any more."""
        cdef bint was_there
        brief_acquire(&self.lock)
        was_there = not write.is_taken
        if was_there:
            self.unlink(write)
        brief_release(&self.lock)
        return was_there

    cdef int unlink(self, Write write) noexcept:
        """Take a write out; called with the lock held."""
        cdef Write before = None
        cdef Write at = self.first
        while at is not write:
            before = at
            at = at.next
        if before is None:
            self.first = write.next
        else:
            before.next = write.next
        if self.last is write:
            self.last = before
        write.next = None
        write.is_taken = True
        return 0

    cdef bint hand_over(self) noexcept:
        """Give the turn, which the caller has, to the thread that has waited longest.

        Not at once: until that is awake, others could do several writes. So only where it has
        missed the turn a number of times.
        """
        cdef Write write
        brief_acquire(&self.lock)
        write = self.foremost()
        if write is not None:
            write.missed += 1
            if write.missed > MOST_MISSED:
                self.unlink(write)
                write.has_turn = True
                PyThread_release_lock(write.gate)
            else:
                write = None
        brief_release(&self.lock)
        return write is not None

    cdef int call_first(self) noexcept:
        """Have the thread that has waited longest try for the turn."""
        cdef Write write
        brief_acquire(&self.lock)
        write = self.foremost()
        if write is not None and not atomic_get(&write.is_called):
            atomic_set(&write.is_called, 1)
            PyThread_release_lock(write.gate)
        brief_release(&self.lock)
        return 0

    cdef Py_ssize_t length(self) noexcept:
        cdef Py_ssize_t length = 0
        cdef Write write
        brief_acquire(&self.lock)
        write = self.first
        while write is not None:
            length += 1
            write = write.next
        brief_release(&self.lock)
        return length

    cdef int await_company(self, Py_ssize_t awaited, long long pause_us) noexcept:
        """Wait until so many more writes are queued up, for no longer than `pause_us`."""
        cdef PyLockStatus status
        cdef bint have_come
        brief_acquire(&self.lock)
        self.awaited = awaited
        brief_release(&self.lock)
        with nogil:
            status = PyThread_acquire_lock_timed(self.company, pause_us, 0)
        brief_acquire(&self.lock)
        have_come = self.awaited == 0
        self.awaited = 0
        brief_release(&self.lock)
        if have_come and status != PY_LOCK_ACQUIRED:
            # The last of them came as the time was up.
            PyThread_acquire_lock(self.company, NOWAIT_LOCK)
        return 0
