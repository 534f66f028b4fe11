"""The examples for web frameworks, run by the frameworks' own test clients."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import flask.testing
import pytest
from fastapi.testclient import TestClient

import fastapi_app
import flask_app
import groupstore
import groupstore_django


@pytest.fixture
def client(path: Path) -> Iterator[flask.testing.FlaskClient]:
    app = flask_app.create_app(str(path))
    yield app.test_client()
    app.extensions["groupstore"].close()


ALICE = {"name": "alice", "password": "correct horse"}


def test_flask_logs_in_and_out(client: flask.testing.FlaskClient) -> None:
    """A token is good for a week, and until its owner logs out."""
    assert client.get("/me").status_code == 401
    token = client.post("/login", data=ALICE).json["token"]
    headers = {"Authorization": f"Bearer {token}"}
    answer = client.get("/me", headers=headers).json
    assert answer["user"] == "alice"
    assert 7 * 24 * 3600 - 60 < answer["seconds"] <= 7 * 24 * 3600
    assert client.post("/logout", headers=headers).json == {"logged_out": True}
    assert client.get("/me", headers=headers).status_code == 401


def test_flask_limits_attempts(client: flask.testing.FlaskClient) -> None:
    """After five wrong passwords even the right one is refused, for that user alone."""
    wrong = {"name": "alice", "password": "guess"}
    assert [client.post("/login", data=wrong).status_code for _ in range(6)] == [401] * 5 + [429]
    assert client.post("/login", data=ALICE).status_code == 429
    assert client.post("/login", data={"name": "bob", "password": ""}).status_code == 401


@pytest.fixture
def notes(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("GROUPSTORE_PATH", str(path))
    with TestClient(fastapi_app.app) as client:
        yield client


def test_fastapi_keeps_tenants_apart(notes: TestClient) -> None:
    """A tenant reads what it wrote; another one, and a name that is none, get nothing."""
    assert notes.put("/acme/notes/a", json="first").status_code == 204
    assert notes.get("/acme/notes/a").json() == "first"
    assert notes.get("/other/notes/a").status_code == 404
    assert notes.get("/no:name/notes/a").status_code == 404


def test_fastapi_lists_by_pages(notes: TestClient) -> None:
    """Each page goes on after the last name of the one before."""
    for name in "abcde":
        notes.put(f"/acme/notes/{name}", json="")
    assert notes.get("/acme/notes", params={"limit": 2}).json() == ["a", "b"]
    assert notes.get("/acme/notes", params={"limit": 9, "after": "b"}).json() == ["c", "d", "e"]


def test_fastapi_answers_an_exceeded_quota(notes: TestClient) -> None:
    """The note beyond the quota is refused with 507, and an old one can still be changed."""
    store = fastapi_app.app.state.store
    store.scoped("acme").set_many("notes", {str(i): "" for i in range(100)})
    assert notes.put("/acme/notes/new", json="").status_code == 507
    assert notes.put("/acme/notes/7", json="changed").status_code == 204


def test_fastapi_streams_changes() -> None:
    """Each event of the watcher becomes one of the stream; closing it ends the stream."""

    async def collect() -> list[str]:
        with groupstore.Store() as store:
            watcher = store.watch(fastapi_app.NOTES)
            store.set(fastapi_app.NOTES, "a", "first")
            watcher.close()
            return [text async for text in fastapi_app.events_of(watcher)]

    [text] = asyncio.run(collect())
    assert json.loads(text.removeprefix("data: ")) == {"type": "set", "name": "a"}


@pytest.fixture
def cache(path: Path) -> Iterator[groupstore_django.Cache]:
    cache = groupstore_django.Cache(str(path), {"TIMEOUT": 300})
    yield cache
    groupstore_django.store_at(str(path)).close()


def test_django_cache_keeps_values_and_times(cache: groupstore_django.Cache) -> None:
    """Any picklable value comes back, for as long as it was set."""
    cache.set("a", {"x": [1, None]})
    cache.set_many({"b": 7, "c": True}, timeout=None)
    assert cache.get_many(["a", "b", "c", "d"]) == {"a": {"x": [1, None]}, "b": 7, "c": True}
    assert cache.get("d", "default") == "default"
    assert cache.touch("a", 10)
    assert not cache.touch("d", 10)
    cache.set("a", "gone", timeout=0)
    assert not cache.has_key("a")
    assert cache.get("c") is True


def test_django_cache_changes_in_one_step(cache: groupstore_django.Cache) -> None:
    """`add` sets what is absent alone; `incr` counts, and refuses what is absent."""
    assert cache.add("a", 1)
    assert not cache.add("a", 2)
    assert cache.add("b", 1, timeout=0)
    assert not cache.has_key("b")
    assert cache.incr("a", 5) == 6
    assert cache.decr("a") == 5
    with pytest.raises(ValueError, match="not found"):
        cache.incr("b")


def test_django_cache_removes(cache: groupstore_django.Cache) -> None:
    """`delete` tells whether something was there; versions are apart; `clear` removes all."""
    cache.set_many({"a": 1, "b": 2, "c": 3})
    cache.set("a", "second", version=2)
    assert cache.delete("a")
    assert not cache.delete("a")
    assert cache.get("a", version=2) == "second"
    cache.delete_many(["b"])
    assert cache.get_many("abc") == {"c": 3}
    cache.clear()
    assert not cache.has_key("c")
