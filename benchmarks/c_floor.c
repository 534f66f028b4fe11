/* The floor of the benchmarks: bare loops over a prepared statement of the same SQLite.
 *
 * Loaded into an APSW connection as an extension, for the function table, and then called through
 * ctypes. Every function returns the nanoseconds that its loop took, or minus an error code; an
 * error ends the benchmark, so nothing is released on the way out. It is built against the
 * engine's header: no SQLite header has to be installed. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "sqlite_api.h"

/* Result codes and flags of sqlite3.h: https://sqlite.org/rescode.html */
enum { OK = 0, NOMEM = 7, MISMATCH = 20, ROW = 100, DONE = 101 };
enum { TYPE_TEXT = 3, ENCODING_UTF8 = 1, PREPARE_PERSISTENT = 1 };

#define KEY_BYTES 16
#define KEY_LENGTH 12
#define COPY_BYTES 4096
#define CHECK(call) do { int code_ = (call); if (code_ != OK) return -code_; } while (0)

/* floor.py has the same as a ctypes.Structure. */
typedef struct {
    const char *sql;    /* ?1 is the group, ?2 the key, ?3 the value, as far as `parameters` */
    const char *group;
    const int *numbers; /* of the keys, in the order of the calls */
    int count, parameters, columns, value_bytes, turn, together;
    int every;          /* of floor_mixed: which of its calls is a write */
    const char *write_sql;
    long long rows;     /* out: how many rows came back */
} work;

int sqlite3_cfloor_init(sqlite3 *db, char **message, void *const *routines) {
    (void)db;
    (void)message;
    groupstore_routines = routines;
    return OK;
}

static long long now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static int prepare(sqlite3 *db, const char *sql, sqlite3_stmt **s) {
    return sqlite3_prepare_v3(db, sql, -1, PREPARE_PERSISTENT, s, NULL);
}

static int bind_text(sqlite3_stmt *s, int index, const char *text, size_t length) {
    return sqlite3_bind_text64(s, index, text, length, NULL, ENCODING_UTF8);
}

/* Copies the texts of a row, as any client has to. */
static void take_row(sqlite3_stmt *s, int columns, char *copy) {
    for (int i = 0; i < columns; i++) {
        if (sqlite3_column_type(s, i) != TYPE_TEXT) continue;
        const void *text = sqlite3_column_blob(s, i);
        int size = sqlite3_column_bytes(s, i);
        memcpy(copy, text, size < COPY_BYTES ? size : COPY_BYTES);
    }
}

static int run_once(sqlite3_stmt *s, work *w, const char *key, const char *value, char *copy) {
    int code;
    CHECK(bind_text(s, 1, w->group, strlen(w->group)));
    if (w->parameters >= 2) CHECK(bind_text(s, 2, key, KEY_LENGTH));
    if (w->parameters >= 3) CHECK(bind_text(s, 3, value, w->value_bytes));
    while ((code = sqlite3_step(s)) == ROW) {
        take_row(s, w->columns, copy);
        w->rows++;
    }
    if (code != DONE) return -code;
    return -sqlite3_reset(s);
}

static int step_alone(sqlite3_stmt *s) {
    int code = sqlite3_step(s);
    return code == DONE ? sqlite3_reset(s) : code;
}

/* Runs one statement for each key; with `together`, inside one transaction. A value's first bytes
 * change with the turn: an upsert of an equal value dirties no page and would be no write. */
long long floor_run(sqlite3 *db, work *w) {
    sqlite3_stmt *s, *begin_s, *commit_s;
    char copy[COPY_BYTES];
    char *keys = malloc((size_t)w->count * KEY_BYTES), *value = malloc(w->value_bytes + 16);
    if (!keys || !value) return -NOMEM;
    for (int i = 0; i < w->count; i++) snprintf(keys + i * KEY_BYTES, KEY_BYTES, "key-%08d", w->numbers[i]);
    memset(value, 'v', w->value_bytes);
    CHECK(prepare(db, w->sql, &s));
    CHECK(prepare(db, "BEGIN IMMEDIATE", &begin_s));
    CHECK(prepare(db, "COMMIT", &commit_s));
    w->rows = 0;
    long long begin = now_ns();
    if (w->together) CHECK(step_alone(begin_s));
    for (int i = 0; i < w->count; i++) {
        value[0] = '0' + w->turn % 10;
        value[1] = '0' + w->turn / 10 % 10;
        value[2] = '0' + i % 10;
        int failed = run_once(s, w, keys + i * KEY_BYTES, value, copy);
        if (failed) return failed;
    }
    if (w->together) CHECK(step_alone(commit_s));
    long long taken = now_ns() - begin;
    sqlite3_finalize(s);
    sqlite3_finalize(begin_s);
    sqlite3_finalize(commit_s);
    free(keys);
    free(value);
    return taken;
}

/* Runs `sql` for each key, and `write_sql` in place of each `every`th; called without the GIL, by
 * several threads at once, each with a connection of its own. */
long long floor_mixed(sqlite3 *db, work *w) {
    sqlite3_stmt *read_s, *write_s;
    char copy[COPY_BYTES], key[KEY_BYTES], value[COPY_BYTES];
    memset(value, 'v', w->value_bytes);
    CHECK(prepare(db, w->sql, &read_s));
    CHECK(prepare(db, w->write_sql, &write_s));
    w->rows = 0;
    long long begin = now_ns();
    for (int i = 0; i < w->count; i++) {
        int writes = i % w->every == w->every - 1;
        w->parameters = writes ? 3 : 2;
        snprintf(key, KEY_BYTES, "key-%08d", w->numbers[i]);
        value[0] = '0' + w->turn % 10;
        value[1] = '0' + w->turn / 10 % 10;
        value[2] = '0' + i / w->every % 10;
        int failed = run_once(writes ? write_s : read_s, w, key, value, copy);
        if (failed) return failed;
    }
    long long taken = now_ns() - begin;
    sqlite3_finalize(read_s);
    sqlite3_finalize(write_s);
    return taken;
}

static PyObject *text_of(sqlite3_stmt *s, int column) {
    const char *text = sqlite3_column_blob(s, column);
    return PyUnicode_DecodeUTF8(text, sqlite3_column_bytes(s, column), NULL);
}

/* Scans a group into a new dict; called with the GIL held (ctypes.PyDLL). */
long long floor_scan(sqlite3 *db, work *w) {
    sqlite3_stmt *s;
    CHECK(prepare(db, w->sql, &s));
    long long begin = now_ns();
    CHECK(bind_text(s, 1, w->group, strlen(w->group)));
    PyObject *found = PyDict_New();
    int code;
    while ((code = sqlite3_step(s)) == ROW) {
        PyObject *key = text_of(s, 0), *value = text_of(s, 1);
        if (!key || !value || PyDict_SetItem(found, key, value)) return -NOMEM;
        Py_DECREF(key);
        Py_DECREF(value);
    }
    sqlite3_finalize(s);
    long long taken = now_ns() - begin;
    w->rows = PyDict_Size(found);
    Py_DECREF(found);
    return code == DONE ? taken : -code;
}
