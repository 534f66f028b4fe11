"""What a regular expression asks for, and the characters that its classes stand for."""

from dataclasses import dataclass
from typing import Final

LAST: Final = 0x10FFFF
Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Characters:
    """One character in any of the ranges, with `fold` in whichever case; or with `negated` not."""

    ranges: Ranges
    fold: bool
    negated: bool = False

    def holds(self, character: str) -> bool:
        """Whether it is one of these."""
        cases = {character}
        if self.fold:
            lower, upper = character.lower(), character.upper()
            cases.update((lower, upper, lower.upper(), upper.lower()))
        return any(map(self._within, cases)) != self.negated

    def _within(self, character: str) -> bool:
        if len(character) != 1:
            return False
        code = ord(character)
        return any(first <= code <= last for first, last in self.ranges)


@dataclass(frozen=True, slots=True)
class Assertion:
    r"""What has to hold between two characters: `\A`, `\z`, `^` and `$` of lines, `\b`, `\B`."""

    kind: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """One after the other."""

    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Any one of them."""

    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """At least `least` times, at most `most`."""

    item: "Node"
    least: int
    most: int | None


Node = Characters | Assertion | Sequence | Choice | Repeat


def inverse(ranges: Ranges) -> Ranges:
    """All characters but these."""
    result: list[tuple[int, int]] = []
    next_code = 0
    for first, last in sorted(ranges):
        if first > next_code:
            result.append((next_code, first - 1))
        next_code = max(next_code, last + 1)
    return (*result, (next_code, LAST)) if next_code <= LAST else tuple(result)


def ranges_of(characters: str) -> Ranges:
    """Each of these characters."""
    return tuple((ord(character), ord(character)) for character in characters)


_DIGITS: Final = ((48, 57),)
_UPPER: Final = ((65, 90),)
_LOWER: Final = ((97, 122),)
_WORD: Final = (*_DIGITS, *_UPPER, *_LOWER, (95, 95))
CLASSES: Final[dict[str, Ranges]] = {
    "d": _DIGITS,
    "D": inverse(_DIGITS),
    "s": ranges_of("\t\n\f\r "),
    "S": inverse(ranges_of("\t\n\f\r ")),
    "w": _WORD,
    "W": inverse(_WORD),
}
POSIX: Final[dict[str, Ranges]] = {
    "alnum": (*_DIGITS, *_UPPER, *_LOWER),
    "alpha": (*_UPPER, *_LOWER),
    "ascii": ((0, 127),),
    "blank": ranges_of("\t "),
    "cntrl": ((0, 31), (127, 127)),
    "digit": _DIGITS,
    "graph": ((33, 126),),
    "lower": _LOWER,
    "print": ((32, 126),),
    "punct": ((33, 47), (58, 64), (91, 96), (123, 126)),
    "space": ranges_of("\t\n\v\f\r "),
    "upper": _UPPER,
    "word": _WORD,
    "xdigit": (*_DIGITS, (65, 70), (97, 102)),
}
