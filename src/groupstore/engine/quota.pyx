"""How many keys and groups a namespace may hold, checked in the transaction that adds them.

The file keeps each namespace's totals (schema.py), expired rows included. Where they leave room
that is all that is looked at; where they do not, the expired rows are counted, through their
index and only as many as decide it.
"""

cimport cython
from libc.stdint cimport int64_t

from groupstore.engine.argument cimport Text, text_of
from groupstore.engine.connection cimport Connection
from groupstore.engine.expiry cimport now_ms
from groupstore.engine.key_range cimport bind_range, group_range
from groupstore.engine.sqlite cimport (
    groupstore_routines, sqlite3_bind_int64, sqlite3_column_int64, sqlite3_stmt,
    sqlite_routines,
)
from groupstore.engine.statement cimport (
    EXPIRY, GROUP_EXISTS, NAMESPACE_EXPIRED, NAMESPACE_GROUPS_EXPIRED, NAMESPACE_TOTALS,
    bind_text, column_expiry,
)
from groupstore.errors import QuotaExceededError

groupstore_routines = sqlite_routines()


@cython.final
cdef class Limits:

    def __cinit__(self, str namespace, quota):
        self.namespace = namespace
        self.quota = quota
        self.max_keys = quota.max_keys
        self.max_groups = quota.max_groups
        self.names = group_range(f"{namespace}:", "", "scoped")

    cdef int admit_key(self, Connection connection, Text group, Text key, str verb) except -1:
        """Check that `key` may be set: it is live already, or there is room for it."""
        cdef sqlite3_stmt *statement = connection.statement(EXPIRY)
        cdef bint is_live
        bind_text(statement, 1, group)
        bind_text(statement, 2, key)
        is_live = connection.next_row(statement, verb) and column_expiry(statement, 0) > now_ms()
        if is_live:
            return 0
        return self.admit(connection, group, 1, verb)

    cdef int admit(self, Connection connection, Text group, int64_t new_keys, str verb) except -1:
        """Check that `new_keys` keys that are not live may be added to `group`."""
        cdef sqlite3_stmt *statement
        cdef int64_t rows = 0
        cdef int64_t groups = 0
        cdef bytes namespace = self.namespace.encode()
        if new_keys == 0 or not (self.max_keys or self.max_groups):
            return 0
        statement = connection.statement(NAMESPACE_TOTALS)
        bind_text(statement, 1, text_of(namespace))
        if connection.next_row(statement, verb):
            rows = sqlite3_column_int64(statement, 0)
            groups = sqlite3_column_int64(statement, 1)
        if self.max_keys and rows + new_keys > self.max_keys:
            self.admit_keys(connection, rows, new_keys, verb)
        if self.max_groups and groups + 1 > self.max_groups:
            self.admit_group(connection, groups, group, verb)
        return 0

    cdef int admit_keys(
        self, Connection connection, int64_t rows, int64_t new_keys, str verb
    ) except -1:
        cdef int64_t excess = rows + new_keys - self.max_keys
        cdef sqlite3_stmt *statement = connection.statement(NAMESPACE_EXPIRED)
        cdef int64_t expired = 0
        bind_range(statement, self.names)
        sqlite3_bind_int64(statement, 3, now_ms())
        sqlite3_bind_int64(statement, 4, excess)
        if connection.next_row(statement, verb):
            expired = sqlite3_column_int64(statement, 0)
        if expired < excess:
            raise self.exceeded("keys", self.max_keys, verb)
        return 0

    cdef int admit_group(
        self, Connection connection, int64_t groups, Text group, str verb
    ) except -1:
        cdef sqlite3_stmt *statement = connection.statement(GROUP_EXISTS)
        cdef bint is_live
        cdef int64_t expired = 0
        bind_text(statement, 1, group)
        sqlite3_bind_int64(statement, 2, now_ms())
        is_live = connection.next_row(statement, verb)
        if is_live:
            return 0
        statement = connection.statement(NAMESPACE_GROUPS_EXPIRED)
        bind_range(statement, self.names)
        sqlite3_bind_int64(statement, 3, now_ms())
        if connection.next_row(statement, verb):
            expired = sqlite3_column_int64(statement, 0)
        if groups - expired + 1 > self.max_groups:
            raise self.exceeded("groups", self.max_groups, verb)
        return 0

    cdef object exceeded(self, str limit, int64_t maximum, str verb):
        return QuotaExceededError(verb, self.namespace, limit, maximum)
