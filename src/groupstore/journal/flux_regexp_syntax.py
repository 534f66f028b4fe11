"""The syntax of Flux's regular expressions, which is RE2's: what can be matched in linear time."""

import re
from typing import Final

from groupstore.journal.flux_regexp_tree import (
    CLASSES,
    LAST,
    POSIX,
    Assertion,
    Characters,
    Choice,
    Node,
    Ranges,
    Repeat,
    Sequence,
    inverse,
    ranges_of,
)

LENGTH: Final = 1000
"""Characters of a pattern."""
DEPTH: Final = 50
"""Groups inside each other."""
REPETITIONS: Final = 1000
"""The most that `{n,m}` may ask for, as in RE2."""


class PatternError(Exception):
    """A pattern is wrong at offset `start`, or holds what RE2 does not know."""

    def __init__(self, problem: str, start: int, expected: str = "the syntax of RE2") -> None:
        super().__init__(problem)
        self.expected = expected
        self.problem = problem
        self.start = start


_ESCAPES: Final = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}
_ASSERTIONS: Final = {"A": "start", "z": "end", "b": "boundary", "B": "inside"}

_HEX: Final = re.compile(r"x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,6})\})")
_COUNTS: Final = re.compile(r"\{([0-9]{1,9})(?:(,)([0-9]{1,9})?)?\}")
_GROUP: Final = re.compile(r"\?(?:P?<([A-Za-z_]\w*)>|([imsU]*)(?:-([imsU]+))?([:)]))")
_POSIX_CLASS: Final = re.compile(r"\[:(\^?)(\w+):\]")


def read_pattern(pattern: str) -> Node:
    """The tree of a pattern as written between its slashes. Raises PatternError."""
    if len(pattern) > LENGTH:
        problem = f"a regular expression of more than {LENGTH} characters"
        raise PatternError(problem, LENGTH, "a shorter one")
    reader = _PatternReader(pattern)
    node = reader.choice(frozenset(), 0)
    if reader.position < len(pattern):
        raise PatternError("a ) without its (", reader.position)
    return node


