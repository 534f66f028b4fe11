"""The stages of a pipeline, each made of the rows before it.

As long as stages only select and sort they add to one plain query over the table, so that SQLite
can use its index; a stage that depends on the order or number of rows makes a table expression of
what there is and goes on from that.
"""

from dataclasses import replace
from typing import Final

from groupstore.errors import QueryError
from groupstore.journal import flux_cells
from groupstore.journal.flux_columns import (
    ENTRY,
    WHOLE,
    Change,
    EntryColumns,
    FlatColumns,
    Kind,
    Place,
    Stored,
    is_reserved,
)
from groupstore.journal.flux_complaint import complaint
from groupstore.journal.flux_predicate import Conditions, is_time
from groupstore.journal.flux_statement import Statement, Term
from groupstore.journal.flux_tables import Groups, Rows
from groupstore.journal.flux_tree import (
    Aggregate,
    Distinct,
    Drop,
    Duration,
    Filter,
    Group,
    Keep,
    Limit,
    Pipeline,
    Range,
    Rename,
    Selector,
    Sort,
    Span,
    Stage,
)

# Expressions that rows are ordered by, and tables told apart by.
_TERMS: Final = 300
_ROWS: Final = 2**62 - 1
_VALUE: Final = "_value"


class Stages:
    """Applies stage after stage to `rows`."""

    def __init__(self, pipeline: Pipeline, *, now_ms: int, archives: bool) -> None:
        self.statement = Statement(pipeline.text, now_ms)
        self._tables: list[str] = []
        where = [f"bucket_name = {self.statement.bind(pipeline.bucket)}"]
        if not archives:
            where.append("archived_at IS NULL")
        is_ranged = any(isinstance(stage, Range) for stage in pipeline.stages)
        # The plus keeps SQLite from reading all in this order where the index finds a few.
        order = Term("+entry_id" if is_ranged else "entry_id")
        self.rows = Rows("journal_entries", ENTRY, WHOLE, tuple(where), (order,))

    def common_tables(self) -> str:
        """The WITH clause of the tables that `rows` builds on."""
        return f"WITH {', '.join(self._tables)} " if self._tables else ""

    def apply(self, stage: Stage) -> None:
        """Go on to the rows after a stage. Raises QueryError where it makes no sense on them."""
        match stage:
            case Range():
                self._range(stage)
            case Filter(predicate=predicate):
                self._where(Conditions(self.statement, self.rows.columns).sql(predicate))
            case Sort():
                self._sort(stage)
            case Limit(count=count, offset=offset, tail=tail):
                self._pick(self._reversed(self.rows.order, tail), count, offset)
            case Selector():
                self._select(stage)
            case Aggregate():
                self._aggregate(stage)
            case Distinct():
                self._distinct(stage)
            case Group():
                self._group(stage)
            case Keep() | Drop() | Rename():
                self._reshape(stage)

    def _wrong(self, at: Span, problem: str, expected: str = "") -> QueryError:
        return complaint(self.statement.text, at, problem, expected)

    def _where(self, *conditions: str) -> None:
        self.rows = replace(self.rows, where=(*self.rows.where, *conditions))

    def _range(self, stage: Range) -> None:
        place = self.rows.columns.place("_time")
        if not (isinstance(place, Stored) and is_time(place)):
            expected = "range before what drops it"
            raise self._wrong(stage.at, "the rows have no column _time any more", expected)
        conditions = Conditions(self.statement, self.rows.columns)
        # Up to now, this millisecond included: what was appended just before is to be found.
        stop = stage.stop or Duration(stage.at, 0, 1_000_000)
        self._where(conditions.since(place, stage.start), conditions.before(place, stop))

    def _sort(self, stage: Sort) -> None:
        terms = dict.fromkeys(
            term.reversed(stage.descending)
            for column in stage.columns
            for term in self.statement.terms(self.rows.columns.place(column.value))
        )
        self._order((*terms, *self.rows.order), stage.at)

    def _order(self, terms: tuple[Term, ...], at: Span) -> None:
        # A second look at the same expression decides nothing.
        distinct: dict[str, Term] = {}
        for term in terms:
            distinct.setdefault(term.sql, term)
        order = tuple(distinct.values())
        if len(order) > _TERMS:
            raise self._wrong(at, "the rows are sorted by too many columns", "fewer")
        self.rows = replace(self.rows, order=order)

    @staticmethod
    def _reversed(terms: tuple[Term, ...], reverse: bool) -> tuple[Term, ...]:
        return tuple([term.reversed(reverse) for term in terms])

    # Tables

    def _table(self, select: str) -> str:
        name = f"stage_{len(self._tables)}"
        self._tables.append(f"{name} AS ({select})")
        return name

    def _pick(self, terms: tuple[Term, ...], count: int, offset: int) -> None:
        """Keep `count` rows of each table after `offset` others, in the order of `terms`."""
        rows, bind = self.rows, self.statement.bind
        carried = ", ".join(rows.carried)
        # No table is longer than SQLite counts, which is true of their sum as well.
        count, offset = min(count, _ROWS), min(offset, _ROWS)
        by = f" ORDER BY {', '.join(map(str, terms))}" if terms else ""
        if not rows.groups:
            limit = f" LIMIT {bind(count)} OFFSET {bind(offset)}"
            select = f"SELECT {carried} FROM {rows.source}{rows.conditions()}{by}{limit}"
            self.rows = replace(rows, source=self._table(select), where=())
            return
        keys = ", ".join(self.statement.exact(place) for _, place in rows.groups)
        number = f"number_{len(self._tables)}"
        window = f"row_number() OVER (PARTITION BY {keys}{by}) AS {number}"
        select = f"SELECT {carried}, {window} FROM {rows.source}{rows.conditions()}"
        limits = (f"{number} > {bind(offset)}", f"{number} <= {bind(offset + count)}")
        self.rows = replace(rows, source=self._table(select), where=limits)

    def _select(self, stage: Selector) -> None:
        place = None if stage.column is None else self.rows.columns.place(stage.column.value)
        if stage.kind in {"first", "last"}:
            if stage.column is not None:
                self._where(self.statement.test(place, lambda c: f"{c} IS NOT NULL"))
            self._pick(self._reversed(self.rows.order, stage.kind == "last"), 1, 0)
            return
        # Null and what is no plain value has no place among the others.
        self._where(f"{self.statement.test(place, flux_cells.rank)} < 4")
        terms = self._reversed(self.statement.terms(place), stage.kind == "max")
        self._pick((*terms, *self.rows.order), 1, 0)

    def _keys(self, stage: Aggregate | Distinct, name: str) -> tuple[list[str], Groups]:
        """The columns of the groups in SQL, named `c0` and so on, and as places in the result."""
        rows = self.rows
        if name in dict(rows.groups):
            at = stage.at if stage.column is None else stage.column.at
            problem = f"the result is named {name!r} like a column of the group"
            raise self._wrong(at, problem, "a group without it")
        keys = [
            f"{self.statement.exact(place)} AS c{index}"
            for index, (_, place) in enumerate(rows.groups)
        ]
        kept: list[tuple[str, Place]] = []
        for index, (group, place) in enumerate(rows.groups):
            is_plain = isinstance(place, Stored) and place.kind is not Kind.OBJECT
            kind = place.kind if is_plain and isinstance(place, Stored) else Kind.CELL
            kept.append((group, Stored(f"c{index}", kind)))
        return keys, tuple(kept)

    def _aggregate(self, stage: Aggregate) -> None:
        rows = self.rows
        name = _VALUE if stage.column is None else stage.column.value
        keys, groups = self._keys(stage, name)
        result = "count(*)"
        if stage.kind != "count":
            cells = self.statement.rows_of(rows.columns.place(name), exact=True)
            # Texts are no numbers, and need not be such as a function can be given.
            cell = f"SELECT iif({flux_cells.is_text('c')}, NULL, c) FROM ({cells})"
            result = f"groupstore_{stage.kind}(({cell}))"
        columns = ", ".join([*keys, f"{result} AS value"])
        select = f"SELECT {columns} FROM {rows.source}{rows.conditions()}"
        if keys:
            select += f" GROUP BY {', '.join(map(str, range(1, len(keys) + 1)))}"
        self._computed(self._table(select), groups, name, ())

    def _distinct(self, stage: Distinct) -> None:
        rows = self.rows
        keys, groups = self._keys(stage, _VALUE)
        place = rows.columns.place(stage.column.value)
        order = ", ".join(map(str, rows.order)) or "NULL"
        columns = ", ".join(
            [
                *keys,
                f"{self.statement.exact(place)} AS value",
                f"row_number() OVER (ORDER BY {order}) AS position",
            ]
        )
        every = self._table(f"SELECT {columns} FROM {rows.source}{rows.conditions()}")
        names = ", ".join([f"c{index}" for index in range(len(keys))] + ["value"])
        # Beside min(), SQLite takes bare columns from the row that has it.
        select = f"SELECT {names}, min(position) AS position FROM {every} GROUP BY {names}"
        self._computed(self._table(select), groups, _VALUE, ("position",))

    def _computed(self, source: str, groups: Groups, name: str, order: tuple[str, ...]) -> None:
        """Go on with rows of the groups' columns and one more, `value`, named `name`."""
        self.rows = Rows(
            source,
            (*[f"c{index}" for index in range(len(groups))], "value", *order),
            FlatColumns((*groups, (name, Stored("value", Kind.CELL)))),
            order=tuple(map(Term, order)),
            groups=groups,
        )

    # Columns

    def _group(self, stage: Group) -> None:
        columns = self.rows.columns
        names = [column.value for column in stage.columns]
        groups = tuple([(name, columns.place(name)) for name in names])
        if isinstance(columns, EntryColumns):
            columns = replace(columns, flat=tuple(names))
        self._regroup(groups, stage.at)
        self.rows = replace(self.rows, columns=columns)

    def _regroup(self, groups: Groups, at: Span) -> None:
        """Other tables of the same rows, which follow each other as the old tables did."""
        if self.rows.groups and groups != self.rows.groups:
            self._order(self.rows.all_terms(self.statement), at)
        self.rows = replace(self.rows, groups=groups)
        if len(self.rows.group_terms(self.statement)) > _TERMS:
            raise self._wrong(at, "the rows are grouped by too many columns", "fewer")

    def _reshape(self, stage: Keep | Drop | Rename) -> None:
        columns = self.rows.columns
        if isinstance(stage, Keep):
            names = {column.value for column in stage.columns}
            self._regroup(
                tuple([group for group in self.rows.groups if group[0] in names]), stage.at
            )
            shown = [(column.value, columns.place(column.value)) for column in stage.columns]
            self.rows = replace(self.rows, columns=FlatColumns(tuple(shown)))
            return
        change: Change
        if isinstance(stage, Drop):
            change = {column.value: None for column in stage.columns}
        else:
            change = {old.value: new.value for old, new in stage.columns}
            self._check_new_names(stage, change)
        groups = tuple(
            (new, place)
            for name, place in self.rows.groups
            if (new := change.get(name, name)) is not None
        )
        if len(groups) < len(self.rows.groups):
            self._regroup(groups, stage.at)
        self.rows = replace(self.rows, groups=groups, columns=columns.changed(change))

    def _check_new_names(self, stage: Rename, change: Change) -> None:
        for _, new in stage.columns:
            problem = ""
            if is_reserved(new.value) and isinstance(self.rows.columns, EntryColumns):
                problem = f"{new.value!r} is a column of every entry"
            if new.value in dict(self.rows.groups) and new.value not in change:
                problem = f"{new.value!r} is a column that the rows are grouped by"
            if problem:
                raise self._wrong(new.at, problem, "another new name")
