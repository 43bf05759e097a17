"""Formulas in SQL: the same answers, and conditions that use an index."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any
from uuid import UUID

import pytest

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas import builtin_functions, compile_formula, define, register_sqlite_functions
from ratoon.platform.formulas.batch import write_value
from ratoon.platform.formulas.reference import reference_json
from ratoon.platform.formulas.sqlite import LOWERED_TO_ASCII
from ratoon.platform.formulas.tree import depth

CONDITIONS = [
    "amount > 1000",
    "amount >= 1200.50",
    "amount < 1200.505",
    "amount = 1200.505",
    "amount <> 1200.505",
    "1000 < amount",
    "NOT(amount > 1000)",
    "NOT(amount = 5)",
    "quantity > 6.5",
    "quantity = 7",
    "quantity <> 7.5",
    "discount > 0.1",
    "discount = 0.125",
    "amount > cost",
    "amount > discount",
    'name = "Acme"',
    'name <> "Acme"',
    'NOT(name = "x")',
    'name = ""',
    "NOT(ISBLANK(name))",
    "ISBLANK(amount)",
    "ISBLANK(owner)",
    'stage = "won"',
    'ISPICKVAL(stage, "")',
    'IN(stage, "won", "lost")',
    'NOT(IN(stage, "new"))',
    'BEGINS(name, "Ac")',
    'NOT(BEGINS(name, "Ac"))',
    'CONTAINS(name, "cm")',
    'CONTAINS(name, "%")',
    'CONTAINS(name, "CM")',
    'CONTAINS(LOWER(name), "cm")',
    'NOT(CONTAINS(LOWER(name), "cm"))',
    'CONTAINS(LOWER(name), "Cm")',
    'INCLUDES(tags, "a")',
    'NOT(INCLUDES(tags, "b"))',
    "starts_on < TODAY()",
    "starts_on < TODAY() - 300",
    "ends_on > starts_on",
    "seen_at < NOW()",
    "active",
    "NOT(active)",
    "owner = $user.id",
    'owner = "nobody"',
    'owner <> "nobody"',
    "AND(amount > 1, NOT(AND(quantity > 1, active)))",
    'account.name = "Acme Holding"',
    "amount * 2 > 2000",
    "LEN(name) = 4",
    "amount / quantity > 100",
    "amount / 0 > 1",
    'IF(active, amount > 5, name = "x")',
    "NULL = amount",
    "TRUE",
    "1 = 2",
    'REGEX(code, "[A-Z]+-\\\\d+")',
    "name = code",
    "YEAR(starts_on) = 2026",
    "amount > 99999999999999999999",
    'opens > TIMEVALUE("08:00:00")',
]


@pytest.mark.parametrize("blanks", ["blank", "zero"])
@pytest.mark.parametrize("source", CONDITIONS)
def test_a_filter_finds_what_python_finds(deal: Any, deals: Any, source: str, blanks: Any) -> None:
    formula = deal.compiled(source, blanks=blanks)
    assert deals.matching(formula) == {row["id"] for row in deals.rows if truth(formula, row, deal.context)}
    assert deals.values(formula) == {row["id"]: truth(formula, row, deal.context) for row in deals.rows}


TEXTS = [
    "Acme",
    "ACME",
    "华为技术",
    "华为 ACME",
    "100% sure_thing",
    "a\\b/c",
    "İstanbul",
    "5 \u212a",
    "ÉCLAIR",
    "ΑΣ",
    "straße",
    "😀 Kilo",
]
PARTS = [
    "acme",
    "为",
    "为 a",
    "%",
    "_",
    "\\",
    "/",
    "i",
    "i\u0307",
    "k",
    "5 k",
    "éc",
    "ς",
    "ss",
    "😀",
    "ö",
    "😀 k",
    "ACME",
]


def test_a_text_filter_finds_what_python_finds_whatever_the_letters(deal: Any, deals: Any) -> None:
    """SQLite looks with LIKE where that is the same."""
    rows = [{**deal.full, "id": str(UUID(int=n)), "name": text} for n, text in enumerate(TEXTS)]
    deals.keep([*rows, deal.blank])
    for part in PARTS:
        if part in ("i\u0307", "ς") and deals.dialect == "postgresql":
            continue  # whose small letters are one for one: İ is i, and Σ is σ at the end of a word, too
        written = part.replace("\\", "\\\\")
        for source in (f'CONTAINS(LOWER(name), "{written}")', f'NOT(CONTAINS(LOWER(name), "{written}"))'):
            formula = deal.compiled(source)
            found = {row["name"] for row in deals.rows if row["id"] in deals.matching(formula)}
            assert found == {row["name"] for row in deals.rows if truth(formula, row, deal.context)}, source


def test_only_two_characters_become_ascii_in_small_letters() -> None:
    ascii_of = [chr(n) for n in range(128, 0x110000) if any(c.isascii() for c in chr(n).lower())]
    assert tuple(ascii_of) == LOWERED_TO_ASCII


def truth(formula: Any, row: Any, context: Any) -> bool:
    try:
        return bool(formula.evaluate(row, context))
    except FormulaError:
        return False


@pytest.mark.parametrize(
    ("source", "index"),
    [
        ("amount > 1000", "amount"),
        ("amount = 1200.5 && active", "amount"),
        ("NOT(amount <= 1000)", "amount"),
        ("discount > 0.5", "discount"),
        ("quantity >= 6.5", "quantity"),
        ('stage = "won"', "stage"),
        ('ISPICKVAL(stage, "won")', "stage"),
        ('IN(stage, "won", "lost")', "stage"),
        ("starts_on >= TODAY() - 30", "starts_on"),
        ("seen_at < NOW()", "seen_at"),
        ("owner = $user.id", "owner"),
        ("ISBLANK(starts_on)", "starts_on"),
        ('OR(stage = "won", amount > 5)', "stage"),
    ],
)
def test_a_simple_condition_uses_the_index(deal: Any, deals: Any, source: str, index: str) -> None:
    assert f"ix_deals_{index}" in deals.plan(deal.compiled(source))


def test_a_prefix_uses_the_index_on_sqlite(deal: Any, deals: Any) -> None:
    plan = deals.plan(deal.compiled('BEGINS(name, "Ac")'))
    assert deals.dialect != "sqlite" or "ix_deals_name" in plan


@pytest.mark.parametrize(
    ("formula", "result"), [(e, r) for f in builtin_functions() for e, r in f.examples if f.group != "Change"]
)
def test_an_example_gives_the_same_when_its_values_are_columns(
    deal: Any, deals: Any, formula: str, result: Any
) -> None:
    # ``IF(active, example, …)`` keeps the example from being computed beforehand.
    made = deal.compiled(f"IF(active, {formula}, {formula})")
    if made.sql_refusal is not None and deals.dialect == "postgresql":
        assert "no SQL form" in made.sql_refusal
        return
    value = write_value(deals.values(made)[deal.full["id"]])
    wanted = write_value(deal.value(formula))
    assert value == wanted or float(value) == float(wanted)


def test_what_needs_the_values_before_a_change_is_refused_when_it_is_compiled(deal: Any, deals: Any) -> None:
    formula = deal.compiled("ISCHANGED(stage)")
    assert formula.sql_refusal == "ISCHANGED needs the values before the change"
    with pytest.raises(FormulaError, match="cannot be asked of the database"):
        deals.matching(formula)


def test_deep_formulas_are_refused_and_nested_ones_stay_short(deal: Any, deals: Any) -> None:
    source = "amount"
    for step in range(30):
        source = f"IF(amount / cost > {step}, {source}, {step})"
    formula = deal.compiled(source)
    assert depth(formula.node) < 40
    assert len(str(formula.sql(deals.column, deal.context, deals.dialect))) < 40_000
    assert len(deals.values(formula)) == 2


def test_context_values_are_bound_and_not_written_into_the_statement(deal: Any, deals: Any) -> None:
    context = type(deal.context)(user={"id": deal.user, "name": "x' OR '1'='1"}, now=deal.context.now)
    assert deals.matching(compile_formula("name = $user.name", deal.scope), context) == set()


def test_a_plugins_function_brings_its_type_its_doc_and_its_sql_form(deal: Any, deals: Any) -> None:
    doubled = define(
        "TWICE", "number", "number", lambda value: value * 2, doc="Two of it.", group="Plugin",
        examples=[("TWICE(4)", "8")], sql=lambda args, dialect: args[0] * 2,
    )  # fmt: skip
    functions = builtin_functions().plus([doubled])
    if deals.dialect == "sqlite":  # as the environment does for every connection
        register_sqlite_functions(deals.connection.connection.dbapi_connection, functions)
    formula = deal.compiled("TWICE(amount) > 2000 && TWICE(quantity) = 14", functions=functions)
    assert formula.sql_refusal is None
    assert formula.evaluate(deal.full, deal.context) is True
    assert deals.matching(formula) == {deal.full["id"]}
    (told,) = [f for f in reference_json(functions) if f["name"] == "TWICE"]
    assert (told["signatures"], told["in_sql"]) == (["TWICE(number) → number"], True)
    with pytest.raises(FormulaError, match="Expected number, found text"):
        deal.compiled("TWICE(name)", functions=functions)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ('DATEVALUE(seen_at, "Asia/Tokyo")', date(2026, 11, 21)),
        ('DATEVALUE(seen_at, "America/New_York")', date(2026, 11, 20)),
        ('TIMEVALUE(seen_at, "Asia/Tokyo")', time(3, 15, 30)),
        ('DATETIMEVALUE(starts_on, "Asia/Tokyo")', datetime(2026, 1, 30, 15, tzinfo=UTC)),
        ('ISBLANK(DATEVALUE(seen_at, "Mars/Base"))', None),
    ],
)
def test_moments_are_read_in_a_time_zone_that_is_named(deal: Any, deals: Any, source: str, value: Any) -> None:
    formula = deal.compiled(source)
    if value is None:
        with pytest.raises(FormulaError, match="not a time zone"):
            formula.evaluate(deal.full, deal.context)
        value = False
    else:
        assert formula.evaluate(deal.full, deal.context) == value
    assert deals.values(formula)[deal.full["id"]] == value
    assert "must not come out of a field" in str(deal.compiled("DATEVALUE(seen_at, name)").sql_refusal)
