"""SQLite's C API, as APSW's copy offers it, and the one place that turns its codes to errors."""

import apsw

from cpython.exc cimport (
    PyErr_Clear, PyErr_ExceptionMatches, PyErr_Occurred, PyErr_SetInterrupt,
)

from groupstore.errors import from_sqlite

from groupstore.engine.sqlite cimport sqlite3, sqlite3_errmsg, sqlite3_extended_errcode


cdef extern from "sqlite_entry.h":
    void *const *groupstore_entry_routines


cdef extern from "Python.h":
    ctypedef struct PyInterpreterState:
        pass
    PyInterpreterState *PyInterpreterState_Get() noexcept
    PyInterpreterState *PyInterpreterState_Main() noexcept


# APSW, and the hooks around fork, are the process's: one interpreter's only.
if PyInterpreterState_Get() != PyInterpreterState_Main():
    raise ImportError("groupstore: not in a subinterpreter: import it in the main interpreter")


def _load_routines():
    """Load this module into APSW's SQLite as an extension, which hands over the function table.

    A connection in memory serves, and is closed at once: the table belongs to the library.
    """
    connection = apsw.Connection(":memory:")
    connection.enable_load_extension(True)
    connection.load_extension(__file__, "groupstore_sqlite_entry")
    connection.close()


_load_routines()
groupstore_routines = groupstore_entry_routines


cdef void *const *sqlite_routines() noexcept:
    """The function table; each compiled module that calls SQLite keeps a pointer to it."""
    return groupstore_entry_routines


cdef int drop_raised() noexcept:
    """Clear what Python code that SQLite has called, a VFS of the user's say, has raised.

    APSW leaves it set, also where SQLite goes on; SQLite's code tells all that there is to tell.
    """
    if PyErr_Occurred() is not NULL:
        if PyErr_ExceptionMatches(KeyboardInterrupt):
            # Where it cannot be let through: it comes again.
            PyErr_SetInterrupt()
        PyErr_Clear()
    return 0


cdef object sqlite_error(int code, sqlite3 *db, str attempted, str path):
    """The spec's exception for a failed C call, with APSW's exception for it as its cause.

    `db` is NULL where the code did not come from a connection.
    """
    cdef bytes message = b""
    if db is not NULL:
        if sqlite3_extended_errcode(db) & 0xFF == code & 0xFF:
            code = sqlite3_extended_errcode(db)
            message = sqlite3_errmsg(db)
    cause = apsw.exception_for(code)
    if message:
        cause.args = (message.decode("utf-8", "replace"),)
    error = from_sqlite(cause, attempted, path)
    error.__cause__ = cause
    return error
