"""Appending to the journal: entries, what is refused, transactions, other programs."""

from __future__ import annotations

import dataclasses
import gc
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import groupstore
from conftest import Opener
from groupstore import JournalEntry, ReadOnlyError, StoreClosedError

Run = Callable[..., str]
Foreign = Callable[..., list[list[Any]]]

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # No lone surrogates.
    | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = st.text(st.characters(codec="utf-8"), max_size=5)


def nested(depth: int) -> dict[str, Any]:
    """Fields as deep as that."""
    value: Any = 1
    for _ in range(depth - 1):
        value = [value]
    return {"a": value}


def circular() -> dict[str, Any]:
    """Fields that hold themselves."""
    fields: dict[str, Any] = {}
    fields["self"] = [fields]
    return fields


def test_entry(store: groupstore.Store) -> None:
    """An entry is what was given, with a number, the bucket and the time in milliseconds."""
    before = time.time_ns() // 1_000_000
    entry = store.journal.append("view", {"like": 4000, "deep": {"a": [1, None]}}, {"who": "me"})
    after = time.time_ns() // 1_000_000
    assert entry == JournalEntry(
        id=1,
        bucket="store",
        measurement="view",
        fields={"like": 4000, "deep": {"a": [1, None]}},
        tags={"who": "me"},
        committed_at=entry.committed_at,
    )
    assert before <= entry.committed_at <= after
    with pytest.raises(dataclasses.FrozenInstanceError):
        entry.id = 2  # type: ignore[misc]
    assert store.journal.append("view").fields == store.journal.append("view", {}, {}).tags == {}


@given(measurement=NAMES.filter(bool), fields=st.dictionaries(NAMES, JSON, max_size=3),
       tags=st.dictionaries(NAMES, NAMES, max_size=3))  # fmt: skip
def test_any_json(measurement: str, fields: dict[str, Any], tags: dict[str, str]) -> None:
    """Whatever JSON can hold comes back, from append and from a query."""
    with groupstore.Store(purge_interval=None) as store:
        entry = store.journal.append(measurement, fields, tags)
        assert (entry.measurement, entry.fields, entry.tags) == (measurement, fields, tags)
        (row,) = store.journal.query()
        assert (row["measurement"], row["fields"], row["tags"]) == (measurement, fields, tags)
        assert json.loads(row["fields_json"]) == fields


def test_arguments_are_copied(store: groupstore.Store) -> None:
    """Neither what was given nor what came back is shared with anyone."""
    flat, deep, tags = {"a": 1}, {"a": [1]}, {"t": "x"}
    first = store.journal.append("m", flat, tags)
    (second,) = store.journal.append_many([("m", deep, tags)])
    flat["a"], tags["t"] = 2, "y"
    deep["a"].append(2)
    assert (first.fields, first.tags) == ({"a": 1}, {"t": "x"})
    assert (second.fields, second.tags) == ({"a": [1]}, {"t": "x"})
    first.fields["a"] = second.fields["a"] = 3
    assert [row["fields"] for row in store.journal.query()] == [{"a": 1}, {"a": [1]}]


def test_mappings_that_are_no_dicts(store: groupstore.Store) -> None:
    """Any mapping will do."""
    from types import MappingProxyType  # noqa: PLC0415

    entry = store.journal.append("m", MappingProxyType({"a": (1, 2)}), MappingProxyType({"t": "x"}))
    assert (entry.fields, entry.tags) == ({"a": [1, 2]}, {"t": "x"})


WRONG: list[tuple[tuple[Any, ...], type[Exception]]] = [
    (("",), ValueError),
    ((None,), TypeError),
    ((b"m",), TypeError),
    (("\ud800",), ValueError),
    (("m", {"a": float("nan")}), ValueError),
    (("m", {"a": [float("inf")]}), ValueError),
    (("m", {"a": "\udfff"}), ValueError),
    (("m", {"\udfff": 1}), ValueError),
    (("m", {1: 2}), TypeError),
    (("m", {"a": {"b": [{None: 1}]}}), TypeError),
    (("m", {"a": ({True: 1},)}), TypeError),
    (("m", {"a": object()}), TypeError),
    (("m", {"a": b"x"}), TypeError),
    (("m", {"a": {1, 2}}), TypeError),
    (("m", {"a": 10**5000}), ValueError),
    (("m", circular()), ValueError),
    (("m", nested(501)), ValueError),
    (("m", nested(100_000)), ValueError),
    (("m", [("a", 1)]), TypeError),
    (("m", []), TypeError),
    (("m", "a"), TypeError),
    (("m", 0), TypeError),
    (("m", None, {"a": 1}), TypeError),
    (("m", None, {"a": None}), TypeError),
    (("m", None, {1: "a"}), TypeError),
    (("m", None, {"a": "\ud800"}), ValueError),
    (("m", None, ["a"]), TypeError),
    (("m", None, ""), TypeError),
]


