"""Templates to what renders them."""

from bisect import bisect_right
from collections.abc import Callable, Generator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from jinja2.exceptions import TemplateSyntaxError
from jinja2.parser import Parser

from groupstore.template.checking import check
from groupstore.template.generating import SANDBOX, CodeWriter

_FILENAME = "<template>"


@dataclass(frozen=True, slots=True)
class Compiled:
    """A template ready to be rendered.

    `root` takes a Rendering and yields tuples of texts; `size` is roughly what all this takes, in
    bytes.
    """

    root: Callable[[Any], Generator[tuple[str, ...]]]
    lines: list[tuple[int, int]]
    size: int

    def line_of(self, traceback: TracebackType | None) -> int | None:
        """The template's line in which an exception was raised, if it was in the template."""
        found = None
        while traceback is not None:
            if traceback.tb_frame.f_code.co_filename == _FILENAME:
                found = _template_line(self.lines, traceback.tb_lineno)
            traceback = traceback.tb_next
        return found


def _template_line(lines: list[tuple[int, int]], code_line: int) -> int:
    """The template's line for one of the code; `lines` is Jinja2's list of such pairs."""
    position = bisect_right(lines, code_line, key=lambda pair: pair[1])
    return lines[position - 1][0] if position else 1


def compile_template(template: str) -> Compiled:
    """Compile a template; raises TemplateSyntaxError, with the line, where it can't be."""
    parser = Parser(SANDBOX, template)
    generator = CodeWriter()
    try:
        tree = parser.parse()
        check(tree)
        generator.visit(tree)
        source = generator.source.getvalue()
        code = compile(source, _FILENAME, "exec")
    except RecursionError:
        line = parser.stream.current.lineno
        raise TemplateSyntaxError("nested too deeply", line) from None
    except SyntaxError as error:
        # Python has limits of its own, such as 20 loops in one another.
        line = _template_line(generator.debug_info, error.lineno or 1)
        raise TemplateSyntaxError(error.msg, line) from None
    size = len(template) + sum(map(len, generator.texts)) + 4 * len(source)
    namespace: dict[str, Any] = {"environment": SANDBOX, "texts": tuple(generator.texts)}
    exec(code, namespace)
    return Compiled(namespace["root"], generator.debug_info, size)
