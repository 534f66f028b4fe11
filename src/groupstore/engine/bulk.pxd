from libc.stdint cimport int64_t

from groupstore.engine.connection cimport Connection


cdef list pair_list(object items)
cdef int64_t write_pairs(
    Connection writer, str full, list pairs, int64_t expires_at_ms, Py_ssize_t *written, int *code
) except -1
