"""Files into workspaces and out of them."""

from __future__ import annotations

import csv
import gzip
import json
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

import groupstore


@pytest.fixture
def workspace(file_store: groupstore.Store) -> Iterator[groupstore.Workspace]:
    """An empty workspace."""
    with file_store.workspace("job") as workspace:
        yield workspace


def entries(workspace: groupstore.Workspace, folder: Path) -> list[tuple[str, Any]]:
    """Kind and data of each entry."""
    lines = folder / "all.jsonl"
    workspace.export_file(lines)
    rows = [json.loads(line) for line in lines.read_text("utf-8").split("\n") if line]
    return [(row["kind"], row["data"]) for row in rows]


def write(path: Path, content: str | bytes) -> Path:
    """Writes a file, compressed as its name says."""
    raw = content.encode() if isinstance(content, str) else content
    if path.suffix == ".gz":
        raw = gzip.compress(raw)
    elif path.suffix == ".zst":
        raw = zstandard.ZstdCompressor().compress(raw)
    path.write_bytes(raw)
    return path


def read(path: Path) -> str:
    """The content of a file, decompressed."""
    raw = path.read_bytes()
    if path.suffix == ".gz":
        raw = gzip.decompress(raw)
    elif path.suffix == ".zst":
        raw = zstandard.ZstdDecompressor().stream_reader(raw).read()
    return raw.decode()


CONTENTS: dict[str, tuple[str, str]] = {
    "lines": (".jsonl", '{"n":1}\n\n {"n":2, "t":"é"} \r\n{"n":3}'),
    "ndjson": (".ndjson", '{"n":1}\n{"n":2,"t":"é"}\n{"n":3}\n'),
    "unknown": (".txt", '{"n":1}\n{"n":2,"t":"é"}\n{"n":3}\n'),
    "array": (".json", ' [ {"n" : 1},\n{"n":2,"t":"é"}\t, {"n":3}\n]\n '),
    "entries": (".json", '{"v":[1],"entries":[{"n":1},{"n":2,"t":"é"},{"n":3}],"w":{}}'),
    "records": (".json", '{"records":[{"n":1},{"n":2,"t":"é"},{"n":3}]}'),
    "data": (".JSON", '{"v":1e3,"data" : [{"n":1},{"n":2,"t":"é"},{"n":3}]}'),
    "mark": (".json", '\ufeff[{"n":1},{"n":2,"t":"é"},{"n":3}]'),
    "mark of lines": (".jsonl", '\ufeff{"n":1}\n{"n":2,"t":"é"}\n{"n":3}'),
}


@pytest.mark.parametrize("compression", ["", ".gz", ".zst"])
@pytest.mark.parametrize("form", CONTENTS)
def test_import_json(
    workspace: groupstore.Workspace, tmp_path: Path, form: str, compression: str
) -> None:
    """Every form of JSON gives the same records, under the file's stem or the kind given."""
    suffix, content = CONTENTS[form]
    path = write(tmp_path / f"my.likes{suffix}{compression}", content)
    assert workspace.import_file(path) == 3
    assert workspace.import_file(str(path), "given") == 3
    records = [{"n": 1}, {"n": 2, "t": "é"}, {"n": 3}]
    assert entries(workspace, tmp_path) == [
        (kind, record) for kind in ("my.likes", "given") for record in records
    ]
    assert workspace.aggregate() == {"given": 3, "my.likes": 3}


@pytest.mark.parametrize("compression", ["", ".gz", ".zst"])
def test_import_csv(workspace: groupstore.Workspace, tmp_path: Path, compression: str) -> None:
    """Rows become objects of text by the names in the first row."""
    content = 'n,a text\r\n1,"two\nlines, ""quoted"""\r\n\r\n2,\r\n'
    path = write(tmp_path / f"likes.csv{compression}", content)
    assert workspace.import_file(path) == 2
    assert entries(workspace, tmp_path) == [
        ("likes", {"n": "1", "a text": 'two\nlines, "quoted"'}),
        ("likes", {"n": "2", "a text": ""}),
    ]


@pytest.mark.parametrize(
    ("name", "content", "count"),
    [
        ("a.jsonl", "", 0),
        ("a.jsonl", " \n\n", 0),
        ("a.json", "[]", 0),
        ("a.json", '{"entries":[]}', 0),
        ("a.json", "{}", 1),
        ("a.json", '{"entries":{"n":1}}', 1),
        ("a.csv", "", 0),
        ("a.csv", "a,b\n", 0),
        ("a.jsonl.zst", b"", 0),
    ],
)
def test_import_little(
    workspace: groupstore.Workspace, tmp_path: Path, name: str, content: str | bytes, count: int
) -> None:
    """Files without records are no error; a single object is one record."""
    assert workspace.import_file(write(tmp_path / name, content)) == count
    assert workspace.count() == count


