"""Changed queries, templates and files: each gives an answer or its error, and nothing else."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import groupstore
from conftest import SLOW

RUNS = 20_000 if SLOW else 250

FLUX = [
    'from(bucket: "store") |> range(start: -1h) |> filter(fn: (r) => r.host == "a" and r.n > 1)',
    'from(bucket: "store") |> range(start: 2020-01-01T00:00:00Z, stop: now()) |> sort(columns: '
    '["_time"], desc: true) |> limit(n: 3, offset: 1) |> keep(columns: ["_time", "n"])',
    'from(bucket: "store") |> range(start: -1d) |> group(columns: ["host"]) |> sum(column: "n")',
    'from(bucket: "store") |> range(start: 0) |> filter(fn: (r) => r["host"] =~ /^(a|b)+$/ or not '
    'exists r.n) |> rename(columns: {n: "m"}) |> distinct(column: "host") |> tail(n: 2)',
]
SQL = [
    "SELECT entry_id, fields_json FROM journal_entries WHERE committed_at > 0 ORDER BY entry_id",
    "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 9) SELECT n FROM c",
    "SELECT group_name, count(*) AS n FROM entries GROUP BY 1 HAVING n > 0 LIMIT 5 -- the end",
    "EXPLAIN QUERY PLAN SELECT json_extract(fields_json, '$.n') AS n FROM journal_entries",
]
TEMPLATES = [
    "{{ .host }}:{{ .port }} {% for k in entries %}{{ k }}={{ entries[k] | upper }}{% endfor %}",
    '{{ index . "smtp-host" }} {% if host is defined and port|int > 5 %}yes{% else %}no{% endif %}',
    "{% macro m(x) %}[{{ x * 3 }}]{% endmacro %}{{ m(host) }}{{ range(5) | join(',') }}",
    "{% set ns = namespace(n=0) %}{{ ns.n }} {{ 'a%sb' % host }} {{ host[1:3] ~ [1, 2][0] }}",
]
FILTERS = (
    *(
        "abs",
        "batch(2, 'x')",
        "capitalize",
        "center(20)",
        "count",
        "default('d', true)",
        "dictsort",
    ),
    *(
        "escape",
        "first",
        "float(1.5)",
        "format(1, 'a')",
        "groupby(0)",
        "indent(3, true)",
        "int(0, 16)",
    ),
    *("items", "join('-', 0)", "last", "list", "map('upper')", "max", "min", "reject('odd')"),
    *(
        "rejectattr(0)",
        "replace('t', 'ss', 2)",
        "reverse",
        "round(1, 'floor')",
        "select('in', 'abc')",
    ),
    *("selectattr(0, 'gt', 1)", "slice(3, 'f')", "sort(true, true)", "string", "striptags", "sum"),
    *("title", "tojson(2)", "trim('s')", "truncate(3, true, '..', 0)", "unique", "urlencode"),
    *("wordcount", "wordwrap(2, false)", "xmlattr", "pprint", "filesizeformat(true)"),
)
VALUES = ("host", "port | int", "entries", "[3, 1, 2]", "'%s-%05.2f' ~ host", "{'b': 1, 'a': [2]}")
TEMPLATES += [f"{{{{ {value} | {name} }}}}" for value in VALUES for name in FILTERS]
TEMPLATES += [
    "{{ '%08.3f|%-5s|%+d|%x|%e' % (1.5, host, 3, 255, 2.0) }}{{ '{:>8,}'.format(1234567) }}",
    "{{ host.upper().split('T') }}{{ host.center(9, '*') }}{{ [1, 2, 3][::-1] }}",
    "{{ 7 // 2 ** 3 % 5 }}",
    "{% for a, b in entries.items() %}{{ loop.index0 }}{{ a < b and not a == b }}{% endfor %}",
    "{{ 'a' in host or 1 not in [1] }}{{ -port | int + 1.5 * 2 / 3 - 1 }}{{ host[::2] ~ 'x' * 9 }}",
]
ALPHABET = "aZ09 _-+*/%.,:;|&<>=!~^$#@?\\\"'`()[]{}\n\t\0\u00fc\u4e2d\U0001f600\u202e"

Target = Callable[[bytes], None]


def changed(originals: list[bytes], chance: random.Random) -> bytes:
    """One of the originals with a few pieces changed, doubled, left out or put elsewhere."""
    content = bytearray(chance.choice(originals))
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(content) + 1)
        end = min(len(content), at + chance.randint(1, 8))
        kind = chance.randrange(6)
        if kind == 0:
            del content[at:end]
        elif kind == 1:
            content[at:at] = content[at:end] * chance.randint(1, 4)
        elif kind == 2:
            content[at:at] = chance.choice(ALPHABET).encode()
        elif kind == 3:
            content[at:end] = chance.randbytes(end - at)
        elif kind == 4:
            other = chance.choice(originals)
            begin = chance.randrange(len(other))
            content[at:end] = other[begin : begin + chance.randint(1, 40)]
        else:
            content[at:end] = str(chance.choice((0, -1, 2**31, 2**63, 10**400))).encode()
    return bytes(content)


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[groupstore.Store]:
    """A store with a group, a journal and an archive's worth of entries."""
    with groupstore.Store(tmp_path / "app.db", durability="normal", purge_interval=None) as store:
        store.set_many("g", {"host": "smtp", "port": "587", "smtp-host": "x"})
        store.set("g2", "raw", b"\0\xff", ttl=3600)
        for n in range(6):
            store.journal.append("m", {"n": n, "s": "x" * n}, {"host": "ab"[n % 2]})
        yield store


