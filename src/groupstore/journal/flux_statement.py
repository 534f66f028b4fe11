"""The SQL of values: places, constants and the order of rows, as one statement names them."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from groupstore.journal import flux_cells
from groupstore.journal.flux_columns import Inner, Kind, Place, Stored

Bindable = str | int | float | bytes | None


@dataclass(frozen=True, slots=True)
class Term:
    """One expression to order by."""

    sql: str
    descending: bool = False

    def __str__(self) -> str:
        return f"{self.sql} DESC" if self.descending else self.sql

    def reversed(self, reverse: bool = True) -> "Term":
        return Term(self.sql, self.descending != reverse)


@dataclass(slots=True)
class Statement:
    """What all parts of one SQL statement share: its bound parameters."""

    text: str
    now_ms: int
    bindings: dict[str, Bindable] = field(default_factory=dict)
    _names: dict[tuple[type, Bindable], str] = field(default_factory=dict)

    def bind(self, value: Bindable) -> str:
        """A parameter that stands for the value: no value becomes SQL in any other way."""
        name = self._names.setdefault((type(value), value), f"p{len(self._names)}")
        self.bindings[name] = value
        return f":{name}"

    def column(self, place: Stored) -> str:
        """The bare value of a column."""
        if place.changes:
            changes = self.bind(json.dumps(place.changes))
            return f"groupstore_changed({place.name}, {changes})"
        return place.name

    def rows_of(self, place: Place, *, exact: bool) -> str:
        """A query of no or one row with the value as its cell `c`; of several, the first counts."""
        if isinstance(place, Inner):
            arms = []
            for document in ("tags_json", "fields_json"):
                cell = flux_cells.json_exact(document) if exact else flux_cells.JSON_LOOSE
                arms += [
                    f"SELECT {cell} AS c FROM json_each({document}) WHERE key = {self.bind(key)}"
                    for key in place.keys
                ]
            return " UNION ALL ".join(arms)
        if place is None:
            return "SELECT NULL AS c"
        value = self.column(place)
        if place.kind is Kind.OBJECT:
            value = f"CAST(json({value}) AS BLOB)"
        elif place.kind is Kind.CELL and not exact:
            value = flux_cells.loose(value)
        return f"SELECT {value} AS c"

    def test(self, place: Place, body: Callable[[str], str]) -> str:
        """The expression `body` of the value's loose cell; null where there is no value."""
        return f"(SELECT {body('c')} FROM ({self.rows_of(place, exact=False)}))"

    def exact(self, place: Place) -> str:
        """The exact cell of the value."""
        if isinstance(place, Stored) and place.kind is not Kind.OBJECT:
            return self.column(place)
        return f"(SELECT c FROM ({self.rows_of(place, exact=True)}))"

    def terms(self, place: Place, *, apart: bool = False) -> tuple[Term, ...]:
        """What orders rows by the value; with `apart`, none that differ are equal."""
        if place is None:
            return ()
        if isinstance(place, Stored) and place.kind not in {Kind.OBJECT, Kind.CELL}:
            return (Term(self.column(place)),)
        ranked = (Term(self.test(place, flux_cells.rank)), Term(self.test(place, str)))
        return (*ranked, Term(self.exact(place))) if apart else ranked
