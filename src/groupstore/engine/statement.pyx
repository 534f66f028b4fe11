"""The SQL of the hot paths, and values bound to it and read from it."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_Check, PyBytes_FromStringAndSize
from cpython.bytes cimport PyBytes_GET_SIZE
from libc.stdint cimport int64_t

from groupstore.engine.argument cimport Text
from groupstore.engine.expiry cimport NEVER
from groupstore.engine.sqlite cimport (
    SQLITE_BLOB, SQLITE_NULL, SQLITE_PREPARE_PERSISTENT, SQLITE_TEXT, SQLITE_UTF8,
    groupstore_routines, sqlite3, sqlite3_bind_blob64, sqlite3_bind_int64, sqlite3_bind_null,
    sqlite3_bind_text64, sqlite3_column_blob, sqlite3_column_bytes, sqlite3_column_int64,
    sqlite3_column_type, sqlite3_prepare_v3, sqlite3_stmt, sqlite_routines,
)

groupstore_routines = sqlite_routines()


cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object, Py_ssize_t *) except NULL
    str decode_utf8 "PyUnicode_DecodeUTF8"(const char *, Py_ssize_t, const char *)

# Two tables: files of go-store that are opened read-only have none of our indexes and counts.
cdef const char *COUNTED[QUERY_COUNT]
cdef const char *UNCOUNTED[QUERY_COUNT]


cdef void define(Query query, const char *counted, const char *uncounted=NULL) noexcept:
    COUNTED[query] = counted
    UNCOUNTED[query] = counted if uncounted is NULL else uncounted


define(BEGIN_READ, "BEGIN")
define(BEGIN_WRITE, "BEGIN IMMEDIATE")
define(COMMIT, "COMMIT")
define(ROLLBACK, "ROLLBACK")
define(SAVEPOINT, "SAVEPOINT groupstore")
define(RELEASE, "RELEASE groupstore")
define(ROLLBACK_TO, "ROLLBACK TO groupstore")

define(GET, "SELECT expires_at, entry_value FROM entries WHERE group_name = ?1 AND entry_key = ?2")
define(EXPIRY, "SELECT expires_at FROM entries WHERE group_name = ?1 AND entry_key = ?2")

# A set tries the update first: with triggers on INSERT an upsert costs 1.4 times as much, even
# where it only updates, for SQLite then keeps a journal of the statement.
define(UPDATE, """
UPDATE entries SET entry_value = ?3, expires_at = ?4 WHERE group_name = ?1 AND entry_key = ?2""")

define(UPDATE_KEEPING_EXPIRY, """
UPDATE entries SET entry_value = ?3, expires_at = CASE WHEN expires_at > ?4 THEN expires_at END
WHERE group_name = ?1 AND entry_key = ?2""")

# An upsert, as another process may have inserted the key since the update found none.
define(SET, """
INSERT INTO entries (group_name, entry_key, entry_value, expires_at) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (group_name, entry_key)
DO UPDATE SET entry_value = excluded.entry_value, expires_at = excluded.expires_at""")

define(SET_KEEPING_EXPIRY, """
INSERT INTO entries (group_name, entry_key, entry_value, expires_at) VALUES (?1, ?2, ?3, NULL)
ON CONFLICT (group_name, entry_key) DO UPDATE SET entry_value = excluded.entry_value,
expires_at = CASE WHEN expires_at > ?4 THEN expires_at END""")

define(INSERT, """
INSERT INTO entries (group_name, entry_key, entry_value, expires_at) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (group_name, entry_key) DO NOTHING""")

define(ADD, """
INSERT INTO entries (group_name, entry_key, entry_value, expires_at) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (group_name, entry_key)
DO UPDATE SET entry_value = excluded.entry_value, expires_at = excluded.expires_at
WHERE expires_at <= ?5""")

define(EXPIRE, """
UPDATE entries SET expires_at = ?3 WHERE group_name = ?1 AND entry_key = ?2
AND (expires_at IS NULL OR expires_at > ?4)""")

define(POP, """
DELETE FROM entries WHERE group_name = ?1 AND entry_key = ?2
AND (expires_at IS NULL OR expires_at > ?3) RETURNING entry_value""")

define(DELETE, """
DELETE FROM entries WHERE group_name = ?1 AND entry_key = ?2
AND (expires_at IS NULL OR expires_at > ?3)""")

define(DELETE_ROW, "DELETE FROM entries WHERE group_name = ?1 AND entry_key = ?2")

define(DELETE_EXPIRED_KEY, """
DELETE FROM entries WHERE group_name = ?1 AND entry_key = ?2 AND expires_at <= ?3""")

define(DELETE_GROUP, "DELETE FROM entries WHERE group_name = ?1")

define(EXPIRED, """
SELECT group_name, entry_key FROM entries INDEXED BY entries_expires_at_idx
WHERE expires_at <= ?3 AND group_name >= ?1 AND group_name < ?2
AND typeof(entry_key) = 'text' LIMIT ?4""")

# What the triggers would do row by row, for many rows at once. The triggers on the counts
# themselves carry it on to the namespaces.
define(COUNT_ADDED, """
INSERT INTO groupstore_groups VALUES (?1, ?2)
ON CONFLICT (group_name) DO UPDATE SET row_count = row_count + ?2""")

define(COUNT_REMOVED, """
UPDATE groupstore_groups SET row_count = row_count - ?2 WHERE group_name = ?1""")

define(FORGET_GROUP, "DELETE FROM groupstore_groups WHERE group_name = ?1")

define(ALL, """
SELECT entry_key, entry_value FROM entries WHERE group_name = ?1
AND (expires_at IS NULL OR expires_at > ?2) ORDER BY entry_key""")

define(PAGE, """
SELECT entry_key, entry_value FROM entries
WHERE group_name = ?1 AND entry_key >= ?2 AND entry_key < ?3
AND (expires_at IS NULL OR expires_at > ?4) ORDER BY entry_key LIMIT ?5 OFFSET ?6""")

define(PAGE_REVERSE, """
SELECT entry_key, entry_value FROM entries
WHERE group_name = ?1 AND entry_key >= ?2 AND entry_key < ?3
AND (expires_at IS NULL OR expires_at > ?4) ORDER BY entry_key DESC LIMIT ?5 OFFSET ?6""")

define(KEYS, """
SELECT entry_key FROM entries
WHERE group_name = ?1 AND entry_key >= ?2 AND entry_key < ?3
AND (expires_at IS NULL OR expires_at > ?4) ORDER BY entry_key LIMIT ?5 OFFSET ?6""")

define(KEYS_REVERSE, """
SELECT entry_key FROM entries
WHERE group_name = ?1 AND entry_key >= ?2 AND entry_key < ?3
AND (expires_at IS NULL OR expires_at > ?4) ORDER BY entry_key DESC LIMIT ?5 OFFSET ?6""")

define(GROUP_EXISTS, """
SELECT 1 FROM entries WHERE group_name = ?1 AND (expires_at IS NULL OR expires_at > ?2) LIMIT 1""")

define(COUNT_RANGE, """
SELECT count(*) FROM entries WHERE group_name = ?1 AND entry_key >= ?2 AND entry_key < ?3
AND (expires_at IS NULL OR expires_at > ?4)""")

define(
    COUNT_GROUP,
    """