class _PatternReader:
    """Recursive descent: one method a rule, `position` is what comes next.

    Groups capture nothing here and greed changes nothing: all that is asked of a pattern is
    whether it matches anywhere.
    """

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self.position = 0

    def _peek(self) -> str:
        return self._pattern[self.position : self.position + 1]

    def _take(self) -> str:
        self.position += 1
        return self._pattern[self.position - 1 : self.position]

    def choice(self, flags: frozenset[str], depth: int) -> Node:
        """Alternatives up to a closing parenthesis or the end."""
        if depth > DEPTH:
            problem = f"groups nested more than {DEPTH} deep"
            raise PatternError(problem, self.position, "fewer")
        alternatives: list[Node] = []
        items: list[Node] = []
        while (character := self._peek()) not in {"", ")"}:
            if character == "|":
                self.position += 1
                alternatives.append(Sequence(tuple(items)))
                items = []
            elif self._pattern.startswith("(?", self.position):
                flags, node = self._special_group(flags, depth)
                items.extend([] if node is None else [self._repeated(node)])
            else:
                items.append(self._repeated(self._atom(flags, depth)))
        alternatives.append(Sequence(tuple(items)))
        return Choice(tuple(alternatives)) if len(alternatives) > 1 else alternatives[0]

    def _special_group(
        self, flags: frozenset[str], depth: int
    ) -> tuple[frozenset[str], Node | None]:
        """A group that begins with `(?`, or the flags that it sets up to the end of this one."""
        start = self.position
        match = _GROUP.match(self._pattern, start + 1)
        if match is None:
            raise PatternError("a group that is not supported (RE2 has no look-around)", start)
        self.position = match.end()
        inner = flags
        if match[4] is not None:
            inner = (flags | set(match[2])) - set(match[3] or "")
            if match[4] == ")":
                return inner, None
        return flags, self._rest_of_group(inner, depth, start)

    def _rest_of_group(self, flags: frozenset[str], depth: int, start: int) -> Node:
        node = self.choice(flags, depth + 1)
        if self._take() != ")":
            raise PatternError("a ( without its )", start)
        return node

    def _atom(self, flags: frozenset[str], depth: int) -> Node:
        start = self.position
        character = self._take()
        fold = "i" in flags
        if character == "(":
            return self._rest_of_group(flags, depth, start)
        if character == "[":
            negated = self._peek() == "^"
            self.position += negated
            return Characters(self._set(start), fold, negated)
        if character in "*+?":
            raise PatternError(f"{character} repeats nothing", start)
        if character == "\\":
            if self._peek() in _ASSERTIONS:
                return Assertion(_ASSERTIONS[self._take()])
            return Characters(self._escape(start), fold)
        return self._plain(character, flags)

    def _plain(self, character: str, flags: frozenset[str]) -> Node:
        match character:
            case ".":
                return Characters(() if "s" in flags else ranges_of("\n"), False, negated=True)
            case "^":
                return Assertion("line start" if "m" in flags else "start")
            case "$":
                return Assertion("line end" if "m" in flags else "end")
            case _:
                return Characters(ranges_of(character), "i" in flags)

    def _repeated(self, node: Node) -> Node:
        start = self.position
        character = self._peek()
        counts = _COUNTS.match(self._pattern, start)
        if counts is not None:
            least = int(counts[1])
            most = least if counts[2] is None else None if counts[3] is None else int(counts[3])
            if max(least, most or 0) > REPETITIONS or (most is not None and most < least):
                raise PatternError(f"{counts[0]} is no repetition up to {REPETITIONS}", start)
            self.position = counts.end()
            node = Repeat(node, least, most)
        elif character and character in "*+?":
            self.position += 1
            node = Repeat(node, int(character == "+"), 1 if character == "?" else None)
        else:
            return node
        if self._peek() == "?":
            self.position += 1
        if self._peek() in {"*", "+", "?"} or _COUNTS.match(self._pattern, self.position):
            raise PatternError("a repetition of a repetition", self.position)
        return node

    def _escape(self, start: int) -> Ranges:
        """What follows a backslash that stands for characters."""
        match = _HEX.match(self._pattern, self.position)
        if match is not None and int(match[1] or match[2], 16) <= LAST:
            self.position = match.end()
            code = int(match[1] or match[2], 16)
            return ((code, code),)
        character = self._take()
        if character in CLASSES:
            return CLASSES[character]
        if character in _ESCAPES:
            return ((_ESCAPES[character], _ESCAPES[character]),)
        if not character or character.isalnum():
            raise PatternError(f"unknown escape \\{character}", start)
        return ranges_of(character)

    def _set(self, start: int) -> Ranges:
        """The rest of `[...]`; a bracket that comes first is one of its characters."""
        ranges: list[tuple[int, int]] = []
        first = True
        while first or self._peek() != "]":
            first = False
            if not self._peek():
                raise PatternError("a [ without its ]", start)
            ranges.extend(self._member_of_set())
        self.position += 1
        return tuple(ranges)

    def _member_of_set(self) -> Ranges:
        start = self.position
        posix = _POSIX_CLASS.match(self._pattern, start)
        if posix is not None:
            if posix[2] not in POSIX:
                raise PatternError(f"unknown class {posix[0]}", start)
            self.position = posix.end()
            return inverse(POSIX[posix[2]]) if posix[1] else POSIX[posix[2]]
        lower = self._one_of_set()
        following = self._pattern[self.position : self.position + 2]
        if following[:1] != "-" or following[1:] in {"]", ""}:
            return lower
        self.position += 1
        upper = self._one_of_set()
        (first, second), *rest = *lower, *upper
        if len(rest) != 1 or first != second or rest[0][0] != rest[0][1] or first > rest[0][0]:
            raise PatternError("a range out of order, or with an end that is no character", start)
        return ((first, rest[0][0]),)

    def _one_of_set(self) -> Ranges:
        start = self.position
        character = self._take()
        return self._escape(start) if character == "\\" else ranges_of(character)
