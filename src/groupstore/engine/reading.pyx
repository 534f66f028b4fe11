"""Reading: every method that leaves the file as it is, once for all faces."""

from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_SET_ITEM
from cpython.unicode cimport PyUnicode_CheckExact
from libc.stdint cimport int64_t

from groupstore.engine.argument cimport Text, check_text, count_argument, str_argument, utf8
from groupstore.engine.cache cimport CachedGroup, Entry, new_entry
from groupstore.engine.connection cimport Connection
from groupstore.engine.engine cimport JOINED, Block, Engine, current_thread
from groupstore.engine.expiry cimport NEVER, now_ms
from groupstore.engine.key_range cimport KeyRange, bind_range, group_range, key_range
from groupstore.engine.quota cimport Limits
from groupstore.engine.sqlite cimport (
    SQLITE_DONE, SQLITE_OK, SQLITE_ROW, groupstore_routines, sqlite3_bind_int64,
    sqlite3_column_int64, sqlite3_stmt, sqlite_routines,
)
from groupstore.engine.statement cimport (
    ALL, BEGIN_READ, COMMIT, COUNT_GROUP, COUNT_GROUPS, COUNT_RANGE, EXPIRED_TOTAL, EXPIRY, GET,
    GROUP_EXISTS, GROUPS, KEYS, KEYS_REVERSE, PAGE, PAGE_REVERSE, Query, bind_text, bind_upper,
    column_expiry, column_str, column_value,
)
from groupstore.engine.wal_index cimport wal_header
from groupstore.errors import NotFoundError
from groupstore.key_value import KeyValue


cdef extern from "Python.h":
    object PyType_GenericAlloc(type, Py_ssize_t)
    str PyUnicode_FromObject(object)


groupstore_routines = sqlite_routines()

# Stands for "no default given", where None is one.
MISSING = object()

cdef int64_t ALL_ROWS = -1

cdef enum:
    # Groups that a scope remembers by their local names; of others SQLite is asked.
    MOST_NEAR = 4096
    FIRST_SWEEP = 64
    # Names beyond that are not worth a second copy.
    LONGEST_NEAR = 1000
    # Keys of one get_many that the cache keeps: a sweep over a large group would wash it out.
    MOST_KEPT = 256
    # Characters of a name in a message.
    MOST_SHOWN = 200


cdef object key_value(str key, object value):
    """A KeyValue, without the Python function that makes one: a third of the cost of a row."""
    cdef object pair = PyType_GenericAlloc(<type>KeyValue, 2)
    Py_INCREF(key)
    PyTuple_SET_ITEM(pair, 0, key)
    Py_INCREF(value)
    PyTuple_SET_ITEM(pair, 1, value)
    return pair


cdef str shown(object name):
    """A name in a message, by its beginning where it is long; of a subclass as a plain str."""
    cdef str text = PyUnicode_FromObject(name)
    return repr(text) if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]!r}…"


cdef str named(str verb, object group, object key):
    return f"{verb}: key {shown(key)} in group {shown(group)}"


cdef object not_found(str verb, object group, object key):
    return NotFoundError(f"{verb}: no key {shown(key)} in group {shown(group)}")


cdef bint is_live(int64_t expires_at_ms) noexcept:
    # The clock is read for what can expire alone.
    return expires_at_ms == NEVER or expires_at_ms > now_ms()


cdef int look_up(
    Connection connection, sqlite3_stmt *statement, Text group, Text key
) except -1:
    """Bind a group and a key, and step: SQLITE_ROW, SQLITE_DONE or what failed."""
    cdef int code = bind_text(statement, 1, group)
    if code == SQLITE_OK:
        code = bind_text(statement, 2, key)
    if code != SQLITE_OK:
        return code
    return connection.step(statement)


