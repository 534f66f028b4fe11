"""What of Jinja2's language a template may use, and where it has to pay for steps."""

import unicodedata
from collections.abc import Sequence
from typing import Any

from jinja2 import nodes
from jinja2.exceptions import TemplateAssertionError

from groupstore.template.filters import FILTERS
from groupstore.template.limits import COPIED_NAMES, NESTING, SCOPES
from groupstore.template.predicates import PREDICATES

_STATEMENTS = (
    nodes.Template,
    nodes.Output,
    nodes.If,
    nodes.For,
    nodes.Macro,
    nodes.CallBlock,
    nodes.FilterBlock,
    nodes.With,
    nodes.Assign,
    nodes.AssignBlock,
    nodes.Scope,
)
_EXPRESSIONS = (
    nodes.TemplateData,
    nodes.Const,
    nodes.Name,
    nodes.Tuple,
    nodes.List,
    nodes.Dict,
    nodes.Pair,
    nodes.Keyword,
    nodes.CondExpr,
    nodes.Filter,
    nodes.Test,
    nodes.Call,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Slice,
    nodes.Concat,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Neg,
    nodes.Pos,
    nodes.Add,
    nodes.Sub,
    nodes.Mul,
    nodes.Div,
    nodes.FloorDiv,
    nodes.Mod,
    nodes.Pow,
)
_ALLOWED = frozenset(_STATEMENTS + _EXPRESSIONS)
_TAGS = {"ScopedEvalContextModifier": "autoescape", "FromImport": "from", "NSRef": "set a.b"}
# `entries` is the mapping, whatever a template does; Jinja2 has an object of its own for `self`,
# which here is a name like others.
_ENTRIES = "entries"
_NOT_ASSIGNED = frozenset({_ENTRIES, "self"})
_CALLS = (
    nodes.Filter,
    nodes.Test,
    nodes.Call,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Concat,
    nodes.Compare,
    nodes.Add,
    nodes.Sub,
    nodes.Mul,
    nodes.Div,
    nodes.FloorDiv,
    nodes.Mod,
    nodes.Pow,
    nodes.Neg,
    nodes.Pos,
)
_PAYING = (nodes.For, nodes.Macro, nodes.CallBlock)


def check(template: nodes.Template) -> None:
    """Refuse what the sandbox does not know, and put in the calls that keep its limits.

    Raises TemplateAssertionError, with the line. Uses no recursion: a template can be nested
    deeper than Python's stack.
    """
    pending: list[tuple[nodes.Node, int, int]] = [(template, 0, 0)]
    seen: list[nodes.Node] = []
    while pending:
        node, depth, scopes = pending.pop()
        if type(node) not in _ALLOWED:
            kind = type(node).__name__
            _fail(f"{{% {_TAGS.get(kind, kind.lower())} %}} is not available", node)
        scopes += isinstance(node, _PAYING)
        if depth > NESTING or scopes > SCOPES:
            _fail("nested too deeply", node)
        _check_names(node)
        if isinstance(node, nodes.Filter) and node.name not in FILTERS:
            _fail(f"no filter {node.name!r}", node)
        if isinstance(node, nodes.Test) and node.name not in PREDICATES:
            _fail(f"no test {node.name!r}", node)
        _replace_names(node)
        seen.append(node)
        pending.extend(
            (child, depth + 1, scopes)
            for child in node.iter_child_nodes()
            if not isinstance(child, nodes.EnvironmentAttribute)
        )
    _check_branches(seen)
    for node in seen:
        _instrument(node)


def _check_branches(seen: list[nodes.Node]) -> None:
    branches = [node for node in seen if isinstance(node, (nodes.If, nodes.CondExpr))]
    names = {node.name for node in seen if isinstance(node, nodes.Name)}
    if len(branches) * len(names) > COPIED_NAMES:
        _fail(f"{len(branches):,} branches with {len(names):,} names", branches[-1])


def _fail(message: str, node: nodes.Node) -> None:
    raise TemplateAssertionError(message, node.lineno)


