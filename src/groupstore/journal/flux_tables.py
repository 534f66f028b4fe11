"""The rows between two stages of a pipeline, in one table or in several."""

from dataclasses import dataclass

from groupstore.journal.flux_columns import Columns, Place
from groupstore.journal.flux_statement import Statement, Term

Groups = tuple[tuple[str, Place], ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows between two stages, as a query that has not been written yet.

    `carried` are the columns of `source`. `order` is that within each table; `groups` are the
    columns that tell tables apart.
    """

    source: str
    carried: tuple[str, ...]
    columns: Columns
    where: tuple[str, ...] = ()
    order: tuple[Term, ...] = ()
    groups: Groups = ()

    def conditions(self) -> str:
        return f" WHERE {' AND '.join(self.where)}" if self.where else ""

    def group_terms(self, statement: Statement) -> tuple[Term, ...]:
        return tuple(
            term for _, place in self.groups for term in statement.terms(place, apart=True)
        )

    def all_terms(self, statement: Statement) -> tuple[Term, ...]:
        """The order of all rows, table after table."""
        return (*self.group_terms(statement), *self.order)
