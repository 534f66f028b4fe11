"""What each command does, and what it says where it cannot."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import groupstore
from groupstore.command_line.app import run
from model import PATIENCE_S


@dataclass(frozen=True)
class Done:
    """What a command line has come to."""

    code: int
    out: bytes
    error: str

    @property
    def text(self) -> str:
        return self.out.decode()


Command = Callable[..., Done]

FULL = Path("/dev/full")


@pytest.fixture
def command(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs the command in this process, by its arguments and standard input."""

    def call(*arguments: object, stdin: bytes = b"") -> Done:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        code = run([str(argument) for argument in arguments])
        sys.stdout.flush()
        out, error = capfdbinary.readouterr()
        return Done(code, out, error.decode())

    return call


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of a store with a group of three keys and another of one."""
    made = tmp_path / "app.db"
    with groupstore.Store(made, purge_interval=None) as store:
        store.set_many("config", {"colour": "blue", "raw": b"a\0\xff", "size": "12"})
        store.set("session", "token", "abc", ttl=3600)
        store.scoped("acme").set("config", "colour", "red")
    return made


def separate(*arguments: object, **options: object) -> subprocess.Popen[bytes]:
    """The command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "groupstore", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        **options,  # type: ignore[call-overload]
    )


def test_get(command: Command, path: Path) -> None:
    """A value comes byte for byte; what is not there is told in a line."""
    assert command("get", path, "config", "colour") == Done(0, b"blue", "")
    assert command("get", path, "config", "raw") == Done(0, b"a\0\xff", "")
    assert command("get", path, "config", "colour", "-n", "acme") == Done(0, b"red", "")
    absent = command("get", path, "config", "shape")
    assert absent == Done(1, b"", "groupstore: get: no key 'shape' in group 'config'\n")


def test_get_json(command: Command, path: Path) -> None:
    """JSON tells of the expiry, and keeps bytes apart from text."""
    raw = json.loads(command("get", path, "config", "raw", "--json").out)
    assert raw == {"group": "config", "key": "raw", "base64": "YQD/", "ttl": None}
    assert 3500 < json.loads(command("get", path, "session", "token", "--json").out)["ttl"] <= 3600


def test_set(command: Command, tmp_path: Path) -> None:
    """From an argument or standard input, as text or bytes, with an expiry; in a new file too."""
    path = tmp_path / "new.db"
    assert command("set", path, "g", "a", "1", "--ttl", "60").code == 0
    assert command("set", path, "g", "a", "2", "--keep-ttl").code == 0
    assert command("set", path, "g", "b", "-", stdin="ü\n".encode()).code == 0
    assert command("set", path, "g", "c", "-", "--bytes", stdin=b"\0\xff").code == 0
    assert command("set", path, "g", "d", "x", "--namespace", "acme").code == 0
    with groupstore.Store(path) as store:
        assert store.get_all("g") == {"a": "2", "b": "ü\n", "c": b"\0\xff"}
        assert 0 < (store.ttl("g", "a") or 0) <= 60
        assert store.get("acme:g", "d") == "x"


@pytest.mark.parametrize(
    ("arguments", "stdin", "code"),
    [
        (["g", "k", "-"], b"\xff", 1),
        (["g", "k", "v", "--ttl", "0"], b"", 2),
        (["g", "k", "v", "--ttl", "soon"], b"", 2),
        (["g", "k", "v", "--ttl", "1", "--keep-ttl"], b"", 2),
        (["g", "k"], b"", 2),
        (["g", "k", "v", "--namespace", "a:b"], b"", 2),
    ],
)
def test_set_refuses(
    command: Command, path: Path, arguments: list[str], stdin: bytes, code: int
) -> None:
    """Wrong values set nothing, and are told in one line."""
    done = command("set", path, *arguments, stdin=stdin)
    assert (done.code, done.out, done.error.count("\n")) == (code, b"", 1)
    assert done.error.startswith("groupstore: ")
    assert command("get", path, "g", "k").code == 1
    new = path.with_name("new.db")
    assert command("set", new, *arguments, stdin=stdin).code == code
    assert os.listdir(path.parent) == ["app.db"]


