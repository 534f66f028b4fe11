"""Writing: the methods that set and remove entries, once for all faces.

Each is one transaction: a single statement that commits by itself, or several in brackets.
"""

from libc.stdint cimport int64_t

from groupstore.engine cimport event as events
from groupstore.engine.argument cimport (
    Text, str_argument, text_of, utf8, value_argument,
)
from groupstore.engine.bulk cimport pair_list, write_pairs
from groupstore.engine.cache cimport Entry, new_entry
from groupstore.engine.connection cimport Connection
from groupstore.engine.event cimport Kind
from groupstore.engine.expiry cimport KEPT, NEVER, now_ms, parse_expiry
from groupstore.engine.key_range cimport KeyRange, bind_range, group_range, one_group
from groupstore.engine.reading cimport (
    Reading, is_live, key_list, look_up, named, not_found,
)
from groupstore.engine.sqlite cimport (
    SQLITE_BUSY, SQLITE_DONE, SQLITE_OK, SQLITE_ROW, groupstore_routines, sqlite3_bind_int64,
    sqlite3_changes64, sqlite3_column_int64, sqlite3_stmt, sqlite_routines,
)
from groupstore.engine.statement cimport (
    COUNT_ADDED, COUNT_REMOVED, DELETE, DELETE_EXPIRED_KEY, DELETE_GROUP, DELETE_ROW, EXPIRE,
    EXPIRED, EXPIRY, FORGET_GROUP, GET, GROUPS, POP, SET, SET_KEEPING_EXPIRY, UPDATE,
    UPDATE_KEEPING_EXPIRY, Query, bind_expiry, bind_text, bind_value, column_expiry, column_name,
    column_value,
)
from groupstore.engine.write cimport Body, Write, new_write
from groupstore.config import KEEP
from groupstore.engine import reading
from groupstore.errors import ReadOnlyError

groupstore_routines = sqlite_routines()


cdef enum:
    ALL_ROWS = -1
    # From how many rows on it pays to switch the counting triggers off: that has SQLite compile
    # a handful of statements anew, at the cost of some fifty rows' triggers.
    BULK_ROWS = 256
    # Rows that a purge removes in one transaction: writers wait for no more than that.
    PURGE_ROWS = 1000


