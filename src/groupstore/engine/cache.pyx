"""Values that were read before, served as long as the file is known not to have changed since.

Every commit of any process changes the header of the wal-index (wal_index.h). The cache keeps one
sample of it, at which all its entries are good: a hit is a comparison with the sample and two
look-ups. docs/cache.md argues why no hit is stale.

What is out of date is not taken out: it carries a stamp from before the removal, is passed over,
and makes room in its turn. So another process's commit costs the same however much is cached.

Eviction is SIEVE: Zhang et al., "SIEVE is Simpler than LRU", NSDI 2024.
"""

cimport cython
from cpython.bytes cimport PyBytes_Check, PyBytes_GET_SIZE
from cpython.ref cimport PyObject
from libc.stdint cimport INT64_MIN, int64_t, uint64_t
from libc.string cimport memset

from groupstore.engine.expiry cimport KEPT, NEVER
from groupstore.engine.lock cimport (
    atomic_get, atomic_set, brief_acquire, brief_init, brief_release, visitor_enters,
    visitor_leaves, visitors, wait_for_visitors,
)
from groupstore.engine.sqlite cimport sqlite3
from groupstore.engine.wal_index cimport (
    header_copy, header_equals, header_move, is_own, mapped_header, wal_header,
)


cdef extern from "Python.h":
    Py_ssize_t PyUnicode_GET_LENGTH(object) noexcept
    int PyUnicode_KIND(object) noexcept
    bint PyUnicode_IS_ASCII(object) noexcept


cdef enum:
    # Beside the text itself: the entry, its place in a dict, and the headers of key and value
    # objects. Measured by tests/engine/test_cache.py against what the allocator says.
    ENTRY_BYTES = 320
    # A dict with its first eight places, and the place in the dict of groups.
    GROUP_BYTES = 560


cdef Py_ssize_t text_bytes(object value) noexcept:
    """What a str or bytes takes, its UTF-8 included, which SQLite has asked for."""
    cdef Py_ssize_t length
    if value is None:
        return 0
    if PyBytes_Check(value):
        return PyBytes_GET_SIZE(value)
    length = PyUnicode_GET_LENGTH(value)
    if PyUnicode_IS_ASCII(value):
        return length
    return length * (PyUnicode_KIND(value) + 3)


@cython.final
@cython.no_gc
@cython.freelist(256)
cdef class Entry:
    pass


cdef Entry new_entry(str group, str key, object value, int64_t expires_at_ms):
    """What a key holds; an expiry of KEPT stands for what is not known."""
    cdef Entry entry = Entry.__new__(Entry)
    entry.group = group
    entry.key = key
    entry.value = value
    entry.expires_at_ms = expires_at_ms
    entry.size_bytes = ENTRY_BYTES + text_bytes(key) + text_bytes(value)
    return entry


@cython.final
cdef class CachedGroup:
    pass


cdef CachedGroup new_group(str name):
    cdef CachedGroup group = CachedGroup.__new__(CachedGroup)
    group.name = name
    group.entries = {}
    return group


