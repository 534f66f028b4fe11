"""The tables of a store's file: what is there, and what has to be made of it.

`entries` and `journal_entries` are go-store's. Beside them stand counts of rows per group and per
namespace, kept by triggers, so that they are right whichever program writes. A foreign REPLACE of
an existing key is the exception: SQLite runs no delete trigger for it, and the count is one too
high until `recount`.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import apsw

from groupstore.errors import CorruptStoreError

_ENTRIES: Final = """CREATE TABLE entries (
    group_name TEXT NOT NULL,
    entry_key TEXT NOT NULL,
    entry_value TEXT NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (group_name, entry_key)
) WITHOUT ROWID"""

_JOURNAL: Final = """CREATE TABLE journal_entries (
    entry_id INTEGER PRIMARY KEY AUTOINCREMENT,
    bucket_name TEXT NOT NULL,
    measurement TEXT NOT NULL,
    fields_json TEXT NOT NULL,
    tags_json TEXT NOT NULL,
    committed_at INTEGER NOT NULL,
    archived_at INTEGER
)"""

_ENTRIES_COLUMNS: Final = ("group_name", "entry_key", "entry_value", "expires_at")
_JOURNAL_COLUMNS: Final = (
    *("entry_id", "bucket_name", "measurement", "fields_json"),
    *("tags_json", "committed_at", "archived_at"),
)
_INTEGER_COLUMNS: Final = frozenset({"entry_id", "committed_at", "archived_at", "expires_at"})

_INDEXES: Final = {
    "entries_expires_at_idx": "entries (expires_at) WHERE expires_at IS NOT NULL",
    "journal_entries_bucket_committed_at_idx": "journal_entries (bucket_name, committed_at)",
}

_COUNT_TABLES: Final = {
    "groupstore_groups": """CREATE TABLE groupstore_groups (
    group_name TEXT PRIMARY KEY,
    row_count INTEGER NOT NULL
) WITHOUT ROWID""",
    "groupstore_namespaces": """CREATE TABLE groupstore_namespaces (
    namespace TEXT PRIMARY KEY,
    row_count INTEGER NOT NULL,
    group_count INTEGER NOT NULL
) WITHOUT ROWID""",
}

_TABLES: Final = frozenset({"entries", "journal_entries", *_COUNT_TABLES})

_NAMESPACE: Final = "substr({0}.group_name, 1, instr({0}.group_name, ':') - 1)"

# substr() ends at a NUL, which instr() does not: the range leaves out such names, and blobs.
_IN_NAMESPACE: Final = f"""instr({{0}}.group_name, ':')
        AND {{0}}.group_name >= {_NAMESPACE} || ':' AND {{0}}.group_name < {_NAMESPACE} || ';'"""

_ADD_ROW: Final = """INSERT INTO groupstore_groups VALUES (NEW.group_name, 1)
        ON CONFLICT (group_name) DO UPDATE SET row_count = row_count + 1;"""

_REMOVE_ROW: Final = """UPDATE groupstore_groups SET row_count = row_count - 1
        WHERE group_name = OLD.group_name;"""

# Rows are counted in their group, and groups in their namespace: a plain group costs one upsert
# and one instr() for each new key. UPSERT alone withstands the conflict clause of the outer
# statement, which overrides an OR IGNORE in here (https://sqlite.org/lang_createtrigger.html), and
# INSERT ... SELECT costs more than all the rest.
_TRIGGERS: Final = {
    "groupstore_entry_added": f"""AFTER INSERT ON entries BEGIN
    {_ADD_ROW}
END""",
    "groupstore_entry_removed": f"""AFTER DELETE ON entries BEGIN
    {_REMOVE_ROW}
END""",
    "groupstore_entry_moved": f"""AFTER UPDATE OF group_name ON entries
    WHEN NEW.group_name IS NOT OLD.group_name
BEGIN
    {_REMOVE_ROW}
    {_ADD_ROW}
END""",
    "groupstore_group_emptied": """AFTER UPDATE OF row_count ON groupstore_groups
    WHEN NEW.row_count <= 0
BEGIN
    DELETE FROM groupstore_groups WHERE group_name = NEW.group_name;
END""",
    "groupstore_group_added": f"""AFTER INSERT ON groupstore_groups
    WHEN {_IN_NAMESPACE.format("NEW")}
BEGIN
    INSERT INTO groupstore_namespaces VALUES ({_NAMESPACE.format("NEW")}, NEW.row_count, 1)
        ON CONFLICT (namespace) DO UPDATE
        SET row_count = row_count + excluded.row_count, group_count = group_count + 1;
