"""Explanations of computed fields, and that they tell nobody more than the rights allow."""

from __future__ import annotations

from typing import Any

import pytest

from ratoon.platform.access.actor import SYSTEM, Actor
from ratoon.platform.environment import Environment
from ratoon.platform.errors import NotFound
from ratoon.platform.formulas.explain import sentence
from ratoon.platform.records.explaining import Explanation, explain_field

SHOP: list[dict[str, Any]] = [
    {"kind": "package", "name": "shop", "version": "1.0.0", "label": "Shop"},
    {
        "kind": "object", "name": "bill", "label": "Bill", "plural_label": "Bills", "title": "name",
        "fields": [
            {"name": "name", "type": "text", "label": "Name"},
            {"name": "rate", "type": "percent", "label": "Rate"},
            {"name": "secret", "type": "decimal", "label": "Secret", "scale": 2},
            {"name": "total", "type": "rollup", "label": "Total", "of": "bill_line", "via": "bill",
             "operation": "sum", "field": "price", "filter": "active"},
            {"name": "due", "type": "formula", "label": "Due", "returns": "number", "scale": 2,
             "formula": "IF(total > 10, total * (1 - rate), total)"},
            {"name": "hint", "type": "formula", "label": "Hint", "returns": "boolean",
             "formula": "secret > 5 && COUNT(lines) > 1"},
        ],
    },
    {
        "kind": "object", "name": "bill_line", "label": "Line", "plural_label": "Lines", "title": "name",
        "fields": [
            {"name": "name", "type": "text", "label": "Name"},
            {"name": "bill", "type": "master_detail", "label": "Bill", "object": "bill"},
            {"name": "price", "type": "decimal", "label": "Price", "scale": 2},
            {"name": "active", "type": "boolean", "label": "Active"},
        ],
    },
    {"kind": "role", "name": "seller", "label": "Seller", "objects": {"bill": ["read"], "bill_line": ["read"]},
     "fields": {"bill.secret": []}, "rows": {"bill_line": "price < 20"}},
    {"kind": "role", "name": "clerk", "label": "Clerk", "objects": {"bill": ["read"]}, "fields": {"bill.due": []}},
]  # fmt: skip


@pytest.fixture
def shop(open_world: Any) -> tuple[Environment, str]:
    environment: Environment = open_world(SHOP)
    with environment.write(SYSTEM) as records:
        (bill,) = records.create("bill", [{"name": "b", "rate": "10", "secret": "9"}])
        lines = [("a", "10", True), ("b", "20", True), ("c", "5", False)]
        records.create("bill_line", [{"name": n, "bill": bill["id"], "price": p, "active": a} for n, p, a in lines])
    return environment, bill["id"]


def why(shop: tuple[Environment, str], field: str, actor: Actor = SYSTEM) -> Explanation:
    with shop[0].read(actor) as records:
        return explain_field(records, "bill", shop[1], field)


def person(role: str) -> Actor:
    return Actor("0192f3a0-0000-7000-8000-000000000777", "Sam", roles=frozenset({role}))


def test_a_formula_is_told_part_by_part(shop: tuple[Environment, str]) -> None:
    told = why(shop, "due")
    assert told.value == 27
    assert told.part is not None
    assert sentence(told.part) == "It is 27.00, because total > 10 holds (total is 30.00)"
    assert [part.text for part in told.part.parts] == ["total > 10", "total * (1 - rate)", "total"]


def test_a_rollup_names_its_records(shop: tuple[Environment, str]) -> None:
    told = why(shop, "total")
    assert told.formula == "SUM(bill_line.price)"
    assert sorted((r.title, r.value) for r in told.records) == [("a", 10), ("b", 20)]


def test_nobody_is_told_what_they_may_not_see(shop: tuple[Environment, str]) -> None:
    hint = why(shop, "hint", person("seller"))
    assert (hint.value, hint.hidden, hint.formula, hint.part) == (True, True, "", None)
    assert [r.title for r in why(shop, "total", person("seller")).records] == ["a"]
    assert why(shop, "total", person("clerk")).hidden
    for field in ("due", "rate", "nothing"):
        with pytest.raises(NotFound):
            why(shop, field, person("clerk"))
