"""The tree of a query, made of the one that the grammar gives, from its leaves upwards."""

from typing import Final, Literal, NoReturn, cast

from lark import ParseTree, Token
from lark.visitors import Transformer_NonRecursive, v_args

from groupstore.errors import QueryError
from groupstore.journal import flux_calls, flux_literals, flux_regexp
from groupstore.journal.flux_complaint import complaint, within
from groupstore.journal.flux_expression import (
    KINDS,
    Argument,
    Array,
    Call,
    Expression,
    Function,
    Record,
)
from groupstore.journal.flux_tree import (
    Boolean,
    Column,
    Comparator,
    Comparison,
    Duration,
    Exists,
    Junction,
    Match,
    Not,
    Number,
    Pipeline,
    Predicate,
    Regexp,
    Scalar,
    Span,
    String,
    Time,
)

# Parentheses, `not`, and changes between `and` and `or` inside each other: well within what
# SQLite and Python's recursion allow.
DEPTH: Final = 100
# Comparisons and other conditions in all filters together.
CONDITIONS: Final = 1000

_MIRRORED: Final[dict[str, Comparator]] = {
    "==": "==",
    "!=": "!=",
    "<": ">",
    "<=": ">=",
    ">": "<",
    ">=": "<=",
}
_COMPARED: Final = (String, Number, Boolean, Time, Duration, Column)


def span_of(token: Token) -> Span:
    """Where a token stands."""
    assert token.start_pos is not None
    assert token.end_pos is not None
    assert token.line is not None
    assert token.column is not None
    return Span(token.start_pos, token.end_pos, token.line, token.column)