END""",
    "groupstore_group_counted": f"""AFTER UPDATE OF row_count ON groupstore_groups
    WHEN {_IN_NAMESPACE.format("NEW")}
BEGIN
    UPDATE groupstore_namespaces SET row_count = row_count + NEW.row_count - OLD.row_count
        WHERE namespace = {_NAMESPACE.format("NEW")};
END""",
    "groupstore_group_removed": f"""AFTER DELETE ON groupstore_groups
    WHEN {_IN_NAMESPACE.format("OLD")}
BEGIN
    UPDATE groupstore_namespaces
        SET row_count = row_count - OLD.row_count, group_count = group_count - 1
        WHERE namespace = {_NAMESPACE.format("OLD")};
END""",
    "groupstore_namespace_emptied": """AFTER UPDATE OF group_count ON groupstore_namespaces
    WHEN NEW.group_count <= 0
BEGIN
    DELETE FROM groupstore_namespaces WHERE namespace = NEW.namespace;
END""",
}

_COUNTING: Final = {
    **{("table", name): sql for name, sql in _COUNT_TABLES.items()},
    **{("trigger", name): f"CREATE TRIGGER {name} {rest}" for name, rest in _TRIGGERS.items()},
}


class Schema(NamedTuple):
    """What a database holds of ours."""

    has_entries: bool
    has_expiry: bool
    """Whether `entries` has its column `expires_at`."""
    has_kv: bool
    """Whether there is a `kv` of the oldest form."""
    has_journal: bool
    has_indexes: bool
    counted: bool
    """Whether the counts and all the triggers that keep them are there."""

    @property
    def is_readable(self) -> bool:
        """Whether the entries are in go-store's present form."""
        return self.has_entries and self.has_expiry and not self.has_kv

    @property
    def is_current(self) -> bool:
        """Whether nothing is left for `migrate` to do."""
        return self.is_readable and self.has_journal and self.has_indexes and self.counted


class _Column(NamedTuple):
    declared_type: str
    is_required: bool
    """Whether an INSERT has to name it."""
    is_generated: bool
    key_position: int
    """From 1; 0 where it is no part of the primary key."""


def inspect(connection: apsw.Connection) -> Schema:
    """What is there; to be called in a read transaction. Writes nothing.

    Raises `CorruptStoreError` where our names stand for something that is no store's.
    """
    kinds = {
        # A STRICT column of TEXT takes no bytes.
        name.lower(): "strict table" if is_strict else kind
        for _, name, kind, _, _, is_strict in connection.execute("PRAGMA main.table_list")
    }
    objects = {
        (kind, name.lower()): (sql, table.lower())
        for kind, name, sql, table in _objects(connection)
    }
    for (kind, name), (_, table) in objects.items():
        _require_role(connection, kind, name, table)
    encoding = connection.pragma("encoding")
    if encoding != "UTF-8":
        raise _incompatible(connection, f"the text is in {encoding}, not UTF-8")
    entries = _table(connection, kinds, "entries")
    if entries is not None:
        _require_columns(connection, "entries", entries, _ENTRIES_COLUMNS, {"expires_at"})
        _require_key(connection, entries)
    journal = _table(connection, kinds, "journal_entries")
    if journal is not None:
        _require_columns(connection, "journal_entries", journal, _JOURNAL_COLUMNS)
        if _key(journal) != ["entry_id"] or journal["entry_id"].declared_type != "INTEGER":
            raise _incompatible(connection, "'journal_entries' lacks its primary key")
    return Schema(
        has_entries=entries is not None,
        has_expiry=entries is not None and "expires_at" in entries,
        has_kv=_is_oldest_form(connection, kinds),
        has_journal=journal is not None,
        has_indexes=all(("index", name) in objects for name in _INDEXES),
        counted=all(objects.get(item, ("", ""))[0] == sql for item, sql in _COUNTING.items()),
    )


def missing(found: Schema) -> list[str]:
    """Sentences on what `migrate` would make again in a file that was current."""
    parts = {
        "the table 'entries' is missing": found.has_entries,
        "the column 'expires_at' of 'entries' is missing": found.has_expiry
        or not found.has_entries,
        "the table 'journal_entries' is missing": found.has_journal,
        "an index of 'entries' or 'journal_entries' is missing": found.has_indexes,
        "the tables or triggers that count rows are missing or were altered": found.counted,
    }
    return [sentence for sentence, is_there in parts.items() if not is_there]