def run(target: Target, originals: list[bytes], seed: int, *allowed: type[Exception]) -> None:
    """Call `target` with changed inputs; it may raise what is `allowed`, and nothing else."""
    chance = random.Random(seed)
    for _ in range(RUNS):
        content = changed(originals, chance)
        try:
            target(content)
        except allowed:
            pass
        except Exception as error:
            error.add_note(f"for {content!r}")
            raise


@pytest.mark.parametrize("texts", [FLUX, SQL], ids=["Flux", "SQL"])
def test_queries(filled: groupstore.Store, texts: list[str], seed: int) -> None:
    """A changed query has rows or is a QueryError, and changes nothing."""
    before = filled.get_all("g"), filled.journal.query()

    def query(content: bytes) -> None:
        filled.journal.query(content.decode(errors="replace"), timeout=5)

    run(query, [text.encode() for text in texts], seed, groupstore.QueryError)
    assert (filled.get_all("g"), filled.journal.query()) == before


def test_templates(filled: groupstore.Store, seed: int) -> None:
    """A changed template renders or is a TemplateError."""

    def render(content: bytes) -> None:
        filled.render(content.decode(errors="replace"), "g")

    run(render, [text.encode() for text in TEMPLATES], seed, groupstore.TemplateError)


@pytest.mark.parametrize("format", ["gzip", "zstd"])
def test_archives(filled: groupstore.Store, tmp_path: Path, format: str, seed: int) -> None:
    """A changed archive is read as it was or is a CorruptStoreError."""
    archive = filled.journal.compact(timedelta(days=-1), format=format)
    assert archive is not None
    original = Path(archive.path).read_bytes()
    entries = list(groupstore.read_archive(archive.path))
    path = tmp_path / "changed"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        # Names in the header are no part of the content.
        assert list(groupstore.read_archive(path)) == entries

    run(read, [original], seed, groupstore.CorruptStoreError)


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
def test_dumps(filled: groupstore.Store, tmp_path: Path, ending: str, seed: int) -> None:
    """A changed dump is loaded as it was or is a CorruptStoreError that sets nothing."""
    path = tmp_path / f"dump.jsonl{ending}"
    filled.dump(path)
    original = path.read_bytes()
    expected = {group: filled.get_all(group) for group in filled.groups()}
    with groupstore.Store(purge_interval=None) as other:

        def load(content: bytes) -> None:
            path.write_bytes(content)
            try:
                other.load(path)
            except groupstore.StoreError:
                assert other.count_all() == 0
                raise
            assert {group: other.get_all(group) for group in other.groups()} == expected
            other.delete_prefix("")

        run(load, [original], seed, groupstore.CorruptStoreError)


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".jsonl.gz", ".json.zst"])
def test_imports(filled: groupstore.Store, tmp_path: Path, suffix: str, seed: int) -> None:
    """A changed file is imported as a whole, or is an error and nothing of it is there."""
    path = tmp_path / f"rows{suffix}"
    with filled.workspace("source") as source:
        source.put_many(
            "like", [{"n": n, "s": "\u00fc" * n, "l": [1, {"a": None}]} for n in range(5)]
        )
        source.export_file(path)
    original = path.read_bytes()
    with filled.workspace("target") as target:

        def load(content: bytes) -> None:
            before = target.count()
            path.write_bytes(content)
            try:
                added = target.import_file(path)
            except (ValueError, groupstore.StoreError):
                assert target.count() == before
                raise
            assert target.count() == before + added

        run(load, [original], seed, ValueError, groupstore.StoreError)