BAD: dict[str, tuple[str, str | bytes, int]] = {
    "line no JSON": ("a.jsonl", '{"n":1}\n\n{"n":}\n', 3),
    "line no object": ("a.jsonl", '{"n":1}\n[1]\n', 2),
    "line NaN": ("a.jsonl", '{"n":1}\n{"n":NaN}\n', 2),
    "line surrogate": ("a.jsonl", '{"n":1}\n{"n":"\\ud800"}\n', 2),
    "line no UTF-8": ("a.jsonl", b'{"n":1}\n{"n":"\xff"}\n', 2),
    "line cut": ("a.jsonl", '{"n":1}\n{"n":2', 2),
    "line deep": ("a.jsonl", '{"n":1}\n{"n":' + "[" * 100_000 + "\n", 2),
    "line long number": ("a.jsonl", '{"n":1}\n{"n":' + "1" * 5000 + "}\n", 2),
    "array element": ("a.json", '[{"n":1},\n{"n":2},\n\n3]', 4),
    "array no JSON": ("a.json", '[{"n":1},\n{"n":2,\nx}]' + " " * 99, 3),
    "array cut": ("a.json", '[{"n":1},\n{"n":2}\n', 3),
    "array cut in a text": ("a.json", '[{"n":1},\n{"n":"', 2),
    "array comma": ("a.json", '[{"n":1},\n{"n":2}\n{"n":3}]', 3),
    "array and more": ("a.json", '[{"n":1}]\n[]', 2),
    "two arrays": ("a.json", '{"data":[],\n"records":[]}', 2),
    "object no name": ("a.json", '{"a":1,\n2:3}', 2),
    "scalar": ("a.json", "\n7", 2),
    "no JSON": ("a.json", "", 1),
    "array no UTF-8": ("a.json", b'[{"n":"\xff"}]', 1),
    "row short": ("a.csv", "a,b\n1,2\n3\n", 3),
    "row long": ("a.csv", 'a,b\n"1\n1",2\n3,4,5\n', 4),
    "row quote": ("a.csv", 'a,b\n1,2\n3,"4\n', 3),
    "columns twice": ("a.csv", "a,a\n1,2\n", 1),
    "row no UTF-8": ("a.csv", b"a,b\n1,\xff\n", 2),
}


@pytest.mark.parametrize("compression", ["", ".gz", ".zst"])
@pytest.mark.parametrize("what", BAD)
def test_bad_records(
    workspace: groupstore.Workspace, tmp_path: Path, what: str, compression: str
) -> None:
    """A bad record is a `ValueError` of path and line, and nothing of its file is kept."""
    name, content, line = BAD[what]
    path = write(tmp_path / (name + compression), content)
    workspace.put("kept")
    with pytest.raises(ValueError) as caught:
        workspace.import_file(path)
    assert str(caught.value).startswith(f"import_file: {path}: line {line}: ")
    assert workspace.aggregate() == {"kept": 1}
    workspace.put("kept")
    assert workspace.count() == 2


@pytest.mark.parametrize("compression", [".gz", ".zst"])
def test_damaged_compression(
    workspace: groupstore.Workspace, tmp_path: Path, compression: str
) -> None:
    """A compressed file that is cut off, or none at all, is a `ValueError` of its path."""
    whole = write(tmp_path / f"a.jsonl{compression}", '{"n":1}\n' * 50_000)
    for number, content in enumerate([whole.read_bytes()[:-9], b"this is not compressed at all"]):
        path = tmp_path / f"bad-{number}.jsonl{compression}"
        path.write_bytes(content)
        with pytest.raises(ValueError, match="the compressed data"):
            workspace.import_file(path)
        assert workspace.count() == 0


