"""Writing: the methods that set and remove entries, once for all faces.

Each is one transaction: a single statement that commits by itself, or several in brackets.
"""

from libc.stdint cimport int64_t

from groupstore.engine cimport event as events
from groupstore.engine.argument cimport Text, str_argument, text_argument, value_argument
from groupstore.engine.connection cimport Connection
from groupstore.engine.expiry cimport KEPT, NEVER, now_ms, parse_expiry
from groupstore.engine.key_range cimport KeyRange, bind_range, group_range, one_group
from groupstore.engine.reading cimport Reading, key_list, look_up, named, not_found
from groupstore.engine.sqlite cimport (
    SQLITE_BUSY, SQLITE_DONE, SQLITE_OK, SQLITE_ROW, groupstore_routines, sqlite3_bind_int64,
    sqlite3_changes64, sqlite3_reset, sqlite3_stmt, sqlite_routines,
)
from groupstore.engine.statement cimport (
    DELETE, DELETE_EXPIRED_KEY, DELETE_EXPIRED_OF_GROUPS, DELETE_GROUPS, EXPIRE, EXPIRY, GET,
    GROUPS, POP, PURGE, PURGE_RETURNING, SET, SET_KEEPING_EXPIRY, Query, bind_expiry, bind_text, bind_value, column_expiry,
    column_str, column_value,
)
from groupstore.config import KEEP
from groupstore.engine.reading import MISSING
from groupstore.errors import ReadOnlyError

groupstore_routines = sqlite_routines()


cdef enum:
    ALL_ROWS = -1
    # Rows that a purge removes in one transaction: writers wait for no more than that.
    PURGE_ROWS = 1000


