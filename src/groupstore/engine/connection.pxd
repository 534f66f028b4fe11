cimport cython

from groupstore.engine.sqlite cimport sqlite3, sqlite3_stmt
from groupstore.engine.statement cimport QUERY_COUNT, Query


@cython.final
cdef class Connection:
    # Owned; closed by close().
    cdef readonly object apsw
    # Borrowed from `apsw`, valid until it is closed.
    cdef sqlite3 *raw
    # Owned; compiled on first use and finalised by close(), before `apsw` is closed.
    cdef sqlite3_stmt *statements[QUERY_COUNT]
    # Borrowed from `statements`: the one that was handed out last, NULL once it is reset.
    cdef sqlite3_stmt *active
    # The next of those that wait for readers.
    cdef Connection next_idle
    cdef bint counted
    # Whether the triggers that count rows are switched off, for a bulk write.
    cdef bint uncounting
    # Whether SQLite has failed since a call began to use the connection.
    cdef bint failed
    # Whether a call may touch a disk or wait, and so has to let go of the GIL.
    cdef bint on_disk
    cdef str path
    cdef double busy_timeout_s
    # How the call that uses the connection got it: bits of engine.Hold.
    cdef int hold

    cdef sqlite3_stmt *statement(self, Query query) except NULL
    cdef int step(self, sqlite3_stmt *statement) except -1
    cdef int step_once(self, sqlite3_stmt *statement) noexcept
    cdef int compile(self, Query query) except -1
    cdef bint next_row(self, sqlite3_stmt *statement, str attempted) except -1
    cdef bint in_transaction(self) noexcept
    cdef int run(self, Query query, str attempted) except -1
    cdef int count_rows(self) except -1
    cdef bint stop_counting(self) except -1
    cdef int settle(self) noexcept
    cdef int rewind(self, sqlite3_stmt *statement) noexcept
    cdef int finalise(self) noexcept
    cdef object failure(self, int code, str attempted)
    cdef int close(self) except -1