cdef class Reading:

    def __cinit__(self, Engine engine not None, str prefix not None, Limits limits, Block block):
        self._engine = engine
        self._prefix = prefix
        self.limits = limits
        self.block = block
        self.cache = engine.cache if block is None and engine.config.cache_size else None
        self.next_sweep = FIRST_SWEEP
        self.near = self.cache.groups if self.cache is not None and not prefix else {}

    cdef str full_name(self, object group, str verb):
        """The group's name in the file."""
        cdef str name = str_argument(group, verb, "group")
        if self._prefix:
            name = self._prefix + name
            check_text(name, verb, "group")
        return name

    cdef Entry hit(self, object group, object key):
        """What the cache knows of a key; None where SQLite has to be asked, or may complain."""
        if self.cache is None or not PyUnicode_CheckExact(group):
            return None
        # A thread with a transaction open has to see its own writes.
        if self._engine.owner != 0 and self._engine.owner == current_thread():
            return None
        if not self.cache.is_fresh():
            return None
        found = self.near.get(group)
        if found is None or not PyUnicode_CheckExact(key):
            return None
        entry = self.cache.look_up(<CachedGroup>found, <str>key)
        # The read that meets an expired row removes it.
        if entry is None or not is_live((<Entry>entry).expires_at_ms):
            return None
        return <Entry>entry

    cdef object find(self, object group, object key, int64_t *expires_at_ms, str verb):
        """The value that the file holds, expired or not, and its expiry; None for no row."""
        cdef str full = self.full_name(group, verb)
        cdef str name = str_argument(key, verb, "key")
        cdef object value = None
        cdef wal_header before
        cdef int code
        cdef sqlite3_stmt *statement
        if self.cache is not None:
            self.cache.note(&before)
        cdef Connection connection = self._engine.borrow(self.block, verb)
        cdef bint fills = self.cache is not None and not connection.hold & JOINED
        try:
            statement = connection.statement(GET)
            code = look_up(connection, statement, utf8(full), utf8(name))
            if code == SQLITE_ROW:
                value = column_value(statement, 1)
                expires_at_ms[0] = column_expiry(statement, 0)
            elif code == SQLITE_DONE:
                expires_at_ms[0] = NEVER
            else:
                raise connection.failure(code, named(verb, group, key))
        finally:
            self._engine.give_back(connection)
        if fills:
            self.keep(&before, group, new_entry(full, name, value, expires_at_ms[0]))
        return value

    cdef int keep(self, const wal_header *before, object group, Entry entry) except -1:
        """Have the cache hold what was read after `before`."""
        cdef CachedGroup cached = self.cache.fill(before, entry)
        if cached is not None and self._prefix and len(cached.name) <= LONGEST_NEAR:
            if len(self.near) >= self.next_sweep:
                self.sweep()
            self.near[str_argument(group, "", "")] = cached
        return 0

    cdef int sweep(self) except -1:
        """Drop the groups that the cache has evicted, each time that `near` has doubled.

        So they stay in proportion to those that the cache counts.
        """
        for name, cached in list(self.near.items()):
            if not (<CachedGroup>cached).entries:
                self.near.pop(name, None)
        if len(self.near) >= MOST_NEAR:
            self.near.clear()
        self.next_sweep = max(FIRST_SWEEP, min(2 * len(self.near), MOST_NEAR))
        return 0

    cdef int64_t find_expiry(self, object group, object key, str verb) except? -1:
        """When a live key expires, NEVER included; 0 where there is no live key."""
        cdef Entry entry = self.hit(group, key)
        cdef int64_t expires_at_ms
        if entry is None:
            expires_at_ms = self.read_expiry(group, key, verb)
        else:
            expires_at_ms = 0 if entry.value is None else entry.expires_at_ms
        return expires_at_ms if is_live(expires_at_ms) else 0

    cdef int64_t read_expiry(self, object group, object key, str verb) except? -1:
        """The expiry of a row, 0 where there is none. A value may be large, so it is not read."""
        cdef str full = self.full_name(group, verb)
        cdef str name = str_argument(key, verb, "key")
        cdef int64_t expires_at_ms = 0
        cdef int code
        cdef sqlite3_stmt *statement
        cdef Connection connection = self._engine.borrow(self.block, verb)
        try:
            statement = connection.statement(EXPIRY)
            code = look_up(connection, statement, utf8(full), utf8(name))
            if code == SQLITE_ROW:
                expires_at_ms = column_expiry(statement, 0)
            elif code != SQLITE_DONE:
                raise connection.failure(code, named(verb, group, key))
        finally:
            self._engine.give_back(connection)
        return expires_at_ms

    def _value(self, group, key, verb):
        """The live value, for a method named `verb`; `NotFoundError` where there is none."""
        cdef Entry entry = self.hit(group, key)
        cdef object value
        cdef int64_t expires_at_ms
        if entry is None:
            value = self.find(group, key, &expires_at_ms, verb)
        else:
            value, expires_at_ms = entry.value, entry.expires_at_ms
        if value is None or not is_live(expires_at_ms):
            raise not_found(verb, group, key)
        return value

    def exists(self, group, key):
        """Whether `key` is live in `group`."""
        return self.find_expiry(group, key, "exists") != 0

    def ttl(self, group, key):
        """The seconds until `key` expires, a `float`; None where it never does.

        Raises `NotFoundError` where there is no live key.
        """
        cdef int64_t expires_at_ms = self.find_expiry(group, key, "ttl")
        if expires_at_ms == 0:
            raise not_found("ttl", group, key)
        if expires_at_ms == NEVER:
            return None
        return max(expires_at_ms - now_ms(), 0) / 1000.0

    def get_many(self, group, keys):
        """The live ones of `keys`, an iterable: a `dict` in the order asked, from one snapshot."""
        cdef str full = self.full_name(group, "get_many")
        cdef list asked = key_list(keys, "get_many")
        cdef dict found = self.known(group, asked) if asked else None
        if found is not None:
            return found
        found = {}
        cdef wal_header before
        cdef list entries = None
        if self.cache is not None:
            self.cache.note(&before)
        cdef Connection connection = self._engine.borrow(self.block, "get_many")
        if self.cache is not None and not connection.hold & JOINED and len(asked) <= MOST_KEPT:
            entries = []
        # One read transaction: a snapshot, and the file is locked once, not once a key.
        cdef bint brackets = not connection.in_transaction()
        try:
            if brackets:
                connection.run(BEGIN_READ, "get_many")
            try:
                self.fetch_many(connection, full, group, asked, found, entries)
            finally:
                # Not where SQLite, after an error, has ended it already.
                if brackets and connection.in_transaction():
                    connection.run(COMMIT, "get_many")
        finally:
            self._engine.give_back(connection)
        if entries is not None:
            for entry in entries:
                self.keep(&before, group, entry)
        return found

    cdef dict known(self, object group, list asked):
        """What the cache knows of all the keys asked for; None where it does not know one."""
        cdef dict found = {}
        cdef Entry entry
        cdef wal_header before
        if self.cache is None:
            return None
        self.cache.look_at_header(&before)
        for key in asked:
            entry = self.hit(group, key)
            if entry is None:
                return None
            if entry.value is not None:
                found[key] = entry.value
        # Still so: then all of them are from one state.
        return found if self.cache.is_at(&before) else None

    cdef int fetch_many(
        self, Connection connection, str full, object group, list asked, dict found, list entries
    ) except -1:
        """Read keys into `found`, and into `entries` too where that is no None."""
        cdef sqlite3_stmt *statement = connection.statement(GET)
        cdef Text group_text = utf8(full)
        cdef int64_t expires_at_ms
        cdef int code
        cdef str key
        for key in asked:
            value = None
            expires_at_ms = NEVER
            code = look_up(connection, statement, group_text, utf8(key))
            if code == SQLITE_ROW:
                expires_at_ms = column_expiry(statement, 0)
                value = column_value(statement, 1)
                if is_live(expires_at_ms):
                    found[key] = value
            elif code != SQLITE_DONE:
                raise connection.failure(code, named("get_many", group, key))
            if entries is not None:
                entries.append(new_entry(full, key, value, expires_at_ms))
            connection.rewind(statement)
        return 0

    cdef list rows_of(
        self, Connection connection, sqlite3_stmt *statement, bint with_values, str verb
    ):
        """All rows of a statement that was bound: keys, or keys with values.

        None stands for a row whose name is no UTF-8, which is not to be listed.
        """
        cdef list rows = []
        cdef str name
        while connection.next_row(statement, verb):
            name = column_str(statement, 0)
            if name is None or not with_values:
                rows.append(name)
            else:
                rows.append(key_value(name, column_value(statement, 1)))
        return rows

    def get_all(self, group):
        """Every live key of `group` and its value, a `dict` in key order, from one snapshot."""
        cdef str full = self.full_name(group, "get_all")
        cdef dict found = {}
        cdef str name
        cdef sqlite3_stmt *statement
        cdef Connection connection = self._engine.borrow(self.block, "get_all")
        try:
            statement = connection.statement(ALL)
            bind_text(statement, 1, utf8(full))
            sqlite3_bind_int64(statement, 2, now_ms())
            while connection.next_row(statement, "get_all"):
                name = column_str(statement, 0)
                if name is not None:
                    found[name] = column_value(statement, 1)
        finally:
            self._engine.give_back(connection)
        return found

    def get_page(self, group, offset, limit, *, prefix="", start=None, stop=None, reverse=False):
        """Up to `limit` live keys of `group` with their values in key order, `offset` skipped.

        Returns a `list` of `KeyValue`. `prefix`, `start` (inclusive) and `stop` (exclusive) bound
        the keys; `reverse` turns the order. Raises `ValueError` for negative numbers.
        """
        cdef str full = self.full_name(group, "get_page")
        cdef int64_t skipped = count_argument(offset, "get_page", "offset")
        cdef int64_t wanted = count_argument(limit, "get_page", "limit")
        cdef KeyRange keys = key_range(prefix, start, stop, "get_page")
        return listed(
            self.page(full, keys, bool(reverse), skipped, wanted, True, "get_page")
        )

    cdef list page(
        self, str full, KeyRange keys, bint reverse, int64_t offset, int64_t limit,
        bint with_values, str verb,
    ):
        cdef Query query
        cdef sqlite3_stmt *statement
        cdef Connection connection = self._engine.borrow(self.block, verb)
        if with_values:
            query = PAGE_REVERSE if reverse else PAGE
        else:
            query = KEYS_REVERSE if reverse else KEYS
        try:
            statement = connection.statement(query)
            bind_text(statement, 1, utf8(full))
            bind_text(statement, 2, keys.lower)
            bind_upper(statement, 3, keys.upper)
            sqlite3_bind_int64(statement, 4, now_ms())
            sqlite3_bind_int64(statement, 5, limit)
            sqlite3_bind_int64(statement, 6, offset)
            return self.rows_of(connection, statement, with_values, verb)
        finally:
            self._engine.give_back(connection)

    def _item_pages(self, group, prefix, start, stop, reverse):
        """Check the arguments of an iteration; a function that gives its next page of rows.

        The function takes the last key that it gave, None at first, and how many rows to give.
        Between two calls nothing is held, so the iteration may be left alone for good.
        """
        return self.pages("items", group, True, prefix, start, stop, reverse)

    def _key_pages(self, group, prefix, start, stop, reverse):
        """As `_item_pages`, of keys without their values."""
        return self.pages("keys", group, False, prefix, start, stop, reverse)

    cdef object pages(
        self, str verb, object group, bint with_values, object prefix, object start, object stop,
        object reverse,
    ):
        cdef str full = self.full_name(group, verb)
        cdef KeyRange keys = key_range(prefix, start, stop, verb)
        cdef bint backwards = bool(reverse)
        self._engine.check_open(verb)

        def page(last, rows):
            cdef KeyRange rest = keys
            if last is not None:
                rest = keys.before(last) if backwards else keys.after(last)
            return self.page(full, rest, backwards, 0, rows, with_values, verb)

        return page

    cdef int64_t number(
        self, Query query, KeyRange names, object full, KeyRange keys, str verb
    ) except -1:
        """The one number that a counting statement gives."""
        cdef int64_t result = 0
        cdef int index = 1
        cdef sqlite3_stmt *statement
        cdef Connection connection = self._engine.borrow(self.block, verb)
        try:
            statement = connection.statement(query)
            if full is not None:
                bind_text(statement, index, utf8(full))
                index += 1
            if names is not None:
                bind_text(statement, index, names.lower)
                bind_upper(statement, index + 1, names.upper)
                index += 2
            if keys is not None:
                bind_text(statement, index, keys.lower)
                bind_upper(statement, index + 1, keys.upper)
                index += 2
            sqlite3_bind_int64(statement, index, now_ms())
            if connection.next_row(statement, verb):
                result = sqlite3_column_int64(statement, 0)
        finally:
            self._engine.give_back(connection)
        return result

    def group_exists(self, group):
        """Whether `group` holds a live key."""
        return self.number(
            GROUP_EXISTS, None, self.full_name(group, "group_exists"), None, "group_exists"
        ) != 0

    def count(self, group, *, prefix="", start=None, stop=None):
        """How many live keys `group` holds.

        `prefix`, `start` (inclusive) and `stop` (exclusive) bound the keys that are counted.
        """
        cdef str full = self.full_name(group, "count")
        cdef KeyRange keys = key_range(prefix, start, stop, "count")
        if not keys.first and keys.beyond is None:
            return self.number(COUNT_GROUP, None, full, None, "count")
        return self.number(COUNT_RANGE, None, full, keys, "count")

    def count_all(self, prefix=""):
        """How many live keys the groups whose names start with `prefix` hold."""
        cdef KeyRange names = group_range(self._prefix, prefix, "count_all")
        return self.number(COUNT_GROUPS, names, None, None, "count_all")

    def groups(self, prefix=""):
        """The names of the groups with live keys that start with `prefix`, a `list` in order."""
        return listed(
            self.group_page(group_range(self._prefix, prefix, "groups"), ALL_ROWS, "groups")
        )

    def _group_pages(self, prefix):
        """As `_item_pages`, of group names."""
        cdef KeyRange names = group_range(self._prefix, prefix, "iter_groups")
        self._engine.check_open("iter_groups")

        def page(last, rows):
            cdef KeyRange rest = names
            if last is not None:
                rest = names.after(self._prefix + last)
            return self.group_page(rest, rows, "iter_groups")

        return page

    cdef list group_page(self, KeyRange names, int64_t limit, str verb):
        cdef list found = []
        cdef str name
        cdef Py_ssize_t cut = len(self._prefix)
        cdef sqlite3_stmt *statement
        cdef Connection connection = self._engine.borrow(self.block, verb)
        try:
            statement = connection.statement(GROUPS)
            bind_range(statement, names)
            sqlite3_bind_int64(statement, 3, now_ms())
            sqlite3_bind_int64(statement, 4, limit)
            while connection.next_row(statement, verb):
                name = column_str(statement, 0)
                found.append(name[cut:] if cut and name is not None else name)
        finally:
            self._engine.give_back(connection)
        return found

    def _expired_total(self):
        """How many rows have expired and are not purged yet."""
        return self.number(EXPIRED_TOTAL, None, None, None, "stats")


cdef list listed(list rows):
    """The rows that have a name to be listed by."""
    return [row for row in rows if row is not None] if None in rows else rows


cdef list key_list(object keys, str verb):
    """The keys of an argument that holds several, each of them checked."""
    if isinstance(keys, (str, bytes)):
        raise TypeError(f"{verb}: keys must be an iterable of str, not {type(keys).__name__}")
    cdef list checked = []
    for key in keys:
        checked.append(str_argument(key, verb, "key"))
    return checked
