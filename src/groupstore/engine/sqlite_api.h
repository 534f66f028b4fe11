/* The part of SQLite's C API that the engine calls.
 *
 * APSW links SQLite into its own extension module with hidden symbols, but SQLite hands a table
 * of its functions to every loadable extension (https://sqlite.org/loadext.html). The table,
 * `struct sqlite3_api_routines` of sqlite3ext.h, is append-only, so a slot's number never
 * changes; the numbers below are checked against an installed sqlite3ext.h by
 * tests/engine/test_sqlite.py. */
#ifndef GROUPSTORE_SQLITE_API_H
#define GROUPSTORE_SQLITE_API_H

typedef struct sqlite3 sqlite3;
typedef struct sqlite3_stmt sqlite3_stmt;
typedef long long sqlite3_int64;
typedef unsigned long long sqlite3_uint64;

/* One copy a compiled module, filled by `use_sqlite()` when the module is imported: a shared
 * one would need an exported symbol and a relocation on each call. */
static void *const *groupstore_routines = 0;

#define SLOT(number, result, name, parameters, arguments)                                    \
    static inline result sqlite3_##name parameters {                                          \
        return ((result (*) parameters)groupstore_routines[number]) arguments;                \
    }

SLOT(5, int, bind_int64, (sqlite3_stmt *s, int i, sqlite3_int64 v), (s, i, v))
SLOT(6, int, bind_null, (sqlite3_stmt *s, int i), (s, i))
SLOT(19, const void *, column_blob, (sqlite3_stmt *s, int i), (s, i))
SLOT(20, int, column_bytes, (sqlite3_stmt *s, int i), (s, i))
SLOT(29, sqlite3_int64, column_int64, (sqlite3_stmt *s, int i), (s, i))
SLOT(38, int, column_type, (sqlite3_stmt *s, int i), (s, i))
SLOT(40, void *, commit_hook, (sqlite3 *db, int (*hook)(void *), void *context),
     (db, hook, context))
SLOT(53, const char *, errmsg, (sqlite3 *db), (db))
SLOT(57, int, finalize, (sqlite3_stmt *s), (s))
SLOT(60, int, get_autocommit, (sqlite3 *db), (db))
SLOT(77, int, reset, (sqlite3_stmt *s), (s))
SLOT(94, int, step, (sqlite3_stmt *s), (s))
SLOT(127, int, file_control, (sqlite3 *db, const char *name, int op, void *v), (db, name, op, v))
SLOT(166, int, extended_errcode, (sqlite3 *db), (db))
SLOT(175, void *, wal_hook,
     (sqlite3 *db, int (*hook)(void *, sqlite3 *, const char *, int), void *context),
     (db, hook, context))
SLOT(193, int, bind_blob64,
     (sqlite3_stmt *s, int i, const void *p, sqlite3_uint64 n, void (*done)(void *)),
     (s, i, p, n, done))
SLOT(194, int, bind_text64,
     (sqlite3_stmt *s, int i, const char *p, sqlite3_uint64 n, void (*done)(void *),
      unsigned char encoding),
     (s, i, p, n, done, encoding))
SLOT(217, int, prepare_v3,
     (sqlite3 *db, const char *sql, int n, unsigned flags, sqlite3_stmt **s, const char **tail),
     (db, sql, n, flags, s, tail))
SLOT(253, sqlite3_int64, changes64, (sqlite3 *db), (db))

#undef SLOT

#endif
