from libc.stdint cimport int64_t

# The expiry of what never expires: later than every time that can be set.
cdef int64_t NEVER
# Stands for the expiry that a key has already.
cdef int64_t KEPT

cdef int64_t now_us() noexcept nogil
cpdef int64_t now_ms() noexcept nogil
cdef int64_t parse_ttl(object ttl, str verb) except -1
cdef int64_t parse_expiry(object ttl, str verb) except -1