@v_args(inline=True)
class Reader(Transformer_NonRecursive[Token, Pipeline]):
    """Has one method for each rule of the grammar; to be used for one text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text
        self._members: list[tuple[str, Span]] = []
        self._conditions = 0

    def read(self, tree: ParseTree) -> Pipeline:
        """The tree of the text. Raises lark's VisitError with a QueryError inside it."""
        # What is wrong with a call that there is not would be said first.
        for call in cast(list[ParseTree], tree.children[1:]):
            name = cast(Token, call.children[0])
            flux_calls.check_name(self._text, str(name), span_of(name))
        return self.transform(tree)

    def _wrong(self, at: Span, problem: str, expected: str = "") -> QueryError:
        return complaint(self._text, at, problem, expected)

    def start(self, first: Call, *rest: Call) -> Pipeline:
        bucket = flux_calls.bucket_of(self._text, first)
        if len(rest) > flux_calls.STAGES:
            at = rest[flux_calls.STAGES].at
            most = flux_calls.STAGES
            raise self._wrong(at, f"more than {most} stages", f"at most {most}")
        stages = tuple(flux_calls.stage_of(self._text, call) for call in rest)
        return Pipeline(self._text, bucket, stages)

    def call(self, name: Token, *arguments: Argument) -> Call:
        return Call(span_of(name), str(name), arguments)

    def argument(self, name: Token, value: Expression) -> Argument:
        return Argument(String(span_of(name), str(name)), self._value(value))

    def _value(self, value: Expression) -> Expression:
        """The value, `now()` and `time()` resolved: all other calls stand in a pipeline."""
        if isinstance(value, Call):
            return flux_calls.instant_of_call(self._text, value)
        return value

    def function(self, parameter: Token, body: Expression) -> Function:
        span = span_of(parameter)
        for record, at in self._members:
            if at.start > span.start and record != parameter:
                raise self._wrong(at, f"unknown name {record!r}", f"{parameter}.<column>")
        self._members.clear()
        return Function(span, self._value(body))

    def variable(self, name: Token) -> NoReturn:
        problem = f"{str(name)!r} stands alone, variables are not supported"
        raise self._wrong(span_of(name), problem, "a value")

    def array(self, opening: Token, *parts: Expression | Token) -> Array:
        items = [self._value(part) for part in parts if not isinstance(part, Token)]
        return Array(span_of(opening).to(span_of(cast(Token, parts[-1]))), tuple(items))

    def record(self, opening: Token, *parts: tuple[String, Expression] | Token) -> Record:
        entries = [part for part in parts if not isinstance(part, Token)]
        return Record(span_of(opening).to(span_of(cast(Token, parts[-1]))), tuple(entries))

    def entry(self, name: Token, value: Expression) -> tuple[String, Expression]:
        key = self.string(name) if name.type == "STRING" else String(span_of(name), str(name))
        return key, self._value(value)

    # Conditions

    def disjunction(self, *operands: Expression) -> Junction:
        return self._junction("or", operands)

    def conjunction(self, *operands: Expression) -> Junction:
        return self._junction("and", operands)

    def _junction(self, word: Literal["and", "or"], operands: tuple[Expression, ...]) -> Junction:
        made = tuple(self._predicate(operand) for operand in operands)
        at = made[0].at.to(made[-1].at)
        return Junction(at, word, made, self._depth(at, made))

    def negated(self, word: Token, operand: Expression) -> Not:
        made = self._predicate(operand)
        at = span_of(word).to(made.at)
        return Not(at, made, self._depth(at, (made,)))

    def _predicate(self, value: Expression) -> Predicate:
        return flux_calls.as_predicate(self._text, self._value(value))

    def _depth(self, at: Span, operands: tuple[Predicate, ...]) -> int:
        depth = 1 + max(getattr(operand, "depth", 0) for operand in operands)
        if depth > DEPTH:
            problem = f"conditions nested more than {DEPTH} deep"
            raise self._wrong(at, problem, f"at most {DEPTH}")
        return depth

    def exists(self, word: Token, column: Column) -> Exists:
        self._count(column.at)
        return Exists(span_of(word).to(column.at), column)

    def compared(self, left: Expression, comparator: Token, right: Expression) -> Comparison:
        left, right = self._value(left), self._value(right)
        self._count(left.at)
        at = left.at.to(right.at)
        for value in (left, right):
            if not isinstance(value, _COMPARED):
                expected = "a column, string, number, boolean or time"
                raise self._wrong(value.at, f"{KINDS[type(value)]} cannot be compared", expected)
            if isinstance(value, Boolean) and comparator not in {"==", "!="}:
                raise self._wrong(value.at, f"{comparator} does not order booleans", "== or !=")
        if isinstance(left, Column):
            return Comparison(at, left, cast(Comparator, str(comparator)), cast(Scalar, right))
        if isinstance(right, Column):
            return Comparison(at, right, _MIRRORED[comparator], cast(Scalar, left))
        raise self._wrong(at, "a comparison of two constants", "a column on one side")

    def matched(self, column: Expression, matcher: Token, regexp: Expression) -> Match:
        self._count(column.at)
        if not isinstance(column, Column):
            problem = f"{KINDS[type(column)]} before {matcher}"
            raise self._wrong(column.at, problem, "a column")
        if not isinstance(regexp, Regexp):
            problem = f"{KINDS[type(regexp)]} after {matcher}"
            raise self._wrong(regexp.at, problem, "a regular expression between slashes (/^a/)")
        return Match(column.at.to(regexp.at), column, regexp, matcher == "!~")

    def _count(self, at: Span) -> None:
        self._conditions += 1
        if self._conditions > CONDITIONS:
            raise self._wrong(at, f"more than {CONDITIONS} conditions", f"at most {CONDITIONS}")

    # Columns and literals

    def member(self, record: Token, name: Token) -> Column:
        value = self.string(name).value if name.type == "STRING" else str(name)
        at = span_of(record).to(span_of(name))
        self._members.append((str(record), at))
        return Column(at, value)

    def string(self, token: Token) -> String:
        at = span_of(token)
        try:
            return String(at, flux_literals.read_string(token))
        except flux_literals.LiteralError as error:
            raise self._of_literal(at, error) from None

    def _of_literal(self, at: Span, error: flux_literals.LiteralError) -> QueryError:
        piece = within(self._text, at, error.start, error.end)
        return self._wrong(piece, error.problem, error.expected)

    def number(self, *tokens: Token) -> Number | Duration:
        token = tokens[-1]
        negative = len(tokens) > 1
        at = span_of(tokens[0]).to(span_of(token))
        sign = -1 if negative else 1
        try:
            if token.type == "DURATION":
                months, nanoseconds = flux_literals.read_duration(token)
                return Duration(at, sign * months, sign * nanoseconds)
            if token.type == "INTEGER":
                return Number(at, sign * flux_literals.read_integer(token))
            if token.type == "FLOAT":
                return Number(at, sign * flux_literals.read_float(token))
        except flux_literals.LiteralError as error:
            raise self._wrong(at, error.problem, error.expected) from None
        expected = "digits, or a duration with the units y mo w d h m s ms us ns"
        raise self._wrong(at, f"{str(token)[:40]!r} is no number", expected)

    def time(self, token: Token) -> Time:
        at = span_of(token)
        try:
            return Time(at, flux_literals.read_time(token))
        except flux_literals.LiteralError as error:
            expected = "a time like 2024-05-01T00:00:00Z"
            raise self._wrong(at, error.problem, expected) from None

    def true(self, token: Token) -> Boolean:
        return Boolean(span_of(token), True)

    def false(self, token: Token) -> Boolean:
        return Boolean(span_of(token), False)

    def regexp(self, token: Token) -> Regexp:
        at = span_of(token)
        pattern = str(token)[1:-1]
        try:
            flux_regexp.compiled(pattern)
        except flux_regexp.PatternError as error:
            start = 1 + error.start
            piece = within(self._text, at, start, start + 1)
            raise self._wrong(piece, error.problem, error.expected) from None
        return Regexp(at, pattern)
