cimport cython
from libc.stdint cimport uint32_t, uint64_t

from groupstore.engine.sqlite cimport sqlite3


cdef extern from "wal_index.h":
    ctypedef struct wal_header:
        uint64_t words[6]
        uint64_t mapping
    bint header_equals(const uint64_t *, const wal_header *) noexcept nogil
    void header_copy(const uint64_t *, wal_header *) noexcept nogil
    void header_move(wal_header *, const wal_header *) noexcept nogil
    uint32_t header_commits(const wal_header *) noexcept nogil
    uint32_t header_frames(const wal_header *) noexcept nogil


cdef struct Commit:
    # Where the header is mapped, the same as in the WalIndex that the struct belongs to.
    const uint64_t *header
    # Borrowed from the cache: what its entries were read at.
    const wal_header *sample
    # Whether the sample was still good when the commit began, with the write lock held.
    bint began_at_sample
    # The frames in the log after the commit; 0: it wrote none.
    int frames


cdef int watch_commits(sqlite3 *db, Commit *commit) noexcept
cdef const uint64_t *mapped_header(sqlite3 *db) noexcept
cdef bint is_own(const Commit *commit, const wal_header *sample, const wal_header *now) noexcept