def _is_normal(name: str) -> bool:
    """Whether Python takes the name as it is: it would take `ﬁ` for `fi`."""
    return name.isascii() or unicodedata.normalize("NFKC", name) == name


def _check_names(node: nodes.Node) -> None:
    """Refuse the names that the template gives to something, where they can't be given."""
    name = None
    if (isinstance(node, nodes.Name) and node.ctx != "load") or isinstance(node, nodes.Macro):
        name = node.name
    elif isinstance(node, nodes.Keyword):
        name = node.key
    if name is None:
        return
    if name in _NOT_ASSIGNED:
        _fail(f"{name!r} can't be assigned", node)
    if not _is_normal(name):
        _fail(f"{name!r} is no name in Unicode's form NFKC", node)


def _replace_names(node: nodes.Node) -> None:
    """Replace the names in `node` that Jinja2 would not look up as keys."""
    for field, value in node.iter_fields():
        if isinstance(value, list):
            value[:] = map(_replaced, value)
        else:
            setattr(node, field, _replaced(value))


def _replaced(value: Any) -> Any:
    if not isinstance(value, nodes.Name) or value.ctx != "load":
        return value
    entries = nodes.EnvironmentAttribute(_ENTRIES, lineno=value.lineno)
    if value.name == _ENTRIES:
        return entries
    if value.name in _NOT_ASSIGNED or not _is_normal(value.name):
        key = nodes.Const(value.name, lineno=value.lineno)
        return nodes.Getitem(entries, key, "load", lineno=value.lineno)
    return value


def _instrument(node: nodes.Node) -> None:
    """Put calls of the rendering's methods around what would run unchecked."""
    if isinstance(node, nodes.For):
        node.iter = _call("iterable", node.iter)
        _charge(node.body, node.body, node.lineno)
        if node.test is not None:
            node.test = nodes.And(_step([node.test], node.lineno), node.test, lineno=node.lineno)
    elif isinstance(node, (nodes.Macro, nodes.CallBlock)):
        _charge(node.body, [*node.defaults, *node.body], node.lineno)
    elif isinstance(node, (nodes.Call, nodes.Filter, nodes.Test)):
        if node.dyn_args is not None:
            node.dyn_args = _call("spread", node.dyn_args)
        if node.dyn_kwargs is not None:
            node.dyn_kwargs = _call("spread_keywords", node.dyn_kwargs)
    elif isinstance(node, nodes.CondExpr) and node.expr2 is None:
        # Jinja2 has an undefined value there, which prints as nothing.
        node.expr2 = nodes.Const("", lineno=node.lineno)


def _call(method: str, *arguments: nodes.Node) -> nodes.Call:
    line = arguments[0].lineno
    function = nodes.EnvironmentAttribute(method, lineno=line)
    return nodes.Call(function, list(arguments), [], None, None, lineno=line)


def _step(work: Sequence[nodes.Node], line: int) -> nodes.Call:
    return _call("step", nodes.Const(1 + (_weight(work) >> 3), lineno=line))


def _charge(body: list[nodes.Node], work: Sequence[nodes.Node], line: int) -> None:
    body.insert(0, nodes.ExprStmt(_step(work, line), lineno=line))


def _weight(work: Sequence[nodes.Node]) -> int:
    """What it takes at most to do `work` once, in eighths of a step.

    That is one for each node, eight where it is a call, and one for 64 bytes of text. The bodies of
    loops and macros in there pay for themselves.
    """
    weight = 0
    pending = list(work)
    while pending:
        node = pending.pop()
        weight += 8 if isinstance(node, _CALLS) else 1
        if isinstance(node, nodes.TemplateData):
            weight += len(node.data) >> 6
        elif isinstance(node, nodes.Const) and isinstance(node.value, str):
            weight += len(node.value) >> 6
        paid = ("body",) if isinstance(node, _PAYING) else ()
        pending.extend(node.iter_child_nodes(exclude=paid))
    return weight
