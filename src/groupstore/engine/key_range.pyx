"""Ranges of keys, and of group names, as the half-open ranges of UTF-8 that SQLite compares.

SQLite compares text byte by byte, and the order of UTF-8's bytes is that of code points
(RFC 3629, section 1), so a prefix is a range: from itself to itself with the last byte one
higher, for no byte of UTF-8 is 0xFF.
"""

cimport cython

from groupstore.engine.argument cimport check_text, text_of
from groupstore.engine.sqlite cimport sqlite3_stmt
from groupstore.engine.statement cimport bind_text, bind_upper


@cython.final
cdef class KeyRange:

    def __cinit__(self, bytes first not None, bytes beyond):
        self.first = first
        self.lower = text_of(first)
        self.beyond = beyond
        self.upper.data = NULL
        if beyond is not None:
            self.upper = text_of(beyond)

    cdef KeyRange after(self, str key):
        """What of the range follows `key`, whose successor is itself with a NUL."""
        return KeyRange(key.encode() + b"\0", self.beyond)

    cdef KeyRange before(self, str key):
        """What of the range precedes `key`."""
        return KeyRange(self.first, key.encode())


cdef bytes encoded(object text, str verb, str name):
    check_text(text, verb, name)
    return (<str>text).encode()


cdef bytes beyond_prefix(bytes prefix):
    """The first bytes after all that start with `prefix`; None where nothing comes after."""
    cdef Py_ssize_t last = len(prefix) - 1
    if last < 0:
        return None
    return prefix[:last] + bytes((<unsigned char>prefix[last] + 1,))


cdef KeyRange key_range(object prefix, object start, object stop, str verb):
    """The keys that start with `prefix`, from `start` (inclusive) to `stop` (exclusive)."""
    cdef bytes first = encoded(prefix, verb, "prefix")
    cdef bytes beyond = beyond_prefix(first)
    cdef bytes bound
    if start is not None:
        first = max(first, encoded(start, verb, "start"))
    if stop is not None:
        bound = encoded(stop, verb, "stop")
        beyond = bound if beyond is None else min(beyond, bound)
    return KeyRange(first, beyond)


cdef KeyRange group_range(str scope, object prefix, str verb):
    """The full names of the groups of `scope` whose local names start with `prefix`."""
    cdef bytes first = scope.encode() + encoded(prefix, verb, "prefix")
    return KeyRange(first, beyond_prefix(first))


cdef KeyRange one_group(str full):
    """The range that holds one group alone, by its full name."""
    cdef bytes name = full.encode()
    return KeyRange(name, name + b"\0")


cdef int bind_range(sqlite3_stmt *statement, KeyRange names) noexcept nogil:
    """Bind a range's bounds as the first two parameters."""
    bind_text(statement, 1, names.lower)
    return bind_upper(statement, 2, names.upper)
