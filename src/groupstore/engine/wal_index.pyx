"""Telling one's own commits from those of other processes, by the wal-index's header."""

from libc.stdint cimport uint64_t

from groupstore.engine.sqlite cimport (
    groupstore_routines, sqlite3, sqlite3_commit_hook, sqlite3_wal_hook, sqlite_routines,
)


cdef extern from "wal_index.h":
    const uint64_t *header_of(sqlite3 *) noexcept nogil


groupstore_routines = sqlite_routines()


cdef const uint64_t *mapped_header(sqlite3 *db) noexcept:
    """Where the header is mapped while any connection of this process is open, or NULL."""
    return header_of(db)


cdef int before_commit(void *context) noexcept nogil:
    """SQLite calls this with the write lock held, so that the header stands still."""
    cdef Commit *commit = <Commit *>context
    commit.began_at_sample = (
        commit.header is not NULL and header_equals(commit.header, commit.sample)
    )
    return 0


cdef int after_commit(void *context, sqlite3 *db, const char *name, int frames) noexcept nogil:
    """SQLite calls this where the commit has written to the log."""
    (<Commit *>context).frames = frames
    return 0


cdef int watch_commits(sqlite3 *db, Commit *commit) noexcept:
    """Have `commit`, which must outlive the connection, filled in by each commit of `db`.

    It takes the place of SQLite's automatic checkpoint, which uses the same hook.
    """
    sqlite3_commit_hook(db, before_commit, commit)
    sqlite3_wal_hook(db, after_commit, commit)
    return 0


cdef bint is_own(const Commit *commit, const wal_header *sample, const wal_header *now) noexcept:
    """Whether the last commit alone has happened between the header `sample` and `now`.

    A commit that wrote to the log counts one on from what the write lock froze; another process's
    since then would have counted on as well.
    """
    return (
        commit.frames != 0
        and commit.began_at_sample
        and header_commits(now) == header_commits(sample) + 1
        and header_frames(now) == <unsigned int>commit.frames
    )
