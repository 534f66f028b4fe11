"""Regular expressions match what RE2's would, in linear time."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groupstore.journal.flux_regexp import Automaton, PatternError

leaves = st.sampled_from(
    ["a", "b", "A", "1", r"\.", ".", "[ab]", "[^a]", "[a-c1]", r"[\d_]", r"\w", r"\W", r"\d", r"\s"]
    + [r"\b", "^", "$", r"\A", "\n", r"\x61", "é", "[]a]", "[a-]", r"[\]^]"]
)
patterns = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds("{}{}".format, inner, inner),
        st.builds("(?:{}|{})".format, inner, inner),
        st.builds(
            "({}){}".format, inner, st.sampled_from(["*", "+", "?", "{0,2}", "{2}", "{1,}?"])
        ),
        inner.map("(?i:{})".format),
    ),
    max_leaves=8,
)


@given(
    patterns,
    st.sampled_from(["", "(?i)", "(?m)", "(?s)", "(?ms)"]),
    st.lists(st.text("abcA1._ \né-]^", max_size=8), max_size=5),
)
def test_the_same_as_re(pattern: str, flags: str, texts: list[str]) -> None:
    """A pattern that Python's `re` knows as well matches the same texts."""
    automaton = Automaton(flags + pattern)
    # At the end of a text, `$` of RE2 does not look past a newline.
    ours = pattern if "m" in flags else pattern.replace("$", r"\Z")
    python = re.compile(flags + ours, re.ASCII)
    for text in texts:
        assert automaton.search(text) == (python.search(text) is not None), text


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("", "", True),
        # Python agrees from 3.14 on.
        (r"\B", "", True),
        (r"a\Bb", "ab", True),
        (r"a\B-", "a-", False),
        ("^$", "\n", False),
        ("a$", "a\n", False),
        (r"a\z", "a", True),
        ("[[:alpha:]]+[[:^digit:]]", "a-", True),
        ("[[:digit:]]", "a", False),
        (r"\d", "٣", False),
        (r"\w", "é", False),
        ("É", "é", False),
        ("(?i)É", "é", True),
        (r"\x{1F600}", "😀", True),
        (r"\/", "/", True),
        ("(?P<name>a)(?<other>b)", "ab", True),
        ("(?U)a+?", "a", True),
        ("a{,2}", "a{,2}", True),
        ("x{", "x{", True),
        ("(|a)b", "b", True),
        ("(a*)*b", "aaab", True),
        ("(?-s).", "\n", False),
    ],
)
def test_syntax_of_its_own(pattern: str, text: str, matches: bool) -> None:
    """What RE2 has that Python has not, or takes otherwise."""
    assert Automaton(pattern).search(text) is matches


@pytest.mark.parametrize(
    ("pattern", "problem", "start"),
    [
        ("a(", "a ( without its )", 1),
        ("a)", "a ) without its (", 1),
        ("[a", "a [ without its ]", 0),
        ("*a", "* repeats nothing", 0),
        ("a**", "a repetition of a repetition", 2),
        ("a*+", "a repetition of a repetition", 2),
        ("a{2}{3}", "a repetition of a repetition", 4),
        ("a{3,2}", "{3,2} is no repetition", 1),
        ("a{1001}", "{1001} is no repetition", 1),
        ("a(?=b)", "a group that is not supported", 1),
        ("(?<!b)", "a group that is not supported", 0),
        ("(?>a)", "a group that is not supported", 0),
        (r"(a)\1", r"unknown escape \1", 3),
        (r"\pL", r"unknown escape \p", 0),
        ("\\", "unknown escape \\", 0),
        ("[z-a]", "a range out of order", 1),
        (r"[\d-z]", "a range out of order", 1),
        ("[[:foo:]]", "unknown class [:foo:]", 1),
        ("(" * 60 + ")" * 60, "groups nested more than 50 deep", 51),
        ("a" * 1001, "a regular expression of more than 1000 characters", 1000),
        ("((a{100}){100}){100}", "a regular expression that is too large", 0),
        ("((((){1000}){1000}){1000}){1000}", "a regular expression that is too large", 0),
    ],
)
def test_what_is_wrong(pattern: str, problem: str, start: int) -> None:
    """What RE2 refuses is refused, where it stands; and what would make too large an automaton."""
    with pytest.raises(PatternError) as caught:
        Automaton(pattern)
    assert caught.value.problem.startswith(problem)
    assert caught.value.start == start


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "^(a|aa)+$", "^a*a*a*a*a*a*b$"])
def test_no_pattern_is_catastrophic(pattern: str) -> None:
    """What takes Python's `re` time exponential in the text is done at once."""
    assert not Automaton(pattern).search("a" * 100_000 + "!")


def test_it_forgets_and_goes_on() -> None:
    """An automaton that has met more states than it keeps gives the same answers."""
    automaton = Automaton("(a|b)*a(a|b){12}$")
    for number in range(2**13):
        text = f"{number:013b}".replace("0", "a").replace("1", "b")
        assert automaton.search(text) == (text[0] == "a")