SELECT coalesce((SELECT row_count FROM groupstore_groups WHERE group_name = ?1), 0)
- (SELECT count(*) FROM entries INDEXED BY entries_expires_at_idx
   WHERE expires_at <= ?2 AND group_name = ?1)""",
    """
SELECT count(*) FROM entries WHERE group_name = ?1 AND (expires_at IS NULL OR expires_at > ?2)""")

define(
    COUNT_GROUPS,
    """
SELECT coalesce((SELECT sum(row_count) FROM groupstore_groups
                 WHERE group_name >= ?1 AND group_name < ?2), 0)
- (SELECT count(*) FROM entries INDEXED BY entries_expires_at_idx
   WHERE expires_at <= ?3 AND group_name >= ?1 AND group_name < ?2)""",
    """
SELECT count(*) FROM entries WHERE group_name >= ?1 AND group_name < ?2
AND (expires_at IS NULL OR expires_at > ?3)""")

# The inner query lists the groups in which something has expired, mostly none.
define(
    GROUPS,
    """
SELECT g.group_name, g.row_count - coalesce(e.expired, 0) FROM groupstore_groups AS g LEFT JOIN (
    SELECT group_name, count(*) AS expired FROM entries INDEXED BY entries_expires_at_idx
    WHERE expires_at <= ?3 AND group_name >= ?1 AND group_name < ?2 GROUP BY group_name
) AS e ON e.group_name = g.group_name
WHERE g.group_name >= ?1 AND g.group_name < ?2 AND g.row_count > coalesce(e.expired, 0)
ORDER BY g.group_name LIMIT ?4""",
    """
