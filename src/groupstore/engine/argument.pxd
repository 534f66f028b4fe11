from libc.stdint cimport int64_t


cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object) noexcept
    const char *PyUnicode_DATA(object) noexcept
    Py_ssize_t PyUnicode_GET_LENGTH(object) noexcept
    const char *utf8_at_hand "PyUnicode_AsUTF8AndSize"(object, Py_ssize_t *) noexcept


cdef struct Text:
    # Borrowed from the str or bytes that it was read from, which must outlive it.
    const char *data
    Py_ssize_t size


cdef inline Text utf8(str text) noexcept:
    """A str that was checked, as UTF-8: the bytes are kept in it and live as long as it does."""
    cdef Text found
    if PyUnicode_IS_COMPACT_ASCII(text):
        found.data = PyUnicode_DATA(text)
        found.size = PyUnicode_GET_LENGTH(text)
    else:
        # Encoded when it was checked, so that this cannot fail.
        found.data = utf8_at_hand(text, &found.size)
    return found


cdef int check_text(object value, str verb, str name) except -1
cdef str str_argument(object value, str verb, str name)
cdef object value_argument(object value, str verb, str name)
cdef int64_t count_argument(object value, str verb, str name) except -1
cdef Text text_of(bytes data) noexcept
