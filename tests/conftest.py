"""The faces of the store on each storage, a clock, threads and other processes."""

from __future__ import annotations

import faulthandler
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import groupstore
from model import Clock, Face, Source

SLOW = os.environ.get("GROUPSTORE_SLOW") == "1"
# A hang ends the run with every thread's traceback, where a plugin could only end the main thread.
TEST_LIMIT_S = 3600 if SLOW else 120

_health = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile(
    "ci",
    max_examples=25,
    stateful_step_count=40,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=_health,
)
settings.register_profile(
    "slow",
    max_examples=1000,
    stateful_step_count=100,
    deadline=None,
    print_blob=True,
    suppress_health_check=_health,
)
settings.load_profile("slow" if SLOW else "ci")

STORAGES = ("memory", "file", "exclusive")
FACES = ("store", "scope", "quota", "transaction", "scoped-transaction")
LARGE = groupstore.Quota(max_keys=1_000_000, max_groups=100_000)


SEED = int(
    os.environ.get("GROUPSTORE_SEED") or (random.SystemRandom().getrandbits(32) if SLOW else 1)
)


def pytest_configure() -> None:
    """Have processes that tests start take SIGINT, which a shell's background job ignores."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    """What has the tests that go by chance do the same again."""
    return f"GROUPSTORE_SEED={SEED}"


@pytest.fixture
def seed() -> int:
    """Where tests that go by chance begin; by GROUPSTORE_SEED, as the head of the report has it."""
    # Shown beside a failure.
    print(f"GROUPSTORE_SEED={SEED}")
    return SEED


@pytest.fixture(scope="session")
def _stderr(request: pytest.FixtureRequest) -> Iterator[int]:
    """The terminal's standard error, which pytest's capture has taken descriptor 2 from."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with ExitStack() as stack:
        if capture is not None:
            stack.enter_context(capture.global_and_fixture_disabled())
        descriptor = os.dup(2)
    yield descriptor
    os.close(descriptor)


@pytest.fixture(autouse=True)
def _test_limit(_stderr: int) -> Iterator[None]:
    faulthandler.dump_traceback_later(TEST_LIMIT_S, exit=True, file=_stderr)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture
def clock() -> Iterator[Clock]:
    """A clock that stands until the test moves it."""
    clock = Clock()
    yield clock
    clock.release()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a store's file may be made."""
    return tmp_path / "store.db"


@pytest.fixture(params=STORAGES)
def storage(request: pytest.FixtureRequest) -> str:
    """Each kind of storage: memory, file, exclusive."""
    return str(request.param)


Opener = Callable[..., groupstore.Store]


@pytest.fixture
def open_store(path: Path) -> Iterator[Opener]:
    """Opens stores on the storage named and closes them at the end; no purge unless asked for."""
    with ExitStack() as stack:

        def open_it(storage: str = "file", **options: Any) -> groupstore.Store:
            options = {"purge_interval": None, "durability": "normal"} | options
            if storage != "memory":
                options["path"] = path
            if storage == "exclusive":
                options["exclusive"] = True
            return stack.enter_context(groupstore.Store(**options))

        yield open_it


@pytest.fixture
def store(storage: str, open_store: Opener) -> groupstore.Store:
    """A new store on each storage."""
    return open_store(storage)


@pytest.fixture
def file_store(open_store: Opener) -> groupstore.Store:
    """A new store in a file that other processes may use."""
    return open_store()


@pytest.fixture(params=("store", "scope", "quota"))
def source(request: pytest.FixtureRequest, store: groupstore.Store) -> Source:
    """Each face that can be watched, on each storage."""
    return _source(str(request.param), store)


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest, store: groupstore.Store) -> Iterator[Face]:
    """Each face of the keyspace on each storage, empty."""
    kind = str(request.param)
    if not kind.endswith("transaction"):
        yield _source(kind, store)
        return
    with _source("quota" if kind.startswith("scoped") else "store", store).transaction() as tx:
        yield tx


def _source(kind: str, store: groupstore.Store) -> Source:
    if kind == "store":
        return store
    return store.scoped("tenant-42", LARGE if kind == "quota" else None)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Threads for what has to happen beside the test."""
    with ThreadPoolExecutor(32) as executor:
        yield executor


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a Python script with arguments in a process of its own, killed at the end."""
    started: list[subprocess.Popen[str]] = []

    def start_it(script: str, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            # A fork beside threads is deprecated from 3.12 on, and what some scripts are about.
            [sys.executable, "-W", "error", "-W", "ignore:This process:DeprecationWarning"]
            + ["-c", textwrap.dedent(script), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start_it
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def run(start: Callable[..., subprocess.Popen[str]]) -> Callable[..., str]:
    """Runs a Python script in a process of its own; what it printed. It must leave no complaint."""

    def run_it(script: str, *arguments: object) -> str:
        process = start(script, *arguments)
        out, err = process.communicate(timeout=TEST_LIMIT_S / 2)
        assert (process.returncode, err) == (0, ""), err
        return out

    return run_it


@pytest.fixture
def foreign(run: Callable[..., str], path: Path) -> Callable[..., list[list[Any]]]:
    """Runs SQL on the store's file as another program would, in one process; the last rows."""

    def execute(*statements: str) -> list[list[Any]]:
        script = """
            import json, sqlite3, sys
            connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)
            for statement in json.loads(sys.argv[2]):
                rows = connection.execute(statement).fetchall()
            connection.close()
            print(json.dumps(rows))
        """
        rows: list[list[Any]] = json.loads(run(script, path, json.dumps(statements)))
        return rows

    return execute
