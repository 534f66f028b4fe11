"""Templates to tokens: Jinja2's lexer, with text kept byte for byte and lexing bounded."""

import re
from collections.abc import Iterable, Iterator

from jinja2 import Environment
from jinja2.exceptions import TemplateSyntaxError
from jinja2.lexer import Failure, Lexer, Token, _Rule

from groupstore.template import go_form
from groupstore.template.limits import (
    LINES,
    LITERAL_LENGTH,
    NAME_LENGTH,
    NUMBER_LENGTH,
    TOKENS,
)

# Jinja2's patterns with possessive quantifiers: its own keep a way back from every repetition,
# which took 1.7 GB for a literal of 16 MiB.
_BOUNDED = {
    "string": re.compile(
        r"""('([^'\\]*+(?:\\.[^'\\]*+)*+)'|"([^"\\]*+(?:\\.[^"\\]*+)*+)")""", re.DOTALL
    ),
    "integer": re.compile(
        r"(0b(?:_?[0-1])++|0o(?:_?[0-7])++|0x(?:_?[\da-f])++|[1-9](?:_?\d)*+|0(?:_?0)*+)", re.I
    ),
    "float": re.compile(
        r"(?<!\.)(?:\d++_)*+\d++"
        r"((?:\.(?:\d++_)*+\d++)?e[+\-]?(?:\d++_)*+\d++|\.(?:\d++_)*+\d++)",
        re.I,
    ),
}
_LONGEST = {
    "name": NAME_LENGTH,
    "integer": NUMBER_LENGTH,
    "float": NUMBER_LENGTH,
    "string": LITERAL_LENGTH,
    go_form.RAW_STRING: LITERAL_LENGTH,
}
_ESCAPE = re.compile(r"\\([0-7]{1,3}|.)", re.DOTALL)
_ESCAPES = frozenset("\n\\'\"abfnrtvxuUN")
_FREE = frozenset({"data", "whitespace", "comment_begin", "comment", "comment_end"})
_GO_RULES = [
    _Rule(re.compile(r"/\*.*?\*/", re.DOTALL), go_form.COMMENT, None),
    _Rule(re.compile(r"/\*"), (Failure("Missing end of comment tag"),), None),
    _Rule(re.compile(r"`[^`]*`"), go_form.RAW_STRING, None),
]


def _hide_returns(source: str) -> str:
    """`source` without a carriage return, which Jinja2 would turn into a newline.

    In its place stand two other characters of white space, so that nothing is lexed otherwise;
    white space is only ever trimmed as a whole.
    """
    return source.replace("\x1c", "\x1c\x1e").replace("\r", go_form.HIDDEN_RETURN)


def _show_returns(text: str) -> str:
    return text.replace(go_form.HIDDEN_RETURN, "\r").replace("\x1c\x1e", "\x1c")


def _quick(root: re.Pattern[str]) -> re.Pattern[str]:
    """Jinja2's pattern of text up to an action, which tries every action at every character."""
    text = r"([^{]*+(?:\{(?![{%#])[^{]*+)*+)"
    return re.compile(root.pattern.replace("(.*?)", text, 1), root.flags)


class TemplateLexer(Lexer):
    """Knows Go's actions beside Jinja2's, and when to give up."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        root = self.rules["root"]
        root[0] = root[0]._replace(pattern=_quick(root[0].pattern))
        self.rules["variable_begin"][:0] = _GO_RULES
        for rules in self.rules.values():
            for position, rule in enumerate(rules):
                if isinstance(rule.tokens, str) and rule.tokens in _BOUNDED:
                    rules[position] = rule._replace(pattern=_BOUNDED[rule.tokens])

    def _normalize_newlines(self, value: str) -> str:
        return _show_returns(value)

    def tokeniter(
        self,
        source: str,
        name: str | None,
        filename: str | None = None,
        state: str | None = None,
    ) -> Iterator[tuple[int, str, str]]:
        """Raw tokens as `(line, type, text)`, those of Go's actions already in Jinja2's form."""
        if source.count("\n") > LINES:
            raise TemplateSyntaxError(f"more than {LINES:,} lines", LINES)
        tokens = super().tokeniter(_hide_returns(source), name, filename, state)
        return go_form.translated(_bounded(tokens))

    def wrap(
        self,
        stream: Iterable[tuple[int, str, str]],
        name: str | None = None,
        filename: str | None = None,
    ) -> Iterator[Token]:
        """All tokens at once: the parser may be at the end of Python's stack where it takes one.

        A generator that can't be resumed there can't be closed either, and CPython 3.12 says so
        on standard error.
        """
        return iter(list(super().wrap(stream, name, filename)))


def _plain_escape(match: re.Match[str]) -> str:
    """An escape sequence that Python decodes without a warning, and as before."""
    code = match[1]
    if code[0] in "01234567":
        return f"\\u{int(code, 8):04x}"
    return match[0] if code in _ESCAPES else "\\" + match[0]


def _bounded(tokens: Iterator[tuple[int, str, str]]) -> Iterator[tuple[int, str, str]]:
    count = 0
    for line, kind, text in tokens:
        if kind in _LONGEST and len(text) > _LONGEST[kind]:
            raise TemplateSyntaxError(f"a token of {len(text):,} characters", line)
        count += kind not in _FREE
        if count > TOKENS:
            raise TemplateSyntaxError(f"more than {TOKENS:,} tokens", line)
        yield line, kind, _ESCAPE.sub(_plain_escape, text) if kind == "string" else text
