"""What a mutation looks like to those who watch."""

cimport cython
from libc.stdint cimport int64_t

from datetime import datetime, timedelta, timezone

from groupstore.event import EventType

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
cdef tuple TYPES = (EventType.SET, EventType.DELETE, EventType.DELETE_GROUP, EventType.DELETE)
cdef tuple REASONS = ("set", "delete", "delete", "expired")


# A str, bytes, None or EventType in each attribute: no cycle can pass through an event, and leaving
# it to reference counts alone keeps the cycle collector, and so foreign code, out of a commit.
@cython.final
@cython.no_gc
@cython.freelist(64)
cdef class Event:
    """One mutation: immutable, equal and hashable by value.

    Attributes: `type` (`EventType`), `group` (`str`), `key` (`str`, None of a `DELETE_GROUP`),
    `value` (`str` or `bytes` of a `SET`, else None), `timestamp` (aware UTC `datetime`) and
    `reason` (`"set"`, `"delete"` or `"expired"`).
    """

    def __init__(self, type, str group, str key, value, timestamp, str reason):
        self.type = EventType(type)
        self.group = group
        self.key = key
        self.value = value
        self.unix_us = (timestamp - _EPOCH) // timedelta(microseconds=1)
        self.reason = reason

    @property
    def timestamp(self):
        return _EPOCH + timedelta(microseconds=self.unix_us)

    cdef Event local(self, Py_ssize_t prefix_length):
        """The same event with the first `prefix_length` characters of the group left out."""
        cdef Event event = Event.__new__(Event)
        event.type = self.type
        event.group = self.group[prefix_length:]
        event.key = self.key
        event.value = self.value
        event.unix_us = self.unix_us
        event.reason = self.reason
        return event

    def _fields(self):
        return self.type, self.group, self.key, self.value, self.timestamp, self.reason

    def __eq__(self, other):
        if not isinstance(other, Event):
            return NotImplemented
        return self._fields() == (<Event>other)._fields()

    def __hash__(self):
        return hash(self._fields())

    def __reduce__(self):
        return Event, self._fields()

    def __repr__(self):
        return (
            f"Event(type={self.type!s}, group={self.group!r}, key={self.key!r}, "
            f"value={self.value!r}, timestamp={self.timestamp.isoformat()}, reason={self.reason!r})"
        )


cdef Event new_event(Kind kind, str group, str key, object value, int64_t unix_us):
    cdef Event event = Event.__new__(Event)
    event.type = TYPES[kind]
    event.group = group
    event.key = key
    event.value = value
    event.unix_us = unix_us
    event.reason = REASONS[kind]
    return event
