"""Formatting, translating between dialects, renaming."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratoon.platform.formulas.parse import parse
from ratoon.platform.formulas.write import Writer, format_formula, translate


@pytest.mark.parametrize(
    ("source", "formatted"),
    [
        ("if(a>1,'x',\"y\")", 'IF(a > 1, "x", "y")'),
        ("((a+b))*c", "(a + b) * c"),
        ("a+(b*c)", "a + b * c"),
        ("a-(b-c)", "a - (b - c)"),
        ("!(a&&b)||c", "!(a && b) || c"),
        ("-a^2", "-a ^ 2"),
        ("a==b", "a = b"),
        ("{!account.name}", "account.name"),
        ("1.50", "1.50"),
        ("/* why */ a+b", "/* why */ a+b"),
        ("today ( )", "TODAY()"),
    ],
)
def test_there_is_one_canonical_form(source: str, formatted: str) -> None:
    assert format_formula(source) == formatted
    assert format_formula(formatted) == formatted


def test_long_calls_get_a_line_for_each_argument() -> None:
    source = f'IF(AND({", ".join(["active"] * 10)}), "{"x" * 30}", "{"y" * 30}")'
    formatted = format_formula(source)
    assert formatted.startswith("IF(\n  AND(")
    assert max(len(line) for line in formatted.splitlines()) <= 100
    assert format_formula(formatted) == formatted


def test_a_translation_keeps_the_meaning(deal: Any) -> None:
    for source in ("2 * 3 ^ 2", "-2 ^ 2", "2 ^ 3 ^ 2", "2 ^ 3 * 2 + 1"):
        native = translate(source, "salesforce", "native")
        assert deal.value(native) == deal.value(source, dialect="salesforce")
        back = translate(native, "native", "salesforce")
        assert deal.value(back, dialect="salesforce") == deal.value(native)


OPERATORS = st.sampled_from(["+", "-", "*", "/", "^", "&", "=", "<>", "<", "&&", "||"])
TREES = st.recursive(
    st.sampled_from(["a", "1", '"t"', "TRUE", "-b", "b.c"]),
    lambda inner: st.one_of(
        st.tuples(inner, OPERATORS, inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
        st.tuples(st.sampled_from(["-", "!", "+"]), inner).map(lambda p: f"{p[0]}({p[1]})"),
        st.lists(inner, max_size=3).map(lambda p: f"F({', '.join(p)})"),
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(TREES, st.sampled_from(["native", "salesforce"]))
def test_format_parse_format_is_stable(source: str, dialect: Any) -> None:
    once = format_formula(source, dialect)
    assert format_formula(once, dialect) == once
    other: Any = "salesforce" if dialect == "native" else "native"
    there = translate(source, dialect, other)
    assert translate(there, other, dialect) == Writer(dialect).lines(parse(source, dialect))
