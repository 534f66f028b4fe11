"""Go's field form, `{{ .host }}` and `{{ index . "smtp-host" }}`, in Jinja2's tokens."""

from collections.abc import Iterator
from itertools import pairwise

from jinja2.exceptions import TemplateSyntaxError

Token = tuple[int, str, str]

# Types of the tokens that Jinja2 does not have.
COMMENT = "go_comment"
RAW_STRING = "go_raw_string"
# What the lexer puts in place of a carriage return.
HIDDEN_RETURN = "\x1c\x1d"

_UNSUPPORTED = 'of Go\'s actions there are {{ .key }}, {{ index . "key" }} and comments only'
# Jinja2 would take these for names.
_GO_KEYWORDS = frozenset({"end", "else"})


def translated(tokens: Iterator[Token]) -> Iterator[Token]:
    """`tokens` with every action in Go's form turned into Jinja2's."""
    for token in tokens:
        if token[1] != "variable_begin":
            yield token
            continue
        action: list[Token] = []
        for inner in tokens:
            if inner[1] == "variable_end":
                yield from _translate(token, action, inner)
                break
            action.append(inner)
        else:
            # An action without an end is the parser's to report.
            yield token
            yield from action


def _translate(begin: Token, action: list[Token], end: Token) -> Iterator[Token]:
    words = [token for token in action if token[1] != "whitespace"]
    if not words or not _is_go(action, words):
        yield from (begin, *action, end)
    elif any(token[1] == COMMENT for token in words):
        if len(words) > 1:
            raise TemplateSyntaxError("a Go comment is an action of its own", begin[0])
    else:
        line = words[0][0]
        keys = _fields(action, words) if words[0][2] == "." else _index(words)
        if not keys:
            raise TemplateSyntaxError(_UNSUPPORTED, line)
        yield begin
        yield line, "name", "entries"
        for key_line, key in keys:
            yield key_line, "operator", "["
            yield key_line, "string", key
            yield key_line, "operator", "]"
        yield end


def _is_go(action: list[Token], words: list[Token]) -> bool:
    """Whether anything here is Go's alone; a dot after white space stands for Go's data."""
    if any(kind in {COMMENT, RAW_STRING} for _, kind, _ in words) or words[0][2] == ".":
        return True
    if len(words) == 1 and words[0][1] == "name" and words[0][2] in _GO_KEYWORDS:
        return True
    return any(
        before[1] == "whitespace" and token[1:] == ("operator", ".")
        for before, token in pairwise(action)
    )


def _fields(action: list[Token], words: list[Token]) -> list[tuple[int, str]]:
    """The keys of `.host.name`, as string literals with their lines; empty where it is not that."""
    start = action.index(words[0])
    if action[start : start + len(words)] != words or len(words) % 2:
        return []
    keys = []
    for dot, name in zip(words[::2], words[1::2], strict=True):
        if dot[1:] != ("operator", ".") or name[1] != "name" or not name[2].isidentifier():
            return []
        keys.append((name[0], f'"{name[2]}"'))
    return keys


def _index(words: list[Token]) -> list[tuple[int, str]]:
    """The keys of `index . "smtp-host"`, likewise."""
    if [word[2] for word in words[:2]] != ["index", "."]:
        return []
    keys = []
    for line, kind, text in words[2:]:
        if kind == RAW_STRING:
            # No escapes in there, and Go leaves out carriage returns.
            literal = text.replace(HIDDEN_RETURN, "").replace("\\", "\\\\")
        elif kind == "string":
            literal = text
        else:
            return []
        keys.append((line, literal))
    return keys
