cimport cython
from libc.stdint cimport int64_t

ctypedef int Kind

cdef enum:
    SET
    DELETE
    DELETE_GROUP
    EXPIRED


@cython.final
cdef class Event:
    cdef readonly object type
    cdef readonly str group
    cdef readonly str key
    cdef readonly object value
    cdef readonly str reason
    cdef int64_t unix_us

    cdef Event local(self, Py_ssize_t prefix_length)


cdef Event new_event(Kind kind, str group, str key, object value, int64_t unix_us)
