"""Expressions as the grammar reads them, before a call has given them a meaning."""

from dataclasses import dataclass

from groupstore.journal.flux_tree import (
    Boolean,
    Column,
    Comparison,
    Duration,
    Exists,
    Junction,
    Match,
    Not,
    Number,
    Regexp,
    Span,
    String,
    Time,
)


@dataclass(frozen=True, slots=True)
class Argument:
    """`name: value` of a call."""

    name: String
    value: "Expression"


@dataclass(frozen=True, slots=True)
class Call:
    """`name(arguments)`; `at` is the name alone."""

    at: Span
    name: str
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Array:
    """`[items]`."""

    at: Span
    items: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Record:
    """`{name: value}`."""

    at: Span
    entries: tuple[tuple[String, "Expression"], ...]


@dataclass(frozen=True, slots=True)
class Function:
    """`(parameter) => body`."""

    at: Span
    body: "Expression"


Expression = (
    String
    | Number
    | Boolean
    | Time
    | Duration
    | Regexp
    | Column
    | Comparison
    | Match
    | Exists
    | Not
    | Junction
    | Call
    | Array
    | Record
    | Function
)

KINDS: dict[type, str] = {
    String: "a string",
    Number: "a number",
    Boolean: "a boolean",
    Time: "a time",
    Duration: "a duration",
    Regexp: "a regular expression",
    Column: "a column",
    Comparison: "a comparison",
    Match: "a comparison",
    Exists: "a comparison",
    Not: "a comparison",
    Junction: "a comparison",
    Call: "a call",
    Array: "a list",
    Record: "a record",
    Function: "a function",
}
"""What messages call each."""
