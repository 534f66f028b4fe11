"""What the store should do, over plain dicts, and the strategies that exercise it.

The model has the store's methods under the store's names. It is as small as it can be: liveness is
computed from the clock at each call, a scope is a prefix, a transaction is a copy of the rows.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from hypothesis import strategies as st

import groupstore
from groupstore.engine.expiry import set_clock

Value = str | bytes
Face = groupstore.Store | groupstore.ScopedStore | groupstore.Transaction
Source = groupstore.Store | groupstore.ScopedStore

# How long a test waits for what has to happen before it calls that a failure.
PATIENCE_S = 20


class Clock:
    """The store's clock in a test's hands: it moves when the test moves it."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self.now_ms = now_ms
        set_clock(now_ms)

    def advance(self, seconds: float) -> None:
        """Moves the clock by `seconds`, back where that is negative."""
        self.now_ms += round(seconds * 1000)
        set_clock(self.now_ms)

    def release(self) -> None:
        """Gives the store its system clock back."""
        set_clock(None)


# --- Names, values and times -------------------------------------------------------------------

# Each of these has broken a store: an empty name, NUL, wildcards of LIKE and GLOB, the separator
# of namespaces, case, normalisation, the ends of the ranges of UTF-8 and UTF-16.
NAMES = (
    "", " ", "a", "A", "a-b", "a:b", "ab", "acme", "acme:", "acme:x", "ACME:x", "acme-x", ":", "::",
    "%", "_", "^", "^a", "*", "a%", "a_", "a*", "a?", "[a]", "\\", "'", '"', "\0", "a\0", "a\0b",
    "\n", "\x7f", "\x80", "é", "e\u0301", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\uffff",
    "\U00010000", "\U0001f600", "\U0010ffff", "a\U0010ffff", "007", "None",
)  # fmt: skip
VALUES: tuple[Value, ...] = (
    "", b"", "v", b"v", "1", b"1", "-0", "007", "\0", b"\0", b"\xff\xfe", "a\0b", "\U0001f600",
    "9223372036854775807", "-9223372036854775808", " x  y\n", "caf\u00e9",
)  # fmt: skip

names = st.one_of(st.sampled_from(NAMES), st.text(max_size=6))
values = st.one_of(st.sampled_from(VALUES), st.text(max_size=20), st.binary(max_size=20))
# Dyadic fractions and whole milliseconds only, so that no rounding of the test's own is tested.
ttls = st.sampled_from(
    (0.0001, 0.5, 1, 1.25, 3, timedelta(milliseconds=1500), timedelta(microseconds=1))
)


