cimport cython

from groupstore.engine.argument cimport Text
from groupstore.engine.sqlite cimport sqlite3_stmt


@cython.final
cdef class KeyRange:
    # Owners of what `lower` and `upper` point at.
    cdef bytes first
    cdef bytes beyond
    cdef Text lower
    # Exclusive; its data is NULL where there is no upper bound.
    cdef Text upper

    cdef KeyRange after(self, str key)
    cdef KeyRange before(self, str key)


cdef KeyRange key_range(object prefix, object start, object stop, str verb)
cdef KeyRange group_range(str scope, object prefix, str verb)
cdef KeyRange one_group(str full)
cdef int bind_range(sqlite3_stmt *statement, KeyRange names) noexcept nogil
