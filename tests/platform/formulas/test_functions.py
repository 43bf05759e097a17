"""Every function: documented, and its examples executed on every back end; the traps of the language one by one."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pytest

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas import builtin_functions
from ratoon.platform.formulas.batch import write_value
from ratoon.platform.formulas.reference import reference_page
from ratoon.platform.formulas.types import EvalContext

EXAMPLES = [(f.name, formula, result) for f in builtin_functions() for formula, result in f.examples]
WITHOUT_EXAMPLE = {
    "ISCHANGED",
    "PRIORVALUE",
    "ISPICKVAL",
    "INCLUDES",
    "PICKLISTCOUNT",
    "GEOLOCATION",
    "^whole",
    "LABEL",
}


@pytest.mark.parametrize(("name", "formula", "result"), EXAMPLES)
def test_an_example_gives_what_the_reference_says(deal: Any, name: str, formula: str, result: Any) -> None:
    assert write_value(deal.value(formula)) == result


def test_every_function_has_a_doc_and_an_example() -> None:
    assert not [f.name for f in builtin_functions() if not f.doc]
    assert {f.name for f in builtin_functions() if not f.examples} == WITHOUT_EXAMPLE


def test_the_reference_page_has_every_function() -> None:
    page = reference_page(builtin_functions())
    for name in builtin_functions().names():
        assert f"### {name}\n" in page
    assert "- `ROUND(2.345, 2)` gives `2.35`" in page


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("FLOOR((1/9)*9)", 1),
        ("(1/3)*3 = 1", True),
        ("10/4", Decimal("2.5")),
        ("MOD(-7.5, 2)", Decimal("-1.5")),
        ("CEILING(-2.1)", -3),
        ("FLOOR(-2.9)", -2),
        ('CASE(NULL, NULL, "blank", "else")', "else"),
        ('"" = NULL', True),
        ('code <> ""', True),
        ('IF(NOT(NULL), "t", "f")', "f"),
        ('NULLVALUE("", "x")', None),
        ('BLANKVALUE("", "x")', "x"),
        ('LEFT("abc", -1)', None),
        ('MID("abcdef", 0, 2)', "ab"),
        ('RIGHT("abc", 9)', "abc"),
        ("ends_on - starts_on", 334),
        ("starts_on + 1.9", date(2026, 2, 1)),
        ("TEXT(seen_at)", "2026-11-20 18:15:30Z"),
        ("DATEVALUE(seen_at)", date(2026, 11, 21)),
        ("TODAY()", date(2026, 11, 22)),
        ("$today = TODAY()", True),
        ("TIMEVALUE(\"23:30:00\") + 3600000", time(0, 30)),
        ("HOUR(opens) * 60 + MINUTE(opens)", 510),
        ("seen_at + 0.5", datetime.fromisoformat("2026-11-21T06:15:30+00:00")),
        ("ADDMONTHS(starts_on, 1)", date(2026, 2, 28)),
        ("ADDMONTHS(DATE(2026, 2, 28), 1)", date(2026, 3, 31)),
        ('INCLUDES(tags, "c") && NOT(INCLUDES(tags, "b"))', True),
        ("PICKLISTCOUNT(tags)", 2),
        ("IN(stage, 'won', 'lost')", True),
        ("IFERROR(1/0, -1)", -1),
        ("$user.id = owner", True),
        ("$organization.currency", "EUR"),
        ("BUSINESSDAYS(DATE(2026, 11, 21), DATE(2026, 11, 22))", 0),
        ("IFS(amount > 5000, 'big', amount > 1000, 'medium', 'small')", "medium"),
    ],
)  # fmt: skip
def test_the_traps_of_the_language(deal: Any, source: str, value: Any) -> None:
    assert deal.value(source) == value


@pytest.mark.parametrize(
    ("source", "blank", "zero"),
    [
        ("amount + 1", None, 1),
        ("amount > -1", False, True),
        ("NOT(amount > 5)", False, True),
        ("amount = 0", False, True),
        ("ISBLANK(amount)", True, False),
        ("BLANKVALUE(amount, 5)", 5, 0),
        ("amount * 2 = 0", False, True),
        ("IF(amount < 1, 1, 2)", 2, 1),
        ("active", False, False),
        ("NOT(active)", True, True),
        ('name & "x"', "x", "x"),
        ("LEN(name)", 0, 0),
        ("starts_on + 1", None, None),
        ("OR(amount > 1, TRUE)", True, True),
        ("MAX(amount, 3)", None, 3),
    ],
)
def test_blank_numbers_stay_blank_or_count_as_zero(deal: Any, source: str, blank: Any, zero: Any) -> None:
    assert deal.value(source, deal.blank) == blank
    assert deal.value(source, deal.blank, blanks="zero") == zero


@pytest.mark.parametrize(
    "source", ["1/0", "SQRT(-1)", "LN(0)", 'VALUE("x")', "DATE(2026, 2, 30)", 'DATEVALUE("x")', "(-8)^0.5"]
)
def test_what_cannot_be_computed_is_a_formula_error(deal: Any, source: str) -> None:
    with pytest.raises(FormulaError):
        deal.value(source)
    assert deal.value(f"ISBLANK(IFERROR(TEXT({source}), NULL))")


def test_change_functions_compare_with_the_row_before(deal: Any) -> None:
    changed = EvalContext(old={**deal.full, "amount": Decimal("1000")})
    new = EvalContext(old=None)
    assert deal.value("ISCHANGED(amount)", context=changed)
    assert not deal.value("ISCHANGED(stage)", context=changed)
    assert deal.value("PRIORVALUE(amount)", context=changed) == 1000
    assert not deal.value("ISNEW()", context=changed)
    assert deal.value("ISNEW()", context=new)
    assert not deal.value("ISCHANGED(amount)", context=new)
    assert deal.value("PRIORVALUE(amount)", context=new) == Decimal("1200.50")


@pytest.mark.parametrize(
    ("key", "before", "now", "changed"),
    [("amount", None, Decimal(0), True), ("amount", Decimal("1.0"), Decimal("1.00"), False), ("name", None, "", False),
     ("active", None, False, False), ("active", True, None, True), ("tags", None, (), False)],
)  # fmt: skip
def test_zero_is_not_blank_but_an_unticked_box_is(deal: Any, key: str, before: Any, now: Any, changed: bool) -> None:
    context = EvalContext(old={**deal.full, key: before})
    assert deal.value(f"ISCHANGED({key})", {**deal.full, key: now}, context) is changed


def test_a_missing_key_is_blank(deal: Any) -> None:
    assert deal.value("ISBLANK(amount) && ISBLANK(name) && ISBLANK(starts_on) && NOT(active)", {})