def test_set_in_memory(command: Command) -> None:
    """What would be gone with the command is refused."""
    assert command("set", ":memory:", "g", "k", "v").code == 2
    assert command("load", ":memory:", "-").code == 2


def test_set_two_at_once(tmp_path: Path) -> None:
    """Commands that make one store at the same time all end up in it."""
    path = tmp_path / "new.db"
    processes = [separate("set", path, "g", number, "v") for number in range(6)]
    for process in processes:
        with process:
            assert process.wait(PATIENCE_S) == 0
    with groupstore.Store(path) as store:
        assert store.count("g") == 6
    assert os.listdir(tmp_path) == ["new.db"]


def test_delete(command: Command, path: Path) -> None:
    """Keys, or with --all a group; exit code 1 where nothing was there."""
    assert command("delete", path, "config", "size", "none").code == 0
    assert command("delete", path, "config", "size") == Done(1, b"", "")
    assert command("delete", path, "config").code == 2
    assert command("delete", path, "config", "raw", "--all").code == 2
    assert command("delete", path, "config", "--all").code == 0
    assert command("groups", path).text == "acme:config\nsession\n"


def test_listings(command: Command, path: Path) -> None:
    """Names a line each, in order; rows with tabs between their cells."""
    assert command("groups", path).text == "acme:config\nconfig\nsession\n"
    assert command("groups", path, "--prefix", "s", "--null").out == b"session\0"
    assert command("groups", path, "-n", "acme", "--json").text == '[\n{"group": "config"}\n]\n'
    assert command("keys", path, "config", "--reverse").text == "size\nraw\ncolour\n"
    assert command("keys", path, "config", "--start", "d", "--stop", "s").text == "raw\n"
    assert command("keys", path, "nothing", "--json").text == "[]\n"
    assert command("ls", path).text == "acme:config\t1\nconfig\t3\nsession\t1\n"
    assert (
        command("ls", path, "config").text
        == "colour\ttext\t4\t\nraw\tbytes\t3\t\nsize\ttext\t2\t\n"
    )
    (token,) = json.loads(command("ls", path, "session", "--json").out)
    left = datetime.fromisoformat(token["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=58) < left <= timedelta(hours=1, seconds=1)


def test_a_late_expiry(command: Command, path: Path) -> None:
    """Where the calendar ends, so does the expiry that is shown."""
    with groupstore.Store(path) as store:
        store.set("late", "k", "v", ttl=9e11)
    assert command("ls", path, "late").text == "k\ttext\t1\t9999-12-31T23:59:59+00:00\n"


def test_nothing_left_beside(command: Command, path: Path) -> None:
    """A command that reads leaves the file as it was, and alone."""
    before = path.read_bytes()
    for arguments in (["get", path, "config", "size"], ["get", path, "x", "y"], ["groups", path]):
        command(*arguments)
        assert os.listdir(path.parent) == ["app.db"]
    assert path.read_bytes() == before
    with groupstore.Store(path) as store:
        store.set("config", "size", "13")
        beside = set(os.listdir(path.parent))
        assert command("get", path, "config", "size").text == "13"
        assert set(os.listdir(path.parent)) == beside


def test_odd_names(command: Command, path: Path) -> None:
    """Names with line ends and tabs stay one cell of one row, and NULs keep names apart."""
    with groupstore.Store(path) as store:
        store.set("odd", "a\nb\tc", "x")
        store.set("odd", "\x1b[31m\x9b\u202e", "x")
    assert command("ls", path, "odd").text == (
        "\\x1b[31m\\x9b\\u202e\ttext\t1\t\na\\nb\\tc\ttext\t1\t\n"
    )
    assert command("keys", path, "odd", "-0").text == "\x1b[31m\x9b\u202e\0a\nb\tc\0"


@pytest.fixture
def journal(path: Path) -> Path:
    """The store with two entries in its journal."""
    with groupstore.Store(path) as store:
        store.journal.append("deploy", {"seconds": 41}, {"host": "a"})
        store.journal.append("deploy", {"seconds": 38, "log": "x\ny"}, {"host": "b"})
    return path


def test_query(command: Command, journal: Path) -> None:
    """Flux and SQL, as a table, JSON or CSV, with parameters; from standard input too."""
    rows = json.loads(command("query", journal, "--json").out)
    assert [row["fields"]["seconds"] for row in rows] == [41, 38]
    assert len(command("query", journal).text.splitlines()) == 2
    flux = 'from(bucket: "store") |> range(start: -1h) |> filter(fn: (r) => r.host == "a")'
    (entry,) = json.loads(command("query", journal, "-", "--json", stdin=flux.encode()).out)
    assert entry["tags"] == {"host": "a"}
    sql = "SELECT entry_id, :who AS who FROM journal_entries"
    assert command("query", journal, sql, "-p", "who=me").text == "1\tme\n2\tme\n"
    csv = command("query", journal, "SELECT fields_json FROM journal_entries", "--csv").text
    assert csv.startswith('fields_json\r\n"{""seconds"":41}"\r\n')
    infinite = command("query", journal, "SELECT 9e999 AS x", "--json")
    assert infinite.text == '[\n{"x": null}\n]\n'
    nested = """SELECT '{"a":[9e999]}' AS fields_json"""
    assert json.loads(command("query", journal, nested, "--json").out)[0]["fields"] == {"a": [None]}
    blob = command("query", journal, "SELECT x'00ff' AS b", "--json")
    assert json.loads(blob.out) == [{"b": {"base64": "AP8="}}]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["from(bucket: 1"], 1),
        (["DELETE FROM entries"], 1),
        (["SELECT :x"], 1),
        (["SELECT 1", "-p", "x"], 2),
        (["SELECT :timeout", "-p", "timeout=1"], 2),
        (["SELECT 1", "--json", "--csv"], 2),
    ],
)
def test_query_refuses(command: Command, journal: Path, arguments: list[str], code: int) -> None:
    """A wrong query is told in one line."""
    done = command("query", journal, *arguments)
    assert (done.code, done.out, done.error.count("\n")) == (code, b"", 1)