def migrate(connection: apsw.Connection, schema: Schema) -> None:
    """Make what `inspect` found a current schema; to be called inside BEGIN IMMEDIATE."""
    if not schema.has_entries:
        connection.execute(_ENTRIES)
    elif not schema.has_expiry:
        connection.execute("ALTER TABLE entries ADD COLUMN expires_at INTEGER")
    if not schema.has_journal:
        connection.execute(_JOURNAL)
    if schema.has_kv:
        _take_over_kv(connection)
    for name, columns in _INDEXES.items():
        connection.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {columns}")
    if not schema.counted:
        # Triggers first: those on `entries` would outlive the tables that they write to.
        for kind, name in reversed(_COUNTING):
            connection.execute(f"DROP {kind} IF EXISTS {name}")
        for sql in _COUNTING.values():
            connection.execute(sql)
        recount(connection)


def has_unfinished_archives(connection: apsw.Connection) -> bool:
    """Whether an archive of the journal is being made, or was when a process died."""
    sql = "SELECT 1 FROM sqlite_schema WHERE name = 'groupstore_archives'"
    if not connection.execute(sql).fetchall():
        return False
    sql = "SELECT 1 FROM groupstore_archives WHERE entries IS NULL LIMIT 1"
    return bool(connection.execute(sql).fetchall())


def forget_unfinished_archives(connection: apsw.Connection) -> None:
    """Take the entries of unfinished archives for not archived; for a copy of the database."""
    connection.execute("DELETE FROM groupstore_archives WHERE entries IS NULL")


def recount(connection: apsw.Connection) -> None:
    """Count all rows anew; to be called inside a transaction that may write."""
    connection.execute("DELETE FROM groupstore_groups")
    connection.execute("DELETE FROM groupstore_namespaces")
    # The triggers make the namespaces of it.
    connection.execute("""INSERT INTO groupstore_groups
        SELECT group_name, count(*) FROM entries WHERE group_name IS NOT NULL
        GROUP BY group_name""")


def _incompatible(connection: apsw.Connection, reason: str) -> CorruptStoreError:
    return CorruptStoreError(f"open: {connection.db_filename('main')}: {reason}")


def _objects(connection: apsw.Connection) -> Iterator[tuple[str, str, str | None, str]]:
    """Type, name, SQL and table of all that the schema lists."""
    rows = connection.execute("SELECT type, name, sql, tbl_name FROM sqlite_schema")
    for kind, name, sql, table in rows:
        if not (isinstance(kind, str) and isinstance(name, str) and isinstance(table, str)):
            raise _incompatible(connection, f"the schema lists {kind!r} {name!r} on {table!r}")
        yield kind, name, sql if isinstance(sql, str) else None, table


def _columns(connection: apsw.Connection, table: str) -> dict[str, _Column]:
    return {
        name.lower(): _Column(
            declared_type=declared_type.upper(),
            is_required=bool(not_null) and default is None and not hidden,
            is_generated=hidden in (2, 3),
            key_position=key_position,
        )
        for _, name, declared_type, not_null, default, key_position, hidden in connection.execute(
            f"PRAGMA main.table_xinfo({table})"
        )
    }


def _key(columns: dict[str, _Column]) -> list[str]:
    parts = [(column.key_position, name) for name, column in columns.items() if column.key_position]
    return [name for _, name in sorted(parts)]


def _require_role(connection: apsw.Connection, kind: str, name: str, table: str) -> None:
    """Raise `CorruptStoreError` for an object that stands where one of ours has to."""
    # Triggers have names of their own; those of ours are made anew where they differ.
    if kind == "trigger":
        return
    if name in _TABLES and kind != "table":
        raise _incompatible(connection, f"{name!r} is no table: {kind}")
    if name in _INDEXES and (kind != "index" or table != _INDEXES[name].split()[0]):
        raise _incompatible(connection, f"{name!r} is not our index: {kind} on {table!r}")


def _table(
    connection: apsw.Connection, kinds: dict[str, str], name: str
) -> dict[str, _Column] | None:
    """The columns of a table that has to be a plain one, or None where it is absent."""
    if name not in kinds:
        return None
    if kinds[name] != "table":
        raise _incompatible(connection, f"{name!r} is no plain table: {kinds[name]}")
    return _columns(connection, name)


def _require_columns(
    connection: apsw.Connection,
    table: str,
    columns: dict[str, _Column],
    expected: tuple[str, ...],
    optional: set[str] | frozenset[str] = frozenset(),
) -> None:
    for name in expected:
        column = columns.get(name)
        if column is None:
            if name in optional:
                continue
            raise _incompatible(connection, f"{table!r} has no column {name!r}")
        # Any other type would turn what is stored into something else, or compare it otherwise.
        expected_type = "INTEGER" if name in _INTEGER_COLUMNS else "TEXT"
        if _affinity(column.declared_type) != expected_type or column.is_generated:
            raise _incompatible(
                connection,
                f"column {name!r} of {table!r} is {column.declared_type}, not {expected_type}",
            )
    for name, column in columns.items():
        if name not in expected and column.is_required:
            raise _incompatible(connection, f"{table!r} has a column {name!r} without default")