cdef class Writing(Reading):

    cdef int check_writable(self, str verb) except -1:
        if self._engine.read_only:
            self._engine.check_open(verb)
            raise ReadOnlyError(f"{verb}: {self._engine.path} was opened read-only")
        return 0

    cdef Write write_of(self, Body body, str verb, object group, object key):
        """A write of one key, for `perform`."""
        cdef str full = self.full_name(group, verb)
        return new_write(body, verb, self, full, str_argument(key, verb, "key"))

    cdef object perform(self, Write write):
        self.check_writable(write.verb)
        return self._engine.perform(write, self.block)

    cdef int admit(self, Connection writer, str full, str key, str verb) except -1:
        """Check the quota before `key` is set."""
        if self.limits is not None:
            self.limits.admit_key(
                writer, utf8(full), utf8(key), verb
            )
        return 0

    cdef int put(
        self, Connection writer, str full, str key, object value, int64_t expires_at_ms, str verb
    ) except -1:
        """Write an entry that was checked, and note its event."""
        cdef Query query = UPDATE_KEEPING_EXPIRY if expires_at_ms == KEPT else UPDATE
        cdef int code = write_entry(writer, query, full, key, value, expires_at_ms)
        if code == SQLITE_DONE and sqlite3_changes64(writer.raw) == 0:
            query = SET_KEEPING_EXPIRY if expires_at_ms == KEPT else SET
            code = write_entry(writer, query, full, key, value, expires_at_ms)
        if code != SQLITE_DONE:
            raise writer.failure(code, named(verb, full[len(self._prefix):], key))
        self._engine.note_change(new_entry(full, key, value, expires_at_ms), 1)
        return self._engine.stage(events.SET, full, key, value)

    cdef object read_live(
        self, Connection writer, str full, str key, int64_t *expires_at_ms, str verb
    ):
        """The live value of a key, read inside the transaction that is going to change it.

        `expires_at_ms` is set to its expiry, to be written back where the expiry is kept: read
        anew, it could have passed since. NEVER where there is no live key.
        """
        cdef sqlite3_stmt *statement = writer.statement(GET)
        cdef int code = look_up(
            writer, statement, utf8(full), utf8(key)
        )
        expires_at_ms[0] = NEVER
        if code == SQLITE_DONE:
            return None
        if code != SQLITE_ROW:
            raise writer.failure(code, named(verb, full[len(self._prefix):], key))
        if column_expiry(statement, 0) <= now_ms():
            return None
        expires_at_ms[0] = column_expiry(statement, 0)
        return column_value(statement, 1)

    def get(self, group, key, default=reading.MISSING):
        """The value of `key` in `group`, `str` or `bytes` as it was set.

        Where there is no live key: `default`, or `NotFoundError` where none is given.
        """
        cdef Entry entry = self.hit(group, key)
        cdef object value
        cdef int64_t expires_at_ms
        if entry is not None:
            if entry.value is not None:
                return entry.value
        else:
            value = self.find(group, key, &expires_at_ms, "get")
            if value is not None:
                if is_live(expires_at_ms):
                    return value
                self.remove_expired(
                    self.full_name(group, "get"), str_argument(key, "get", "key")
                )
        if default is reading.MISSING:
            raise not_found("get", group, key)
        return default

    cdef int remove_expired(self, str full, str key) except -1:
        """Remove an expired row that a read has met, if nobody is writing; never wait or fail."""
        cdef Connection writer
        cdef sqlite3_stmt *statement
        cdef int code = SQLITE_BUSY
        if self._engine.read_only:
            return 0
        writer = self._engine.begin_at_once(self.block, "get")
        if writer is not None:
            try:
                statement = writer.statement(DELETE_EXPIRED_KEY)
                bind_text(statement, 1, utf8(full))
                bind_text(statement, 2, utf8(key))
                sqlite3_bind_int64(statement, 3, now_ms())
                code = writer.step_once(statement)
                if code == SQLITE_DONE and sqlite3_changes64(writer.raw):
                    self._engine.note_change(new_entry(full, key, None, NEVER), 1)
                    self._engine.stage(events.EXPIRED, full, key, None)
            except BaseException:
                self._engine.abandon(writer)
                raise
            self._engine.finish(writer)
        if code != SQLITE_DONE and self._engine.on_expired is not None:
            self._engine.on_expired()
        return 0

    def set(self, group, key, value, *, ttl=None):
        """Set `key` of `group` to `value`, `str` or `bytes`.

        It expires after `ttl`, seconds (`int`, `float`) or a `timedelta`, rounded up to whole
        milliseconds; without one it never does, whatever was set before; `KEEP` leaves the
        expiry of a live key as it is.

        Raises `TypeError` and `ValueError` for wrong arguments, a `ttl` that is not positive and
        finite among them; `QuotaExceededError` where the key is new and the namespace is full.
        """
        cdef Write write = self.write_of(set_entry, "set", group, key)
        write.value = value_argument(value, "set", "value")
        write.expires_at_ms = parse_expiry(ttl, "set")
        write.several = self.limits is not None
        self.perform(write)

    def set_many(self, group, items, *, ttl=None):
        """Set every pair of `items`, a mapping or an iterable of pairs, in one transaction.

        `ttl` as for `set`, one for all. Where one pair is wrong, or all of them would exceed the
        quota, none is set, and what `set` raises is raised. Each key set is a `SET` event.
        """
        cdef Write write = new_write(
            set_entries, "set_many", self, self.full_name(group, "set_many"), None
        )
        cdef list pairs = pair_list(items)
        write.other = pairs
        write.expires_at_ms = parse_expiry(ttl, "set_many")
        write.several = True
        write.is_long = len(pairs) >= BULK_ROWS
        self.perform(write)

    cdef int admit_all(self, Connection writer, str full, list pairs, str verb) except -1:
        """Check the quota before all of `pairs` are set; a key that comes twice counts once."""
        cdef Text group_text = utf8(full)
        cdef set new_keys = set()
        cdef sqlite3_stmt *statement
        cdef int code
        cdef str key
        cdef int64_t now = now_ms()
        for key, _ in pairs:
            if key in new_keys:
                continue
            statement = writer.statement(EXPIRY)
            code = look_up(writer, statement, group_text, utf8(key))
            if code == SQLITE_DONE or (
                code == SQLITE_ROW and column_expiry(statement, 0) <= now
            ):
                new_keys.add(key)
            elif code != SQLITE_ROW:
                raise writer.failure(code, named(verb, full[len(self._prefix):], key))
        return self.limits.admit(writer, group_text, len(new_keys), verb)

    cdef int put_all(
        self, Connection writer, str full, list pairs, int64_t expires_at_ms
    ) except -1:
        cdef bint counts = len(pairs) >= BULK_ROWS and writer.stop_counting()
        cdef Py_ssize_t written
        cdef int code
        cdef int64_t added = write_pairs(writer, full, pairs, expires_at_ms, &written, &code)
        if code != SQLITE_DONE:
            raise writer.failure(
                code, named("set_many", full[len(self._prefix):], pairs[written][0])
            )
        if self._engine.dispatcher.wanted(full):
            for key, value in pairs:
                self._engine.stage(events.SET, full, key, value)
        self._engine.note_change((full, pairs, expires_at_ms), len(pairs))
        if counts:
            writer.count_rows()
            if added:
                change_count(writer, COUNT_ADDED, full.encode(), added)
        return 0

    def expire(self, group, key, ttl):
        """Have a live key expire after `ttl`, or never with None; its value stays.

        `ttl` is seconds (`int`, `float`) or a `timedelta`. Returns whether there was a live key.
        Reported as a `SET` with the unchanged value. Raises `ValueError` for a `ttl` that is not
        positive and finite, `TypeError` for `KEEP`.
        """
        cdef Write write = self.write_of(expire_entry, "expire", group, key)
        if ttl is KEEP:
            raise TypeError("expire: ttl must be seconds, a timedelta or None, not KEEP")
        write.expires_at_ms = parse_expiry(ttl, "expire")
        write.several = self._engine.dispatcher.wanted(write.full)
        return self.perform(write)

    cdef bint change_expiry(
        self, Connection writer, str full, str key, int64_t expires_at_ms
    ) except -1:
        cdef sqlite3_stmt *statement = writer.statement(EXPIRE)
        cdef int code
        bind_expiry(statement, 3, expires_at_ms)
        sqlite3_bind_int64(statement, 4, now_ms())
        code = look_up(
            writer, statement, utf8(full), utf8(key)
        )
        if code != SQLITE_DONE:
            raise writer.failure(code, named("expire", full[len(self._prefix):], key))
        # The value is not at hand here, so the key is forgotten.
        self._engine.note_change(new_entry(full, key, None, KEPT), 1)
        return sqlite3_changes64(writer.raw) != 0

    def pop(self, group, key, default=reading.MISSING):
        """Remove `key` and return its value, in one step: one of several callers gets it.

        Where there is no live key: `default`, or `NotFoundError` where none is given.
        """
        cdef object value = self.perform(self.write_of(take_entry, "pop", group, key))
        if value is not None:
            return value
        if default is reading.MISSING:
            raise not_found("pop", group, key)
        return default

    cdef bint remove(self, Connection writer, str full, str key, str verb) except -1:
        """Remove a live key; whether there was one."""
        cdef sqlite3_stmt *statement = writer.statement(DELETE)
        cdef int code
        sqlite3_bind_int64(statement, 3, now_ms())
        code = look_up(
            writer, statement, utf8(full), utf8(key)
        )
        if code != SQLITE_DONE:
            raise writer.failure(code, named(verb, full[len(self._prefix):], key))
        if not sqlite3_changes64(writer.raw):
            return False
        self._engine.note_change(new_entry(full, key, None, NEVER), 1)
        self._engine.stage(events.DELETE, full, key, None)
        return True

    def delete(self, group, key):
        """Remove `key` from `group`; whether there was a live one, and so a `DELETE` event."""
        return self.perform(self.write_of(delete_entry, "delete", group, key))

    def delete_many(self, group, keys):
        """Remove `keys`, an iterable, from `group` in one transaction; how many were live.

        Each of those is a `DELETE` event.
        """
        cdef Write write = new_write(
            delete_entries, "delete_many", self, self.full_name(group, "delete_many"), None
        )
        cdef list listed = key_list(keys, "delete_many")
        write.other = listed
        write.several = True
        write.is_long = len(listed) >= BULK_ROWS
        return self.perform(write)

    def delete_group(self, group):
        """Remove `group`; how many live keys it held.

        What has expired in it goes with it; a group of expired rows alone is left to the purge.
        Reported as one `DELETE_GROUP` where a live key was removed.
        """
        cdef str full = self.full_name(group, "delete_group")
        return self.delete_groups(one_group(full), "delete_group")

    def delete_prefix(self, prefix):
        """Remove the groups whose names start with `prefix`, in one transaction.

        Returns how many live keys they held. What has expired is treated as by `delete_group`.
        """
        cdef KeyRange names = group_range(self._prefix, prefix, "delete_prefix")
        return self.delete_groups(names, "delete_prefix")

    cdef object delete_groups(self, KeyRange names, str verb):
        cdef Write write = new_write(delete_range, verb, self, None, None)
        write.other = names
        write.several = write.is_long = True
        return self.perform(write)

    cdef int stage_removal(self, Kind kind, bytes name, bytes key) except -1:
        """Note the event of a removed group or key; one that is no UTF-8 can have none."""
        try:
            full = name.decode()
            local = None if key is None else key.decode()
        except UnicodeDecodeError:
            return 0
        return self._engine.stage(kind, full, local, None)

    def purge_expired(self):
        """Remove the rows that have expired by now; how many there were. Each is a `DELETE`.

        They are removed a thousand at a time, so that other writers get their turn.
        """
        cdef KeyRange names = group_range(self._prefix, "", "purge_expired")
        cdef int64_t now = now_ms()
        cdef int64_t purged = 0
        cdef int64_t batch = PURGE_ROWS
        while batch == PURGE_ROWS:
            batch = self.purge_batch(names, now)
            purged += batch
        return purged

    cdef object purge_batch(self, KeyRange names, int64_t now):
        cdef Write write = new_write(purge_range, "purge_expired", self, None, None)
        write.other = names
        write.expires_at_ms = now
        write.several = write.is_long = True
        return self.perform(write)


