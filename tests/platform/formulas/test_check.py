"""The type checker: what a formula reads, and refusals that help."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas import builtin_functions, compile_formula, define
from ratoon.platform.formulas.pointing import point
from ratoon.platform.formulas.scopes import Names
from ratoon.platform.formulas.types import EvalContext, Name, Type


@pytest.mark.parametrize(
    ("source", "code", "position", "says"),
    [
        ("amonut > 1", "unknown_name", 0, "did you mean amount?"),
        ("1 + account.nmae", "unknown_name", 12, "did you mean name?"),
        ("name.x", "not_a_reference", 0, "name"),
        ("IFF(active, 1, 2)", "unknown_function", 0, "did you mean IF?"),
        ("1 + LEN(amount)", "wrong_type", 8, "Expected text, found number"),
        ("IF(amount, 1, 2)", "wrong_type", 3, "Expected boolean, found number"),
        ('IF(active, 1, "a")', "wrong_type", 14, "Expected number, found text"),
        ("starts_on + ends_on", "wrong_type", 12, "found date"),
        ("name > 3", "wrong_type", 7, "found number"),
        ("LEFT(name)", "arguments", 0, "LEFT(text, count)"),
        ("CASE(stage, 1, 2)", "arguments", 0, "CASE"),
        ('stage = "wonn"', "unknown_value", 8, "did you mean won?"),
        ('ISPICKVAL(stage, "Won")', "unknown_value", 17, "did you mean won?"),
        ('INCLUDES(tags, "x")', "unknown_value", 15, "no value x"),
        ('CASE(stage, "won", 1, "gone", 2, 3)', "unknown_value", 22, "gone"),
        ("ISCHANGED(account.name)", "not_a_field", 10, "ISCHANGED"),
        ("ISCHANGED(amount + 1)", "wrong_type", 10, "field"),
        ("$usr.id", "unknown_name", 0, "did you mean $user?"),
        ("$user.nmae", "unknown_name", 0, "did you mean $user.name?"),
    ],
)
def test_a_refusal_names_the_place_and_the_nearest_name(
    deal: Any, source: str, code: str, position: int, says: str
) -> None:
    with pytest.raises(FormulaError) as caught:
        deal.compiled(source)
    assert (caught.value.error_code, caught.value.position) == (code, position)
    assert says in str(caught.value)


def test_a_formula_says_what_it_reads(deal: Any) -> None:
    formula = deal.compiled("IF(ISCHANGED(stage), account.name, TEXT(PRIORVALUE(amount))) & $user.name")
    assert formula.paths == {"stage", "account.name", "amount"}
    assert formula.old_paths == {"stage", "amount"}
    assert formula.uses_change
    assert formula.sql_refusal is not None
    assert formula.functions == {"IF", "ISCHANGED", "TEXT", "PRIORVALUE", "&"}
    assert formula.type is Type.TEXT


@pytest.mark.parametrize(
    ("source", "volatile"),
    [("amount + 1", False), ("TODAY()", True), ("$now", True), ("$user.id", True), ("age", True)],
)
def test_a_formula_whose_answer_changes_by_itself_is_volatile(source: str, volatile: bool) -> None:
    scope = Names({"amount": Type.NUMBER, "age": Name("age", Type.NUMBER, volatile=True)})
    assert compile_formula(source, scope).volatile is volatile


def test_source_is_the_record_that_holds_the_lookup(deal: Any) -> None:
    scope = Names({"name": Type.TEXT, "$source": Name("$source", Type.REFERENCE, deal.scope)})
    formula = compile_formula("name = $source.account.name", scope)
    assert formula.paths == {"name", "$source.account.name"}
    assert not formula.volatile
    assert formula.evaluate({"name": "A"}, EvalContext(source={"account.name": "A"}))
    assert not formula.evaluate({"name": "A"}, EvalContext(source={"account.name": "B"}))


@pytest.mark.parametrize(
    ("source", "scale"),
    [("amount + cost", 4), ("amount * cost", 6), ("amount / 2", None), ("ROUND(amount / 3, 1)", 1), ("LEN(name)", 0),
     ("discount", 4), ("IF(active, amount, 1)", 2), ("1.250", 3)],
)  # fmt: skip
def test_the_scale_of_a_number_is_known_where_it_can_be(deal: Any, source: str, scale: int | None) -> None:
    assert deal.compiled(source).scale == scale


def test_a_place_expects_a_type(deal: Any) -> None:
    deal.compiled("stage", expects=Type.TEXT)
    deal.compiled("NULL", expects=Type.DATE)
    with pytest.raises(FormulaError, match="Expected boolean, found number"):
        deal.compiled("amount", expects=Type.BOOLEAN)


def test_percent_fields_are_fractions_in_formulas(deal: Any) -> None:
    assert deal.value("amount * discount") == Decimal("150.0625")


def test_a_plugin_adds_a_function(deal: Any) -> None:
    initials = define(
        "INITIALS", "text", "text", lambda text: "".join(w[0] for w in text.split()), doc="First letters.", group="Text"
    )
    functions = builtin_functions().plus([initials])
    formula = compile_formula('initials("Ada Lovelace")', deal.scope, functions=functions)
    assert formula.evaluate({}, deal.context) == "AL"
    assert formula.sql_refusal == "INITIALS has no SQL form"
    with pytest.raises(ValueError, match="two formula functions"):
        functions.plus([initials])
    with pytest.raises(FormulaError):
        deal.compiled('INITIALS("x")')


def test_a_letter_of_another_script_in_a_name_is_pointed_at(deal: Any) -> None:
    with pytest.raises(FormulaError) as caught:
        deal.compiled("1 + аmount")
    assert (caught.value.error_code, caught.value.position) == ("lookalike_character", 4)
    assert "CYRILLIC SMALL LETTER A" in str(caught.value)


def test_a_long_line_is_shown_around_the_place() -> None:
    shown = point("x" * 5000 + "?" + "y" * 5000, 5000)
    line, caret = shown.split("\n")
    assert len(line) < 130
    assert line[caret.index("^")] == "?"