def ttl_ms(ttl: float | timedelta) -> int:
    """A time to live in whole milliseconds, rounded up."""
    if isinstance(ttl, timedelta):
        return -(-ttl // timedelta(milliseconds=1))
    return math.ceil(ttl * 1000)


def between(
    keys: Iterable[str],
    *,
    prefix: str = "",
    start: str | None = None,
    stop: str | None = None,
    reverse: bool = False,
) -> list[str]:
    """The keys that RANGE selects, in order."""
    chosen = (
        key
        for key in keys
        if key.startswith(prefix)
        and (start is None or key >= start)
        and (stop is None or key < stop)
    )
    return sorted(chosen, reverse=reverse)


# --- Outcomes and events -----------------------------------------------------------------------


class Refused(Exception):
    """The model's error; `kind` says which of the store's it stands for."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Unspecified(Exception):
    """The contract leaves open what happens here, so the call is not made."""


def outcome(call: Callable[[], Any]) -> tuple[str, Any]:
    """`("result", value)` or `("error", kind)`; iterators exhausted, the order of dicts kept."""
    try:
        result = call()
        if isinstance(result, Iterator):
            result = list(result)
    except Refused as error:
        return "error", error.kind
    except groupstore.NotFoundError:
        return "error", "not found"
    except groupstore.QuotaExceededError as error:
        return "error", f"quota {error.limit}"
    except ValueError:
        return "error", "value"
    if isinstance(result, Mapping):
        result = list(result.items())
    return "result", result


class Change(NamedTuple):
    """An event without its time."""

    type: str
    group: str
    key: str | None
    value: Value | None
    reason: str


def changes(events: Iterable[groupstore.Event]) -> list[Change]:
    """What the events say, in order."""
    return [Change(str(e.type), e.group, e.key, e.value, e.reason) for e in events]


def drain(watcher: groupstore.Watcher) -> list[Change]:
    """What the watcher has buffered."""
    return changes(iter(watcher.get_nowait, None))


def local(seen: Iterable[Change], namespace: str) -> list[Change]:
    """The changes of one namespace, with its own names of groups."""
    prefix = namespace + ":"
    return [c._replace(group=c.group[len(prefix) :]) for c in seen if c.group.startswith(prefix)]


@dataclass(eq=False)
class Row:
    """One life of a key, from the write that made it to what ended it; equal to itself alone."""

    group: str
    key: str
    value: Value
    expires_at_ms: int | None
    removal_seen: bool = False

    def removal(self) -> Change:
        return Change("delete", self.group, self.key, None, "expired")


@dataclass
class Removal:
    """DELETEs of expired rows, in any order; where not `certain`, a later purge may bring them."""

    rows: list[Row]
    certain: bool


def match(expected: Iterable[Change | Removal], seen: Iterable[Change]) -> None:
    """Asserts that the changes seen are what the model expected."""
    left = deque(seen)
    for step in expected:
        if isinstance(step, Change):
            assert left, f"no event where {step} was expected"
            assert left.popleft() == step
            continue
        pending = {row.removal(): row for row in step.rows if not row.removal_seen}
        while left and left[0] in pending:
            pending.pop(left.popleft()).removal_seen = True
        assert not (step.certain and pending), f"no event of {list(pending)}"
    assert not left, f"unexpected events {list(left)}"


# --- The model ---------------------------------------------------------------------------------


class Snapshot(NamedTuple):
    rows: dict[tuple[str, str], Row]
    expected: int
    doubtful: set[Row]


class Database:
    """The rows, and the events that the next commit should bring."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.rows: dict[tuple[str, str], Row] = {}
        self.expected: list[Change | Removal] = []
        # Expired rows that a `delete` or the like may have removed, or left to the purge.
        self.doubtful: set[Row] = set()

    def live(self, row: Row) -> bool:
        return row.expires_at_ms is None or self.clock.now_ms < row.expires_at_ms

    def snapshot(self) -> Snapshot:
        return Snapshot(dict(self.rows), len(self.expected), set(self.doubtful))

    def restore(self, snapshot: Snapshot) -> None:
        self.rows, self.doubtful = dict(snapshot.rows), set(snapshot.doubtful)
        del self.expected[snapshot.expected :]

    def settle(self, seen: Iterable[Change]) -> None:
        """Compares with what was seen after a commit, and learns which expired rows are gone."""
        match(self.expected, seen)
        self.rows = {name: row for name, row in self.rows.items() if not row.removal_seen}
        self.expected.clear()
        self.doubtful.clear()


COUNTER = re.compile(r"-?[0-9]+", re.ASCII)
INT64 = range(-(2**63), 2**63)
MISSING: Any = object()


class Model:
    """A face of the database: the methods of the store, with a prefix and perhaps a quota."""

    def __init__(
        self, database: Database, prefix: str = "", quota: groupstore.Quota | None = None
    ) -> None:
        self.database = database
        self.prefix = prefix
        self.quota = quota

    def _row(self, group: str, key: str) -> Row | None:
        row = self.database.rows.get((self.prefix + group, key))
        return row if row is not None and self.database.live(row) else None

    def _live(self, prefix: str = "") -> list[Row]:
        rows = self.database.rows.values()
        return [
            row
            for row in rows
            if row.group.startswith(self.prefix + prefix) and self.database.live(row)
        ]

    def _rows(self, group: str) -> dict[str, Row]:
        return {r.key: r for r in self._live() if r.group == self.prefix + group}

    def _admit(self, group: str, keys: Iterable[str]) -> None:
        """Refuses new keys beyond the quota."""
        new = {key for key in keys if self._row(group, key) is None}
        if self.quota is None or not new:
            return
        live = self._live()
        if 0 < self.quota.max_keys < len(live) + len(new):
            raise Refused("quota keys")
        groups = {row.group for row in live}
        if 0 < self.quota.max_groups < len(groups | {self.prefix + group}):
            if self.prefix + group in groups:
                raise Unspecified
            raise Refused("quota groups")

    def _put(self, group: str, key: str, value: Value, ttl: Any) -> None:
        if ttl is groupstore.KEEP:
            row = self._row(group, key)
            expires_at_ms = row.expires_at_ms if row else None
        else:
            expires_at_ms = None if ttl is None else self.database.clock.now_ms + ttl_ms(ttl)
        name = self.prefix + group
        self.database.rows[name, key] = Row(name, key, value, expires_at_ms)
        self.database.expected.append(Change("set", name, key, value, "set"))

    def _met_expired(self, group: str, key: str) -> None:
        row = self.database.rows.get((self.prefix + group, key))
        if row is not None and not self.database.live(row):
            self.database.expected.append(Removal([row], certain=False))
            self.database.doubtful.add(row)

    def _remove(self, row: Row) -> None:
        del self.database.rows[row.group, row.key]
        self.database.expected.append(Change("delete", row.group, row.key, None, "delete"))

    # Writing

    def set(self, group: str, key: str, value: Value, *, ttl: Any = None) -> None:
        self._admit(group, [key])
        self._put(group, key, value, ttl)

    def set_many(self, group: str, items: Mapping[str, Value], *, ttl: Any = None) -> None:
        self._admit(group, items)
        for key, value in items.items():
            self._put(group, key, value, ttl)

    def add(self, group: str, key: str, value: Value, *, ttl: Any = None) -> bool:
        if self._row(group, key):
            return False
        self.set(group, key, value, ttl=ttl)
        return True

    def compare_and_set(
        self, group: str, key: str, expected: Value | None, value: Value | None, *, ttl: Any = None
    ) -> bool:
        row = self._row(group, key)
        found = row.value if row else None
        if (type(found), found) != (type(expected), expected):
            self._met_expired(group, key)
            return False
        if value is not None:
            self.set(group, key, value, ttl=ttl)
        elif row:
            self._remove(row)
        else:
            self._met_expired(group, key)
        return True

    def increment(self, group: str, key: str, amount: int = 1, *, initial: int = 0) -> int:
        row = self._row(group, key)
        number = initial
        if row:
            if isinstance(row.value, bytes) or not COUNTER.fullmatch(row.value):
                raise Refused("value")
            number = int(row.value)
        if number not in INT64 or number + amount not in INT64:
            raise Refused("value")
        self.set(group, key, str(number + amount), ttl=groupstore.KEEP)
        return number + amount

    def expire(self, group: str, key: str, ttl: Any) -> bool:
        row = self._row(group, key)
        if row is None:
            self._met_expired(group, key)
            return False
        self._put(group, key, row.value, ttl)
        return True

    def pop(self, group: str, key: str, default: Any = MISSING) -> Any:
        row = self._row(group, key)
        if row is not None:
            self._remove(row)
            return row.value
        self._met_expired(group, key)
        if default is MISSING:
            raise Refused("not found")
        return default

    def delete(self, group: str, key: str) -> bool:
        return self.pop(group, key, MISSING if self._row(group, key) else None) is not None

    def delete_many(self, group: str, keys: Iterable[str]) -> int:
        return sum(self.delete(group, key) for key in keys)

    def delete_group(self, group: str) -> int:
        live = self._rows(group)
        if live:
            name = self.prefix + group
            self.database.rows = {n: r for n, r in self.database.rows.items() if n[0] != name}
            self.database.expected.append(Change("delete_group", name, None, None, "delete"))
        return len(live)

    def delete_prefix(self, prefix: str) -> int:
        return sum(self.delete_group(group) for group in self.groups(prefix))

    def purge_expired(self) -> int | range:
        """How many; inside a transaction, where some may have gone already, from and to."""
        database = self.database
        rows = [
            row
            for row in database.rows.values()
            if row.group.startswith(self.prefix) and not database.live(row)
        ]
        for row in rows:
            del database.rows[row.group, row.key]
        database.expected.append(Removal(rows, certain=True))
        least = len(set(rows) - database.doubtful)
        return least if least == len(rows) else range(least, len(rows) + 1)

    # Reading

    def get(self, group: str, key: str, default: Any = MISSING) -> Any:
        row = self.database.rows.get((self.prefix + group, key))
        if row is not None and self.database.live(row):
            return row.value
        if row is not None:
            del self.database.rows[row.group, row.key]
            self.database.expected.append(Removal([row], certain=True))
        if default is MISSING:
            raise Refused("not found")
        return default

    def get_many(self, group: str, keys: Iterable[str]) -> dict[str, Value]:
        found = {key: self._row(group, key) for key in keys}
        return {key: row.value for key, row in found.items() if row}

    def exists(self, group: str, key: str) -> bool:
        return self._row(group, key) is not None

    def group_exists(self, group: str) -> bool:
        return bool(self._rows(group))

    def ttl(self, group: str, key: str) -> float | None:
        row = self._row(group, key)
        if row is None:
            raise Refused("not found")
        if row.expires_at_ms is None:
            return None
        return (row.expires_at_ms - self.database.clock.now_ms) / 1000

    def get_all(self, group: str) -> dict[str, Value]:
        return dict(self.items(group))

    def keys(self, group: str, **bounds: Any) -> list[str]:
        return between(self._rows(group), **bounds)

    def items(self, group: str, **bounds: Any) -> list[tuple[str, Value]]:
        rows = self._rows(group)
        return [(key, rows[key].value) for key in between(rows, **bounds)]

    def get_page(
        self, group: str, offset: int, limit: int, **bounds: Any
    ) -> list[tuple[str, Value]]:
        return self.items(group, **bounds)[offset : offset + limit]

    def count(self, group: str, **bounds: Any) -> int:
        return len(self.keys(group, **bounds))

    def count_all(self, prefix: str = "") -> int:
        return len(self._live(prefix))

    def groups(self, prefix: str = "") -> list[str]:
        return sorted({row.group[len(self.prefix) :] for row in self._live(prefix)})

    def iter_groups(self, prefix: str = "") -> list[str]:
        return self.groups(prefix)


# --- Every call --------------------------------------------------------------------------------


class Call(NamedTuple):
    """A valid call of a method: its arguments by name, those of `keywords` by name only."""

    method: str
    arguments: dict[str, Any]
    keywords: dict[str, Any] = {}
    writes: bool = False

    def __call__(self, face: Any, **changed: Any) -> Any:
        """Makes the call, some arguments changed; what it returns is exhausted."""
        positional = [changed.get(name, value) for name, value in self.arguments.items()]
        named = {name: changed.get(name, value) for name, value in self.keywords.items()}
        result = getattr(face, self.method)(*positional, **named)
        return list(result) if isinstance(result, Iterator) else result


KEY = {"group": "g", "key": "k"}
RANGE = {"prefix": "", "start": None, "stop": None, "reverse": False}
COUNT_RANGE = {"prefix": "", "start": None, "stop": None}
CALLS = {
    call.method: call
    for call in (
        Call("set", {**KEY, "value": "v"}, {"ttl": None}, writes=True),
        Call("set_many", {"group": "g", "items": {"k": "v"}}, {"ttl": None}, writes=True),
        Call("expire", {**KEY, "ttl": 60}, writes=True),
        Call("add", {**KEY, "value": "v"}, {"ttl": None}, writes=True),
        Call("compare_and_set", {**KEY, "expected": "v", "value": "w"}, {"ttl": None}, writes=True),
        Call("increment", {**KEY, "amount": 1}, {"initial": 0}, writes=True),
        Call("pop", {**KEY, "default": None}, writes=True),
        Call("delete", KEY, writes=True),
        Call("delete_many", {"group": "g", "keys": ["k"]}, writes=True),
        Call("delete_group", {"group": "g"}, writes=True),
        Call("delete_prefix", {"prefix": "g"}, writes=True),
        Call("purge_expired", {}, writes=True),
        Call("get", {**KEY, "default": None}),
        Call("get_many", {"group": "g", "keys": ["k"]}),
        Call("exists", KEY),
        Call("group_exists", {"group": "g"}),
        Call("ttl", KEY),
        Call("get_all", {"group": "g"}),
        Call("get_page", {"group": "g", "offset": 0, "limit": 10}, RANGE),
        Call("items", {"group": "g"}, RANGE),
        Call("keys", {"group": "g"}, RANGE),
        Call("count", {"group": "g"}, COUNT_RANGE),
        Call("count_all", {"prefix": ""}),
        Call("groups", {"prefix": ""}),
        Call("iter_groups", {"prefix": ""}),
        Call("get_split", {**KEY, "separator": ","}),
        Call("get_fields", KEY),
        Call("render", {"template": "{{ k }}", "group": "g"}, {"strict": False}),
        Call("group", {"name": "g"}),
    )
}
WRITES = {name: call for name, call in CALLS.items() if call.writes}