# What each write does inside its transaction: see `Body`.

cdef object set_entry(Write write, Connection writer):
    cdef Writing keyspace = <Writing>write.keyspace
    keyspace.admit(writer, write.full, write.key, write.verb)
    keyspace.put(
        writer, write.full, write.key, write.value, write.expires_at_ms, write.verb
    )
    return None


cdef object set_entries(Write write, Connection writer):
    cdef Writing keyspace = <Writing>write.keyspace
    if keyspace.limits is not None:
        keyspace.admit_all(writer, write.full, write.other, write.verb)
    keyspace.put_all(writer, write.full, write.other, write.expires_at_ms)
    return None


cdef object expire_entry(Write write, Connection writer):
    """Whether there was a live key."""
    cdef Writing keyspace = <Writing>write.keyspace
    cdef object value = None
    cdef int64_t before_ms
    cdef bint changed
    # Otherwise nobody watches, and a value may be large.
    if write.several:
        value = keyspace.read_live(writer, write.full, write.key, &before_ms, write.verb)
    changed = keyspace.change_expiry(writer, write.full, write.key, write.expires_at_ms)
    if changed and value is not None:
        keyspace._engine.stage(events.SET, write.full, write.key, value)
    return changed


cdef object take_entry(Write write, Connection writer):
    """The live value that was removed, or None."""
    cdef Writing keyspace = <Writing>write.keyspace
    cdef object value = None
    cdef sqlite3_stmt *statement = writer.statement(POP)
    cdef int code
    sqlite3_bind_int64(statement, 3, now_ms())
    code = look_up(
        writer, statement, utf8(write.full), utf8(write.key)
    )
    if code == SQLITE_ROW:
        value = column_value(statement, 0)
        # The row came before the commit, which the last step does.
        code = writer.step_once(statement)
    if code != SQLITE_DONE:
        raise writer.failure(
            code, named(write.verb, write.full[len(keyspace._prefix):], write.key)
        )
    if value is not None:
        keyspace._engine.note_change(new_entry(write.full, write.key, None, NEVER), 1)
        keyspace._engine.stage(events.DELETE, write.full, write.key, None)
    return value


