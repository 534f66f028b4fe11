"""The keyspace that every face is: the hot methods of reading and writing, and the atomic ones.

A store is the keyspace with no prefix, a scope one with a prefix and perhaps a quota, and a
transaction either of them, valid inside its block.
"""

from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t

from groupstore.engine cimport event as events
from groupstore.engine.argument cimport utf8, value_argument
from groupstore.engine.cache cimport new_entry
from groupstore.engine.connection cimport Connection
from groupstore.engine.engine cimport Block
from groupstore.engine.expiry cimport KEPT, NEVER, now_ms, parse_expiry
from groupstore.engine.quota cimport Limits
from groupstore.engine.sqlite cimport (
    SQLITE_DONE, SQLITE_OK, groupstore_routines, sqlite3_bind_int64, sqlite3_changes64,
    sqlite3_stmt, sqlite_routines,
)
from groupstore.engine.reading cimport named, shown
from groupstore.engine.statement cimport ADD, bind_expiry, bind_text, bind_value
from groupstore.engine.write cimport Write
from groupstore.engine.writing cimport Writing

groupstore_routines = sqlite_routines()


cdef class Keyspace(Writing):

    def add(self, group, key, value, *, ttl=None):
        """Set `key` only where there is no live one; whether it was set. `ttl` as for `set`.

        Of threads and processes that add the same key at once, one gets True.
        """
        cdef Write write = self.write_of(add_entry, "add", group, key)
        write.value = value_argument(value, "add", "value")
        write.expires_at_ms = parse_expiry(ttl, "add")
        if write.expires_at_ms == KEPT:
            # There is no live key whose expiry could be kept.
            write.expires_at_ms = NEVER
        write.several = self.limits is not None
        return self.perform(write)

    cdef bint insert(
        self, Connection writer, str full, str key, object value, int64_t expires_at_ms
    ) except -1:
        """Set a key where there is no live one, in one statement."""
        cdef sqlite3_stmt *statement = writer.statement(ADD)
        cdef int code = bind_text(statement, 1, utf8(full))
        if code == SQLITE_OK:
            code = bind_text(statement, 2, utf8(key))
        if code == SQLITE_OK:
            code = bind_value(statement, 3, value)
        if code == SQLITE_OK:
            bind_expiry(statement, 4, expires_at_ms)
            sqlite3_bind_int64(statement, 5, now_ms())
            code = writer.step(statement)
        if code != SQLITE_DONE:
            raise writer.failure(code, named("add", full[len(self._prefix):], key))
        if not sqlite3_changes64(writer.raw):
            return False
        self._engine.note_change(new_entry(full, key, value, expires_at_ms), 1)
        self._engine.stage(events.SET, full, key, value)
        return True

    def compare_and_set(self, group, key, expected, value, *, ttl=None):
        """Set `key` to `value` only where its live value is `expected`; whether it was so.

        They are equal in type and content. `expected` None: only where there is no live key;
        `value` None deletes the key. `ttl` as for `set`.
        """
        cdef Write write = self.write_of(exchange_entry, "compare_and_set", group, key)
        if expected is not None:
            write.other = value_argument(expected, "compare_and_set", "expected")
        if value is not None:
            write.value = value_argument(value, "compare_and_set", "value")
        write.expires_at_ms = parse_expiry(ttl, "compare_and_set")
        write.several = True
        return self.perform(write)

    def increment(self, group, key, amount=1, *, initial=0):
        """Add `amount` to the counter `key` and return the sum; the expiry stays.

        A counter is a decimal `str` within signed 64 bits, else `ValueError`. Where there is no
        live key it starts at `initial`, without expiry.
        """
        cdef Write write = self.write_of(increment_entry, "increment", group, key)
        integer_argument(amount, "amount")
        integer_argument(initial, "initial")
        # Of a subclass as plain ones, whose code must not run in the transaction.
        write.other = int(amount), int(initial)
        write.several = True
        return self.perform(write)


# What each write does inside its transaction: see `Body`.