@cython.final
cdef class Cache:

    def __cinit__(self, Py_ssize_t capacity_bytes, bint is_alone):
        self.after_fork()
        self.groups = {}
        self.capacity_bytes = capacity_bytes
        self.is_alone = is_alone
        self.purged_ms = INT64_MIN
        self.removals = 1
        # No header is like these two: a real one holds a version and flags.
        memset(&self.sample, 0, sizeof(wal_header))
        memset(&self.still, 0xFF, sizeof(wal_header))
        memset(&self.own_header, 0, sizeof(wal_header))
        self.own_header.words[0] = 1
        self.last_commit.sample = &self.sample
        self.header = self.still.words
        if is_alone:
            self.header = self.own_header.words
        self.exact = True

    cdef int attach(self, sqlite3 *db) noexcept:
        """Compare with the header that `db` has mapped, from its first read on."""
        cdef const uint64_t *header = mapped_header(db)
        if header is not NULL:
            self.header = header
            self.last_commit.header = header
        return 0

    cdef int detach(self) noexcept:
        """Forget everything, before the connections that keep the header mapped are closed."""
        self.mapping += 1
        if not self.is_alone:
            self.header = self.still.words
            self.last_commit.header = NULL
            self.triggers_known = False
            wait_for_visitors(&self.readers)
        memset(&self.sample, 0, sizeof(wal_header))
        atomic_set(&self.committing, 0)
        self.forget_all()
        return 0

    cdef int after_fork(self) noexcept:
        """Forget the threads that are not in this process: one may have held the lock."""
        brief_init(&self.lock)
        memset(&self.readers, 0, sizeof(visitors))
        return 0

    # Reading.

    cdef bint is_fresh(self) noexcept:
        """Whether nobody has committed since the entries were read."""
        visitor_enters(&self.readers)
        cdef bint is_fresh = header_equals(self.header, &self.sample)
        visitor_leaves(&self.readers)
        return is_fresh

    cdef bint is_good(self, CachedGroup group, Entry entry) noexcept:
        return entry.stamp >= self.good_from and entry.stamp >= group.good_from and (
            entry.expires_at_ms == NEVER or entry.expires_at_ms > self.purged_ms
        )

    cdef Entry look_up(self, CachedGroup group, str key):
        """The entry of a key, after `is_fresh` was seen to hold; None where there is none."""
        found = group.entries.get(key)
        if found is None or not self.is_good(group, <Entry>found):
            return None
        if not (<Entry>found).visited:
            (<Entry>found).visited = True
        self.hits += 1
        return <Entry>found

    cdef int note(self, wal_header *before) noexcept:
        """Take down the header before a read that is to fill the cache."""
        self.misses += 1
        return self.look_at_header(before)

    cdef int look_at_header(self, wal_header *copy) noexcept:
        visitor_enters(&self.readers)
        header_copy(self.header, copy)
        visitor_leaves(&self.readers)
        copy.mapping = self.mapping
        return 0

    cdef bint is_at(self, const wal_header *copy) noexcept:
        """Whether nobody has committed since `copy` was taken."""
        visitor_enters(&self.readers)
        cdef bint is_at = copy.mapping == self.mapping and header_equals(self.header, copy)
        visitor_leaves(&self.readers)
        return is_at

    cdef CachedGroup fill(self, const wal_header *before, Entry entry):
        """Keep what was read outside of any transaction after `before` was noted.

        Returns its group, or None where it cannot be told to be good at the sample.
        """
        cdef CachedGroup group = None
        # Made outside of the lock, where the collector may run.
        cdef CachedGroup spare = None
        if entry.size_bytes + text_bytes(entry.group) > self.capacity_bytes // 8:
            return None
        if self.groups.get(entry.group) is None:
            spare = new_group(entry.group)
        brief_acquire(&self.lock)
        try:
            if before.mapping == self.mapping and (
                header_equals(self.sample.words, before) or self.move_on(before)
            ):
                group = self.insert(entry, spare)
        finally:
            brief_release(&self.lock)
        return group

    cdef bint move_on(self, const wal_header *before) noexcept:
        """Take the header for the new sample, another process having committed since the old."""
        if atomic_get(&self.committing) or self.header is self.still.words:
            return False
        # A slow reader's is older than the sample.
        if not header_equals(self.header, before):
            return False
        self.forget_all()
        header_move(&self.sample, before)
        return True

    # Committing: by the thread that has the turn to write.

    cdef int begin_commit(self) noexcept:
        """From here to `end_commit` a changed header may be our own doing."""
        self.last_commit.frames = 0
        self.last_commit.began_at_sample = False
        atomic_set(&self.committing, 1)
        return 0

    cdef int end_commit(self) noexcept:
        atomic_set(&self.committing, 0)
        return 0

    cdef int adopt(self) noexcept:
        """Take the header as it stands for the sample, as the write lock is held."""
        cdef wal_header now
        header_copy(self.header, &now)
        brief_acquire(&self.lock)
        if not header_equals(self.sample.words, &now) and self.header is not self.still.words:
            self.forget_all()
            header_move(&self.sample, &now)
        brief_release(&self.lock)
        return 0

    cdef int commit(self, list changes, bint known) except -1:
        """Have the entries follow a commit that made `changes`, in order, if that is `known`.

        A change is an Entry, or what `apply` takes for many at once. Where a savepoint was rolled
        back they may not have happened, so what they tell of is only forgotten.
        """
        cdef wal_header now
        brief_acquire(&self.lock)
        try:
            if self.is_alone:
                self.own_header.words[0] += 1
            header_copy(self.header, &now)
            if not self.is_alone and self.last_commit.frames == 0 and self.is_fresh():
                # Nothing was written.
                pass
            elif self.exact and self.triggers_known and (
                self.is_alone or is_own(&self.last_commit, &self.sample, &now)
            ):
                for change in changes:
                    self.apply(change, known)
                header_move(&self.sample, &now)
            else:
                self.forget_all()
        except BaseException:
            # The commit has happened: only memory can have run out, and nothing is lost by it.
            self.forget_all()
        finally:
            brief_release(&self.lock)
        return 0

    cdef int apply(self, object change, bint exactly) except -1:
        cdef Entry entry
        cdef CachedGroup group
        if isinstance(change, Entry):
            return self.overwrite(<Entry>change, exactly)
        if isinstance(change, str):
            return self.forget_group(change)
        if isinstance(change, int):
            self.purged_ms = max(self.purged_ms, <int64_t>change)
            return 0
        if change is None:
            return self.forget_all()
        name, pairs, expires_at_ms = change
        group = self.groups.get(name)
        if group is None:
            return 0
        for key, value in pairs:
            if key in group.entries:
                entry = new_entry(name, key, value, expires_at_ms)
                self.overwrite(entry, exactly)
        return 0

    cdef int overwrite(self, Entry entry, bint exactly) except -1:
        """Put what was written in the place of what is cached; what is not stays uncached.

        A reader fills it in once it is asked for.
        """
        cdef CachedGroup group = self.groups.get(entry.group)
        cdef Entry old
        if group is None:
            return 0
        found = group.entries.get(entry.key)
        if found is None:
            return 0
        old = <Entry>found
        if exactly and entry.expires_at_ms != KEPT and (
            entry.size_bytes <= self.capacity_bytes // 8
        ):
            entry.visited = old.visited
            self.put(group, entry)
            while self.size_bytes > self.capacity_bytes:
                self.evict()
        else:
            self.take_out(old)
        return 0

    cdef int forget_all(self) noexcept:
        self.removals += 1
        self.good_from = self.removals
        if not self.is_alone:
            self.triggers_known = False
        return 0

    cdef int forget_group(self, str name) except -1:
        cdef CachedGroup group = self.groups.get(name)
        if group is not None:
            self.removals += 1
            group.good_from = self.removals
        return 0

    # The queue: every entry, in the order of its coming. Called with the lock held.

    cdef CachedGroup insert(self, Entry entry, CachedGroup spare):
        cdef CachedGroup group = self.groups.get(entry.group)
        if group is None:
            group = spare
            if group is None:
                # It was evicted since it was looked for.
                return None
            self.groups[entry.group] = group
            self.size_bytes += GROUP_BYTES + text_bytes(group.name)
        self.put(group, entry)
        while self.size_bytes > self.capacity_bytes:
            self.evict()
        return group

    cdef int put(self, CachedGroup group, Entry entry) except -1:
        """Add an entry as the newest one, in the place of an old one of its key."""
        found = group.entries.get(entry.key)
        if found is not None:
            self.unlink(<Entry>found)
        entry.stamp = self.removals
        # One name for all of a group's entries: a scope makes a new one with each read.
        entry.group = group.name
        group.entries[entry.key] = entry
        entry.older = self.newest
        entry.newer = NULL
        if self.newest is NULL:
            self.oldest = <PyObject *>entry
        else:
            (<Entry>self.newest).newer = <PyObject *>entry
        self.newest = <PyObject *>entry
        self.size_bytes += entry.size_bytes
        return 0

    cdef int unlink(self, Entry entry) noexcept:
        if self.hand is <PyObject *>entry:
            self.hand = entry.newer
        if entry.older is NULL:
            self.oldest = entry.newer
        else:
            (<Entry>entry.older).newer = entry.newer
        if entry.newer is NULL:
            self.newest = entry.older
        else:
            (<Entry>entry.newer).older = entry.older
        self.size_bytes -= entry.size_bytes
        return 0

    cdef int take_out(self, Entry entry) except -1:
        cdef CachedGroup group = self.groups[entry.group]
        self.unlink(entry)
        del group.entries[entry.key]
        if not group.entries:
            del self.groups[entry.group]
            self.size_bytes -= GROUP_BYTES + text_bytes(group.name)
        return 0

    cdef int evict(self) except -1:
        """Take out the first entry from the hand on that was not used since it passed."""
        cdef Entry entry
        cdef CachedGroup group
        while True:
            if self.hand is NULL:
                self.hand = self.oldest
            entry = <Entry>self.hand
            group = self.groups[entry.group]
            if not entry.visited or not self.is_good(group, entry):
                break
            entry.visited = False
            self.hand = entry.newer
        self.take_out(entry)
        return 0
