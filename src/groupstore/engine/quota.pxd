cimport cython
from libc.stdint cimport int64_t

from groupstore.engine.argument cimport Text
from groupstore.engine.connection cimport Connection
from groupstore.engine.key_range cimport KeyRange


@cython.final
cdef class Limits:
    cdef readonly str namespace
    cdef readonly object quota
    cdef int64_t max_keys
    cdef int64_t max_groups
    cdef KeyRange names

    cdef int admit_key(self, Connection connection, Text group, Text key, str verb) except -1
    cdef int admit(self, Connection connection, Text group, int64_t new_keys, str verb) except -1
    cdef int admit_keys(
        self, Connection connection, int64_t rows, int64_t new_keys, str verb
    ) except -1
    cdef int admit_group(
        self, Connection connection, int64_t groups, Text group, str verb
    ) except -1
    cdef object exceeded(self, str limit, int64_t maximum, str verb)