@pytest.mark.parametrize(("arguments", "error"), WRONG)
def test_wrong_entries(
    file_store: groupstore.Store, arguments: tuple[Any, ...], error: type[Exception]
) -> None:
    """What JSON cannot hold is refused, and nothing is written."""
    with pytest.raises(error, match=r"^append: "):
        file_store.journal.append(*arguments)
    with pytest.raises(error, match=r"^append_many: entry 1: "):
        file_store.journal.append_many([("m",), arguments])
    assert file_store.journal.query() == []


def test_deep_fields(store: groupstore.Store) -> None:
    """What is as deep as allowed can be read back."""
    store.journal.append("m", nested(500))
    assert store.journal.query()[0]["fields"] == nested(500)


def test_append_many(store: groupstore.Store) -> None:
    """Mappings and tuples are appended in their order, in one commit."""
    entries = store.journal.append_many(
        [{"measurement": "a"}, ("b", {"n": 1}), ("c", None, {"t": "x"}), {"measurement": "d", "fields": {"n": 2}, "tags": {"t": "y"}}]  # noqa: E501
    )  # fmt: skip
    assert [(entry.id, entry.measurement) for entry in entries] == list(enumerate("abcd", 1))
    assert [entry.fields for entry in entries] == [{}, {"n": 1}, {}, {"n": 2}]
    assert [entry.tags for entry in entries] == [{}, {}, {"t": "x"}, {"t": "y"}]
    assert len({entry.committed_at for entry in entries}) == 1
    assert [row["entry_id"] for row in store.journal.query()] == [1, 2, 3, 4]
    assert store.journal.append_many(iter(())) == []


@pytest.mark.parametrize(
    "entry",
    ["ab", ["a"], (), ("a", None, None, None), None, {"fields": {}}, {"measurement": "a", "x": 1}],
    ids=repr,
)
def test_append_many_of_what_are_no_entries(store: groupstore.Store, entry: Any) -> None:
    """What is no mapping or tuple, or has wrong parts or too many, is a TypeError."""
    with pytest.raises(TypeError, match=r"^append_many: entry 1: "):
        store.journal.append_many([("a",), entry])
    with pytest.raises(TypeError):
        store.journal.append_many(None)  # type: ignore[arg-type]
    assert store.journal.query() == []


def test_bucket(open_store: Opener) -> None:
    """The bucket is the configured one."""
    store = open_store(journal_bucket="events")
    assert store.journal.append("m").bucket == "events"
    assert store.journal.query()[0]["bucket_name"] == "events"


def test_transaction(store: groupstore.Store) -> None:
    """Within a transaction entries are seen by it, and go with it when it is rolled back."""
    store.journal.append("kept")
    with pytest.raises(ZeroDivisionError), store.transaction():
        store.journal.append("lost")
        store.journal.append_many([("lost",)])
        assert len(store.journal.query()) == 3
        assert store.journal.query("SELECT count(*) AS n FROM journal_entries") == [{"n": 3}]
        raise ZeroDivisionError
    with store.transaction() as tx:
        store.journal.append("outer")
        tx.set("g", "k", "v")
        with store.transaction() as inner:
            store.journal.append("inner")
            inner.rollback()
    assert [row["measurement"] for row in store.journal.query()] == ["kept", "outer"]
    assert store.get("g", "k") == "v"


def test_append_many_in_a_transaction_that_goes_on(store: groupstore.Store) -> None:
    """An append that fails undoes itself alone."""
    with store.transaction() as tx:
        tx.set("g", "k", "v")
        with pytest.raises(ValueError):
            store.journal.append_many([("a",), ("",)])
        store.journal.append("b")
    assert [row["measurement"] for row in store.journal.query()] == ["b"]
    assert store.get("g", "k") == "v"


def test_threads(store: groupstore.Store, threads: ThreadPoolExecutor) -> None:
    """Entries of many threads get numbers of their own, in the order of their times."""

    def work(n: int) -> list[int]:
        return [store.journal.append("m", {"n": n}).id for _ in range(20)]

    found = [entry_id for ids in threads.map(work, range(8)) for entry_id in ids]
    assert sorted(found) == list(range(1, 161))
    times = [row["committed_at"] for row in store.journal.query()]
    assert times == sorted(times)


