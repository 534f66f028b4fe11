"""How a wrong query is shown to the one who wrote it."""

from typing import Final

from groupstore.errors import QueryError
from groupstore.journal.flux_tree import Span

# Of a long line, this many characters before what is wrong, and as many of that and after it.
_CONTEXT: Final = 40


def complaint(text: str, at: Span, problem: str, expected: str = "") -> QueryError:
    """The error to raise for the piece `at` of `text`: what is wrong, and what was expected.

    The line stands below the message with carets under the piece.
    """
    wanted = f", expected {expected}" if expected else ""
    begin = text.rfind("\n", 0, at.start) + 1
    end = text.find("\n", at.start)
    line = text[begin : len(text) if end < 0 else end]
    first = at.start - begin
    width = max(1, min(at.end - at.start, len(line) - first, _CONTEXT))
    left = max(0, first - _CONTEXT)
    shown = line[left : first + width + _CONTEXT]
    plain = "".join(character if character.isprintable() else " " for character in shown)
    source = f"    {plain.rstrip()}\n    {' ' * (first - left)}{'^' * width}"
    return QueryError(f"query: {problem}{wanted}\n{source}", at.line, at.column)


def within(text: str, at: Span, start: int, end: int) -> Span:
    """The piece of `at` from offset `start` to `end` in it, with its own line and column."""
    begin = at.start + start
    line_start = text.rfind("\n", 0, begin) + 1
    return Span(begin, at.start + end, text.count("\n", 0, begin) + 1, begin - line_start + 1)