cdef object delete_entry(Write write, Connection writer):
    """Whether there was a live key."""
    return (<Writing>write.keyspace).remove(writer, write.full, write.key, write.verb)


cdef object delete_entries(Write write, Connection writer):
    """How many of the keys were live."""
    cdef Writing keyspace = <Writing>write.keyspace
    cdef int64_t removed = 0
    for key in <list>write.other:
        removed += keyspace.remove(writer, write.full, key, write.verb)
    return removed


cdef object delete_range(Write write, Connection writer):
    """How many live keys the groups held."""
    cdef Writing keyspace = <Writing>write.keyspace
    cdef list doomed = live_groups(writer, write.other, write.verb)
    cdef int64_t removed = 0
    for _, live_keys in doomed:
        removed += <int64_t>live_keys
    remove_groups(writer, doomed, removed, write.verb)
    for name, _ in doomed:
        keyspace._engine.note_change(name.decode("utf-8", "replace"), 1)
    if keyspace._engine.dispatcher.active():
        for name, _ in doomed:
            keyspace.stage_removal(events.DELETE_GROUP, name, None)
    return removed


cdef object purge_range(Write write, Connection writer):
    """How many rows of a range had expired, a thousand at the most."""
    cdef Writing keyspace = <Writing>write.keyspace
    cdef list expired = expired_rows(writer, write.other, write.expires_at_ms)
    remove_rows(writer, expired)
    keyspace._engine.note_change(write.expires_at_ms, 0)
    if keyspace._engine.dispatcher.active():
        for name, key in expired:
            keyspace.stage_removal(events.EXPIRED, name, key)
    return len(expired)


