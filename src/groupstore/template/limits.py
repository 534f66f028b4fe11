"""What a template may use: steps, text, size of numbers, nesting; and the account kept of it."""

from typing import Any

from jinja2.exceptions import SecurityError

from groupstore.template.missing import Missing

# The limits that users are told of.
STEPS = 1_000_000
TEXT_BYTES = 16 << 20
# Python's own limit on printing an integer lies above (4,300 digits) and can be switched off.
INTEGER_BITS = 4096
# Of values in values, and of calls in calls: what takes Python's stack stays well under its limit.
DEPTH = 64
# Of statements and expressions in one another; of loops and macros, for which Python's limit is 20.
NESTING = 100
SCOPES = 20
# Parsing and compiling take some 50 microseconds and 5 KiB a token.
TOKENS = 25_000
# For every branch Jinja2's compiler copies its table of names: branches times names.
COPIED_NAMES = 4_000_000
LINES = 1_000_000
NAME_LENGTH = 256
NUMBER_LENGTH = 1_000
LITERAL_LENGTH = 1 << 20

CONTAINERS = frozenset({list, tuple, dict})
NUMBERS = frozenset({int, float, bool})
SCALARS = NUMBERS | {type(None)}


def utf8_size(text: str) -> int:
    """Bytes of `text` in UTF-8, where a lone surrogate takes three."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def check_text(length: int) -> None:
    """Refuse to make a text of `length` characters or bytes where it would be too long."""
    # Not `>`: a template can come by NaN, which is neither.
    if not length <= TEXT_BYTES:
        raise SecurityError(f"a text of more than {TEXT_BYTES >> 20} MiB")


def check_size(text: str) -> None:
    """Refuse `text` where it is too long; of most texts only the length is looked at."""
    if len(text) > TEXT_BYTES >> 2:
        check_text(len(text))
        check_text(utf8_size(text))


def check_number(number: Any) -> Any:
    """`number`, which an operator gave, unless it is a larger one than the sandbox allows."""
    if type(number) is int:
        if number.bit_length() > INTEGER_BITS:
            raise SecurityError(f"an integer of more than {INTEGER_BITS} bits")
    elif type(number) not in NUMBERS:
        raise SecurityError(f"a {type(number).__name__} as a result")
    return number


class Budget:
    """What is left of a rendering's steps, out of which everything it does is paid.

    An operation costs a step and one more for each 64 bytes of text, or for each element, that it
    touches: so time and memory are bounded together.
    """

    __slots__ = ("steps",)

    def __init__(self) -> None:
        self.steps = STEPS

    def step(self, count: int = 1) -> bool:
        """Take `count` steps; always true, so that it can stand in a condition."""
        self.steps -= count
        # Not `< 0`: a template can come by NaN, which is neither.
        if not self.steps >= 0:
            raise SecurityError(f"more than {STEPS:,} steps")
        return True

    def read(self, text: str) -> str:
        """`text`, paid for as by an operation that looks at every character of it."""
        length = len(text)
        # Short ones, which most are, cost a step.
        self.step(1 if length < 16 else 1 + (length >> (6 if text.isascii() else 4)))
        return text

    def made(self, text: str) -> str:
        """`text`, which an operation made: paid for, and checked against the limit."""
        check_size(text)
        return self.read(text)

    def measure(self, value: Any) -> int:
        """Pay for a look at everything inside `value`; how many bytes of text are in there.

        What is met twice counts twice, as it does for Python's comparison, repr and JSON: lists
        that hold one another can stand for far more elements than memory could.
        """
        if type(value) not in CONTAINERS:
            size = _size_of_leaf(value)
            self.step(1 + (size >> 6))
            return size
        size = 0
        level = [value]
        for _ in range(DEPTH):
            inner: list[Any] = []
            for container in level:
                self.step(1 + len(container))
                size += self._measure_elements(container, inner)
            if not inner:
                return size
            level = inner
        raise SecurityError(f"values nested more than {DEPTH} deep")

    def _measure_elements(self, container: Any, inner: list[Any]) -> int:
        size = 0
        elements = container
        if type(container) is dict:
            size += sum(map(_size_of_leaf, container))
            elements = container.values()
        for element in elements:
            if type(element) in CONTAINERS:
                inner.append(element)
            else:
                size += _size_of_leaf(element)
        self.step(size >> 6)
        return size


def _size_of_leaf(value: Any) -> int:
    if type(value) is str:
        return len(value) if value.isascii() else 4 * len(value)
    if type(value) is int:
        return 1 + value.bit_length() // 3
    if isinstance(value, Missing):
        # Under `strict`, to look at it raises.
        bool(value)
    elif type(value) not in SCALARS and type(value) is not range:
        raise SecurityError(f"a {type(value).__name__} is no value")
    return 8


def search_cost(haystack: str, needle: str) -> int:
    """Steps of looking for `needle` forwards: CPython's search is linear only on long texts."""
    length = len(haystack)
    if length < 30_000:
        return 1 + (length * min(len(needle), 64) >> 6)
    return 1 + (length >> 5)


def product_cost(text: str, other: str) -> int:
    """Steps of what compares each character of one text with each of another in the worst case."""
    return 1 + (len(text) * (1 + len(other)) >> 6)
