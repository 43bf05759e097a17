"""Parsing: precedence of both dialects, refusals with their place, budgets, and fuzzing."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas.parse import MAX_DEPTH, MAX_LENGTH, parse
from ratoon.platform.formulas.pointing import describe, point


def refused(source: str, dialect: Any = "native") -> FormulaError:
    with pytest.raises(FormulaError) as caught:
        parse(source, dialect)
    return caught.value


@pytest.mark.parametrize(
    ("source", "native", "salesforce"),
    [
        ("2 * 3 ^ 2", "18", "36"),
        ("-2 ^ 2", "-4", "4"),
        ("2 ^ 3 ^ 2", "512", "64"),
        ("10 - 4 - 3", "3", "3"),
        ("2 + 3 * 4", "14", "14"),
        ("(2 + 3) * 4", "20", "20"),
        ("7 - -2", "9", "9"),
        ("2 ^ -1", "0.5", "0.5"),
        (".40 + 1.", "1.40", "1.40"),
    ],
)
def test_each_dialect_has_its_precedence(deal: Any, source: str, native: str, salesforce: str) -> None:
    assert str(deal.value(source)) == native
    assert str(deal.value(source, dialect="salesforce")) == salesforce


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("'it' & \"em\"", "item"),
        (r'"a \"b\" \\ c" & "\n"', 'a "b" \\ c\n'),
        ("/* first */ {!name} /* last */", "Acme"),
        ("NAME & Name & name", "AcmeAcmeAcme"),
        ("len ( NAME )", 4),
        ("account . name", "Acme Holding"),
        ('TRUE && !FALSE || name == "x"', True),
        ('name != "x"', True),
        ("quantity\n  + 1", 8),
    ],
)
def test_formulas_may_be_written_as_admins_know_them(deal: Any, source: str, value: Any) -> None:
    assert deal.value(source) == value


@pytest.mark.parametrize(
    ("source", "code", "position"),
    [
        ("", "empty", 0),
        ("   ", "empty", 0),
        ("1 +", "syntax", 3),
        ("(1 + 2", "syntax", 6),
        ("1 2", "syntax", 2),
        ("IF(1,,2)", "syntax", 5),
        ("1 # 2", "syntax", 2),
        ('name = "abc', "unclosed_text", 7),
        ("1 /* never closed", "unclosed_comment", 2),
        ("amount\u200b > 1", "invisible_character", 6),
        ("amount\u00a0> 1", "invisible_character", 6),
        ("name = “x”", "lookalike_character", 7),
        ("amount − 1", "lookalike_character", 7),
        ("IF(active，1, 2)", "lookalike_character", 9),
    ],
)
def test_a_refusal_says_where(source: str, code: str, position: int) -> None:
    error = refused(source)
    assert (error.error_code, error.position) == (code, position)


def test_an_error_is_shown_as_its_line_with_a_caret() -> None:
    source = "IF(active,\n  1 +,\n  2)"
    assert describe(source, refused(source)).endswith("(line 2, column 6)\n  1 +,\n     ^")
    assert point('"客户" + x', 7) == '"客户" + x\n         ^'


@pytest.mark.parametrize(
    "source",
    [
        "1" * (MAX_LENGTH + 1),
        "(" * 5000 + "1" + ")" * 5000,
        "ABS(" * 2000 + "1" + ")" * 2000,
        "-" * 5000 + "1",
        "1" + "+1" * 4000,
        "2^" * 3000 + "2",
    ],
)
def test_too_long_and_too_deep_formulas_are_refused(source: str) -> None:
    assert refused(source).error_code in ("too_long", "too_deep")


def test_long_chains_of_text_and_conditions_are_not_deep(deal: Any) -> None:
    assert deal.value(" & ".join(['"a"'] * 500)) == "a" * 500
    assert deal.value(" && ".join(["active"] * 500)) is True
    assert len("IF(" * MAX_DEPTH) < MAX_LENGTH


@pytest.mark.parametrize(
    "source",
    [
        "9^9^9^9",
        "EXP(10^20)",
        'REPEAT(REPEAT("abcdefghij", 10000), 100000)',
        'SUBSTITUTE(REPEAT("a", 5000), "a", REPEAT("b", 5000))',
        'LPAD("a", 10^9, "b")',
        "DATE(2026, 1, 1) + 10^9",
        "NOW() + 10^12",
        "ADDMONTHS(TODAY(), 10^9)",
        "CHR(10^9)",
        "MOD(10^300, 0.0000001)",
        'VALUE("1e999") * VALUE("1e999")',
    ],
)
def test_hostile_values_end_with_an_error_in_milliseconds(deal: Any, source: str) -> None:
    started = time.perf_counter()
    with pytest.raises(FormulaError):
        deal.value(source)
    assert time.perf_counter() - started < 1


PIECES = st.lists(
    st.sampled_from(
        [
            "IF",
            "AND",
            "(",
            ")",
            ",",
            "+",
            "-",
            "*",
            "^",
            "&",
            "&&",
            "=",
            "<>",
            "!",
            "amount",
            "account.name",
            "$user.id",
            '"',
            "'",
            '"a"',
            "1",
            ".5",
            "/*",
            "*/",
            "{!",
            "}",
            ".",
            " ",
            "\n",
            "\\",
            "NULL",
            "TRUE",
            "客",
            "\u200b",
            "%%%",
            ":",
        ]
    ),
    max_size=30,
)


@settings(max_examples=400, deadline=None)
@example("{!")
@example("a" * 9000)
@given(st.one_of(st.text(max_size=60), PIECES.map("".join)))
def test_whatever_is_written_is_compiled_or_refused_with_a_formula_error(deal: Any, source: str) -> None:
    for dialect in ("native", "salesforce"):
        try:
            deal.value(source, dialect=dialect)
        except FormulaError as error:
            if error.position is not None:
                point(source, error.position)
