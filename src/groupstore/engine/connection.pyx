"""One connection: APSW's, with the hot statements compiled on it through SQLite's C API.

Whoever uses a connection has it alone (see engine.pyx), so nothing here locks.
"""

import time

import apsw

cimport cython
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport uintptr_t

from groupstore.engine.sqlite cimport (
    SQLITE_BUSY, SQLITE_DONE, SQLITE_OK, SQLITE_ROW, drop_raised, groupstore_routines, sqlite3,
    sqlite3_finalize, sqlite3_get_autocommit, sqlite3_reset, sqlite3_step, sqlite3_stmt,
    sqlite_error, sqlite_routines,
)
from groupstore.engine.statement cimport QUERY_COUNT, Query, prepare

groupstore_routines = sqlite_routines()


# Short against the default `busy_timeout`: nobody queues for SQLite's lock, so whoever looks seldom
# may find it taken each time by processes that write without a pause.
cdef double LONGEST_NAP_S = 0.004


FOREIGN_TRIGGERS = """
SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND lower(tbl_name) = 'entries'
AND name NOT GLOB 'groupstore_*' LIMIT 1"""


# APSW closes a connection that is collected, which needs the statements gone: the collector must
# not clear `apsw` before __dealloc__ has run.
@cython.final
@cython.no_gc_clear
cdef class Connection:

    def __cinit__(
        self, apsw_connection, bint counted, bint on_disk, str path, double busy_timeout_s
    ):
        self.apsw = apsw_connection
        self.raw = <sqlite3 *><uintptr_t>apsw_connection.sqlite3_pointer()
        self.counted = counted
        self.on_disk = on_disk
        self.path = path
        self.busy_timeout_s = busy_timeout_s

    cdef sqlite3_stmt *statement(self, Query query) except NULL:
        """The compiled statement, ready to be bound; the one used before it is reset."""
        self.settle()
        if self.statements[query] is NULL:
            self.compile(query)
        self.active = self.statements[query]
        return self.active

    cdef int settle(self) noexcept:
        """Reset the statement in use, so that it keeps no read transaction open.

        It borrowed what was bound to it, so this comes before the call's arguments are let go.
        """
        if self.active is not NULL:
            self.rewind(self.active)
            self.active = NULL
        return 0

    cdef int rewind(self, sqlite3_stmt *statement) noexcept:
        """Reset a statement, to be bound and stepped again."""
        sqlite3_reset(statement)
        drop_raised()
        return 0

    cdef int count_rows(self) except -1:
        """Switch the triggers that count rows on again."""
        if self.uncounting:
            self.settle()
            self.apsw.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, True)
            self.uncounting = False
        return 0

    cdef bint stop_counting(self) except -1:
        """Switch the triggers that count rows off; the caller then counts by himself.

        False where another program's triggers stand on the table, which would be off as well. It
        makes SQLite compile the statements anew at their next use, so it pays for many rows.
        """
        self.settle()
        if self.apsw.execute(FOREIGN_TRIGGERS).fetchall():
            return False
        self.apsw.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, False)
        self.uncounting = True
        return True

    cdef int compile(self, Query query) except -1:
        cdef sqlite3_stmt *statement = NULL
        cdef int code
        patience = None
        while True:
            with nogil:
                code = prepare(self.raw, query, self.counted, &statement)
            drop_raised()
            if code & 0xFF != SQLITE_BUSY:
                break
            patience = patience or Patience(self.busy_timeout_s)
            if not patience.nap():
                break
        if code != SQLITE_OK:
            raise sqlite_error(code, self.raw, "compile a statement", self.path)
        self.statements[query] = statement
        return 0

    cdef int step_once(self, sqlite3_stmt *statement) noexcept:
        """One step, with the GIL let go of where that can touch a disk."""
        cdef int code
        if not self.on_disk:
            return sqlite3_step(statement)
        with nogil:
            code = sqlite3_step(statement)
        drop_raised()
        return code

    cdef int step(self, sqlite3_stmt *statement) except -1:
        """One step; while another process has the file locked it is tried again."""
        cdef int code = self.step_once(statement)
        if code & 0xFF == SQLITE_BUSY:
            patience = Patience(self.busy_timeout_s)
            while code & 0xFF == SQLITE_BUSY and patience.nap():
                self.rewind(statement)
                code = self.step_once(statement)
        return code

    cdef int run(self, Query query, str attempted) except -1:
        """Run a statement that has neither parameters nor rows."""
        cdef sqlite3_stmt *statement = self.statement(query)
        cdef int code = self.step(statement)
        if code != SQLITE_DONE:
            raise self.failure(code, attempted)
        self.settle()
        return 0

    cdef bint next_row(self, sqlite3_stmt *statement, str attempted) except -1:
        """Step a statement that was bound: whether there is a row to read."""
        cdef int code = self.step(statement)
        if code == SQLITE_ROW:
            return True
        if code == SQLITE_DONE:
            return False
        raise self.failure(code, attempted)

    cdef bint in_transaction(self) noexcept:
        return not sqlite3_get_autocommit(self.raw)

    cdef object failure(self, int code, str attempted):
        """The exception for a failed call; to be made before the statement is reset."""
        self.failed = True
        return sqlite_error(code, self.raw, attempted, self.path)

    cdef int finalise(self) noexcept:
        cdef int query
        self.active = NULL
        for query in range(QUERY_COUNT):
            # NULL is allowed and does nothing.
            sqlite3_finalize(self.statements[query])
            self.statements[query] = NULL
        return 0

    cdef int close(self) except -1:
        self.finalise()
        drop_raised()
        self.apsw.close()
        return 0

    def __dealloc__(self):
        self.finalise()


cdef class Patience:
    """Waits for a lock that another process holds, in naps short enough to stop at Ctrl-C.

    SQLite's own busy handler would sleep through signals.
    """

    cdef double deadline
    cdef double nap_s
    cdef object random

    def __cinit__(self, double timeout_s):
        # Here, not above: few processes ever wait, and each would load its hashes.
        from random import random
        self.random = random
        self.deadline = time.monotonic() + timeout_s
        self.nap_s = 0.0005

    def nap(self):
        """Sleep a little longer than the last time; False once the time is up."""
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            return False
        # At random, lest it keeps step with the other process's commits.
        time.sleep(min(self.nap_s * self.random(), remaining))
        # `sleep` sees only a signal that comes in the middle of it.
        PyErr_CheckSignals()
        self.nap_s = min(self.nap_s * 2, LONGEST_NAP_S)
        return True