def test_compact(command: Command, journal: Path, tmp_path: Path) -> None:
    """Entries older than an age or a time go into an archive, whose path is printed."""
    assert command("compact", journal, "--before", "30d") == Done(0, b"", "")
    for wrong in ("soon", "9999999999999d"):
        done = command("compact", journal, "--before", wrong)
        assert (done.code, done.error.count("\n")) == (2, 1)
    made = command("compact", journal, "--before", "2999-01-01", "--output", tmp_path / "out")
    archive = Path(made.text.rstrip("\n"))
    assert archive.parent == tmp_path / "out"
    assert [entry["fields"]["seconds"] for entry in groupstore.read_archive(archive)] == [41, 38]
    assert command("query", journal).out == b""
    assert len(command("query", journal, "--archives").text.splitlines()) == 2


def test_stats(command: Command, path: Path) -> None:
    """The figures of the file."""
    figures = json.loads(command("stats", path, "--json").out)
    assert (figures["rows"], figures["groups"]) == (5, 3)
    assert figures["file_size"] == path.stat().st_size
    assert "rows\t5\n" in command("stats", path).text


def test_check(command: Command, path: Path, tmp_path: Path) -> None:
    """Silent where all is well; a line a problem, and exit code 1, where not."""
    assert command("check", path) == Done(0, b"", "")
    damaged = bytearray(path.read_bytes())
    # The middle of every page but the first.
    for offset in range(4096 + 2048, len(damaged), 4096):
        damaged[offset : offset + 1500] = bytes(1500)
    bad = tmp_path / "bad.db"
    bad.write_bytes(damaged)
    done = command("check", bad, "--json")
    assert done.code == 1
    assert done.error or json.loads(done.out)["problems"]


