"""Flux's literals: strings, durations and times, and what they mean."""

import datetime
import re
from typing import Final

from groupstore.journal.flux_tree import Instant, Time

NANOSECONDS_PER_SECOND: Final = 1_000_000_000
_NANOSECONDS: Final = {
    "w": 7 * 86400 * NANOSECONDS_PER_SECOND,
    "d": 86400 * NANOSECONDS_PER_SECOND,
    "h": 3600 * NANOSECONDS_PER_SECOND,
    "m": 60 * NANOSECONDS_PER_SECOND,
    "s": NANOSECONDS_PER_SECOND,
    "ms": 1_000_000,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ns": 1,
}
_MONTHS: Final = {"y": 12, "mo": 1}
_UNIX_EPOCH: Final = datetime.date(1970, 1, 1).toordinal()
_DAY: Final = 86400 * NANOSECONDS_PER_SECOND

# Python's int() refuses more than 4,300 digits; nobody means these.
DIGITS: Final = 400

_PART: Final = re.compile(r"([0-9]+)(mo|ms|us|µs|μs|ns|y|w|d|h|m|s)")
_TIME: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2})))?",
)
_ESCAPE: Final = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|([nrt\"\\]|\$\{)|(.?))|\$\{", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "${": "${"}


class LiteralError(Exception):
    """A literal is wrong from `start` to `end` within itself, where `expected` could stand."""

    def __init__(self, problem: str, start: int, end: int, expected: str = "") -> None:
        super().__init__(problem)
        self.expected = expected
        self.problem = problem
        self.start = start
        self.end = end


def read_string(literal: str) -> str:
    """The text that a literal in its quotation marks stands for. Raises LiteralError."""
    body = literal[1:-1]
    parts: list[bytes] = []
    done = 0
    for match in _ESCAPE.finditer(body):
        parts.append(body[done : match.start()].encode())
        done = match.end()
        start, end = match.start() + 1, match.end() + 1
        if match[0] == "${":
            problem = "interpolation in a string is not supported"
            raise LiteralError(problem, start, end, r"\${ for these characters")
        if match[3] is not None:
            problem = f"unknown escape {match[0]!r} in a string"
            raise LiteralError(problem, start, end, r"\n, \r, \t, \", \\, \${ or \xHH")
        # \xHH is a byte of UTF-8, not a character.
        parts.append(bytes.fromhex(match[1]) if match[1] else _ESCAPES[match[2]].encode())
    parts.append(body[done:].encode())
    try:
        return b"".join(parts).decode()
    except UnicodeDecodeError:
        problem = "a string whose \\x escapes are not UTF-8"
        raise LiteralError(problem, 0, len(literal), "bytes of UTF-8") from None


def read_duration(literal: str) -> tuple[int, int]:
    """Months and nanoseconds of a literal without its sign. Raises LiteralError."""
    months = nanoseconds = 0
    for match in _PART.finditer(literal):
        count, unit = read_integer(match[1]), match[2]
        if unit in _MONTHS:
            months += count * _MONTHS[unit]
        else:
            nanoseconds += count * _NANOSECONDS[unit]
    return months, nanoseconds


def read_integer(digits: str) -> int:
    """The value of a literal without its sign. Raises LiteralError."""
    if len(digits) > DIGITS:
        problem = f"a number of more than {DIGITS} digits"
        raise LiteralError(problem, 0, len(digits), f"at most {DIGITS}")
    return int(digits)


def read_float(digits: str) -> float:
    """The value of a literal without its sign. Raises LiteralError."""
    if len(digits) > DIGITS:
        problem = f"a number of more than {DIGITS} digits"
        raise LiteralError(problem, 0, len(digits), f"at most {DIGITS}")
    value = float(digits)
    if value == float("inf"):
        raise LiteralError("a number too large for a float", 0, len(digits), "a smaller one")
    return value


def read_time(literal: str) -> int:
    """Nanoseconds of Unix time of a date, or a time in the form of RFC 3339.

    A date alone is its midnight in UTC. What goes beyond nanoseconds is cut off. Raises
    LiteralError.
    """
    match = _TIME.fullmatch(literal)
    if match is None:
        raise LiteralError(f"{literal[:40]!r} is no time", 0, len(literal))
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    sign = -1 if match[8] == "-" else 1
    offset_hour, offset_minute = int(match[9] or 0), int(match[10] or 0)
    try:
        days = datetime.date(year, month, day).toordinal() - _UNIX_EPOCH
        datetime.time(hour, minute, second)
        datetime.time(offset_hour, offset_minute)
    except ValueError:
        raise LiteralError(f"{literal[:40]!r} does not exist", 0, len(literal)) from None
    offset = sign * (offset_hour * 3600 + offset_minute * 60)
    seconds = days * 86400 + hour * 3600 + minute * 60 + second - offset
    return seconds * NANOSECONDS_PER_SECOND + int((match[7] or "")[:9].ljust(9, "0"))


def moment(instant: Instant, now_ms: int) -> int:
    """Nanoseconds of Unix time. A month from now has the same day, or the last that it has."""
    if isinstance(instant, Time):
        return instant.nanoseconds
    days, rest = divmod(now_ms * 1_000_000, _DAY)
    if instant.months:
        year, month, day = _civil(days)
        year, month = divmod(year * 12 + month - 1 + instant.months, 12)
        length = _days(year + month // 11, (month + 1) % 12 + 1) - _days(year, month + 1)
        days = _days(year, month + 1) + min(day, length) - 1
    return days * _DAY + rest + instant.nanoseconds


# `datetime` ends with the years 1 and 9999, a duration does not: these are the usual formulas for
# the proleptic Gregorian calendar, with years that begin in March and eras of 400 of them.


def _days(year: int, month: int) -> int:
    """Days from 1970 to the first of a month."""
    year -= month <= 2
    era, of_era = divmod(year, 400)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + day_of_year - 719468


def _civil(days: int) -> tuple[int, int, int]:
    """Year, month and day, given as days from 1970."""
    era, of_era = divmod(days + 719468, 146097)
    year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    day_of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month + 2) // 5 + 1
    month = (month + 2) % 12 + 1
    return era * 400 + year + (month <= 2), month, day
