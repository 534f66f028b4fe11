"""The code of a template, in which every operation is a call of the rendering's methods."""

# Jinja2 names the methods of a visitor after its classes of nodes.
# ruff: noqa: N802, N815

from io import StringIO

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.lexer import Lexer
from jinja2.sandbox import ImmutableSandboxedEnvironment

from groupstore.template.filters import FILTERS
from groupstore.template.lexing import TemplateLexer
from groupstore.template.missing import Missing
from groupstore.template.predicates import PREDICATES

# Longer texts are kept beside the code: as a literal in there they would take ten times as much.
_LITERAL_LENGTH = 1_000


class Sandbox(ImmutableSandboxedEnvironment):
    """Knows no names but our filters and tests.

    Should a template get by our code, it still is in Jinja2's sandbox.
    """

    def __init__(self) -> None:
        super().__init__(undefined=Missing, optimized=False, keep_trailing_newline=True)
        self.globals.clear()
        self.filters = dict(FILTERS)
        self.tests = dict(PREDICATES)
        self._lexer = TemplateLexer(self)

    @property
    def lexer(self) -> Lexer:
        """The lexer for this environment."""
        return self._lexer


SANDBOX = Sandbox()


class CodeWriter(CodeGenerator):
    """Writes `context.<method>(...)` for whatever could take long, grow, or reach into Python.

    `context` in the code is the Rendering. An Output writes a tuple of texts, not one by one.
    """

    def __init__(self) -> None:
        self.source = StringIO()
        self.texts: list[str] = []
        super().__init__(SANDBOX, None, None, self.source, optimized=False)

    def _method(self, name: str, frame: Frame, *arguments: nodes.Node | str) -> None:
        self.write(f"context.{name}(")
        for argument in arguments:
            if isinstance(argument, str):
                self.write(argument)
            else:
                self.visit(argument, frame)
            self.write(", ")
        self.write(")")

    def _text(self, text: str) -> str:
        if len(text) <= _LITERAL_LENGTH:
            return repr(text)
        self.texts.append(text)
        return f"texts[{len(self.texts) - 1}]"

    def write_commons(self) -> None:
        """The local names that Jinja2's code relies on, and ours."""
        self.writeline("resolve = context.resolve_or_missing")
        self.writeline("undefined = context.undefined")
        self.writeline("concat = context.concatenate")
        self.writeline("entry = context.entry")
        self.writeline("text = context.text")
        self.writeline("named = context.named")
        self.writeline("if 0: yield None")

    def start_write(self, frame: Frame, node: nodes.Node | None = None) -> None:
        """Yield or write a value, which need not be a text yet, into the buffer."""
        target = "yield (" if frame.buffer is None else f"{frame.buffer}.append("
        self.writeline(f"{target}text(", node)

    def end_write(self, frame: Frame) -> None:
        """End what `start_write` began."""
        self.write("),)" if frame.buffer is None else "))")

    def visit_Output(self, node: nodes.Output, frame: Frame) -> None:
        self.writeline("yield (" if frame.buffer is None else f"{frame.buffer}.extend((", node)
        self.indent()
        for child in node.nodes:
            self.newline(child)
            if isinstance(child, nodes.TemplateData):
                self.write(self._text(child.data))
            elif isinstance(child, nodes.Name):
                # Most values are texts already: no call for those.
                reference = frame.symbols.ref(child.name)
                self.write(f"{reference} if {reference}.__class__ is str")
                self.write(f" else named({reference}, {child.name!r})")
            else:
                self.write("value if (value := ")
                self.visit(child, frame)
                self.write(").__class__ is str else text(value)")
            self.write(",")
        self.outdent()
        self.writeline(")" if frame.buffer is None else "))")

    def visit_EnvironmentAttribute(self, node: nodes.EnvironmentAttribute, frame: Frame) -> None:
        self.write(f"context.{node.name}")

    def visit_Const(self, node: nodes.Const, frame: Frame) -> None:
        if isinstance(node.value, str):
            self.write(self._text(node.value))
        elif node.value == float("inf"):
            # Its repr is no literal.
            self.write('float("inf")')
        else:
            self.write(repr(node.value))

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:
        self.write("{")
        for pair in node.items:
            self._method("key", frame, pair.key)
            self.write(": ")
            self.visit(pair.value, frame)
            self.write(", ")
        self.write("}")

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        self._method("join", frame, *node.nodes)

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:
        first = node.ops[0]
        constant = isinstance(node.expr, nodes.Const) or isinstance(first.expr, nodes.Const)
        if constant and len(node.ops) == 1 and first.op not in {"in", "notin"}:
            # No more work than the constant is long.
            super().visit_Compare(node, frame)
            return
        left: nodes.Node | str = node.expr
        self.write("(")
        for operand in node.ops:
            if operand is node.ops[-1]:
                self._method("compare", frame, repr(operand.op), left, operand.expr)
                break
            # What stands between two operators is evaluated once.
            between = self.temporary_identifier()
            self.write(f"context.compare({operand.op!r}, ")
            self.write(left) if isinstance(left, str) else self.visit(left, frame)
            self.write(f", ({between} := ")
            self.visit(operand.expr, frame)
            self.write(")) and ")
            left = between
        self.write(")")

    def visit_Getattr(self, node: nodes.Getattr, frame: Frame) -> None:
        self._method("attribute", frame, node.node, repr(node.attr))

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:
        if isinstance(node.arg, nodes.Slice):
            limits = (node.arg.start, node.arg.stop, node.arg.step)
            self._method("slice", frame, node.node, *(limit or "None" for limit in limits))
        elif isinstance(node.node, nodes.EnvironmentAttribute) and isinstance(
            node.arg, nodes.Const
        ):
            self.write("entry(")
            self.visit(node.arg, frame)
            self.write(")")
        else:
            self._method("item", frame, node.node, node.arg)

    def visit_Call(self, node: nodes.Call, frame: Frame, forward_caller: bool = False) -> None:
        if isinstance(node.node, nodes.EnvironmentAttribute) and node.node.name != "entries":
            self._method(node.node.name, frame, *node.args)
            return
        self.write("context.call(")
        self.visit(node.node, frame)
        self.signature(node, frame, {"caller": "caller"} if forward_caller else None)
        self.write(")")

    def visit_BinExpr(self, node: nodes.BinExpr, frame: Frame) -> None:
        self._method("binary", frame, repr(node.operator), node.left, node.right)

    def visit_UnaryExpr(self, node: nodes.UnaryExpr, frame: Frame) -> None:
        self._method("unary", frame, repr(node.operator), node.node)

    visit_Add = visit_Sub = visit_Mul = visit_Div = visit_BinExpr
    visit_FloorDiv = visit_Mod = visit_Pow = visit_BinExpr
    visit_Neg = visit_Pos = visit_UnaryExpr