cdef int write_entry(
    Connection writer, Query query, str full, str key, object value, int64_t expires_at_ms
) except -1:
    """Bind and run one of the statements that write an entry."""
    cdef sqlite3_stmt *statement = writer.statement(query)
    cdef int code = bind_text(statement, 1, utf8(full))
    if code == SQLITE_OK:
        code = bind_text(statement, 2, utf8(key))
    if code == SQLITE_OK:
        code = bind_value(statement, 3, value)
    if code != SQLITE_OK:
        return code
    if query == UPDATE_KEEPING_EXPIRY or query == SET_KEEPING_EXPIRY:
        sqlite3_bind_int64(statement, 4, now_ms())
    else:
        # A new key has no expiry that could be kept.
        bind_expiry(statement, 4, NEVER if expires_at_ms == KEPT else expires_at_ms)
    return writer.step(statement)


cdef int run_on(
    Connection writer, Query query, bytes name, bytes key, str verb
) except -1:
    """Run a statement on a group, or on a key where that is not None."""
    cdef sqlite3_stmt *statement = writer.statement(query)
    bind_text(statement, 1, text_of(name))
    if key is not None:
        bind_text(statement, 2, text_of(key))
    writer.next_row(statement, verb)
    return 0


cdef int change_count(Connection writer, Query query, bytes name, int64_t rows) except -1:
    cdef sqlite3_stmt *statement = writer.statement(query)
    sqlite3_bind_int64(statement, 2, rows)
    return run_on(writer, query, name, None, "count")


cdef int remove_groups(Connection writer, list doomed, int64_t rows, str verb) except -1:
    """Remove all rows of groups, counting them a group at once where they are many."""
    cdef bint counts = rows >= BULK_ROWS and writer.stop_counting()
    for name, _ in doomed:
        run_on(writer, DELETE_GROUP, name, None, verb)
    if counts:
        writer.count_rows()
        for name, _ in doomed:
            run_on(writer, FORGET_GROUP, name, None, verb)
    return 0


cdef list expired_rows(Connection writer, KeyRange names, int64_t now):
    """The groups and keys of the next rows to purge."""
    cdef list found = []
    cdef sqlite3_stmt *statement = writer.statement(EXPIRED)
    bind_range(statement, names)
    sqlite3_bind_int64(statement, 3, now)
    sqlite3_bind_int64(statement, 4, PURGE_ROWS)
    while writer.next_row(statement, "purge_expired"):
        found.append((column_name(statement, 0), column_name(statement, 1)))
    return found


cdef int remove_rows(Connection writer, list rows) except -1:
    """Remove rows by group and key, counting them a group at once where they are many."""
    cdef bint counts = len(rows) >= BULK_ROWS and writer.stop_counting()
    cdef dict removed = {}
    for name, key in rows:
        run_on(writer, DELETE_ROW, name, key, "purge_expired")
        if counts:
            removed[name] = removed.get(name, 0) + 1
    if counts:
        writer.count_rows()
        for name, number in removed.items():
            change_count(writer, COUNT_REMOVED, name, number)
    return 0


cdef list live_groups(Connection writer, KeyRange names, str verb):
    """The groups of a range with live keys, in order, each with their number."""
    cdef list found = []
    cdef sqlite3_stmt *statement = writer.statement(GROUPS)
    bind_range(statement, names)
    sqlite3_bind_int64(statement, 3, now_ms())
    sqlite3_bind_int64(statement, 4, ALL_ROWS)
    while writer.next_row(statement, verb):
        found.append((column_name(statement, 0), sqlite3_column_int64(statement, 1)))
    return found
