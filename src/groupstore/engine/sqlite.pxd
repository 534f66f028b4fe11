from libc.stdint cimport int64_t


cdef extern from "sqlite_api.h":
    ctypedef struct sqlite3:
        pass
    ctypedef struct sqlite3_stmt:
        pass
    void *const *groupstore_routines

    int sqlite3_bind_int64(sqlite3_stmt *, int, int64_t) noexcept nogil
    int sqlite3_bind_null(sqlite3_stmt *, int) noexcept nogil
    int64_t sqlite3_changes64(sqlite3 *) noexcept nogil
    const void *sqlite3_column_blob(sqlite3_stmt *, int) noexcept nogil
    int sqlite3_column_bytes(sqlite3_stmt *, int) noexcept nogil
    int64_t sqlite3_column_int64(sqlite3_stmt *, int) noexcept nogil
    int sqlite3_column_type(sqlite3_stmt *, int) noexcept nogil
    void *sqlite3_commit_hook(sqlite3 *, int (*)(void *) noexcept nogil, void *) noexcept nogil
    void *sqlite3_wal_hook(
        sqlite3 *, int (*)(void *, sqlite3 *, const char *, int) noexcept nogil, void *
    ) noexcept nogil
    const char *sqlite3_errmsg(sqlite3 *) noexcept nogil
    int sqlite3_finalize(sqlite3_stmt *) noexcept nogil
    int sqlite3_get_autocommit(sqlite3 *) noexcept nogil
    int sqlite3_reset(sqlite3_stmt *) noexcept nogil
    int sqlite3_step(sqlite3_stmt *) noexcept nogil
    int sqlite3_file_control(sqlite3 *, const char *, int, void *) noexcept nogil
    int sqlite3_extended_errcode(sqlite3 *) noexcept nogil
    int sqlite3_bind_blob64(
        sqlite3_stmt *, int, const void *, unsigned long long, void (*)(void *) noexcept nogil
    ) noexcept nogil
    int sqlite3_bind_text64(
        sqlite3_stmt *, int, const char *, unsigned long long, void (*)(void *) noexcept nogil,
        unsigned char
    ) noexcept nogil
    int sqlite3_prepare_v3(
        sqlite3 *, const char *, int, unsigned int, sqlite3_stmt **, const char **
    ) noexcept nogil

# Result codes, data types and flags: https://sqlite.org/c3ref/constlist.html
cdef enum:
    SQLITE_OK = 0
    SQLITE_BUSY = 5
    SQLITE_ROW = 100
    SQLITE_DONE = 101
    SQLITE_INTEGER = 1
    SQLITE_TEXT = 3
    SQLITE_BLOB = 4
    SQLITE_NULL = 5
    SQLITE_UTF8 = 1
    SQLITE_PREPARE_PERSISTENT = 1

cdef void *const *sqlite_routines() noexcept
cdef int drop_raised() noexcept
cdef object sqlite_error(int code, sqlite3 *db, str attempted, str path)
