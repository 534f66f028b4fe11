"""Templates: Jinja2's language and Go's field form, safe to render whoever wrote them.

    render("{{ .host }}:{{ port }}", {"host": "example.org", "port": "80"}, strict=True)

Text becomes tokens with Go's actions turned into Jinja2's (`lexing`, `go_form`), is parsed, checked
against what is allowed (`checking`), and compiled to code (`compiling`) that does nothing but
through a `Rendering` (`context`): it alone knows what values there are and counts what they take.
"""

from collections.abc import Generator, Mapping

from jinja2.exceptions import SecurityError

from groupstore.errors import TemplateError
from groupstore.template.cache import Cache
from groupstore.template.compiling import Compiled
from groupstore.template.context import Rendering
from groupstore.template.limits import check_size, check_text, utf8_size

__all__ = ["render"]

_DELIMITERS = ("{{", "{%", "{#")
# Pieces of the output to be collected before they are made one text.
_PIECES = 4096
_MESSAGE_LENGTH = 300

_cache = Cache()
_cache.survive_forks()


def render(template: str, entries: Mapping[str, str | bytes], *, strict: bool) -> str:
    """Render a template with `entries` as its variables, `bytes` read as UTF-8.

    The variables of `{{ name }}` are the entries, then the function `range`; `{{ .name }}`,
    `{{ index . "any name" }}` and `{{ entries["any name"] }}` always are entries. One that is
    missing renders as `<no value>`; with `strict`, to use it is an error, but for the test
    `defined` and the filter `default`. Text outside of actions stays as it is, nothing is escaped.

    Of Jinja2 there are the statements `if`, `for`, `set`, `macro`, `call`, `filter`, `with` and
    `raw`, the filters and tests that are safe, and the methods of text and mappings that are.
    A name that has a meaning in Go's templates only (`end`, `else`), or that Jinja2 reserves, can
    be had as `{{ .end }}`; white space before a dot is Go's, too.

    Raises TemplateError, with the line, for what is wrong with the template, fails in it, or is
    more than it may use: a million steps, 16 MiB for the output or any text, integers of 4,096
    bits, templates of 25,000 tokens (of which `{{ name }}` is three). Raises TypeError where
    `template` is no `str`.
    """
    if not isinstance(template, str):
        raise TypeError(f"render: a template is a str, not {type(template).__name__}")
    compiled = None
    try:
        check_size(template)
        if not any(delimiter in template for delimiter in _DELIMITERS):
            return template
        compiled = _cache.get(template)
        return _collect(compiled.root(Rendering(entries, strict=strict)))
    except Exception as error:
        failure, cause = _failure(error, compiled), error
    # What a failed template has made is in the frames of its traceback, and would live on there.
    raise failure from cause.with_traceback(None)


def _collect(output: Generator[tuple[str, ...]]) -> str:
    """The output as one text, given up as soon as it is too long."""
    chunks: list[str] = []
    recent: list[str] = []
    size = 0
    for pieces in output:
        try:
            check_text(size + sum(map(len, pieces)))
            text = "".join(pieces)
            size += utf8_size(text)
            check_text(size)
        except SecurityError as error:
            # There it gets its line.
            output.throw(error)
            raise
        recent.append(text)
        if len(recent) >= _PIECES:
            chunks.append("".join(recent))
            recent.clear()
    return "".join((*chunks, *recent))


def _failure(error: Exception, compiled: Compiled | None) -> TemplateError:
    line: int | None = getattr(error, "lineno", None)
    if compiled is not None:
        line = compiled.line_of(error.__traceback__)
    if isinstance(error, RecursionError):
        reason = "nested too deeply"
    else:
        # Jinja2's syntax errors print their line and source as well.
        message = getattr(error, "message", None) or str(error) or type(error).__name__
        reason = message[:_MESSAGE_LENGTH]
    where = "" if line is None else f"line {line}: "
    failure = TemplateError(f"render: {where}{reason}")
    failure.line = line
    return failure
