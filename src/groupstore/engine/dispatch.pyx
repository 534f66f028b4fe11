"""From a committed mutation to those who asked for it."""

cimport cython
from cpython.ref cimport PyObject

from groupstore.engine.argument cimport str_argument
from groupstore.engine.event cimport Event
from groupstore.engine.lock cimport brief_acquire, brief_init, brief_release
from groupstore.engine.watcher cimport Ring, Watcher
from groupstore.log import logger


cdef extern from "Python.h":
    Py_ssize_t PY_SSIZE_T_MAX
    PyObject *PyDict_GetItemWithError(dict, object) except? NULL


cdef tuple rings_of(dict table, str name):
    cdef PyObject *found = PyDict_GetItemWithError(table, name)
    return () if found is NULL else <tuple>found


cdef str namespace_prefix(str group):
    """The prefix of the scope that `group` belongs to: the text up to the first colon."""
    return group[:group.find(":") + 1]


@cython.final
cdef class Dispatcher:
    """Who watches what, found by one look-up in each table; the tables' tuples never change, so
    that a delivery under way needs no lock."""

    def __cinit__(self):
        brief_init(&self.lock)
        self.clear()

    cdef int clear(self) except -1:
        """Forget every watcher and callback."""
        self.by_group = {}
        self.by_namespace = {}
        self.everywhere = ()
        self.callbacks = ()
        self.stale = []
        return 0

    cdef bint active(self) noexcept:
        """Whether anyone watches anything."""
        return (
            len(self.callbacks) or len(self.everywhere) or len(self.by_group)
            or len(self.by_namespace)
        )

    cdef bint wanted(self, str group) except -1:
        """Whether anyone would see an event of `group`."""
        if self.callbacks or self.everywhere:
            return True
        if self.by_group and rings_of(self.by_group, group):
            return True
        return len(self.by_namespace) != 0 and len(
            rings_of(self.by_namespace, namespace_prefix(group))
        ) != 0

    cdef int deliver(self, list events, list wakes) except -1:
        """Put each event into the rings that want it, in order; collect whom to wake."""
        cdef Event event, local
        cdef Ring ring
        cdef str name
        for event in events:
            if event is None:
                # Taken back when there was no memory to take it out.
                continue
            local = None
            for ring in self.everywhere:
                offer(ring, event, wakes)
            for ring in rings_of(self.by_group, event.group):
                if ring.prefix_length:
                    if local is None:
                        local = event.local(ring.prefix_length)
                    offer(ring, local, wakes)
                else:
                    offer(ring, event, wakes)
            if self.by_namespace:
                name = namespace_prefix(event.group)
                for ring in rings_of(self.by_namespace, name):
                    if local is None:
                        local = event.local(ring.prefix_length)
                    offer(ring, local, wakes)
        if self.stale:
            self.prune()
        return 0

    cdef int call_back(self, list events) except -1:
        """Call every callback with every event; called with no lock held."""
        cdef Event event
        cdef Registration entry
        interrupt = None
        for event in events:
            if event is None:
                continue
            for entry in self.callbacks:
                callback = entry.callback
                # None: an earlier callback has taken it out.
                if callback is None or not event.group.startswith(entry.prefix):
                    continue
                seen = event.local(len(entry.prefix)) if entry.prefix else event
                try:
                    callback(seen)
                except Exception:
                    logger().exception("on_change: the callback %r failed on %r", callback, seen)
                except BaseException as error:
                    # Ctrl-C, say: the others are called all the same.
                    interrupt = interrupt or error
        if interrupt is not None:
            raise interrupt
        return 0

    def watch(self, str prefix, group, capacity):
        """A new watcher of `group` of the scope with `prefix`; `"*"` stands for all groups."""
        group = str_argument(group, "watch", "group")
        cdef dict table = None
        cdef str name = prefix
        if group != "*":
            table = self.by_group
            name = prefix + group
        elif prefix:
            table = self.by_namespace
        cdef Ring ring = Ring(min(capacity, PY_SSIZE_T_MAX), len(prefix), table, name, self.stale)
        self.prune()
        brief_acquire(&self.lock)
        if table is None:
            self.everywhere += (ring,)
        else:
            table[name] = rings_of(table, name) + (ring,)
        brief_release(&self.lock)
        return Watcher(ring)

    def on_change(self, str prefix, callback):
        """Register `callback`; the result, an idempotent function, takes it out again."""
        cdef Registration entry = Registration.__new__(Registration)
        entry.callback = callback
        entry.prefix = prefix
        brief_acquire(&self.lock)
        self.callbacks += (entry,)
        brief_release(&self.lock)

        def unregister():
            entry.callback = None
            brief_acquire(&self.lock)
            self.callbacks = tuple([other for other in self.callbacks if other is not entry])
            brief_release(&self.lock)

        return unregister

    cdef int prune(self) except -1:
        """Let go of the rings that were closed since the last time."""
        cdef Ring ring
        while self.stale:
            ring = self.stale.pop()
            brief_acquire(&self.lock)
            self.dropped_before += ring.dropped
            if ring.table is None:
                self.everywhere = without(self.everywhere, ring)
            else:
                kept = without(rings_of(ring.table, ring.name), ring)
                if kept:
                    ring.table[ring.name] = kept
                else:
                    ring.table.pop(ring.name, None)
            brief_release(&self.lock)
        return 0

    def rings(self):
        """The rings of all open watchers."""
        self.prune()
        found = list(self.everywhere)
        for table in (self.by_group, self.by_namespace):
            for rings in list(table.values()):
                found.extend(rings)
        return found

    @property
    def dropped(self):
        """Events that watchers had no room for, closed watchers included."""
        dropped = self.dropped_before
        for ring in self.rings():
            dropped += ring.dropped
        return dropped

    def close_watchers(self):
        """Close every watcher; what is buffered stays readable."""
        cdef Ring ring
        for ring in self.rings():
            ring.close()
        self.prune()

    def after_fork(self):
        """In a child: end the watchers, whose consumers may not exist here, and the callbacks."""
        cdef Ring ring
        brief_init(&self.lock)
        for ring in self.rings():
            ring.disown()
        self.clear()


cdef tuple without(tuple rings, Ring ring):
    return tuple([other for other in rings if other is not ring])


cdef int offer(Ring ring, Event event, list wakes) except -1:
    cdef object wake = ring.put(event)
    if wake is not None:
        wakes.append(wake)
    return 0