def test_backup_dump_load(command: Command, path: Path, tmp_path: Path) -> None:
    """A copy, a dump and what is loaded from it hold the same, through files and streams."""
    copy, dump, loaded = tmp_path / "copy.db", tmp_path / "dump.jsonl.zst", tmp_path / "loaded.db"
    assert command("backup", path, copy) == Done(0, b"", "")
    assert command("dump", path, dump) == Done(0, b"", "")
    stream = command("dump", copy).out
    assert command("load", loaded, dump) == Done(0, b"", "")
    assert command("dump", loaded).out == stream
    for number, content in enumerate((stream, dump.read_bytes())):
        other = tmp_path / f"other-{number}.db"
        assert command("load", other, "-", stdin=content).code == 0
        assert command("dump", other).out == stream
    part = command("dump", path, "-n", "acme").out
    assert part.count(b"\n") == 3
    cut = command("load", tmp_path / "other-0.db", "-", stdin=stream[:-9])
    assert cut.code == 1
    assert cut.error.startswith("groupstore: load: standard input: ")


def test_workspaces(command: Command, path: Path) -> None:
    """Those that were left are listed, committed and discarded; others are not touched."""
    store = groupstore.Store(path, purge_interval=None)
    for name in ("one", "two"):
        with store.workspace(name) as workspace:
            workspace.put_many("like", [{}, {}])
    in_use = store.workspace("three")
    listed = json.loads(separate_output("workspaces", "list", path, "--json"))
    assert listed == [{"name": name, "entries": 2, "kinds": {"like": 2}} for name in ("one", "two")]
    assert json.loads(separate_output("workspaces", "commit", path, "one")) == {"like": 2}
    assert store.get("workspace:one", "summary") == '{"like":2}'
    assert separate_output("workspaces", "discard", path, "two") == b""
    with pytest.raises(subprocess.CalledProcessError):
        separate_output("workspaces", "commit", path, "three")
    in_use.put("like")
    assert in_use.count() == 1
    in_use.discard()
    assert command("workspaces", "list", path).out == b""
    store.close()


def separate_output(*arguments: object) -> bytes:
    return subprocess.run(
        [sys.executable, "-m", "groupstore", *map(str, arguments)],
        check=True,
        capture_output=True,
        timeout=PATIENCE_S,
    ).stdout


def test_bench(command: Command, tmp_path: Path) -> None:
    """It prints a time for each call, and leaves nothing behind."""
    rows = json.loads(command("bench", "--json", "--folder", tmp_path).out)
    assert {row["call"] for row in rows} >= {"get, cached", "set, full", "set_many, normal"}
    assert all(row["microseconds"] > 0 for row in rows)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["get", "{}", "g", "k"], ["delete", "{}", "g", "k"], ["groups", "{}"], ["keys", "{}", "g"],
        ["ls", "{}"], ["query", "{}"], ["stats", "{}"], ["check", "{}"], ["backup", "{}", "{}2"],
        ["dump", "{}"], ["compact", "{}", "--before", "1d"], ["workspaces", "list", "{}"],
    ],
    ids=lambda arguments: arguments[0],
)  # fmt: skip
def test_missing_files(command: Command, tmp_path: Path, arguments: list[str]) -> None:
    """A file that is not there is not made."""
    missing = tmp_path / "missing.db"
    done = command(*(argument.format(missing) for argument in arguments))
    assert (done.code, done.out) == (1, b"")
    assert "missing.db" in done.error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments", [["frobnicate"], ["get"], ["get", "--no-such"], ["ls", "a", "b", "c"]]
)
def test_wrong_calls(command: Command, arguments: list[str]) -> None:
    """A wrong command line is told in one line, with exit code 2."""
    done = command(*arguments)
    assert (done.code, done.out, done.error.count("\n")) == (2, b"", 1)


