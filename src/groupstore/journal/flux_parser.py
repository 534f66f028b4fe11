"""Reads a Flux query, or says what is wrong with it, where, and what was expected."""

import functools
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from groupstore.errors import QueryError
from groupstore.journal.flux_complaint import complaint
from groupstore.journal.flux_tree import Pipeline, Span

if TYPE_CHECKING:
    from lark import Lark
    from lark.exceptions import UnexpectedInput

# Characters of a query.
LENGTH: Final = 100_000

_BEGINNING: Final = "from(bucket: ...)"
_STATEMENTS: Final = frozenset({"import", "package", "option", "builtin", "testcase"})
_VALUES: Final = frozenset({"STRING", "INTEGER", "DURATION", "TRUE"})
_WORDS: Final = {
    "$END": "the end",
    "_PIPE": "|>",
    "NAME": "a name",
    "COMPARATOR": "a comparison (==, !=, <, <=, >, >=)",
    "MATCHER": "=~ or !~",
    "AND": "and",
    "OR": "or",
    "LPAR": "(",
    "RPAR": ")",
    "LSQB": "[",
    "RSQB": "]",
    "RBRACE": "}",
    "COMMA": ",",
    "COLON": ":",
    "DOT": ".",
    "STRING": "a string",
    "INTEGER": "a number",
}
# What is said of a character, and what is expected where that is not what the grammar would take.
_CHARACTERS: Final = {
    '"': ("a string without its closing quotation mark", '"'),
    "'": ("a string stands in double quotation marks", '"'),
    "/": ("a slash that begins no regular expression", ""),
    "=": ("'=' is no comparison (== is), and assignments are not supported", ""),
}


def parse(text: str) -> Pipeline:
    """The tree of a query.

    Raises QueryError, with `line` and `column` and the piece of text marked in its message, for
    whatever is wrong or not supported, and for a text longer than 100,000 characters.
    """
    if len(text) > LENGTH:
        at = _point(text, LENGTH)
        raise complaint(text, at, f"a query of {len(text):,} characters", f"at most {LENGTH:,}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        at = _point(text, error.start)
        raise complaint(text, at, "a lone surrogate in the query", "text") from None
    return _read(text)


def _read(text: str) -> Pipeline:
    # Not before there is a query: the import takes longer than most of them.
    from lark.exceptions import (  # noqa: PLC0415
        UnexpectedCharacters,
        UnexpectedInput,
        VisitError,
    )

    from groupstore.journal.flux_reader import Reader  # noqa: PLC0415

    try:
        return Reader(text).read(_parser().parse(text))
    except UnexpectedCharacters as error:
        problem, expected = _CHARACTERS.get(
            error.char, (f"unexpected character {error.char!r}", "")
        )
        at = error.pos_in_stream or 0
        expected = expected or _expected(text[:at], error)
        failure = complaint(text, _point(text, at), problem, expected)
    except UnexpectedInput as error:
        failure = _unexpected(text, error)
    except VisitError as error:
        if isinstance(error.orig_exc, RecursionError):
            raise error.orig_exc from None
        if not isinstance(error.orig_exc, QueryError):
            raise
        failure = error.orig_exc
    # What led to it are frames of the parser that say nothing to a user.
    raise failure from None


@functools.cache
def _parser() -> "Lark":
    from lark import Lark  # noqa: PLC0415

    grammar = (
        resources.files("groupstore.journal").joinpath("flux.lark").read_text(encoding="utf-8")
    )
    return Lark(grammar, parser="lalr", lexer="basic", maybe_placeholders=False)


def _unexpected(text: str, error: "UnexpectedInput") -> QueryError:
    token: Any = getattr(error, "token", None)
    words = text.removeprefix("\ufeff").split(maxsplit=1)
    if words and words[0] in _STATEMENTS:
        first = words[0]
        at = _point(text, text.index(first), len(first))
        return complaint(text, at, f"{first!r} is not supported", _BEGINNING)
    end = len(text.rstrip()) if token.type == "$END" else token.start_pos
    expected = _expected(text[:end], error)
    if token.type == "$END":
        return complaint(text, _point(text, end), "the query ends too early", expected)
    at = Span(token.start_pos, token.end_pos, token.line, token.column)
    return complaint(text, at, f"unexpected {str(token)[:40]!r}", expected)


def _expected(before: str, error: "UnexpectedInput") -> str:
    """What could have followed, in plain words."""
    if not before.removeprefix("\ufeff").strip():
        return _BEGINNING
    if before.rstrip().endswith("|>"):
        return "a function"
    parser: Any = error.interactive_parser
    accepts: set[str] = parser.accepts()
    words = [word for name, word in _WORDS.items() if name in accepts]
    if accepts >= _VALUES:
        words = ["a value"]
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _point(text: str, offset: int, length: int = 1) -> Span:
    begin = text.rfind("\n", 0, offset) + 1
    line = text.count("\n", 0, offset) + 1
    return Span(offset, offset + length, line, offset - begin + 1)