cdef object add_entry(Write write, Connection writer):
    """Whether the key was set."""
    cdef Keyspace keyspace = <Keyspace>write.keyspace
    cdef int64_t before_ms
    if keyspace.limits is None:
        return keyspace.insert(writer, write.full, write.key, write.value, write.expires_at_ms)
    if keyspace.read_live(writer, write.full, write.key, &before_ms, write.verb) is not None:
        return False
    keyspace.admit(writer, write.full, write.key, write.verb)
    keyspace.put(
        writer, write.full, write.key, write.value, write.expires_at_ms, write.verb
    )
    return True


cdef object exchange_entry(Write write, Connection writer):
    """Whether the live value was the expected one."""
    cdef Keyspace keyspace = <Keyspace>write.keyspace
    cdef int64_t before_ms
    cdef int64_t expires_at_ms = write.expires_at_ms
    current = keyspace.read_live(writer, write.full, write.key, &before_ms, write.verb)
    if not same_value(current, write.other):
        return False
    if expires_at_ms == KEPT:
        expires_at_ms = before_ms
    if write.value is not None:
        keyspace.admit(writer, write.full, write.key, write.verb)
        keyspace.put(writer, write.full, write.key, write.value, expires_at_ms, write.verb)
    elif current is not None:
        keyspace.remove(writer, write.full, write.key, write.verb)
    return True


cdef object increment_entry(Write write, Connection writer):
    """The sum."""
    cdef Keyspace keyspace = <Keyspace>write.keyspace
    cdef int64_t before_ms
    cdef str group = write.full[len(keyspace._prefix):]
    amount, initial = write.other
    current = keyspace.read_live(writer, write.full, write.key, &before_ms, write.verb)
    total = amount + (initial if current is None else counter(current, group, write.key))
    if not INT64_MIN <= total <= INT64_MAX:
        raise ValueError(
            f"increment: key {shown(write.key)} in group {shown(group)} would leave 64 bits: "
            f"{total}"
        )
    keyspace.admit(writer, write.full, write.key, write.verb)
    keyspace.put(writer, write.full, write.key, str(total), before_ms, write.verb)
    return total


cdef bint same_value(object current, object expected) except -1:
    """Equal in type and content; None is the absence of a value."""
    if current is None or expected is None:
        return current is expected
    return isinstance(current, str) == isinstance(expected, str) and current == expected


cdef int integer_argument(object value, str name) except -1:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"increment: {name} must be int, not {type(value).__name__}")
    if not INT64_MIN <= value <= INT64_MAX:
        raise ValueError(f"increment: {name} must be within 64 bits: {value}")
    return 0


cdef object counter(object value, object group, object key):
    """The number that a counter's value stands for."""
    if isinstance(value, str):
        digits = value[1:] if value.startswith("-") else value
        if digits.isascii() and digits.isdigit():
            # Leading zeros first: int() refuses thousands of digits, whatever they are.
            digits = digits.lstrip("0") or "0"
            if len(digits) <= 19:
                number = -int(digits) if value.startswith("-") else int(digits)
                if INT64_MIN <= number <= INT64_MAX:
                    return number
    raise ValueError(
        f"increment: key {shown(key)} in group {shown(group)} is not an integer within 64 bits: "
        f"{value[:40]!r}"
    )


cdef class TransactionKeyspace(Keyspace):
    """A keyspace whose calls take part in a transaction, inside its `with` block.

    Entering and leaving are compiled so that no signal handler can run between the transaction's
    beginning and the block's: Ctrl-C finds it either not begun or about to be rolled back.
    """

    def __enter__(self):
        self.block.enter()
        return self

    def __exit__(self, kind, error, traceback):
        self.block.leave(error is not None)
        return False

    def rollback(self):
        """Undo the block's writes at once; the rest of it runs, without this transaction.

        In a nested block only its own writes are undone.
        """
        self.block.roll_back()


def store_parts(engine):
    """What a store's keyspace is made of."""
    return engine, "", None, None


def scope_parts(Writing store, str namespace, quota):
    """What a namespace's keyspace is made of."""
    limits = None if quota is None else Limits(namespace, quota)
    return store._engine, f"{namespace}:", limits, None


def transaction_parts(Writing keyspace):
    """What a new transaction over `keyspace` is made of."""
    return keyspace._engine, keyspace._prefix, keyspace.limits, Block(keyspace._engine)
