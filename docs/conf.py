"""Sphinx's settings: the site is this folder's Markdown pages and the package's docstrings."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from pygments.lexers.special import TextLexer
from sphinx import addnodes

# Before autodoc, which would take a compiled module's stub in its place, without docstrings.
import groupstore
import groupstore.journal.journal
import groupstore.workspace.workspace

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

project = "groupstore"
version = release = groupstore.__version__
language = "en"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
root_doc = "index"
nitpicky = True
# What the standard library has, and what stubs call their type variables.
nitpick_ignore_regex = [
    (
        "py:.*",
        r"str|bytes|int|float|bool|object|None|dict|list|tuple|type|default|"
        r"(\w+\.)*(Any|Self|Callable|Iterable|Iterator|Mapping|MutableMapping|Sequence|ItemsView|"
        r"ValuesView|PathLike|datetime|timedelta|Progress|Default|Keep|Value|Parameters)",
    )
]

myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
add_module_names = False

html_theme = "furo"
html_title = f"groupstore {version}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False

_CONTENTS_LINE = re.compile(r"^- \[[^\]]+\]\((?P<page>[\w/-]+)\.md\)", re.MULTILINE)


def add_contents(app: Sphinx, page: str, source: list[str]) -> None:
    """Make the site's contents of the front page's lists of links, a caption for each heading."""
    if page != root_doc:
        return
    for section in re.split(r"^## ", source[0], flags=re.MULTILINE)[1:]:
        caption, _, text = section.partition("\n")
        pages = "\n".join(_CONTENTS_LINE.findall(text))
        if pages:
            source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{pages}\n```\n"


Signatures = dict[str, list[str]]


def stub_signatures(stub: Path) -> Signatures:
    """The signatures of each method in a stub, by its qualified name; overloads are several."""
    tree = ast.parse(stub.read_text(encoding="utf-8"))
    aliases = {
        node.targets[0].id: ast.unparse(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    found: Signatures = {}
    for kind in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        for method in (node for node in kind.body if isinstance(node, ast.FunctionDef)):
            arguments = method.args.posonlyargs + method.args.args
            if not arguments or arguments[0].arg not in ("self", "cls"):
                continue
            (method.args.posonlyargs or method.args.args).pop(0)
            text = f"({ast.unparse(method.args)}) -> {ast.unparse(method.returns)}"
            for alias in ("_Value", "_TTL"):
                text = re.sub(rf"\b{alias}\b", aliases.get(alias, alias), text)
            found.setdefault(f"{kind.name}.{method.name}", []).append(
                text.replace("_Default", "Default")
            )
    return found


ENGINE = Path(groupstore.__file__).with_name("engine")
STUBS = {f"groupstore.engine.{stub.stem}": stub_signatures(stub) for stub in ENGINE.glob("*.pyi")}


def signature_of_stub(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, signature: str, returns: str
) -> tuple[str, str] | None:
    """Show a compiled method with the types of its stub, which the method itself lacks."""
    if what == "class":
        # How a user gets one is said in the docstring; constructors of most are not for them.
        public = thing in (groupstore.Store, groupstore.StoreConfig, groupstore.Quota)
        return None if public or not signature else ("", "")
    stub = STUBS.get(getattr(thing, "__module__", "") or "", {})
    found = stub.get(getattr(thing, "__qualname__", ""))
    if not found:
        return None
    return "\n".join(found).removesuffix(" -> None"), ""


def name_in_docstring(
    name: str, rawtext: str, text: str, lineno: int, inliner: Any, *_: Any
) -> tuple[list[nodes.Node], list[nodes.Node]]:
    """What stands in single backquotes in a docstring: code, linked where it is a public class."""
    literal = nodes.literal(rawtext, text, classes=["xref", "py"])
    first = text.partition(".")[0]
    if not re.fullmatch(r"[A-Z]\w*(\.\w+)?", text) or first not in groupstore.__all__:
        return [literal], []
    reference = addnodes.pending_xref(
        rawtext, literal, refdomain="py", reftype="obj", reftarget=f"groupstore.{text}"
    )
    return [reference], []


def public_name(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, content: nodes.Element
) -> nodes.Element | None:
    """Find a name of a signature under the name that users import it by."""
    target = node.get("reftarget", "")
    last = target.rpartition(".")[2]
    domain = env.get_domain("py")
    if last in groupstore.__all__ and target != f"groupstore.{last}":
        return domain.resolve_xref(
            env, node["refdoc"], app.builder, "obj", f"groupstore.{last}", node, content
        )
    # A field of a dataclass is documented with its class.
    return content if target.startswith("groupstore.") else None


def plain_docstring(app: Sphinx, what: str, name: str, *rest: Any) -> None:
    """Leave out what dataclasses and named tuples write of their own."""
    lines: list[str] = rest[-1]
    if lines and re.match(r"(\w+\(.*\)$|Alias for field number)", lines[0]):
        lines.clear()


def setup(app: Sphinx) -> None:
    app.add_lexer("flux", TextLexer)
    app.add_role("name", name_in_docstring)
    app.connect("source-read", add_contents)
    app.connect("autodoc-process-signature", signature_of_stub)
    app.connect("autodoc-process-docstring", plain_docstring)
    app.connect("missing-reference", public_name)


default_role = "name"
