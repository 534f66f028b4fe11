"""The script that copies a Redis database; the other ones are run by their pages."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import groupstore

SERVER = shutil.which("redis-server") or shutil.which("valkey-server")


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """A server of its own on a socket in the test's folder."""
    redis = pytest.importorskip("redis", reason="the package redis is not installed")
    if SERVER is None:
        pytest.skip("no Redis or Valkey server is installed")
    path = tmp_path / "redis.sock"
    command = [SERVER, "--port", "0", "--unixsocket", str(path), "--save", ""]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        while not path.exists():
            assert process.poll() is None
            time.sleep(0.01)
        url = f"unix://{path}"
        with redis.Redis.from_url(url) as client:
            client.set("user:1", "alice")
            client.set("token", b"\xff\x00", px=60_000)
            client.hset("config", mapping={"colour": "blue", "size": "12"})
            client.rpush("queue", "left out")
        yield url
        process.terminate()


def test_from_redis_copies_strings_and_hashes(
    redis_url: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Strings keep their expiry, hashes become groups, and what is left out is named."""
    import from_redis  # noqa: PLC0415 (it needs the package redis)

    from_redis.main(redis_url, str(path))
    assert "left out: 'queue', a list" in capsys.readouterr().out
    with groupstore.Store(path) as store:
        assert store.get_all("redis") == {"token": b"\xff\x00", "user:1": "alice"}
        assert 50 < store.ttl("redis", "token") <= 60
        assert store.ttl("redis", "user:1") is None
        assert store.get_all("config") == {"colour": "blue", "size": "12"}
        assert store.groups() == ["config", "redis"]
