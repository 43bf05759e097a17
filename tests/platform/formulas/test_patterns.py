"""Regular expressions: the answers of Python's engine, in bounded time."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas.automaton import compile_automaton, run
from ratoon.platform.formulas.patterns import for_postgresql, matches, parse_pattern

PATTERNS = [
    "a",
    "ab|c",
    "(a|ab)(c|bcd)",
    "a*b?",
    "[a-c]+",
    "[^a]",
    "(ab){1,2}",
    ".",
    "a.c",
    "^ab$",
    "\\d+",
    "(a*)+b",
    "(?:a|b)*c",
    "",
]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(PATTERNS), st.sampled_from(PATTERNS), st.text("abc1\n", max_size=8))
def test_the_automaton_answers_as_pythons_engine(first: str, second: str, text: str) -> None:
    for pattern in (first, f"{first}{second}" if "^" not in first + second else first):
        wanted = re.fullmatch(pattern, text) is not None
        assert run(compile_automaton(parse_pattern(pattern)), text) == wanted
        assert matches(pattern, text) == wanted


@pytest.mark.parametrize(
    ("pattern", "text"),
    [("(a+)+b", "a" * 5000), ("(a|a)*b", "a" * 5000), ("(a*)*(a*)*b", "a" * 2000), (".*.*.*.*x", "a" * 5000)],
)
def test_dangerous_patterns_end_in_time(pattern: str, text: str) -> None:
    started = time.perf_counter()
    assert not matches(pattern, text)
    assert time.perf_counter() - started < 3


@pytest.mark.parametrize(
    ("pattern", "code"), [("((", "bad_pattern"), ("a" * 2000, "slow_pattern"), (r"((a+)\2)+b", "slow_pattern")]
)
def test_what_cannot_run_is_refused(pattern: str, code: str) -> None:
    with pytest.raises(FormulaError) as caught:
        matches(pattern, "aaa")
    assert caught.value.error_code == code


def test_patterns_are_said_in_postgresqls_words_where_that_is_possible(deal: Any) -> None:
    assert for_postgresql("a.c") == r"^(?:a[^\n]c)$"
    assert for_postgresql(r"(a)\1") is None
    assert for_postgresql("(?i)a") is None
    assert deal.compiled("REGEX(name, code)").sql_refusal is not None
