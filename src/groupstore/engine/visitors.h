/* Who is looking at memory that may be taken away, counted so that whoever takes it can wait.
 *
 * With the GIL a look is undivided and there is nothing to count. Without it each thread counts in
 * one of several slots, a cache line each, so that threads that look do not slow each other down. */
#ifndef GROUPSTORE_VISITORS_H
#define GROUPSTORE_VISITORS_H

#include "lock.h"

#ifdef Py_GIL_DISABLED
#include <stdint.h>

#ifdef _MSC_VER
#include <windows.h>
#define OWN_TO_THREAD __declspec(thread)
#define YIELD_PROCESSOR() SwitchToThread()
#else
#include <sched.h>
#define OWN_TO_THREAD _Thread_local
#define YIELD_PROCESSOR() sched_yield()
#endif

#define VISITOR_SLOTS 32

typedef struct { struct { long inside; char apart[64 - sizeof(long)]; } slots[VISITOR_SLOTS]; } visitors;

static inline long *visitor_slot(visitors *all) {
    static OWN_TO_THREAD char own;
    /* The address of a thread's own variable stands for the thread. */
    return &all->slots[((uintptr_t)&own >> 8) % VISITOR_SLOTS].inside;
}
static inline void visitor_enters(visitors *all) { atomic_add(visitor_slot(all), 1); }
static inline void visitor_leaves(visitors *all) { atomic_add(visitor_slot(all), -1); }
/* For those who came before what they looked at was exchanged; those who come later see the new. */
static inline void wait_for_visitors(visitors *all) {
    for (int slot = 0; slot < VISITOR_SLOTS; slot++)
        while (atomic_get(&all->slots[slot].inside)) YIELD_PROCESSOR();
}
#else
typedef char visitors;
static inline void visitor_enters(visitors *all) { (void)all; }
static inline void visitor_leaves(visitors *all) { (void)all; }
static inline void wait_for_visitors(visitors *all) { (void)all; }
#endif

#endif
