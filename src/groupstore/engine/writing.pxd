from libc.stdint cimport int64_t

from groupstore.engine.connection cimport Connection
from groupstore.engine.event cimport Kind
from groupstore.engine.key_range cimport KeyRange
from groupstore.engine.reading cimport Reading
from groupstore.engine.write cimport Body, Write


cdef class Writing(Reading):
    cdef int check_writable(self, str verb) except -1
    cdef Write write_of(self, Body body, str verb, object group, object key)
    cdef object perform(self, Write write)
    cdef int admit(self, Connection writer, str full, str key, str verb) except -1
    cdef int admit_all(self, Connection writer, str full, list pairs, str verb) except -1
    cdef int put(
        self, Connection writer, str full, str key, object value, int64_t expires_at_ms, str verb
    ) except -1
    cdef object read_live(
        self, Connection writer, str full, str key, int64_t *expires_at_ms, str verb
    )
    cdef int put_all(
        self, Connection writer, str full, list pairs, int64_t expires_at_ms
    ) except -1
    cdef bint remove(self, Connection writer, str full, str key, str verb) except -1
    cdef int remove_expired(self, str full, str key) except -1
    cdef bint change_expiry(
        self, Connection writer, str full, str key, int64_t expires_at_ms
    ) except -1
    cdef object delete_groups(self, KeyRange names, str verb)
    cdef int stage_removal(self, Kind kind, bytes name, bytes key) except -1
    cdef object purge_batch(self, KeyRange names, int64_t now)