cdef class Writing(Reading):

    cdef int check_writable(self, str verb) except -1:
        if self._engine.read_only:
            self._engine.check_open(verb)
            raise ReadOnlyError(f"{verb}: {self._engine.path} was opened read-only")
        return 0

    cdef int admit(self, Connection writer, str full, str key, str verb) except -1:
        """Check the quota before `key` is set."""
        if self.limits is not None:
            self.limits.admit_key(
                writer, text_argument(full, verb, "group"), text_argument(key, verb, "key"), verb
            )
        return 0

    cdef int put(
        self, Connection writer, str full, str key, object value, int64_t expires_at_ms, str verb
    ) except -1:
        """Write an entry that was checked, and note its event."""
        cdef bint keeps = expires_at_ms == KEPT
        cdef sqlite3_stmt *statement = writer.statement(SET_KEEPING_EXPIRY if keeps else SET)
        cdef int code = bind_text(statement, 1, text_argument(full, verb, "group"))
        if code == SQLITE_OK:
            code = bind_text(statement, 2, text_argument(key, verb, "key"))
        if code == SQLITE_OK:
            code = bind_value(statement, 3, value)
        if code == SQLITE_OK:
            bind_expiry(statement, 4, now_ms() if keeps else expires_at_ms)
            code = writer.step(statement)
        if code != SQLITE_DONE:
            raise writer.failure(code, named(verb, full[len(self._prefix):], key))
        return self._engine.stage(events.SET, full, key, value)

    cdef object read_live(self, Connection writer, str full, str key, str verb):
        """The live value of a key, read inside the transaction that is going to change it."""
        cdef sqlite3_stmt *statement = writer.statement(GET)
        cdef int code = look_up(
            writer, statement, text_argument(full, verb, "group"), text_argument(key, verb, "key")
        )
        if code == SQLITE_DONE:
            return None
        if code != SQLITE_ROW:
            raise writer.failure(code, named(verb, full[len(self._prefix):], key))
        if column_expiry(statement, 0) <= now_ms():
            return None
        return column_value(statement, 1)

    def get(self, group, key, default=MISSING):
        """The value of `key` in `group`, `str` or `bytes` as it was set.

        Where there is no live key: `default`, or `NotFoundError` where none is given.
        """
        cdef str full = self.full_name(group, "get")
        key = str_argument(key, "get", "key")
        cdef bint expired = False
        cdef object value = self.find(full, group, key, &expired, "get")
        if value is not None:
            return value
        if expired:
            self.remove_expired(full, key)
        if default is MISSING:
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
                bind_text(statement, 1, text_argument(full, "get", "group"))
                bind_text(statement, 2, text_argument(key, "get", "key"))
                sqlite3_bind_int64(statement, 3, now_ms())
                code = writer.step_once(statement)
                if code == SQLITE_DONE and sqlite3_changes64(writer.raw):
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
        """
        cdef str full = self.full_name(group, "set")
        cdef int64_t expires_at_ms
        cdef Connection writer
        key = str_argument(key, "set", "key")
        value = value_argument(value, "set", "value")
        expires_at_ms = parse_expiry(ttl, "set")
        self.check_writable("set")
        writer = self._engine.begin(self.block, self.limits is not None, "set")
        try:
            self.admit(writer, full, key, "set")
            self.put(writer, full, key, value, expires_at_ms, "set")
        except BaseException:
            self._engine.abandon(writer)
            raise
        self._engine.finish(writer)

    def set_many(self, group, items, *, ttl=None):
        """Set every pair of `items`, a mapping or an iterable of pairs, in one transaction.

        `ttl` as for `set`, one for all. Where one pair is wrong, none is set.
        """
        cdef str full = self.full_name(group, "set_many")
        cdef list pairs = pair_list(items)
        cdef int64_t expires_at_ms = parse_expiry(ttl, "set_many")
        cdef Connection writer
        self.check_writable("set_many")
        writer = self._engine.begin(self.block, True, "set_many")
        try:
            if self.limits is not None:
                self.admit_all(writer, full, pairs, "set_many")
            self.put_all(writer, full, pairs, expires_at_ms)
        except BaseException:
            self._engine.abandon(writer)
            raise
        self._engine.finish(writer)

    cdef int admit_all(self, Connection writer, str full, list pairs, str verb) except -1:
        """Check the quota before all of `pairs` are set; a key that comes twice counts once."""
        cdef Text group_text = text_argument(full, verb, "group")
        cdef set new_keys = set()
        cdef sqlite3_stmt *statement
        cdef int code
        cdef str key
        cdef int64_t now = now_ms()
        for key, _ in pairs:
            if key in new_keys:
                continue
            statement = writer.statement(EXPIRY)
            code = look_up(writer, statement, group_text, text_argument(key, verb, "key"))
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
        cdef bint keeps = expires_at_ms == KEPT
        cdef bint watched = self._engine.dispatcher.wanted(full)
        cdef sqlite3_stmt *statement = writer.statement(SET_KEEPING_EXPIRY if keeps else SET)
        cdef int code = bind_text(statement, 1, text_argument(full, "set_many", "group"))
        cdef str key
        bind_expiry(statement, 4, now_ms() if keeps else expires_at_ms)
        for key, value in pairs:
            if code == SQLITE_OK:
                code = bind_text(statement, 2, text_argument(key, "set_many", "key"))
            if code == SQLITE_OK:
                code = bind_value(statement, 3, value)
            if code == SQLITE_OK:
                code = writer.step_once(statement)
            if code != SQLITE_DONE:
                raise writer.failure(code, named("set_many", full[len(self._prefix):], key))
            code = sqlite3_reset(statement)
            if watched:
                self._engine.stage(events.SET, full, key, value)
        return 0

    def expire(self, group, key, ttl):
        """Have a live key expire after `ttl`, or never with None; its value stays.

        Returns whether there was a live key. Reported as a `SET` with the unchanged value.
        """
        cdef str full = self.full_name(group, "expire")
        cdef int64_t expires_at_ms
        cdef bint changed = False
        cdef object value = None
        cdef Connection writer
        key = str_argument(key, "expire", "key")
        if ttl is KEEP:
            raise TypeError("expire: ttl must be seconds, a timedelta or None, not KEEP")
        expires_at_ms = parse_expiry(ttl, "expire")
        self.check_writable("expire")
        cdef bint watched = self._engine.dispatcher.wanted(full)
        writer = self._engine.begin(self.block, watched, "expire")
        try:
            if watched:
                value = self.read_live(writer, full, key, "expire")
            changed = self.change_expiry(writer, full, key, expires_at_ms)
            if changed and value is not None:
                self._engine.stage(events.SET, full, key, value)
        except BaseException:
            self._engine.abandon(writer)
            raise
        self._engine.finish(writer)
        return changed

    cdef bint change_expiry(
        self, Connection writer, str full, str key, int64_t expires_at_ms
    ) except -1:
        cdef sqlite3_stmt *statement = writer.statement(EXPIRE)
        cdef int code
        bind_expiry(statement, 3, expires_at_ms)
        sqlite3_bind_int64(statement, 4, now_ms())
        code = look_up(
            writer, statement, text_argument(full, "", ""), text_argument(key, "", "")
        )
        if code != SQLITE_DONE:
            raise writer.failure(code, named("expire", full[len(self._prefix):], key))
        return sqlite3_changes64(writer.raw) != 0

    def pop(self, group, key, default=MISSING):
        """Remove `key` and return its value.

        Where there is no live key: `default`, or `NotFoundError` where none is given.
        """
        cdef object value = self.take(group, key, "pop")
        if value is not None:
            return value
        if default is MISSING:
            raise not_found("pop", group, key)
        return default

    cdef object take(self, object group, object key, str verb):
        cdef str full = self.full_name(group, verb)
        cdef object value = None
        cdef sqlite3_stmt *statement
        cdef int code
        cdef Connection writer
        key = str_argument(key, verb, "key")
        self.check_writable(verb)
        writer = self._engine.begin(self.block, False, verb)
        try:
            statement = writer.statement(POP)
            sqlite3_bind_int64(statement, 3, now_ms())
            code = look_up(
                writer, statement, text_argument(full, "", ""), text_argument(key, "", "")
            )
            if code == SQLITE_ROW:
                value = column_value(statement, 0)
                # The row came before the commit, which the last step does.
                code = writer.step_once(statement)
            if code != SQLITE_DONE:
                raise writer.failure(code, named(verb, group, key))
            if value is not None:
                self._engine.stage(events.DELETE, full, key, None)
        except BaseException:
            self._engine.abandon(writer)
            raise
        self._engine.finish(writer)
        return value

    cdef bint remove(self, Connection writer, str full, str key, str verb) except -1:
        """Remove a live key; whether there was one."""
        cdef sqlite3_stmt *statement = writer.statement(DELETE)
        cdef int code
        sqlite3_bind_int64(statement, 3, now_ms())
        code = look_up(
            writer, statement, text_argument(full, "", ""), text_argument(key, "", "")
        )
        if code != SQLITE_DONE:
            raise writer.failure(code, named(verb, full[len(self._prefix):], key))
        if not sqlite3_changes64(writer.raw):
            return False
        self._engine.stage(events.DELETE, full, key, None)
        return True

    def delete(self, group, key):
        """Remove `key` from `group`; whether there was a live one."""
        cdef str full = self.full_name(group, "delete")
        cdef bint removed
        cdef Connection writer
        key = str_argument(key, "delete", "key")
        self.check_writable("delete")
        writer = self._engine.begin(self.block, False, "delete")
        try:
            removed = self.remove(writer, full, key, "delete")
        except BaseException:
            self._engine.abandon(writer)
            raise
        self._engine.finish(writer)
        return removed

    def delete_many(self, group, keys):
        """Remove `keys` from `group` in one transaction; how many live ones there were."""
        cdef str full = self.full_name(group, "delete_many")
        cdef list listed = key_list(keys, "delete_many")
        cdef int64_t removed = 0
        cdef Connection writer
        self.check_writable("delete_many")
        writer = self._engine.begin(self.block, True, "delete_many")
        try:
            for key in listed:
                removed += self.remove(writer, full, key, "delete_many")
        except BaseException:
            self._engine.abandon(writer)
            raise
        self._engine.finish(writer)
        return removed

    def delete_group(self, group):
        """Remove `group`; how many live keys it held.

        What has expired in it goes with it; a group of expired rows alone is left to the purge.
        """
        cdef str full = self.full_name(group, "delete_group")
        return self.delete_groups(one_group(full), "delete_group")

    def delete_prefix(self, prefix):
        """Remove the groups whose names start with `prefix`, in one transaction.

        Returns how many live keys they held. What has expired is treated as by `delete_group`.
        """
        cdef KeyRange names = group_range(self._prefix, prefix, "delete_prefix")
        return self.delete_groups(names, "delete_prefix")

    cdef int64_t delete_groups(self, KeyRange names, str verb) except -1:
        cdef int64_t removed = 0
        cdef int64_t now
        cdef list doomed
        cdef Connection writer
        self.check_writable(verb)
        writer = self._engine.begin(self.block, True, verb)
        try:
            now = now_ms()
            doomed = live_groups(writer, names, now, verb)
            if doomed:
                delete_rows(writer, DELETE_EXPIRED_OF_GROUPS, names, now, verb)
                removed = delete_rows(writer, DELETE_GROUPS, names, now, verb)
            for full in doomed:
                if full is not None:
                    self._engine.stage(events.DELETE_GROUP, full, None, None)
        except BaseException:
            self._engine.abandon(writer)
            raise
        self._engine.finish(writer)
        return removed

    def purge_expired(self):
        """Remove the rows that have expired by now; how many there were.

        They are removed a thousand at a time, so that other writers get their turn.
        """
        cdef KeyRange names = group_range(self._prefix, "", "purge_expired")
        cdef int64_t now = now_ms()
        cdef int64_t purged = 0
        cdef int64_t batch = PURGE_ROWS
        self.check_writable("purge_expired")
        while batch == PURGE_ROWS:
            batch = self.purge_batch(names, now)
            purged += batch
        return purged

    cdef int64_t purge_batch(self, KeyRange names, int64_t now) except -1:
        cdef Connection writer = self._engine.begin(self.block, False, "purge_expired")
        cdef bint watched = self._engine.dispatcher.active()
        cdef int64_t purged
        cdef sqlite3_stmt *statement
        try:
            statement = writer.statement(PURGE_RETURNING if watched else PURGE)
            bind_range(statement, names)
            sqlite3_bind_int64(statement, 3, now)
            sqlite3_bind_int64(statement, 4, PURGE_ROWS)
            while writer.next_row(statement, "purge_expired"):
                full = column_str(statement, 0)
                key = column_str(statement, 1)
                if full is not None and key is not None:
                    self._engine.stage(events.EXPIRED, full, key, None)
            purged = sqlite3_changes64(writer.raw)
        except BaseException:
            self._engine.abandon(writer)
            raise
        self._engine.finish(writer)
        return purged


cdef list live_groups(Connection writer, KeyRange names, int64_t now, str verb):
    """The groups of a range with live keys, in order; None for a name that is not UTF-8."""
    cdef list found = []
    cdef sqlite3_stmt *statement = writer.statement(GROUPS)
    bind_range(statement, names)
    sqlite3_bind_int64(statement, 3, now)
    sqlite3_bind_int64(statement, 4, ALL_ROWS)
    while writer.next_row(statement, verb):
        found.append(column_str(statement, 0))
    return found


cdef int64_t delete_rows(
    Connection writer, Query query, KeyRange names, int64_t now, str verb
) except -1:
    cdef sqlite3_stmt *statement = writer.statement(query)
    bind_range(statement, names)
    sqlite3_bind_int64(statement, 3, now)
    writer.next_row(statement, verb)
    return sqlite3_changes64(writer.raw)


cdef list pair_list(object items):
    """The pairs of a mapping or an iterable, each of them checked."""
    cdef list pairs = []
    if hasattr(items, "keys"):
        pairs = [(key, items[key]) for key in items.keys()]
    else:
        for item in items:
            if isinstance(item, (str, bytes)) or not hasattr(item, "__len__") or len(item) != 2:
                raise TypeError(f"set_many: items must be pairs of key and value, not {item!r}")
            key, value = item
            pairs.append((key, value))
    return [
        (str_argument(key, "set_many", "key"), value_argument(value, "set_many", "value"))
        for key, value in pairs
    ]
