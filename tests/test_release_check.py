"""What is looked at before a release, each part with what it must refuse."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SOURCE = Path(__file__).parents[1] / ".ci" / "release_check.py"

pytestmark = pytest.mark.skipif(not SOURCE.exists(), reason="the checkout's own")

MODULE = '__version__ = "1.2.0"\n'
CHANGELOG = (
    "# Changes\n\n## 1.2.0, 2026-02-03\n\n- What is new.\n\n## 1.1.0, 2026-01-02\n\n- Old.\n"
)


@pytest.fixture(scope="module")
def check() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("release_check", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["release_check"] = module
    spec.loader.exec_module(module)
    return module


def test_versions(check: Any) -> None:
    """One version everywhere, with its day and what is new."""
    assert check.version_problems("1.2.0", MODULE, CHANGELOG, "v1.2.0") == []
    assert check.version_problems("1.2.0", MODULE, CHANGELOG, None) == []


@pytest.mark.parametrize(
    ("module", "changelog", "tag", "said"),
    [
        (f"# {MODULE}", CHANGELOG, None, "__version__"),
        (MODULE, "", None, "does not begin with 1.2.0"),
        (MODULE, CHANGELOG.replace("1.2.0", "1.2.1"), None, "does not begin with 1.2.0"),
        (MODULE, CHANGELOG.replace("- What is new.\n", ""), None, "says nothing"),
        (MODULE, CHANGELOG.replace("2026-02-03", "2026-99-99"), "v1.2.0", "the day"),
        (MODULE, CHANGELOG.replace(", 2026-02-03", ""), "v1.2.0", "the day"),
        (MODULE, CHANGELOG, "1.2.0", "the tag"),
    ],
)
def test_wrong_versions(
    check: Any, module: str, changelog: str, tag: str | None, said: str
) -> None:
    """Each is told."""
    assert said in check.version_problems("1.2.0", module, changelog, tag)[0]


def test_contents(check: Any) -> None:
    """What git tracks is in the sdist, and nothing besides but what the builder adds."""
    tracked = {"src/a.py", "README.md", ".github/x.yml", "pyproject.toml"}
    whole = {"src/a.py", "README.md", "pyproject.toml", "PKG-INFO", "src/a.egg-info/SOURCES.txt"}
    assert check.content_problems(whole, tracked) == []
    assert check.content_problems(whole - {"src/a.py"}, tracked) == ["the sdist lacks src/a.py"]
    assert check.content_problems(whole | {"src/b.c"}, tracked) == [
        "the sdist holds besides src/b.c"
    ]


@pytest.mark.parametrize(
    ("expression", "fits"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("MIT AND (BSD-3-Clause OR GPL-3.0-only)", True),
        ("(MIT OR BSD-3-Clause) AND GPL-3.0-only", False),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-3.0-only WITH Classpath-exception-2.0 AND MIT", False),
    ],
)
def test_licences(check: Any, expression: str, fits: bool) -> None:
    """Of alternatives one has to fit, of what applies together each."""
    assert check.is_fit(expression) == fits


@pytest.mark.parametrize(
    "said", ["MIT, GPL-3.0", "MIT/GPL", "MIT; commercial use is not", "", "()"]
)
def test_no_licences(check: Any, said: str) -> None:
    """What is no expression is not guessed at."""
    with pytest.raises(check.InvalidLicenseExpression):
        check.is_fit(said)


def test_indirect_dependencies(check: Any) -> None:
    """What a dependency needs comes with it."""
    project = {"dependencies": ["jinja2"], "optional-dependencies": {}}
    names = {one.metadata["Name"] for one in check.installed(project)}
    assert names == {"Jinja2", "MarkupSafe"}
