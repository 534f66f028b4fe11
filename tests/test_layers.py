"""The architecture: a module imports only from its own layer or from one below."""

import ast
import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "groupstore"

# From the top. A folder stands for its modules.
LAYERS = [
    ["__init__"],
    ["store"],
    ["scope"],
    ["observing"],
    ["transaction"],
    ["group", "iteration", "template", "maintenance", "purge", "forking"],
    ["opening"],
    ["schema", "file_system"],
    ["engine.keyspace"],
    ["engine.writing"],
    ["engine.reading"],
    ["engine.quota", "engine.engine"],
    ["engine.connection", "engine.dispatch", "engine.key_range"],
    ["engine.watcher", "engine.statement"],
    ["engine.event", "engine.sqlite", "engine.expiry", "engine.argument", "engine.lock"],
    ["engine"],
    ["config", "event", "key_value"],
    ["errors"],
]


def layer(module: str) -> int:
    """The index of the layer that `module`, a dotted name below the package, stands in."""
    while True:
        for index, modules in enumerate(LAYERS):
            if module in modules:
                return index
        if "." not in module:
            raise LookupError(f"{module} stands in no layer: add it to LAYERS")
        module = module.rpartition(".")[0]


def imported(path: Path) -> set[str]:
    """The modules of this package that a module imports or cimports when it runs."""
    text = path.read_text()
    if path.suffix == ".py":
        return set(_imported_by_python(ast.parse(text)))
    names = re.findall(r"^from groupstore\.([\w.]+) c?import", text, re.MULTILINE)
    packages = re.findall(r"^from groupstore\.engine c?import (\w+)", text, re.MULTILINE)
    return {name for name in names if name != "engine"} | {f"engine.{name}" for name in packages}


def _imported_by_python(node: ast.AST) -> list[str]:
    found: list[str] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.ImportFrom) and child.module:
            if child.module == "groupstore":
                found += [alias.name for alias in child.names]
            elif child.module.startswith("groupstore."):
                found.append(child.module.removeprefix("groupstore."))
        found += _imported_by_python(child)
    return found


def modules() -> list[Path]:
    return sorted(
        path
        for suffix in ("py", "pyx", "pxd")
        for path in SOURCE.rglob(f"*.{suffix}")
        if path.name != "__init__.py" or path.parent.name == "template"
    )


@pytest.mark.skipif(not SOURCE.exists(), reason="the sources are not here")
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
