/* The header of SQLite's wal-index, and comparing it, which tells of every commit.
 *
 * The first 48 bytes of the `-shm` file change with each commit of any process, and are the last
 * thing that a commit writes (https://sqlite.org/walformat.html, section 2.3; `walIndexWriteHdr`
 * in SQLite's wal.c). SQLite maps them; a pointer comes from the file's own methods, which are
 * part of SQLite's public interface (https://sqlite.org/c3ref/io_methods.html). */
#ifndef GROUPSTORE_WAL_INDEX_H
#define GROUPSTORE_WAL_INDEX_H

#include <stdint.h>
#include "sqlite_api.h"

#define HEADER_WORDS 6

typedef struct {
    uint64_t words[HEADER_WORDS];
    /* Which of the process's mappings it was copied from; no part of the comparison. */
    uint64_t mapping;
} wal_header;

typedef struct database_file database_file;

typedef struct {
    int version;
    void *from_close_to_device_characteristics[12];
    /* From version 2 on. */
    int (*shm_map)(database_file *, int page, int page_size, int extend, void volatile **at);
} file_methods;

struct database_file { const file_methods *methods; };

/* Other processes write what `at` points to, and other threads what `sample` does. */
#ifdef _MSC_VER
#include <windows.h>
#define LOAD_WORD(from) (*(volatile const uint64_t *)(from))
#define STORE_WORD(to, value) (*(volatile uint64_t *)(to) = (value))
#define BARRIER() MemoryBarrier()
#else
#define LOAD_WORD(from) __atomic_load_n((from), __ATOMIC_RELAXED)
#define STORE_WORD(to, value) __atomic_store_n((to), (value), __ATOMIC_RELAXED)
#define BARRIER() __atomic_thread_fence(__ATOMIC_ACQ_REL)
#endif

/* What is read after an equal comparison is at least as new as the sample. */
static inline int header_equals(const uint64_t *at, const wal_header *sample) {
    for (int i = 0; i < HEADER_WORDS; i++)
        if (LOAD_WORD(at + i) != LOAD_WORD(sample->words + i)) return 0;
    BARRIER();
    return 1;
}

/* What is read from the file after this is at least as new as the copy. */
static inline void header_copy(const uint64_t *at, wal_header *copy) {
    for (int i = 0; i < HEADER_WORDS; i++) copy->words[i] = LOAD_WORD(at + i);
    BARRIER();
}

/* What was written to memory before is seen by whoever sees the new sample. */
static inline void header_move(wal_header *sample, const wal_header *to) {
    BARRIER();
    for (int i = 0; i < HEADER_WORDS; i++) STORE_WORD(sample->words + i, to->words[i]);
}

/* Bytes 8 and 16 of the header: a count of commits, modulo 2^32, and the frames in the log. */
static inline uint32_t header_commits(const wal_header *header) {
    return ((const uint32_t *)header->words)[2];
}

static inline uint32_t header_frames(const wal_header *header) {
    return ((const uint32_t *)header->words)[4];
}

#define FCNTL_FILE_POINTER 7
/* The size that SQLite maps the index in. */
#define INDEX_PAGE_SIZE 32768

/* Where the header of a database is mapped, or NULL where there is none: SQLite keeps the index
 * in memory of its own (exclusive locking, immutable files) or has not needed it yet. */
static inline const uint64_t *header_of(sqlite3 *db) {
    database_file *file = 0;
    void volatile *at = 0;
    if (sqlite3_file_control(db, "main", FCNTL_FILE_POINTER, &file) || !file || !file->methods)
        return 0;
    if (file->methods->version < 2 || !file->methods->shm_map) return 0;
    if (file->methods->shm_map(file, 0, INDEX_PAGE_SIZE, 0, &at)) return 0;
    return (const uint64_t *)at;
}

#endif
