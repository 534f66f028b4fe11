"""Compiled queries give what a plain evaluation of the same query gives, on any journal."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from groupstore import QueryError
from groupstore.journal.flux_parser import parse
from journal.flux_journal import NOW_MS, Journal, entries, pipelines
from journal.flux_model import Model


def same(left: Any, right: Any) -> bool:
    """Whether results are equal, and booleans booleans."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right)
    return bool(left == right)


# The language is too wide for the few examples that other tests make do with.
@settings(max_examples=max(300, settings.default.max_examples))
@given(st.lists(entries, min_size=3, max_size=12), pipelines, st.booleans())
def test_any_query_on_any_journal(
    journal_entries: list[dict[str, Any]], stages: str, archives: bool
) -> None:
    """The SQL of any pipeline gives the rows of the model, in the same order."""
    journal = Journal(*journal_entries)
    text = f'from(bucket: "store"){stages}'
    try:
        rows = journal.query(text, archives=archives)
    except QueryError as error:
        event(f"refused: {str(error).splitlines()[0].partition(',')[0]}"[:60])
        return
    model = Model(
        [
            entry
            for entry in journal.entries
            if entry["bucket_name"] == "store" and (archives or entry["archived_at"] is None)
        ],
        NOW_MS,
    )
    for stage in parse(text).stages:
        model.apply(stage)
    event(f"{min(len(rows), 3)} rows")
    assert same(rows, model.result()), (rows, model.result())
