"""Matches regular expressions in time linear in the text, whatever the pattern.

Python's `re` tries one way after the other: a pattern like `(a+)+$` takes it longer than anybody
waits, and nothing can interrupt it, a query's timeout included. Here all ways are followed at once
by an automaton, whose states are worked out when they are first met and then kept.
"""

import functools
import itertools
import time
from collections.abc import Generator
from typing import Final

from groupstore.errors import QueryError
from groupstore.journal.flux_regexp_syntax import PatternError, read_pattern
from groupstore.journal.flux_regexp_tree import (
    Assertion,
    Characters,
    Choice,
    Node,
    Repeat,
    Sequence,
)

__all__ = ["Automaton", "PatternError", "compiled"]

# Of the automaton that follows one way at a time; `{n,m}` multiplies what it repeats.
NODES: Final = 1000
# Of the automaton that follows all at once; beyond, it forgets all and goes on.
_STATES: Final = 1000
_TRANSITIONS: Final = 20_000
# Nodes looked at and come to in the search of one text, about five seconds.
_WORK: Final = 10_000_000
# Characters between two looks at the clock, where all states are known: a few milliseconds.
_PIECE: Final = 100_000

_EDGE, _NEWLINE, _IN_WORD, _OTHER = range(4)


def _kind(character: str) -> int:
    """What assertions see of a character beside them."""
    if character == "\n":
        return _NEWLINE
    is_word = character.isascii() and (character.isalnum() or character == "_")
    return _IN_WORD if is_word else _OTHER


def _asserted(assertion: Assertion, before: int, after: int) -> bool:
    match assertion.kind:
        case "start":
            return before == _EDGE
        case "end":
            return after == _EDGE
        case "line start":
            return before in {_EDGE, _NEWLINE}
        case "line end":
            return after in {_EDGE, _NEWLINE}
        case kind:
            return ((before == _IN_WORD) != (after == _IN_WORD)) == (kind == "boundary")


class _Builder:
    """Makes a graph of a pattern's tree, from the end to the start.

    A node is what it asks for (None: nothing) and the nodes after it; node 0 is the match.
    """

    def __init__(self) -> None:
        self.asked: list[Characters | Assertion | None] = [None]
        self.following: list[tuple[int, ...]] = [()]
        self._steps = 0

    def _add(self, asked: Characters | Assertion | None, following: tuple[int, ...]) -> int:
        self.asked.append(asked)
        self.following.append(following)
        return len(self.asked) - 1

    def build(self, node: Node, after: int) -> int:
        """The node that begins `node` and leads to `after`."""
        self._steps += 1
        if max(len(self.asked), self._steps // 4) > NODES:
            raise PatternError("a regular expression that is too large", 0, "a smaller one")
        match node:
            case Sequence(items):
                for item in reversed(items):
                    after = self.build(item, after)
                return after
            case Choice(items):
                return self._add(None, tuple([self.build(item, after) for item in items]))
            case Repeat(item, least, most):
                return self._repeat(item, least, most, after)
            case _:
                return self._add(node, (after,))

    def _repeat(self, item: Node, least: int, most: int | None, after: int) -> int:
        first = after
        if most is None:
            first = self._add(None, ())
            self.following[first] = (self.build(item, first), after)
        else:
            for _ in range(most - least):
                first = self._add(None, (self.build(item, first), after))
        for _ in range(least):
            first = self.build(item, first)
        return first


class _State:
    """Where all ways have come to: nodes, and the kind of the character before them."""

    __slots__ = ("before", "following", "nodes")

    def __init__(self, nodes: frozenset[int], before: int) -> None:
        self.nodes = nodes
        self.before = before
        # By the next character, "" for the end of the text; None is a match.
        self.following: dict[str, _State | None] = {}


class Automaton:
    """Whether a pattern matches anywhere in a text."""

    def __init__(self, pattern: str) -> None:
        """Raises PatternError for what is wrong with the pattern, or not in RE2's syntax."""
        builder = _Builder()
        self._start = builder.build(read_pattern(pattern), 0)
        self._asked = builder.asked
        self._following = builder.following
        self._initial = _State(frozenset({self._start}), _EDGE)
        self._forget()

    def _forget(self) -> None:
        self._states: dict[tuple[frozenset[int], int], _State] = {}
        self._transitions = 0
        self._initial.following.clear()

    def search(self, text: str, deadline: float = float("inf")) -> bool:
        """Whether there is a match.

        Raises QueryError where that takes too long to find out: beyond `deadline`, a time of
        `time.monotonic()`, and beyond a bound on the work on one text.
        """
        state = self._initial
        work = 0
        for character in itertools.chain.from_iterable(_pieces(text, deadline)):
            if character in state.following:
                following = state.following[character]
            else:
                check_deadline(deadline)
                following, seen = self._step(state, character)
                work += seen
                if work > _WORK:
                    size = len(text)
                    raise QueryError(
                        f"query: a regular expression takes too long on {size:,} characters"
                    )
            if following is None:
                return True
            state = following
        return False

    def _step(self, state: _State, character: str) -> tuple[_State | None, int]:
        """The state after a character that was not met here before, and how much that took."""
        after = _kind(character) if character else _EDGE
        reached, seen = self._reached(state, after)
        following: _State | None = None
        if 0 not in reached:
            nodes = {self._start}
            for node in reached:
                asked = self._asked[node]
                if isinstance(asked, Characters) and character and asked.holds(character):
                    nodes.update(self._following[node])
            following = self._state(frozenset(nodes), after)
            seen += len(reached) + len(nodes)
        self._transitions += 1
        state.following[character] = following
        return following, seen

    def _state(self, nodes: frozenset[int], before: int) -> _State:
        if len(self._states) > _STATES or self._transitions > _TRANSITIONS:
            self._forget()
        # Two threads may make the same one: nothing but memory is lost.
        return self._states.setdefault((nodes, before), _State(nodes, before))

    def _reached(self, state: _State, after: int) -> tuple[set[int], int]:
        """All nodes that a state leads to without another character."""
        seen: set[int] = set()
        looks = 0
        pending = list(state.nodes)
        while pending:
            node = pending.pop()
            looks += 1
            if node in seen:
                continue
            seen.add(node)
            asked = self._asked[node]
            if asked is None or (
                isinstance(asked, Assertion) and _asserted(asked, state.before, after)
            ):
                pending.extend(self._following[node])
        return seen, looks


def check_deadline(deadline: float) -> None:
    """Raise QueryError where that time of `time.monotonic()` has come."""
    if time.monotonic() >= deadline:
        raise QueryError("query: the timeout is over")


def _pieces(text: str, deadline: float) -> Generator[str | tuple[str], None, None]:
    """The text piece by piece, and the character that stands for its end."""
    for start in range(0, len(text), _PIECE):
        check_deadline(deadline)
        yield text[start : start + _PIECE]
    yield ("",)


@functools.lru_cache(maxsize=256)
def compiled(pattern: str) -> Automaton:
    """The automaton of a pattern as written between its slashes. Raises PatternError."""
    return Automaton(pattern)
