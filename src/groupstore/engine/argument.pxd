from libc.stdint cimport int64_t


cdef struct Text:
    # Borrowed from the str or bytes that it was read from, which must outlive it.
    const char *data
    Py_ssize_t size

cdef Text text_argument(object value, str verb, str name) except *
cdef str str_argument(object value, str verb, str name)
cdef object value_argument(object value, str verb, str name)
cdef int64_t count_argument(object value, str verb, str name) except -1
cdef Text text_of(bytes data) noexcept
