cimport cython
from cpython.ref cimport PyObject
from libc.stdint cimport int64_t, uint64_t

from groupstore.engine.lock cimport brief_lock, visitors
from groupstore.engine.sqlite cimport sqlite3
from groupstore.engine.wal_index cimport Commit, wal_header


@cython.final
@cython.no_gc
cdef class Entry:
    """What a key was found to hold. But for `visited` and the links it never changes."""
    cdef str group
    cdef str key
    # None where there is no row.
    cdef object value
    cdef int64_t expires_at_ms
    # The cache's count of removals when the entry was put in: it is good while that is not
    # before the last removal of its group, or of everything.
    cdef uint64_t stamp
    cdef Py_ssize_t size_bytes
    cdef bint visited
    # Borrowed: the neighbours in the queue, which hold as long as they are in their groups.
    cdef PyObject *older
    cdef PyObject *newer


@cython.final
cdef class CachedGroup:
    cdef str name
    # Key to Entry.
    cdef dict entries
    cdef uint64_t good_from


@cython.final
cdef class Cache:
    # Full name to CachedGroup.
    cdef readonly dict groups
    cdef Py_ssize_t capacity_bytes
    cdef readonly Py_ssize_t size_bytes
    cdef readonly long long hits
    cdef readonly long long misses
    # Held by whoever changes the sample, the groups or the queue.
    cdef brief_lock lock
    # What the header was when the entries were read.
    cdef wal_header sample
    # Borrowed from the file's mapping; or `still`, which equals no sample; or `own_header`.
    cdef const uint64_t *header
    # Those who are reading `header` outside of SQLite, so that the mapping outlives them.
    cdef visitors readers
    cdef wal_header still
    # Where no other process can commit: a count of our own commits.
    cdef wal_header own_header
    # Counts the mappings: what was noted at one tells nothing at the next, where the header may
    # look the same, as that of an empty log does.
    cdef uint64_t mapping
    cdef bint is_alone
    cdef Commit last_commit
    # Whether a commit of our own is under way: a header that differs from the sample may be its.
    cdef long committing
    # Whether other programs' triggers may have changed more than the statements say.
    cdef bint exact
    cdef bint triggers_known
    cdef uint64_t removals
    cdef uint64_t good_from
    # What expires up to here has been purged.
    cdef int64_t purged_ms
    # Borrowed: the ends of the queue, and where the next eviction looks.
    cdef PyObject *oldest
    cdef PyObject *newest
    cdef PyObject *hand

    cdef int attach(self, sqlite3 *db) noexcept
    cdef int detach(self) noexcept
    cdef int after_fork(self) noexcept
    cdef bint is_fresh(self) noexcept
    cdef int note(self, wal_header *before) noexcept
    cdef int look_at_header(self, wal_header *copy) noexcept
    cdef bint is_at(self, const wal_header *copy) noexcept
    cdef bint is_good(self, CachedGroup group, Entry entry) noexcept
    cdef Entry look_up(self, CachedGroup group, str key)
    cdef CachedGroup fill(self, const wal_header *before, Entry entry)
    cdef bint move_on(self, const wal_header *before) noexcept
    cdef int begin_commit(self) noexcept
    cdef int end_commit(self) noexcept
    cdef int adopt(self) noexcept
    cdef int commit(self, list changes, bint known) except -1
    cdef int apply(self, object change, bint exactly) except -1
    cdef int overwrite(self, Entry entry, bint exactly) except -1
    cdef int forget_all(self) noexcept
    cdef int forget_group(self, str name) except -1
    cdef CachedGroup insert(self, Entry entry, CachedGroup spare)
    cdef int put(self, CachedGroup group, Entry entry) except -1
    cdef int unlink(self, Entry entry) noexcept
    cdef int take_out(self, Entry entry) except -1
    cdef int evict(self) except -1


cdef Entry new_entry(str group, str key, object value, int64_t expires_at_ms)
