"""Redis or Valkey on this machine, over a Unix socket: a hash for the group."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import redis

from benchmarks.peers.peer import GROUP, Durability, Pair, Peer, package_version

SERVER = shutil.which("valkey-server") or shutil.which("redis-server")
START_S = 10

FSYNC = {Durability.NORMAL: "everysec", Durability.FULL: "always"}


class Adapter(Peer):
    name = "redis"
    normal = "another process; `appendonly yes`, `appendfsync everysec`"
    full = "`appendfsync always`"
    batch = "`HMGET`, `HSET` of a mapping"

    def __init__(self, folder: Path, durability: Durability) -> None:
        socket = folder / "socket"
        self._server = subprocess.Popen(
            [
                *(str(SERVER), "--port", "0", "--unixsocket", str(socket), "--dir", str(folder)),
                *("--unixsocketperm", "700", "--save", "", "--daemonize", "no"),
                *("--appendonly", "yes", "--appendfsync", FSYNC[durability]),
            ],
            stdout=subprocess.DEVNULL,
        )
        self._client = redis.Redis(unix_socket_path=str(socket), decode_responses=True)
        try:
            self._await_server()
        except BaseException:
            self.close()
            raise

    def _await_server(self) -> None:
        patience = time.monotonic() + START_S
        while True:
            try:
                self._client.ping()
                return
            except redis.ConnectionError:
                if self._server.poll() is not None or time.monotonic() > patience:
                    raise
                time.sleep(0.01)

    @classmethod
    def missing(cls) -> str | None:
        return None if SERVER else "there is no valkey-server and no redis-server"

    @classmethod
    def version(cls) -> str:
        said = subprocess.run(
            [str(SERVER), "--version"], capture_output=True, text=True, check=True
        )
        # "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 …"
        name, _, version, *_ = said.stdout.split()
        return f"{name} {version.removeprefix('v=')}, {package_version('redis', 'hiredis')}"

    def get_each(self, keys: Iterable[str]) -> str:
        get = self._client.hget
        for key in keys:
            value = get(GROUP, key)
        return value

    def set_each(self, pairs: Sequence[Pair]) -> None:
        put = self._client.hset
        for key, value in pairs:
            put(GROUP, key, value)

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        return dict(zip(keys, self._client.hmget(GROUP, keys), strict=True))

    def set_many(self, pairs: Sequence[Pair]) -> None:
        self._client.hset(GROUP, mapping=dict(pairs))

    def close(self) -> None:
        self._client.close()
        self._server.terminate()
        self._server.wait()
