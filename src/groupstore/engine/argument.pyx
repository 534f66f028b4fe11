"""Arguments checked and read, before anything is done with them."""

from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_Check, PyBytes_CheckExact, PyBytes_FromStringAndSize,
    PyBytes_GET_SIZE,
)
from cpython.unicode cimport PyUnicode_Check, PyUnicode_CheckExact
from libc.stdint cimport INT64_MAX, int64_t


cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object, Py_ssize_t *) except NULL
    str PyUnicode_FromObject(object)


cdef object wrong_type(object value, str verb, str name, str expected):
    return TypeError(f"{verb}: {name} must be {expected}, not {type(value).__name__}")


cdef object lone_surrogate(object value, str verb, str name):
    return ValueError(f"{verb}: {name} holds a lone surrogate: {value[:80]!r}")


cdef int check_text(object value, str verb, str name) except -1:
    """Check that a value is a str that UTF-8 can encode, and have it at hand for `utf8`."""
    cdef Py_ssize_t size
    if not PyUnicode_Check(value):
        raise wrong_type(value, verb, name, "str")
    if PyUnicode_IS_COMPACT_ASCII(value):
        return 0
    try:
        PyUnicode_AsUTF8AndSize(value, &size)
    except UnicodeEncodeError as error:
        raise lone_surrogate(value, verb, name) from error
    return 0


cdef str str_argument(object value, str verb, str name):
    """A str that was checked; one of a subclass as a plain str."""
    cdef str text
    if PyUnicode_CheckExact(value):
        text = <str>value
    elif PyUnicode_Check(value):
        text = PyUnicode_FromObject(value)
    else:
        raise wrong_type(value, verb, name, "str")
    check_text(text, verb, name)
    return text


cdef object value_argument(object value, str verb, str name):
    """What can be stored: a str that UTF-8 can encode, or bytes, of no subclass."""
    if PyUnicode_Check(value):
        return str_argument(value, verb, name)
    if PyBytes_CheckExact(value):
        return value
    if PyBytes_Check(value):
        return PyBytes_FromStringAndSize(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
    raise wrong_type(value, verb, name, "str or bytes")


cdef int64_t count_argument(object value, str verb, str name) except -1:
    """A number of rows: an int that is not negative; beyond 64 bits it means all of them."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(value, verb, name, "int")
    if value < 0:
        raise ValueError(f"{verb}: {name} must not be negative: {value}")
    return min(value, INT64_MAX)


cdef Text text_of(bytes data) noexcept:
    """UTF-8 that is at hand as bytes, which must outlive the text."""
    cdef Text text
    text.data = PyBytes_AS_STRING(data)
    text.size = PyBytes_GET_SIZE(data)
    return text
