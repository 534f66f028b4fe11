"""Many entries in one call: their pairs checked, and written a chunk at a time without the GIL."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_Check, PyBytes_GET_SIZE
from libc.stdint cimport int64_t

from groupstore.engine.argument cimport Text, str_argument, utf8, value_argument
from groupstore.engine.connection cimport Connection
from groupstore.engine.expiry cimport KEPT, NEVER, now_ms
from groupstore.engine.sqlite cimport (
    SQLITE_DONE, SQLITE_OK, drop_raised, groupstore_routines, sqlite3, sqlite3_bind_blob64,
    sqlite3_bind_int64, sqlite3_changes64, sqlite3_reset, sqlite3_step, sqlite3_stmt,
    sqlite_routines,
)
from groupstore.engine.statement cimport (
    INSERT, UPDATE, UPDATE_KEEPING_EXPIRY, bind_expiry, bind_text,
)

groupstore_routines = sqlite_routines()


cdef enum:
    # Rows between two looks at the Python objects: enough that the GIL's hand-overs do not count,
    # few enough that other threads get it soon.
    CHUNK_ROWS = 64


# Borrowed from the pair, which must outlive it.
cdef struct Row:
    Text key
    Text value
    bint is_blob


cdef struct Target:
    sqlite3 *db
    # The connection's; group and expiry are bound.
    sqlite3_stmt *update
    sqlite3_stmt *insert
    # Most calls are all new or all there, so each row is first taken for one like the last.
    bint is_new
    int64_t added


cdef list pair_list(object items):
    """The pairs of a mapping or an iterable, each of them checked."""
    cdef list pairs = []
    if type(items) is dict:
        for key, value in (<dict>items).items():
            pairs.append(checked_pair((key, value)))
    elif hasattr(items, "keys"):
        for key in items.keys():
            pairs.append(checked_pair((key, items[key])))
    else:
        for item in items:
            if isinstance(item, (str, bytes)) or not hasattr(item, "__len__") or len(item) != 2:
                raise TypeError(f"set_many: items must be pairs of key and value, not {item!r}")
            pairs.append(checked_pair(item if type(item) is tuple else tuple(item)))
    return pairs


cdef tuple checked_pair(tuple pair):
    """The pair itself where it holds what can be stored as it is."""
    key, value = pair
    text = str_argument(key, "set_many", "key")
    stored = value_argument(value, "set_many", "value")
    return pair if text is key and stored is value else (text, stored)


cdef int64_t write_pairs(
    Connection writer, str full, list pairs, int64_t expires_at_ms, Py_ssize_t *written, int *code
) except -1:
    """Write pairs in the transaction that is open, and return how many of the keys were new.

    `code` is SQLITE_DONE, or that of the pair at `written`, which failed; the statement is not
    reset then, so that its message is at hand.
    """
    cdef Row rows[CHUNK_ROWS]
    cdef Target target
    cdef Py_ssize_t count
    target.db = writer.raw
    target.is_new = False
    target.added = 0
    target.update = writer.statement(UPDATE_KEEPING_EXPIRY if expires_at_ms == KEPT else UPDATE)
    target.insert = writer.statement(INSERT)
    bind_group(&target, utf8(full), expires_at_ms)
    code[0] = SQLITE_DONE
    written[0] = 0
    while code[0] == SQLITE_DONE and written[0] < len(pairs):
        count = min(CHUNK_ROWS, len(pairs) - written[0])
        take_rows(pairs, written[0], count, rows)
        if writer.on_disk:
            with nogil:
                code[0] = write_rows(&target, rows, count, written)
            drop_raised()
        else:
            code[0] = write_rows(&target, rows, count, written)
    # Where one has failed, the one that is to be reset once its message was read.
    writer.active = target.insert if target.is_new else target.update
    return target.added


cdef int bind_group(Target *target, Text group, int64_t expires_at_ms) noexcept:
    bind_text(target.update, 1, group)
    bind_text(target.insert, 1, group)
    if expires_at_ms == KEPT:
        sqlite3_bind_int64(target.update, 4, now_ms())
        # A new key has no expiry that could be kept.
        bind_expiry(target.insert, 4, NEVER)
    else:
        bind_expiry(target.update, 4, expires_at_ms)
        bind_expiry(target.insert, 4, expires_at_ms)
    return 0


cdef int take_rows(list pairs, Py_ssize_t first, Py_ssize_t count, Row *rows) except -1:
    cdef Py_ssize_t index
    cdef str key
    for index in range(count):
        key, value = <tuple>pairs[first + index]
        rows[index].key = utf8(key)
        rows[index].is_blob = PyBytes_Check(value)
        if rows[index].is_blob:
            rows[index].value.data = PyBytes_AS_STRING(value)
            rows[index].value.size = PyBytes_GET_SIZE(value)
        else:
            rows[index].value = utf8(<str>value)
    return 0


cdef int write_rows(
    Target *target, const Row *rows, Py_ssize_t count, Py_ssize_t *written
) noexcept nogil:
    """Write rows until one fails: SQLITE_DONE, or its code. `written` counts on."""
    cdef Py_ssize_t index
    cdef int code
    for index in range(count):
        code = write_row(target, &rows[index])
        if code == SQLITE_DONE and sqlite3_changes64(target.db) == 0:
            target.is_new = not target.is_new
            code = write_row(target, &rows[index])
        if code != SQLITE_DONE:
            return code
        target.added += target.is_new
        written[0] += 1
    return SQLITE_DONE


cdef int write_row(Target *target, const Row *row) noexcept nogil:
    cdef sqlite3_stmt *statement = target.insert if target.is_new else target.update
    cdef int code = bind_text(statement, 2, row.key)
    if code == SQLITE_OK:
        if row.is_blob:
            code = sqlite3_bind_blob64(statement, 3, row.value.data, row.value.size, NULL)
        else:
            code = bind_text(statement, 3, row.value)
    if code != SQLITE_OK:
        return code
    code = sqlite3_step(statement)
    if code == SQLITE_DONE:
        sqlite3_reset(statement)
    return code