def test_frames_one_after_another(workspace: groupstore.Workspace, tmp_path: Path) -> None:
    """Compressed files that were joined are read to the end."""
    for suffix, compress in (
        (".gz", gzip.compress),
        (".zst", zstandard.ZstdCompressor().compress),
    ):
        path = tmp_path / f"a.jsonl{suffix}"
        path.write_bytes(compress(b'{"n":1}\n') + compress(b'{"n":2}\n'))
        assert workspace.import_file(path) == 2


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.csv"])
def test_memory_is_bounded(run: Any, path: Path, tmp_path: Path, name: str) -> None:
    """A large file is imported and exported a record at a time."""
    source = tmp_path / name
    text = "x" * 2000
    with source.open("w") as file:
        if name == "a.csv":
            file.write("n,text\n")
            file.writelines(f"{n},{text}\n" for n in range(8_000))
        else:
            rows = (json.dumps({"n": n, "text": text}) for n in range(8_000))
            if name == "a.json":
                file.write('{"v": 1, "data": [' + ",\n".join(rows) + "]}")
            else:
                file.writelines(f"{row}\n" for row in rows)
    out = run(
        """
import os, sys, tracemalloc, groupstore
store = groupstore.Store(sys.argv[1], purge_interval=None, durability="normal")
workspace = store.workspace("other")
tracemalloc.start()
assert workspace.import_file(sys.argv[2]) == 8_000
assert workspace.export_file(sys.argv[3] + os.path.splitext(sys.argv[2])[1]) == 8_000
print(tracemalloc.get_traced_memory()[1])
workspace.discard()
store.close()
""",
        path,
        source,
        tmp_path / "out",
    )
    assert int(out) < 3_000_000


KINDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=5)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
OBJECTS = st.dictionaries(
    TEXTS,
    st.recursive(
        SCALARS | TEXTS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)


@given(
    rows=st.lists(st.tuples(KINDS, OBJECTS), max_size=5),
    suffix=st.sampled_from([".jsonl", ".json", ".json.gz", ".ndjson.zst", ".log"]),
)
def test_round_trip(
    file_store: groupstore.Store,
    tmp_path: Path,
    rows: list[tuple[str, Any]],
    suffix: str,
) -> None:
    """What was exported as JSON comes back as it was: kinds, data, times and order."""
    path, again = tmp_path / f"x{suffix}", tmp_path / f"y{suffix}"
    source, copy = file_store.workspace("source"), file_store.workspace("copy")
    try:
        for kind, data in rows:
            source.put(kind, data)
        assert source.export_file(path) == len(rows)
        assert copy.import_file(path) == len(rows)
        copy.export_file(again)
        assert read(again) == read(path)
        assert entries(copy, tmp_path) == rows
        assert copy.import_file(path, "other kind") == len(rows)
        assert copy.aggregate().get("other kind", 0) == len(rows)
    finally:
        source.discard()
        copy.discard()


def test_export_lines(workspace: groupstore.Workspace, tmp_path: Path) -> None:
    """A line is an entry with its kind, data and time."""
    before = time.time_ns() // 1_000_000
    workspace.put("like", {"n": 1})
    assert workspace.export_file(tmp_path / "x.jsonl") == 1
    entry = json.loads((tmp_path / "x.jsonl").read_text())
    assert before <= entry.pop("created_at") <= time.time_ns() // 1_000_000
    assert entry == {"kind": "like", "data": {"n": 1}}


@pytest.mark.parametrize("compression", ["", ".gz", ".zst"])
def test_export_csv(workspace: groupstore.Workspace, tmp_path: Path, compression: str) -> None:
    """CSV has a column for each key, text as it is, what is no text as JSON."""
    workspace.put("like", {"a": 'x,"y"\n', "b": 1})
    workspace.put("like", {"c": [1, {"d": None}], "a": ""})
    path = tmp_path / f"x.csv{compression}"
    assert workspace.export_file(path) == 2
    assert list(csv.reader(read(path).splitlines(keepends=True))) == [
        ["a", "b", "c"],
        ['x,"y"\n', "1", ""],
        ["", "", '[1,{"d":null}]'],
    ]
    assert workspace.import_file(path) == 2
    assert workspace.aggregate() == {"like": 2, "x": 2}


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".csv"])
def test_export_nothing(workspace: groupstore.Workspace, tmp_path: Path, suffix: str) -> None:
    """An empty workspace is an empty file of the format."""
    path = tmp_path / f"x{suffix}"
    assert workspace.export_file(path) == 0
    assert path.read_text() == ("[]\n" if suffix == ".json" else "")
    assert workspace.import_file(path) == 0


