from libc.stdint cimport int64_t

from groupstore.engine.connection cimport Connection
from groupstore.engine.writing cimport Writing


cdef class Keyspace(Writing):
    cdef bint insert(
        self, Connection writer, str full, str key, object value, int64_t expires_at_ms
    ) except -1


cdef class TransactionKeyspace(Keyspace):
    pass
