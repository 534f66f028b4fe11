"""The clock, and times to live as whole milliseconds."""

from cpython.datetime cimport PyDelta_Check, import_datetime, timedelta_days
from cpython.datetime cimport timedelta_microseconds, timedelta_seconds
from libc.math cimport ceil, isfinite
from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t

from groupstore.config import KEEP

import_datetime()


cdef extern from "<time.h>" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int TIME_UTC
    int timespec_get(timespec *, int)


NEVER = INT64_MAX
KEPT = INT64_MIN
cdef int64_t frozen_us = -1


def set_clock(unix_ms):
    """Stop the clock that entries expire by at `unix_ms`, or let it run again with None.

    For tests: expiry can then be reached without sleeping.
    """
    global frozen_us
    frozen_us = -1 if unix_ms is None else <int64_t>unix_ms * 1000


cdef int64_t now_us() noexcept nogil:
    """Unix time in microseconds."""
    cdef timespec now
    if frozen_us >= 0:
        return frozen_us
    timespec_get(&now, TIME_UTC)
    return <int64_t>now.tv_sec * 1_000_000 + now.tv_nsec // 1000


cpdef int64_t now_ms() noexcept nogil:
    """Unix time in whole milliseconds, rounded down."""
    return now_us() // 1000


cdef int64_t parse_ttl(object ttl, str verb) except -1:
    """`ttl`, seconds or a timedelta, in milliseconds, rounded up; always positive."""
    cdef double ms
    cdef int64_t whole
    if PyDelta_Check(ttl):
        # The microseconds are 0 or more, whatever the sign of the whole.
        whole = <int64_t>timedelta_days(ttl) * 86_400_000 + timedelta_seconds(ttl) * 1000
        whole += (timedelta_microseconds(ttl) + 999) // 1000
        if whole <= 0:
            raise ValueError(f"{verb}: ttl must be positive, not {ttl!r}")
        return whole
    if isinstance(ttl, bool) or not isinstance(ttl, (int, float)):
        raise TypeError(
            f"{verb}: ttl must be seconds (int, float) or a timedelta, not {type(ttl).__name__}"
        )
    try:
        ms = ceil(<double>ttl * 1000.0)
    except OverflowError:
        raise ValueError(f"{verb}: ttl is out of range: {ttl!r}") from None
    if not isfinite(ms) or ms >= <double>INT64_MAX:
        raise ValueError(f"{verb}: ttl is out of range: {ttl!r}")
    if ms <= 0:
        raise ValueError(f"{verb}: ttl must be positive, not {ttl!r}")
    return <int64_t>ms


cdef int64_t parse_expiry(object ttl, str verb) except -1:
    """When what is written now with `ttl` expires, in Unix milliseconds; NEVER or KEPT."""
    cdef int64_t ttl_ms
    cdef int64_t now
    if ttl is None:
        return NEVER
    if ttl is KEEP:
        return KEPT
    ttl_ms = parse_ttl(ttl, verb)
    now = now_ms()
    if ttl_ms >= NEVER - now:
        raise ValueError(f"{verb}: ttl is out of range: {ttl!r}")
    return now + ttl_ms
