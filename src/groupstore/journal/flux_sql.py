"""Compiles a Flux query to one SQL statement over the journal's table."""

from dataclasses import dataclass
from typing import Any, Final

from groupstore.journal import flux_cells
from groupstore.journal.flux_columns import ENTRY, Kind, Stored
from groupstore.journal.flux_complaint import complaint
from groupstore.journal.flux_functions import register_functions
from groupstore.journal.flux_rows import RowDecoder, decode_entry
from groupstore.journal.flux_stages import Stages
from groupstore.journal.flux_statement import Bindable
from groupstore.journal.flux_tree import Pipeline, Span

__all__ = ["CompiledFlux", "compile_flux", "decode_entry", "register_functions"]

# Characters of a statement. SQLite takes about a second to prepare one as long as that.
_LENGTH: Final = 2_000_000
# Of distinct bound values; SQLite's own limit is 32,766.
_PARAMETERS: Final = 30_000


_TEXTS: Final = frozenset({"bucket_name", "measurement", "fields_json", "tags_json"})


@dataclass(frozen=True, slots=True)
class CompiledFlux:
    """A query ready to be run on a connection that has `register_functions` behind it."""

    sql: str
    bindings: dict[str, Bindable]
    decode_row: RowDecoder
    """Makes a row of the query of one that the SQL gives."""


def compile_flux(pipeline: Pipeline, *, now_ms: int, archives: bool) -> CompiledFlux:
    """The SQL of a query, in which all that it says stands as bound parameters.

    `now_ms` is what `now()` means, in Unix ms. Archived entries are left out unless `archives`.
    Raises QueryError for what makes no sense on the columns that there are, and for a query of
    which SQLite would be asked too much.
    """
    stages = Stages(pipeline, now_ms=now_ms, archives=archives)
    for stage in pipeline.stages:
        stages.apply(stage)
    statement, rows = stages.statement, stages.rows
    entries = rows.carried == ENTRY
    # Texts as blobs: another program's need not be UTF-8.
    selected = [f"CAST({name} AS BLOB)" if name in _TEXTS else name for name in ENTRY]
    if not entries:
        places: list[Any] = [place for _, place in rows.columns.shown]
        selected = [_exported(place) for place in places] or ["NULL"]
    order = rows.all_terms(statement)
    sql = f"{stages.common_tables()}SELECT {', '.join(selected)} FROM {rows.source}"
    sql += rows.conditions()
    if order:
        sql += f" ORDER BY {', '.join(map(str, order))}"
    if len(sql) > _LENGTH or len(statement.bindings) > _PARAMETERS:
        whole = Span(0, len(pipeline.text), 1, 1)
        raise complaint(pipeline.text, whole, "the query asks for too much at once", "less")
    return CompiledFlux(sql, statement.bindings, RowDecoder(rows.columns, entries=entries))


def _exported(place: Stored | None) -> str:
    if place is None:
        return "NULL"
    if place.kind is Kind.TEXT:
        return flux_cells.exported_text(place.name)
    return flux_cells.exported(place.name) if place.kind is Kind.CELL else place.name
