"""A template being rendered: its variables, and what it may call."""

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment
from jinja2.exceptions import SecurityError
from jinja2.nodes import EvalContext
from jinja2.runtime import LoopContext, Macro
from jinja2.utils import missing

from groupstore.template.limits import DEPTH, STEPS
from groupstore.template.methods import Method, find_method
from groupstore.template.missing import Missing, Undecodable
from groupstore.template.operators import Operators, refuse_attribute

_LOOP_ATTRIBUTES = frozenset(
    {"index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "depth0"}
    | {"previtem", "nextitem"}
)


def _range(context: "Rendering", _: None, *limits: int) -> range:
    numbers = range(*limits)
    # len() itself fails where it does not fit into 64 bits.
    if numbers[STEPS:]:
        raise SecurityError(f"a range of more than {STEPS:,} numbers")
    return numbers


_GLOBALS = {"range": Method(_range, None, "range")}


class Rendering(Operators):
    """One rendering of a template; every operation of the template's code is a method here."""

    __slots__ = ("_depth", "_entries", "_mapping", "exported_vars", "vars")

    # What Jinja2's code asks for, with nothing escaped.
    eval_ctx = EvalContext(Environment())

    def __init__(self, entries: Mapping[str, str | bytes], *, strict: bool) -> None:
        super().__init__(strict=strict)
        self._entries = entries
        self._mapping: dict[str, Any] | None = None
        self._depth = 0
        # These two Jinja2's code only writes to.
        self.vars: dict[str, Any] = {}
        self.exported_vars: set[str] = set()

    def resolve_or_missing(self, name: str) -> Any:
        """The value of the key, else of the global, of that name, else Jinja2's `missing`."""
        value = self._entries.get(name)
        if value.__class__ is str:
            return value
        if value is None:
            return _GLOBALS.get(name, missing)
        return self._decoded(name, value)

    def entry(self, key: Any) -> Any:
        """The value of a key."""
        value = self._entries.get(key)
        if value.__class__ is str:
            return value
        return self.undefined(name=key) if value is None else self._decoded(key, value)

    @property
    def entries(self) -> dict[str, Any]:
        """Every key with its value."""
        if self._mapping is None:
            self._mapping = {key: self._decoded(key, value) for key, value in self._entries.items()}
        return self._mapping

    def _decoded(self, key: str, value: str | bytes) -> Any:
        if isinstance(value, str):
            return value
        try:
            return value.decode()
        except UnicodeDecodeError:
            return Undecodable(f"the value of key {key!r} is not UTF-8")

    def named(self, value: Any, name: str) -> str:
        """The text of a variable, which may be Jinja2's `missing`."""
        return self.text(self.undefined(name=name) if value is missing else value)

    def attribute(self, value: Any, name: str) -> Any:
        """The `name` after a dot: a method, else an element."""
        method = find_method(value, name)
        if method is not None:
            return method
        if type(value) is LoopContext and name in _LOOP_ATTRIBUTES:
            return getattr(value, name)
        found = self.item(value, name)
        if type(value) is dict and isinstance(found, Missing):
            refuse_attribute(value, name)
        return found

    def call(self, function: Any, /, *arguments: Any, **keywords: Any) -> Any:
        """Call a method, a macro, or a recursive loop with what it shall loop over."""
        self.step()
        if type(function) is Method:
            return function.implementation(self, function.owner, *arguments, **keywords)
        if isinstance(function, Missing):
            return function(*arguments)
        if type(function) is LoopContext:
            arguments = tuple(map(self.iterable, arguments))
        elif type(function) is not Macro:
            raise TypeError(f"a {type(function).__name__} can't be called")
        if self._depth >= DEPTH:
            raise SecurityError(f"calls nested more than {DEPTH} deep")
        self._depth += 1
        try:
            return function(*arguments, **keywords)
        finally:
            self._depth -= 1
