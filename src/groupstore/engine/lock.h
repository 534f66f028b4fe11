/* A lock for a few instructions that run no Python code and never wait.
 *
 * With the GIL such a stretch is undivided anyhow, so the lock is nothing there. */
#ifndef GROUPSTORE_LOCK_H
#define GROUPSTORE_LOCK_H

#include <Python.h>
#include <string.h>

#ifdef Py_GIL_DISABLED
typedef PyMutex brief_lock;
static inline void brief_init(brief_lock *lock) { memset(lock, 0, sizeof *lock); }
static inline void brief_acquire(brief_lock *lock) { PyMutex_Lock(lock); }
static inline void brief_release(brief_lock *lock) { PyMutex_Unlock(lock); }
#else
typedef char brief_lock;
static inline void brief_init(brief_lock *lock) { (void)lock; }
static inline void brief_acquire(brief_lock *lock) { (void)lock; }
static inline void brief_release(brief_lock *lock) { (void)lock; }
#endif

/* Sequentially consistent access to a long that several threads use without a lock. */
#ifdef _MSC_VER
#include <intrin.h>
static inline long atomic_add(long *at, long value) {
    return _InterlockedExchangeAdd((volatile long *)at, value) + value;
}
static inline long atomic_get(long *at) { return _InterlockedExchangeAdd((volatile long *)at, 0); }
static inline void atomic_set(long *at, long value) { _InterlockedExchange((volatile long *)at, value); }
#else
static inline long atomic_add(long *at, long value) {
    return __atomic_add_fetch(at, value, __ATOMIC_SEQ_CST);
}
static inline long atomic_get(long *at) { return __atomic_load_n(at, __ATOMIC_SEQ_CST); }
static inline void atomic_set(long *at, long value) { __atomic_store_n(at, value, __ATOMIC_SEQ_CST); }
#endif

#endif