SELECT DISTINCT group_name FROM entries WHERE group_name >= ?1 AND group_name < ?2
AND (expires_at IS NULL OR expires_at > ?3) ORDER BY group_name LIMIT ?4""")

define(NAMESPACE_TOTALS, """
SELECT row_count, group_count FROM groupstore_namespaces WHERE namespace = ?1""")

define(NAMESPACE_EXPIRED, """
SELECT count(*) FROM (SELECT 1 FROM entries INDEXED BY entries_expires_at_idx
WHERE expires_at <= ?3 AND group_name >= ?1 AND group_name < ?2 LIMIT ?4)""")

define(NAMESPACE_GROUPS_EXPIRED, """
SELECT count(*) FROM (
    SELECT group_name, count(*) AS expired FROM entries INDEXED BY entries_expires_at_idx
    WHERE expires_at <= ?3 AND group_name >= ?1 AND group_name < ?2 GROUP BY group_name
) AS e JOIN groupstore_groups AS g ON g.group_name = e.group_name
WHERE g.row_count <= e.expired""")

define(
    EXPIRED_TOTAL,
    "SELECT count(*) FROM entries INDEXED BY entries_expires_at_idx WHERE expires_at <= ?1",
    "SELECT count(*) FROM entries WHERE expires_at <= ?1")

# What may change more than a statement says: a trigger, or the conflict clause of a UNIQUE, which
# has an index beside that of the primary key.
define(FOREIGN_TRIGGERS, """
SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND name NOT GLOB 'groupstore_*'
OR type = 'index' AND sql IS NULL AND lower(tbl_name) = 'entries'
AND name NOT GLOB 'sqlite_autoindex_*_1' LIMIT 1""")


cdef int prepare(sqlite3 *db, Query query, bint counted, sqlite3_stmt **statement) noexcept nogil:
    """Compile `query`; the caller owns the statement and finalises it before `db` is closed."""
    cdef const char *sql = COUNTED[query] if counted else UNCOUNTED[query]
    return sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL)


# A destructor of NULL (SQLITE_STATIC) lets SQLite read what is bound where it lies: callers hold
# a reference to the Python object until the statement is reset.

cdef int bind_text(sqlite3_stmt *statement, int index, Text text) noexcept nogil:
    return sqlite3_bind_text64(statement, index, text.data, text.size, NULL, SQLITE_UTF8)


cdef int bind_upper(sqlite3_stmt *statement, int index, Text text) noexcept nogil:
    """Bind an exclusive upper bound; NULL data means that there is none.

    An empty blob is greater than every text (https://sqlite.org/datatype3.html, section 4.1).
    """
    if text.data is NULL:
        return sqlite3_bind_blob64(statement, index, <const void *>b"", 0, NULL)
    return bind_text(statement, index, text)


cdef int bind_value(sqlite3_stmt *statement, int index, object value) except -1:
    """Bind a str as TEXT and bytes as BLOB."""
    cdef Text text
    if PyBytes_Check(value):
        text.data = PyBytes_AS_STRING(value)
        return sqlite3_bind_blob64(statement, index, text.data, PyBytes_GET_SIZE(value), NULL)
    text.data = PyUnicode_AsUTF8AndSize(value, &text.size)
    return bind_text(statement, index, text)


cdef int bind_expiry(sqlite3_stmt *statement, int index, int64_t expires_at_ms) noexcept nogil:
    if expires_at_ms == NEVER:
        return sqlite3_bind_null(statement, index)
    return sqlite3_bind_int64(statement, index, expires_at_ms)


cdef const char *column_bytes(sqlite3_stmt *statement, int index, Py_ssize_t *size) except? NULL:
    """What SQLite holds for a text or blob, which it owns until the statement moves on.

    Read as a blob, since as text SQLite would first have to append a NUL. NULL for no bytes.
    """
    cdef const char *data = <const char *>sqlite3_column_blob(statement, index)
    size[0] = sqlite3_column_bytes(statement, index)
    if data is NULL and size[0] > 0:
        raise MemoryError
    return data


cdef object column_str(sqlite3_stmt *statement, int index):
    """A group or key, or None where another program wrote one that is not text in UTF-8."""
    cdef Py_ssize_t size
    cdef const char *data
    if sqlite3_column_type(statement, index) != SQLITE_TEXT:
        return None
    data = column_bytes(statement, index, &size)
    try:
        return decode_utf8(data, size, NULL)
    except UnicodeDecodeError:
        return None


cdef object column_name(sqlite3_stmt *statement, int index):
    """The bytes of a group or key, whatever another program wrote there."""
    cdef Py_ssize_t size
    cdef const char *data = column_bytes(statement, index, &size)
    return PyBytes_FromStringAndSize(data, size)


cdef object column_value(sqlite3_stmt *statement, int index):
    """A value in its type; text that is not UTF-8, which Go allows, is given as bytes."""
    cdef Py_ssize_t size
    cdef bint is_blob = sqlite3_column_type(statement, index) == SQLITE_BLOB
    cdef const char *data = column_bytes(statement, index, &size)
    if is_blob:
        return PyBytes_FromStringAndSize(data, size)
    try:
        return decode_utf8(data, size, NULL)
    except UnicodeDecodeError:
        return PyBytes_FromStringAndSize(data, size)


cdef int64_t column_expiry(sqlite3_stmt *statement, int index) noexcept nogil:
    if sqlite3_column_type(statement, index) == SQLITE_NULL:
        return NEVER
    return sqlite3_column_int64(statement, index)
