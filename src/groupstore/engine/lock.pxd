cdef extern from "lock.h":
    ctypedef struct brief_lock:
        pass
    void brief_init(brief_lock *) noexcept nogil
    void brief_acquire(brief_lock *) noexcept nogil
    void brief_release(brief_lock *) noexcept nogil

    long atomic_add(long *, long) noexcept nogil
    long atomic_get(long *) noexcept nogil
    void atomic_set(long *, long) noexcept nogil

cdef extern from "visitors.h":
    ctypedef struct visitors:
        pass
    void visitor_enters(visitors *) noexcept nogil
    void visitor_leaves(visitors *) noexcept nogil
    void wait_for_visitors(visitors *) noexcept nogil
