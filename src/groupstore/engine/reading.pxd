from libc.stdint cimport int64_t

from groupstore.engine.argument cimport Text
from groupstore.engine.cache cimport Cache, Entry
from groupstore.engine.connection cimport Connection
from groupstore.engine.engine cimport Block, Engine
from groupstore.engine.key_range cimport KeyRange
from groupstore.engine.quota cimport Limits
from groupstore.engine.sqlite cimport sqlite3_stmt
from groupstore.engine.statement cimport Query
from groupstore.engine.wal_index cimport wal_header


cdef class Reading:
    cdef readonly Engine _engine
    # What the groups of this face start with in the file: "" or a namespace and a colon.
    cdef readonly str _prefix
    # None where no quota was given.
    cdef Limits limits
    # None but for a transaction.
    cdef Block block
    # None where nothing is cached, and in a transaction, which has to see its own writes.
    cdef Cache cache
    # Local group name to CachedGroup: a scope's own, so that a hit builds no prefixed name.
    cdef dict near
    # The length of `near` at which it is rid of what the cache has evicted.
    cdef Py_ssize_t next_sweep

    cdef str full_name(self, object group, str verb)
    cdef int fetch_many(
        self, Connection connection, str full, object group, list asked, dict found, list entries
    ) except -1
    cdef dict known(self, object group, list asked)
    cdef list page(
        self, str full, KeyRange keys, bint reverse, int64_t offset, int64_t limit,
        bint with_values, str verb,
    )
    cdef object pages(
        self, str verb, object group, bint with_values, object prefix, object start, object stop,
        object reverse,
    )
    cdef list group_page(self, KeyRange names, int64_t limit, str verb)
    cdef Entry hit(self, object group, object key)
    cdef object find(self, object group, object key, int64_t *expires_at_ms, str verb)
    cdef int keep(self, const wal_header *before, object group, Entry entry) except -1
    cdef int sweep(self) except -1
    cdef int64_t find_expiry(self, object group, object key, str verb) except? -1
    cdef int64_t read_expiry(self, object group, object key, str verb) except? -1
    cdef int64_t number(
        self, Query query, KeyRange names, object full, KeyRange keys, str verb
    ) except -1
    cdef list rows_of(
        self, Connection connection, sqlite3_stmt *statement, bint with_values, str verb
    )


cdef bint is_live(int64_t expires_at_ms) noexcept
cdef int look_up(
    Connection connection, sqlite3_stmt *statement, Text group, Text key
) except -1
cdef object not_found(str verb, object group, object key)
cdef str shown(object name)
cdef str named(str verb, object group, object key)
cdef list key_list(object keys, str verb)
