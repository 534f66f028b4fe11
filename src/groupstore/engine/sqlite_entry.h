/* The entry point by which SQLite hands its function table to this module
 * (https://sqlite.org/loadext.html, "Programming Loadable Extensions"). */
#ifndef GROUPSTORE_SQLITE_ENTRY_H
#define GROUPSTORE_SQLITE_ENTRY_H

#include <Python.h>
#include "sqlite_api.h"

static void *const *groupstore_entry_routines = 0;

Py_EXPORTED_SYMBOL int groupstore_sqlite_entry(sqlite3 *db, char **message, void *const *routines) {
    (void)db;
    (void)message;
    groupstore_entry_routines = routines;
    return 0;
}

#endif