def test_no_arguments(command: Command) -> None:
    """The command alone tells what it can do, and nothing beside."""
    done = command()
    assert (done.code, done.error) == (2, "")
    assert "Usage: groupstore" in done.text


def test_names_of_no_file(command: Command, path: Path) -> None:
    """What the system says of a name is passed on; a copy goes to no stream."""
    long = path.with_name("x" * 300)
    for arguments in (["get", long, "g", "k"], ["delete", long, "g", "k"], ["set", long, *"gkv"]):
        assert "File name too long" in command(*arguments).error
    assert command("backup", path, "-").code == 2
    assert "not valid UTF-8" in command("query", path, "-", stdin=b"\xff").error


def test_version(command: Command) -> None:
    """The version is the package's."""
    assert command("--version").text == f"groupstore {groupstore.__version__}\n"


def test_without_the_extra(path: Path) -> None:
    """Without typer the command says in a line what to install."""
    code = (
        "import sys; sys.modules['typer'] = None; from groupstore.command_line import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "groups", str(path)], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"groupstore: typer is missing: pip install 'groupstore[cli]'\n"


@pytest.mark.skipif(os.name != "posix", reason="POSIX's pipes and signals")
def test_a_reader_that_leaves(path: Path) -> None:
    """Who reads no further ends the command without a word."""
    with groupstore.Store(path) as store:
        store.set_many("many", {f"key-{number:06}": "" for number in range(20_000)})
    with separate("keys", path, "many", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"key-000000\n"
        process.stdout.close()
        assert process.wait(PATIENCE_S) == 1
        assert process.stderr is not None
        assert process.stderr.read() == b""


@pytest.mark.skipif(os.name != "posix", reason="POSIX's pipes and signals")
def test_a_signal_ends_it(path: Path, tmp_path: Path) -> None:
    """Told to end, it removes what is temporary; the exit code is a shell's."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary)}
    process = subprocess.Popen(
        [sys.executable, "-m", "groupstore", "load", str(path)],
        stdin=subprocess.PIPE,
        env=environment,
    )
    with process:
        assert process.stdin is not None
        process.stdin.write(b'{"format"')
        process.stdin.flush()
        while not list(temporary.rglob("dump.jsonl")):
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 128 + signal.SIGTERM
    assert list(temporary.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="POSIX's pipes and signals")
def test_streams_that_have_names(path: Path, tmp_path: Path) -> None:
    """A pipe with a name, such as a shell's `<(...)`, is read and written as a stream."""
    pipe, copy = tmp_path / "pipe", tmp_path / "copy.db"
    os.mkfifo(pipe)
    with separate("load", copy, pipe) as reader, separate("dump", path, pipe) as writer:
        assert (reader.wait(PATIENCE_S), writer.wait(PATIENCE_S)) == (0, 0)
    assert separate_output("dump", copy) == separate_output("dump", path)


@pytest.mark.skipif(os.name != "posix", reason="POSIX's pipes and signals")
@pytest.mark.parametrize("arguments", [["get", "big", "k"], ["get", "big", "k", "--json"]])
def test_a_full_pipe_without_a_buffer(path: Path, arguments: list[str]) -> None:
    """What the system takes only the beginning of is not taken for written."""
    with groupstore.Store(path) as store:
        store.set("big", "k", "x" * 1_000_000)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with separate(arguments[0], path, *arguments[1:], stdout=writing, env=environment) as process:
        assert process.wait(PATIENCE_S) == 1
        assert process.stderr is not None
        assert process.stderr.read().count(b"\n") == 1
    os.close(reading)
    os.close(writing)


def test_programs_get_utf8(path: Path) -> None:
    """Whatever the locale's encoding is."""
    with groupstore.Store(path) as store:
        store.set("é", "k", "ü\U0001f600")
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    with separate("get", path, "é", "k", "--json", stdout=subprocess.PIPE, env=environment) as one:
        assert one.stdout is not None
        assert json.loads(one.stdout.read())["value"] == "ü\U0001f600"


@pytest.mark.skipif(not FULL.exists(), reason="Linux's device")
def test_a_full_disk(path: Path) -> None:
    """What could not be written is told, once."""
    with FULL.open("wb") as full, separate("groups", path, stdout=full) as process:
        assert process.wait(PATIENCE_S) == 1
        assert process.stderr is not None
        error = process.stderr.read()
    assert b"No space left" in error
    assert error.count(b"\n") == 1


@pytest.mark.skipif(os.name != "posix", reason="POSIX's signals")
def test_interrupt(tmp_path: Path) -> None:
    """Ctrl-C ends it with exit code 130, and its files are gone."""
    with separate("bench", "--folder", tmp_path, stdout=subprocess.DEVNULL) as process:
        while not list(tmp_path.rglob("store.db")):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="POSIX's pseudo-terminals")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["get", "odd", "key"], b"\\x1b[31mred\\x07\r\nbl\\xffue\r\n"),
        (["keys", "escaped"], b"\\x1b[2J\r\n"),
        (["keys", "escaped", "--json"], b'[\r\n{"key": "\\u001b[2J"}\r\n]\r\n'),
        (["keys", "escaped", "-0"], b"\\x1b[2J\0"),
        (["query", 'SELECT 1 AS "\x9b"', "--csv"], b"\\x9b\r\r\n1\r\r\n"),
        (["get", "odd", "shape", "--json"], b'"value": "\\u009b\\u202e"'),
        (["dump", "--prefix", "odd"], b'"value":"\\u009b\\u202e"'),
    ],
    ids=["get", "keys", "json", "null", "csv", "get-json", "dump"],
)
def test_terminal(path: Path, arguments: list[str], expected: bytes) -> None:
    """On a terminal nothing in a name or value is a control sequence, and the line is ended."""
    import pty  # noqa: PLC0415 (POSIX alone)

    with groupstore.Store(path) as store:
        store.set("odd", "key", b"\x1b[31mred\x07\nbl\xffue")
        store.set("odd", "shape", "\x9b\u202e")
        store.set("escaped", "\x1b[2J", "")
    leader, terminal = pty.openpty()
    with separate(arguments[0], path, *arguments[1:], stdout=terminal) as process:
        assert process.wait(PATIENCE_S) == 0
    os.close(terminal)
    assert expected in os.read(leader, 10_000)
    os.close(leader)


