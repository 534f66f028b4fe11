/* The floor of the benchmarks: bare loops over prepared statements of the same SQLite.
 *
 * Loaded into an APSW connection as an extension, for the function table, and then called through
 * ctypes. Every function returns the nanoseconds that its loop took, or minus an error code.
 * Default settings, `WITHOUT ROWID`, none of the package's indexes and triggers. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <sqlite3ext.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
SQLITE_EXTENSION_INIT1

#define KEY_BYTES 16
#define CHECK(call) do { int code_ = (call); if (code_ != SQLITE_OK) return -code_; } while (0)

int sqlite3_cfloor_init(sqlite3 *db, char **message, const sqlite3_api_routines *api) {
    (void)db;
    (void)message;
    SQLITE_EXTENSION_INIT2(api);
    return SQLITE_OK;
}

static long long now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static char *key_texts(const int *numbers, int count) {
    char *keys = malloc((size_t)count * KEY_BYTES);
    for (int i = 0; keys && i < count; i++) snprintf(keys + i * KEY_BYTES, KEY_BYTES, "key-%08d", numbers[i]);
    return keys;
}

static int prepare(sqlite3 *db, const char *sql, sqlite3_stmt **s) {
    return sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, s, NULL);
}

/* Reads `count` values, copying each, as any client has to. */
long long floor_get(sqlite3 *db, const int *numbers, int count) {
    sqlite3_stmt *s;
    char *keys = key_texts(numbers, count), copy[4096];
    CHECK(prepare(db, "SELECT entry_value, expires_at FROM entries WHERE group_name=? AND entry_key=?", &s));
    long long begin = now_ns();
    for (int i = 0; i < count; i++) {
        sqlite3_bind_text(s, 1, "g", 1, SQLITE_STATIC);
        sqlite3_bind_text(s, 2, keys + i * KEY_BYTES, 12, SQLITE_STATIC);
        if (sqlite3_step(s) != SQLITE_ROW) return -SQLITE_NOTFOUND;
        int size = sqlite3_column_bytes(s, 0);
        memcpy(copy, sqlite3_column_text(s, 0), size < 4096 ? size : 4096);
        if (sqlite3_column_type(s, 1) != SQLITE_NULL) return -SQLITE_MISMATCH;
        sqlite3_reset(s);
    }
    long long taken = now_ns() - begin;
    sqlite3_finalize(s);
    free(keys);
    return taken;
}

/* Upserts `count` keys; the value's first bytes are `round`, so that it changes every time. */
long long floor_set(sqlite3 *db, const int *numbers, int count, int value_bytes, int round, int together) {
    sqlite3_stmt *s, *begin_s, *commit_s;
    char *keys = key_texts(numbers, count), *value = malloc(value_bytes + 16);
    memset(value, 'v', value_bytes);
    CHECK(prepare(db, "INSERT INTO entries VALUES(?,?,?,?) ON CONFLICT(group_name,entry_key) DO UPDATE"
                      " SET entry_value=excluded.entry_value, expires_at=excluded.expires_at", &s));
    CHECK(prepare(db, "BEGIN IMMEDIATE", &begin_s));
    CHECK(prepare(db, "COMMIT", &commit_s));
    long long begin = now_ns();
    if (together) { sqlite3_step(begin_s); sqlite3_reset(begin_s); }
    for (int i = 0; i < count; i++) {
        value[0] = '0' + round % 10;
        value[1] = '0' + round / 10 % 10;
        value[2] = '0' + i % 10;
        sqlite3_bind_text(s, 1, "g", 1, SQLITE_STATIC);
        sqlite3_bind_text(s, 2, keys + i * KEY_BYTES, 12, SQLITE_STATIC);
        sqlite3_bind_text(s, 3, value, value_bytes, SQLITE_STATIC);
        sqlite3_bind_null(s, 4);
        int code = sqlite3_step(s);
        if (code != SQLITE_DONE) return -code;
        sqlite3_reset(s);
    }
    if (together) { sqlite3_step(commit_s); sqlite3_reset(commit_s); }
    long long taken = now_ns() - begin;
    sqlite3_finalize(s);
    sqlite3_finalize(begin_s);
    sqlite3_finalize(commit_s);
    free(keys);
    free(value);
    return taken;
}

/* Deletes `count` keys one by one inside one transaction. */
long long floor_delete(sqlite3 *db, const int *numbers, int count) {
    sqlite3_stmt *s, *begin_s, *commit_s;
    char *keys = key_texts(numbers, count);
    CHECK(prepare(db, "DELETE FROM entries WHERE group_name=? AND entry_key=?", &s));
    CHECK(prepare(db, "BEGIN IMMEDIATE", &begin_s));
    CHECK(prepare(db, "COMMIT", &commit_s));
    long long begin = now_ns();
    sqlite3_step(begin_s);
    for (int i = 0; i < count; i++) {
        sqlite3_bind_text(s, 1, "g", 1, SQLITE_STATIC);
        sqlite3_bind_text(s, 2, keys + i * KEY_BYTES, 12, SQLITE_STATIC);
        if (sqlite3_step(s) != SQLITE_DONE) return -SQLITE_ERROR;
        sqlite3_reset(s);
    }
    sqlite3_step(commit_s);
    long long taken = now_ns() - begin;
    sqlite3_finalize(s);
    sqlite3_finalize(begin_s);
    sqlite3_finalize(commit_s);
    free(keys);
    return taken;
}

/* Scans the group into a new dict; called with the GIL held (ctypes.PyDLL). */
long long floor_scan(sqlite3 *db, int expected) {
    sqlite3_stmt *s;
    CHECK(prepare(db, "SELECT entry_key, entry_value FROM entries WHERE group_name='g' ORDER BY entry_key", &s));
    long long begin = now_ns();
    PyObject *found = PyDict_New();
    while (sqlite3_step(s) == SQLITE_ROW) {
        PyObject *key = PyUnicode_DecodeUTF8((const char *)sqlite3_column_text(s, 0), sqlite3_column_bytes(s, 0), NULL);
        PyObject *value = PyUnicode_DecodeUTF8((const char *)sqlite3_column_text(s, 1), sqlite3_column_bytes(s, 1), NULL);
        PyDict_SetItem(found, key, value);
        Py_DECREF(key);
        Py_DECREF(value);
    }
    sqlite3_finalize(s);
    int size = (int)PyDict_Size(found);
    long long taken = now_ns() - begin;
    Py_DECREF(found);
    return size == expected ? taken : -SQLITE_MISMATCH;
}