def test_another_program(file_store: groupstore.Store, foreign: Foreign) -> None:
    """Entries are read by another program, and its own are read here."""
    file_store.journal.append("ours", {"é": 1})
    rows = foreign(
        "INSERT INTO journal_entries (bucket_name, measurement, fields_json, tags_json, "
        "committed_at) VALUES ('go', 'theirs', '{\"a\": 1}', '{}', 5)",
        "SELECT bucket_name, measurement, fields_json, archived_at FROM journal_entries",
    )
    assert rows == [["store", "ours", '{"é":1}', None], ["go", "theirs", '{"a": 1}', None]]
    assert file_store.journal.query()[1] == {
        "entry_id": 2,
        "bucket_name": "go",
        "measurement": "theirs",
        "fields_json": '{"a": 1}',
        "tags_json": "{}",
        "committed_at": 5,
        "archived_at": None,
        "fields": {"a": 1},
        "tags": {},
    }


def test_read_only(open_store: Opener) -> None:
    """A read-only store has a journal to read, checks arguments first, and appends nothing."""
    open_store().journal.append("m")
    store = open_store(read_only=True)
    with pytest.raises(ReadOnlyError, match=r"^append: "):
        store.journal.append("m")
    with pytest.raises(ReadOnlyError, match=r"^append_many: "):
        store.journal.append_many([])
    with pytest.raises(ValueError):
        store.journal.append("")
    assert len(store.journal.query()) == 1
    assert store.journal.query("SELECT count(*) AS n FROM journal_entries") == [{"n": 1}]
    assert len(list(store.journal.iter_query())) == 1


def test_closed(store: groupstore.Store) -> None:
    """After the store is closed its journal says so."""
    journal = store.journal
    rows = journal.iter_query()
    store.close()
    for call in (
        lambda: journal.append("m"),
        lambda: journal.append_many([("m",)]),
        lambda: journal.append_many([]),
        journal.query,
        journal.iter_query,
        lambda: next(rows),
    ):
        with pytest.raises(StoreClosedError):
            call()


def test_import_is_lazy(run: Run, path: Path) -> None:
    """The journal's modules are loaded on its first use, and no compressor or parser with them."""
    run(
        """
import sys, groupstore
with groupstore.Store(sys.argv[1], purge_interval=None) as store:
    store.set("g", "k", "v")
    assert not [name for name in sys.modules if "journal" in name]
    store.journal.append("m")
    store.journal.query("SELECT 1 AS n")
assert not {"zstandard", "lark", "jinja2"} & sys.modules.keys()
assert groupstore.JournalEntry.__name__ == "JournalEntry"
""",
        path,
    )


def test_fork(run: Run, path: Path) -> None:
    """Parent and child both append and query after a fork, also in the middle of an iteration."""
    run(
        """
import os, sys, groupstore
store = groupstore.Store(sys.argv[1], purge_interval=None, durability="normal")
store.journal.append_many([("m", {"n": n}) for n in range(100)])
rows = store.journal.iter_query("SELECT * FROM journal_entries")
assert next(rows)["fields"] == {"n": 0}
pid = os.fork()
if pid == 0:
    code = 1
    try:
        store.journal.append("child")
        assert len(store.journal.query("SELECT * FROM journal_entries")) == 101
        code = 0
    finally:
        os._exit(code)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert len(list(rows)) == 99
assert store.journal.append("parent").id == 102
assert store.check() == []
store.close()
""",
        path,
    )


def test_the_journal_keeps_its_store() -> None:
    """A journal, or an iterator that was not begun, is enough to keep the store open."""
    journal = groupstore.Store(purge_interval=None).journal
    gc.collect()
    journal.append("m")
    rows = journal.iter_query()
    del journal
    gc.collect()
    with pytest.warns(ResourceWarning):
        assert [row["measurement"] for row in rows] == ["m"]
        del rows


def test_a_forgotten_store_is_collected() -> None:
    """A store whose journal was used goes with its last reference."""
    store = groupstore.Store(purge_interval=None)
    store.journal.append("m")
    gc.disable()
    try:
        with pytest.warns(ResourceWarning, match="unclosed"):
            del store
    finally:
        gc.enable()


def test_messages_begin_with_the_call(store: groupstore.Store) -> None:
    """A message tells once what was called, also on a closed store."""
    journal = store.journal
    calls: list[tuple[Any, str]] = [
        (lambda: journal.append("m", 5), r"^append: fields must be a mapping, not int$"),
        (lambda: journal.append_many(None), r"^append_many: entries must be an iterable, not None"),
    ]
    for call, message in calls:
        with pytest.raises(TypeError, match=message):
            call()
    store.close()
    with pytest.raises(groupstore.StoreClosedError, match=r"^append: "):
        journal.append("m")
    for entries in ([], [("m",)]):
        with pytest.raises(groupstore.StoreClosedError, match=r"^append_many: "):
            journal.append_many(entries)