@pytest.mark.skipif(os.name != "posix", reason="POSIX's pseudo-terminals")
def test_tables_on_a_terminal(path: Path) -> None:
    """On a terminal rows have a head; with NO_COLOR there is no colour."""
    import pty  # noqa: PLC0415 (POSIX alone)

    leader, terminal = pty.openpty()
    environment = {**os.environ, "NO_COLOR": "1", "TERM": "dumb"}
    with separate("ls", path, stdout=terminal, env=environment) as process:
        assert process.wait(PATIENCE_S) == 0
    os.close(terminal)
    printed = os.read(leader, 10_000)
    os.close(leader)
    assert b"group" in printed
    assert b"keys" in printed
    assert b"\x1b" not in printed


@pytest.mark.skipif(os.name != "posix", reason="a POSIX shell's redirections")
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("groups FILE >&-", b"groupstore: standard output is closed\n"),
        ("set FILE g k - <&-", b"groupstore: standard input is closed\n"),
        ("load FILE - <&-", b"groupstore: standard input is closed\n"),
        ("get FILE none none 2>&-", b""),
    ],
)
def test_closed_streams(path: Path, line: str, said: bytes) -> None:
    """A standard stream that is closed is told in a line, where there is one to tell it by."""
    command = f'"{sys.executable}" -m groupstore {line.replace("FILE", str(path))}'
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", said)
