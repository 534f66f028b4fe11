cimport cython
from libc.stdint cimport int64_t

from groupstore.engine.argument cimport Text
from groupstore.engine.sqlite cimport sqlite3, sqlite3_stmt

# One number a statement, its SQL in statement.pyx under the same name.
ctypedef int Query

cdef enum:
    BEGIN_READ
    BEGIN_WRITE
    COMMIT
    ROLLBACK
    SAVEPOINT
    RELEASE
    ROLLBACK_TO
    GET
    EXPIRY
    UPDATE
    UPDATE_KEEPING_EXPIRY
    SET
    SET_KEEPING_EXPIRY
    INSERT
    ADD
    EXPIRE
    POP
    DELETE
    DELETE_ROW
    DELETE_EXPIRED_KEY
    DELETE_GROUP
    EXPIRED
    COUNT_ADDED
    COUNT_REMOVED
    FORGET_GROUP
    ALL
    PAGE
    PAGE_REVERSE
    KEYS
    KEYS_REVERSE
    GROUP_EXISTS
    COUNT_RANGE
    COUNT_GROUP
    COUNT_GROUPS
    GROUPS
    NAMESPACE_TOTALS
    NAMESPACE_EXPIRED
    NAMESPACE_GROUPS_EXPIRED
    EXPIRED_TOTAL
    FOREIGN_TRIGGERS
    QUERY_COUNT


cdef int prepare(sqlite3 *db, Query query, bint counted, sqlite3_stmt **statement) noexcept nogil
cdef int bind_text(sqlite3_stmt *statement, int index, Text text) noexcept nogil
cdef int bind_upper(sqlite3_stmt *statement, int index, Text text) noexcept nogil
cdef int bind_value(sqlite3_stmt *statement, int index, object value) except -1
cdef int bind_expiry(sqlite3_stmt *statement, int index, int64_t expires_at_ms) noexcept nogil
cdef object column_str(sqlite3_stmt *statement, int index)
cdef object column_value(sqlite3_stmt *statement, int index)
cdef int64_t column_expiry(sqlite3_stmt *statement, int index) noexcept nogil
cdef object column_name(sqlite3_stmt *statement, int index)