def _affinity(declared_type: str) -> str:
    """TEXT, INTEGER or OTHER (https://sqlite.org/datatype3.html, section 3.1)."""
    if "INT" in declared_type:
        return "INTEGER"
    return "TEXT" if any(part in declared_type for part in ("CHAR", "CLOB", "TEXT")) else "OTHER"


def _require_key(connection: apsw.Connection, entries: dict[str, _Column]) -> None:
    names = ("group_name", "entry_key")
    if _key(entries) != list(names):
        raise _incompatible(connection, f"the primary key of 'entries' is not {names}")
    indexes = connection.execute("PRAGMA main.index_list(entries)").fetchall()
    (index,) = [name for _, name, _, origin, _ in indexes if origin == "pk"]
    parts = connection.execute(f'PRAGMA main.index_xinfo("{index}")').fetchall()
    for *_, collation, is_key in parts:
        if is_key and collation != "BINARY":
            raise _incompatible(connection, f"'entries' compares its keys by {collation}")


def _is_oldest_form(connection: apsw.Connection, kinds: dict[str, str]) -> bool:
    """Whether `kv` is there in the form that older versions of go-store wrote."""
    if kinds.get("kv") != "table":
        return False
    columns = _columns(connection, "kv")
    if columns.keys() - {"expires_at"} != {"grp", "key", "value"} or _key(columns) != [
        "grp",
        "key",
    ]:
        return False
    nulls = "SELECT 1 FROM kv WHERE grp IS NULL OR key IS NULL OR value IS NULL LIMIT 1"
    if connection.execute(nulls).fetchall():
        raise _incompatible(connection, "'kv' has a NULL where 'entries' can hold none")
    return True


def _take_over_kv(connection: apsw.Connection) -> None:
    expires_at = "expires_at" if "expires_at" in _columns(connection, "kv") else "NULL"
    connection.execute(f"""INSERT INTO entries (group_name, entry_key, entry_value, expires_at)
        SELECT grp, key, value, {expires_at} FROM kv WHERE true
        ON CONFLICT (group_name, entry_key) DO NOTHING""")
    connection.execute("DROP TABLE kv")


def miscounted(connection: apsw.Connection) -> list[str]:
    """Sentences on groups and namespaces whose counts are wrong; to be called in a transaction."""
    groups = connection.execute("""
        SELECT CAST(group_name AS BLOB), coalesce(row_count, 0), coalesce(rows, 0)
        FROM (SELECT group_name, count(*) AS rows FROM entries GROUP BY group_name)
        FULL JOIN groupstore_groups USING (group_name)
        WHERE rows IS NOT row_count ORDER BY group_name""")
    namespaces = connection.execute(f"""
        SELECT namespace, coalesce(n.row_count, 0), coalesce(n.group_count, 0),
               coalesce(h.rows, 0), coalesce(h.groups, 0)
        FROM (SELECT {_NAMESPACE.format("g")} AS namespace,
                     sum(row_count) AS rows, count(*) AS groups
              FROM groupstore_groups AS g WHERE {_IN_NAMESPACE.format("g")} GROUP BY 1) AS h
        FULL JOIN groupstore_namespaces AS n USING (namespace)
        WHERE h.rows IS NOT n.row_count OR h.groups IS NOT n.group_count ORDER BY 1""")
    return [
        f"group {name!r} was counted as {counted} rows, but holds {rows}"
        for name, counted, rows in groups
    ] + [
        f"namespace {name!r} was counted as {rows} rows in {number} groups, but its groups "
        f"are counted as {held_rows} in {held_number}"
        for name, rows, number, held_rows, held_number in namespaces
    ]


def unlisted(connection: apsw.Connection) -> list[str]:
    """Sentences on rows with a group or key that is no text in UTF-8, which no listing shows."""
    rows = connection.execute("""
        SELECT typeof(group_name), CAST(group_name AS BLOB),
               typeof(entry_key), CAST(entry_key AS BLOB) FROM entries""")
    return [
        f"the row with group {group!r} and key {key!r} has a name that is not text in UTF-8"
        for group_type, group, key_type, key in rows
        if not (group_type == key_type == "text" and is_utf8(group) and is_utf8(key))
    ]


def is_utf8(text: bytes) -> bool:
    """Whether Python can read what SQLite calls text."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