def test_export_replaces(workspace: groupstore.Workspace, tmp_path: Path) -> None:
    """The file takes the place of an older one, for its owner alone; a failure leaves that."""
    target = tmp_path / "out" / "x.json"
    with pytest.raises(groupstore.StorageError):
        workspace.export_file(target)
    target.parent.mkdir()
    target.write_text("old")
    workspace.put("like")
    assert workspace.export_file(target) == 1
    assert json.loads(target.read_text())[0]["kind"] == "like"
    assert os.listdir(target.parent) == ["x.json"]
    if os.name == "posix":
        assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_failed_export(
    workspace: groupstore.Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export that fails leaves no file, and the one that was there."""
    target = tmp_path / "x.json"
    target.write_text("old")
    workspace.put("like")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(groupstore.DiskFullError):
            workspace.export_file(target)
    assert target.read_text() == "old"
    assert not list(tmp_path.glob("x.json-*"))
    assert workspace.count() == 1


def test_own_files(
    workspace: groupstore.Workspace, file_store: groupstore.Store, path: Path
) -> None:
    """The databases themselves are refused: to open them would drop their locks."""
    workspace.put("like")
    for own in (workspace.path, f"{workspace.path}-wal", path, f"{path}-wal"):
        with pytest.raises(groupstore.StoreError):
            workspace.import_file(own)
        with pytest.raises(groupstore.StoreError):
            workspace.export_file(own)
    assert workspace.commit() == {"like": 1}
    assert file_store.check() == []


def test_wrong_arguments(workspace: groupstore.Workspace, tmp_path: Path) -> None:
    """Paths are text, kinds not empty, and files there; a closed workspace says so."""
    path = write(tmp_path / "a.jsonl", "{}\n")
    with pytest.raises(TypeError):
        workspace.import_file(b"a.jsonl")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        workspace.export_file(7)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^import_file: kind"):
        workspace.import_file(path, "")
    with pytest.raises(groupstore.StorageError, match=r"^import_file: "):
        workspace.import_file(tmp_path / "missing.jsonl")
    with pytest.raises(groupstore.StorageError, match=r"^import_file: "):
        workspace.import_file(tmp_path)
    assert workspace.count() == 0
    workspace.close()
    with pytest.raises(groupstore.StoreError, match="is closed"):
        workspace.import_file(path)
    with pytest.raises(groupstore.StoreError, match="is closed"):
        workspace.export_file(path)
    assert path.read_text() == "{}\n"


def test_other_files_in_use(
    workspace: groupstore.Workspace, file_store: groupstore.Store, tmp_path: Path
) -> None:
    """Nor may another store's file be opened or replaced, another workspace's, or a lock file."""
    workspace.put("like")
    other = file_store.workspace("other")
    with groupstore.Store(tmp_path / "b.db", purge_interval=None) as store:
        store.set("g", "k", "v")
        os.link(tmp_path / "b.db", tmp_path / "link.jsonl")
        in_use = [tmp_path / "b.db", tmp_path / "link.jsonl", tmp_path / "b.db-shm", other.path]
        for path in (*in_use, Path(workspace.path).parent / ".lock"):
            before = os.stat(path).st_ino
            with pytest.raises(groupstore.StoreError, match=r"^import_file: "):
                workspace.import_file(path)
            with pytest.raises(groupstore.StoreError, match=r"^export_file: "):
                workspace.export_file(path)
            assert os.stat(path).st_ino == before
    other.close()
    for bad in ("a\0b", "\ud800"):
        with pytest.raises(ValueError, match=r"^import_file: path"):
            workspace.import_file(bad)


def test_numbers_across_chunks(workspace: groupstore.Workspace, tmp_path: Path) -> None:
    """A number is whole wherever the border of what is read at once falls in it."""
    number = "-1.25e+10"
    for shift in range(len(number) + 2):
        start = '[{"n":"'
        text = start + "x" * (2**16 - len(start) - len('","v":') - shift) + f'","v":{number}}}]'
        assert workspace.import_file(write(tmp_path / "a.json", text)) == 1
    rows = entries(workspace, tmp_path)
    assert [data["v"] for _, data in rows] == [-1.25e10] * (len(number) + 2)
    top = '[{"a":' + "1" * 4 + "}" + " " * (2**16 - 12) + ',{"a":1}]'
    assert workspace.import_file(write(tmp_path / "a.json", top)) == 2


def test_carriage_returns_in_csv(workspace: groupstore.Workspace, tmp_path: Path) -> None:
    """Text with carriage returns comes back from CSV as it was."""
    workspace.put("like", {"a": "x\ry", "b": "\r\n"})
    workspace.export_file(tmp_path / "x.csv")
    workspace.import_file(tmp_path / "x.csv")
    first, second = entries(workspace, tmp_path)
    assert first[1] == second[1]


@pytest.mark.parametrize("ending", [".jsonl.gz", ".json.zst"])
def test_long_records(workspace: groupstore.Workspace, tmp_path: Path, ending: str) -> None:
    """A small file may hold one that fills the memory: it is refused, and the others with it."""
    long = json.dumps({"text": "x" * 16 * 1024 * 1024})
    content = f'{{"n":1}}\n{long}\n' if ending.startswith(".jsonl") else f'[{{"n":1}},{long}]'
    path = write(tmp_path / f"big{ending}", content)
    with pytest.raises(ValueError, match=r"more than 16777216"):
        workspace.import_file(path)
    assert workspace.count() == 0
