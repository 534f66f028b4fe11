"""The architecture: a module imports only from its own layer or from one below."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "groupstore"

SUFFIXES = (".py", ".pyx", ".pxd")

MAP = Path(__file__).parents[1] / "CONTRIBUTING.md"


def _layers() -> list[list[str]]:
    """The map in CONTRIBUTING.md, from the top. A folder stands for its modules."""
    text = MAP.read_text(encoding="utf-8")
    block = re.search(r"^```text\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert block is not None
    return [line.split(", ") for line in block[1].splitlines()]


LAYERS = _layers()


def layer(module: str) -> int:
    """The index of the layer that `module`, a dotted name below the package, stands in."""
    while True:
        for index, modules in enumerate(LAYERS):
            if module in modules:
                return index
        if "." not in module:
            raise LookupError(f"{module} stands in no layer: add it to the map in CONTRIBUTING.md")
        module = module.rpartition(".")[0]


# Cython has no parser that can be asked: its import statements are few and plain.
_FROM = re.compile(r"^[ \t]*from\s+groupstore([\w.]*)\s+c?import\s+(\([^)]*\)|.+)", re.MULTILINE)
_WHOLE = re.compile(r"^[ \t]*c?import\s+groupstore([\w.]*)", re.MULTILINE)


def imported(path: Path) -> set[str]:
    """The modules of this package that a module imports or cimports when it runs."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return set(_imported_by_python(ast.parse(text)))
    found = {module[1].lstrip(".") or "__init__" for module in _WHOLE.finditer(text)}
    for match in _FROM.finditer(text):
        for name in match[2].strip("()").split(","):
            if name.strip():
                found.add(_module(match[1].lstrip("."), name.split()[0]))
    return found


def _imported_by_python(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.Import):
            names = [alias.name for alias in child.names]
        elif isinstance(child, ast.ImportFrom):
            # A relative import would escape the look at names: the package has none.
            assert child.level == 0, ast.unparse(child)
            names = [f"{child.module}:{alias.name}" for alias in child.names]
        else:
            yield from _imported_by_python(child)
            continue
        for name in names:
            module, _, attribute = name.partition(":")
            if module.partition(".")[0] == "groupstore":
                yield _module(module.partition(".")[2], attribute)


def _module(package: str, name: str) -> str:
    """The module that `from groupstore.<package> import <name>` runs."""
    inner = f"{package}.{name}".strip(".")
    file = SOURCE.joinpath(*inner.split("."))
    if name and (file.is_dir() or any(file.with_suffix(end).exists() for end in SUFFIXES)):
        return inner
    return package or "__init__"


def modules() -> list[Path]:
    return sorted(
        path
        for suffix in SUFFIXES
        for path in SOURCE.rglob(f"*{suffix}")
        if path.name != "__init__.py" or path.parent.name == "template"
    )


needs_sources = pytest.mark.skipif(not SOURCE.exists(), reason="the sources are not here")


@needs_sources
def test_imports_go_down() -> None:
    """No module imports from a layer above its own."""
    assert len(modules()) > 30
    wrong = []
    for path in modules():
        name = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        for other in imported(path):
            if layer(other) < layer(name):
                wrong.append(f"{name} imports {other}")
    assert wrong == []


@needs_sources
@pytest.mark.parametrize(
    ("suffix", "text", "found"),
    [
        (".py", "import groupstore.store", {"store"}),
        (".py", "from groupstore import store, Event", {"store", "__init__"}),
        (".py", "def f():\n    from groupstore.template import render", {"template"}),
        (".py", "from groupstore.engine import quota", {"engine.quota"}),
        (".py", "if TYPE_CHECKING:\n    from groupstore.store import Store", set()),
        (".pyx", "cimport groupstore.engine.quota", {"engine.quota"}),
        (
            ".pyx",
            "from groupstore.engine cimport quota, sqlite as s",
            {"engine.quota", "engine.sqlite"},
        ),
        (".pxd", "from groupstore.engine.quota cimport (\n    Limits,\n)", {"engine.quota"}),
        (".pyx", "def f():\n    from groupstore.store import Store", {"store"}),
    ],
)
def test_every_form_of_import_is_seen(
    suffix: str, text: str, found: set[str], tmp_path: Path
) -> None:
    """The look at imports misses none that runs, in whichever form it is written."""
    path = tmp_path / f"module{suffix}"
    path.write_text(text, encoding="utf-8")
    assert imported(path) == found
