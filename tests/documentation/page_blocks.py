"""The code blocks of a page, each with what checks it.

Python, shell, Flux and SQL are run. `# value` behind an expression is what it has to give, where
the comment is a literal. In comments of Markdown, which no reader sees, stand

- `<!-- invisible-code: python`, with code up to `-->`: what a page needs before a block;
- `<!-- not run: why -->` before a block that cannot be run here;
- `<!-- from: examples/flask_app.py -->` before an excerpt, which has to be in that file.
"""

from __future__ import annotations

import ast
import io
import os
import re
import sqlite3
import subprocess
import sys
import textwrap
import tokenize
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sybil import Document, Example, Region
from sybil.parsers.markdown.lexers import DirectiveInHTMLCommentLexer, FencedCodeBlockLexer

import groupstore

ROOT = Path(__file__).resolve().parents[2]

# Sphinx's own directives, what is no program, and the command line's page, which has its own test.
NO_PROGRAM = re.compile(r"\{.*\}|text|json|yaml|ini|toml|console")
MARKER = re.compile(r"<!-- (not run|from): ((?:(?!-->).)+) -->\s*\Z", re.DOTALL)


def parse(path: Path) -> Document:
    """The page with its blocks as sybil's examples, in order."""
    return Document.parse(str(path), _blocks)


def _blocks(document: Document) -> Iterable[Region]:
    for region in FencedCodeBlockLexer("[^\n]*")(document):
        language = region.lexemes["language"]
        marker = MARKER.search(document.text[: region.start])
        region.parsed = region.lexemes["source"]
        if marker and marker[1] == "from":
            region.parsed = (marker[2], region.parsed)
            region.evaluator = _is_excerpt
        elif NO_PROGRAM.fullmatch(language) or not language or marker:
            continue
        elif language not in EVALUATORS:
            raise ValueError(
                f"{document.path}: what runs {language!r}? {sorted(EVALUATORS)} are run"
            )
        else:
            region.evaluator = EVALUATORS[language]
        yield region
    for region in DirectiveInHTMLCommentLexer("invisible-code")(document):
        region.parsed = region.lexemes["source"]
        region.evaluator = _run_python
        yield region


def _is_excerpt(example: Example) -> None:
    name, text = example.parsed
    excerpt = str(text).splitlines()
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    # The page shows the lines without the indentation that they have in common there.
    found = (
        textwrap.dedent("\n".join(lines[i : i + len(excerpt)])).splitlines() == excerpt
        for i in range(len(lines))
    )
    assert any(found), f"{name} has no such lines"


def _run_python(example: Example) -> None:
    tree = ast.parse(str(example.parsed), example.path)
    _Shown(str(example.parsed)).visit(tree)
    ast.increment_lineno(tree, example.line + example.parsed.line_offset)
    example.namespace["_is"] = _is
    exec(compile(ast.fix_missing_locations(tree), example.path, "exec"), example.namespace)


class _Shown(ast.NodeTransformer):
    """Compares each expression that stands by itself with the literal in the comment behind it."""

    def __init__(self, source: str) -> None:
        tokens = tokenize.generate_tokens(io.StringIO(source).readline)
        self.comments = {
            token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT
        }

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        try:
            shown = ast.literal_eval(self.comments.get(node.end_lineno or 0, "").lstrip("# "))
        except (SyntaxError, ValueError):
            return node
        check = ast.Call(ast.Name("_is", ast.Load()), [node.value, ast.Constant(repr(shown))], [])
        return ast.copy_location(ast.Expr(check), node)


def _is(value: Any, shown: str) -> None:
    expected = ast.literal_eval(shown)
    assert type(value) is type(expected), f"{value!r} is shown as {shown}"
    assert value == expected, f"{value!r} is shown as {shown}"


def _run_shell(example: Example) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["bash", "-euc", str(example.parsed)]
    subprocess.run(command, env=os.environ | {"PATH": path}, check=True, capture_output=True)


def _run_flux(example: Example) -> None:
    with groupstore.Store() as store:
        store.journal.query(str(example.parsed))


def _run_sql(example: Example) -> None:
    connection = sqlite3.connect(":memory:")
    connection.executescript(textwrap.dedent(str(example.parsed)))
    connection.close()


EVALUATORS = {
    "python": _run_python,
    "sh": _run_shell,
    "flux": _run_flux,
    "sql": _run_sql,
}
