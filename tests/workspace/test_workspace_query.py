"""SQL over a workspace's entries: it reads, and does nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import groupstore
from groupstore import QueryError


@pytest.fixture
def workspace(store: groupstore.Store) -> Iterator[groupstore.Workspace]:
    """A workspace with three entries."""
    with store.workspace("job") as workspace:
        workspace.put("like", {"user": 1, "name": "é"})
        workspace.put_many("match", [{"user": 2}, {"user": 3}])
        yield workspace


@pytest.mark.parametrize(
    ("sql", "parameters", "rows"),
    [
        ("SELECT id, kind FROM entries WHERE id = 1", (), [{"id": 1, "kind": "like"}]),
        ("SELECT data FROM entries WHERE kind = ?", ["like"], [{"data": '{"user":1,"name":"é"}'}]),
        ("SELECT id FROM entries WHERE kind = :k ORDER BY id DESC", {"k": "match"},
         [{"id": 3}, {"id": 2}]),
        ("SELECT data ->> 'user' AS user FROM entries", (), [{"user": n} for n in (1, 2, 3)]),
        ("SELECT kind, count(*) AS n FROM entries GROUP BY kind ORDER BY kind", (),
         [{"kind": "like", "n": 1}, {"kind": "match", "n": 2}]),
        ("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 2)"
         " SELECT n FROM c", (), [{"n": 1}, {"n": 2}]),
        ("SELECT entries.id FROM entries, json_each(data) WHERE value = 'é'", (), [{"id": 1}]),
        ("SELECT id FROM entries WHERE created_at < 1600000000000", (), []),
    ],
)  # fmt: skip
def test_reads(workspace: groupstore.Workspace, sql: str, parameters: Any, rows: Any) -> None:
    """Rows come as dicts by column name, with parameters by position or name."""
    assert workspace.query(sql, parameters) == rows


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO workspace_entries (kind, data, created_at) VALUES ('x', '{}', 0)",
        "DELETE FROM workspace_entries",
        "WITH x AS (SELECT 1) DELETE FROM workspace_entries",
        "DROP VIEW entries",
        "PRAGMA user_version",
        "SELECT * FROM pragma_table_info('entries')",
        "ATTACH ':memory:' AS other",
        "SELECT load_extension('x')",
        "SELECT 1; SELECT 2",
        "SELECT id FROM entries WHERE kind = :missing",
        "SELECT identity FROM workspace_identity",
        "SELECT nothing FROM entries",
        "BEGIN",
        "",
        "no SQL",
        "SELECT '\ud800'",
    ],
)
def test_refuses(workspace: groupstore.Workspace, sql: str) -> None:
    """What is wrong or does more than read is a `QueryError`, and harms nothing."""
    with pytest.raises(QueryError, match=r"^query: "):
        workspace.query(sql, {})
    assert workspace.aggregate() == {"like": 1, "match": 2}
    workspace.put("like")
    assert workspace.query("SELECT count(*) AS n FROM entries") == [{"n": 4}]


def test_wrong_types(workspace: groupstore.Workspace) -> None:
    """SQL is text, and so are not its parameters."""
    call: Callable[..., object] = workspace.query
    with pytest.raises(TypeError):
        call(b"SELECT 1")
    with pytest.raises(TypeError):
        call("SELECT 1", "text")
    with pytest.raises(TypeError):
        call("SELECT ?", [object()])


def test_after_the_end(workspace: groupstore.Workspace) -> None:
    """A closed workspace is not queried."""
    workspace.close()
    with pytest.raises(groupstore.StoreError, match=r"^query: workspace 'job' is closed"):
        workspace.query("SELECT 1")


def test_of_a_recovered_one(file_store: groupstore.Store) -> None:
    """A recovered workspace answers like the one that was left."""
    with file_store.workspace("job") as workspace:
        workspace.put("like", {"n": 1})
    with file_store.recover_workspaces()[0] as again:
        assert again.query("SELECT id, kind, data FROM entries") == [
            {"id": 1, "kind": "like", "data": '{"n":1}'}
        ]


def test_unhashable_parameter(workspace: groupstore.Workspace) -> None:
    """A bytearray is a parameter like bytes."""
    assert workspace.query("SELECT ? AS x", [bytearray(b"x")]) == [{"x": b"x"}]
