"""The SQL functions that compiled Flux queries call beside SQLite's own."""

import json
from collections.abc import Callable
from typing import Any

import apsw

from groupstore.journal import flux_cells, flux_rows
from groupstore.journal.flux_regexp import compiled


class Deadline:
    """When the query that a connection is running has to be over: `time.monotonic()`."""

    at: float = float("inf")


def register_functions(connection: apsw.Connection) -> Deadline:
    """Add `groupstore_regexp`, `_changed`, `_sum` and `_mean` to a connection.

    SQLite cannot interrupt a function: those that may take long heed the deadline given back.
    """
    deadline = Deadline()

    def regexp(pattern: Any, value: Any) -> bool:
        """Whether the pattern matches anywhere in the bytes of a text."""
        return compiled(pattern).search(value.decode("utf-8", "replace"), deadline.at)

    flags = apsw.SQLITE_INNOCUOUS
    scalars: dict[str, Callable[..., Any]] = {
        "groupstore_regexp": regexp,
        "groupstore_changed": _changed,
    }
    for name, function in scalars.items():
        connection.create_scalar_function(name, function, 2, deterministic=True, flags=flags)
    connection.create_aggregate_function("groupstore_sum", _Sum, 1, flags=flags)
    connection.create_aggregate_function("groupstore_mean", _Mean, 1, flags=flags)
    return deadline


def _changed(document: Any, changes: Any) -> str:
    """The text of a JSON object after drops and renames, themselves given as JSON."""
    return flux_rows.changed_text(document, json.loads(changes))


class _Sum:
    """The sum of the numbers among exact cells: of integers exactly, null of none."""

    def __init__(self) -> None:
        self._integers = 0
        self._floats = 0.0
        self._lost = 0.0
        self._has_floats = False
        self._count = 0

    def step(self, *cells: Any) -> None:
        value = flux_cells.number_of(cells[0])
        if value is None:
            return
        self._count += 1
        if isinstance(value, int):
            self._integers += value
            return
        self._has_floats = True
        # What rounding loses is summed beside (Neumaier).
        total = self._floats + value
        if abs(self._floats) >= abs(value):
            self._lost += (self._floats - total) + value
        else:
            self._lost += (value - total) + self._floats
        self._floats = total

    def _total(self) -> int | float:
        if not self._has_floats:
            return self._integers
        lost = self._lost if abs(self._floats) != float("inf") else 0.0
        return flux_cells.as_float(self._integers) + self._floats + lost

    def final(self) -> int | float | bytes | None:
        return flux_cells.cell_of(self._total()) if self._count else None


class _Mean(_Sum):
    """The mean of the numbers among exact cells, a float, null of none."""

    def final(self) -> float | None:
        if not self._count:
            return None
        total = self._total()
        try:
            return total / self._count
        except OverflowError:
            return flux_cells.as_float(int(total))
