"""Aggregation over related records in every place a formula may stand, on both databases, under somebody's rights."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ratoon.platform.access.actor import SYSTEM, Actor
from ratoon.platform.environment import Environment
from ratoon.platform.errors import BadRequest, ValidationFailed
from ratoon.platform.formulas.types import EvalContext
from ratoon.platform.records.drafts import Change
from ratoon.platform.records.order import explain
from ratoon.platform.records.reading import Query

SHOP: list[dict[str, Any]] = [
    {"kind": "package", "name": "shop", "version": "1.0.0", "label": "Shop"},
    {
        "kind": "object", "name": "product", "label": "Product", "plural_label": "Products", "title": "name",
        "fields": [{"name": "name", "type": "text", "label": "Name"},
                   {"name": "weight", "type": "decimal", "label": "Weight", "scale": 3}],
    },
    {
        "kind": "object", "name": "bill", "label": "Bill", "plural_label": "Bills", "title": "name",
        "fields": [
            {"name": "name", "type": "text", "label": "Name"},
            {"name": "most", "type": "decimal", "label": "Most", "scale": 2},
            {"name": "parent", "type": "hierarchy", "label": "Part of"},
            {"name": "amount", "type": "formula", "label": "Amount", "returns": "number", "scale": 2,
             "formula": "SUM(lines.price, lines.active)"},
            {"name": "weight", "type": "formula", "label": "Weight", "returns": "number", "scale": 3,
             "formula": "SUM(lines.product.weight)"},
            {"name": "late", "type": "formula", "label": "Late", "returns": "number", "scale": 0,
             "formula": "COUNT(lines, lines.due < TODAY())"},
            {"name": "below", "type": "formula", "label": "Below", "returns": "number", "scale": 2,
             "formula": "SUM(bill_by_parent.amount)"},
        ],
        "rules": [{"name": "most", "error_when": "SUM(lines.price) > most", "message": "The lines come to too much."}],
    },
    {
        "kind": "object", "name": "bill_line", "label": "Line", "plural_label": "Lines", "title": "name",
        "fields": [
            {"name": "name", "type": "text", "label": "Name"},
            {"name": "bill", "type": "master_detail", "label": "Bill", "object": "bill", "reparent": True},
            {"name": "product", "type": "lookup", "label": "Product", "object": "product"},
            {"name": "price", "type": "decimal", "label": "Price", "scale": 2},
            {"name": "margin", "type": "decimal", "label": "Margin", "scale": 2},
            {"name": "active", "type": "boolean", "label": "Active"},
            {"name": "due", "type": "date", "label": "Due"},
        ],
    },
    {"kind": "role", "name": "seller", "label": "Seller",
     "objects": {"bill": ["read"], "bill_line": ["read"]}, "fields": {"bill_line.margin": []},
     "rows": {"bill_line": "active"}},
    {"kind": "role", "name": "clerk", "label": "Clerk", "objects": {"bill": ["read"]}},
]  # fmt: skip


@pytest.fixture
def shop(open_world: Any) -> Environment:
    environment: Environment = open_world(SHOP)
    with environment.write(SYSTEM) as records:
        (iron,) = records.create("product", [{"name": "iron", "weight": "7.874"}])
        big, small = records.create("bill", [{"name": "big", "most": "100"}, {"name": "small"}])
        records.create(
            "bill_line",
            [
                {
                    "name": "a",
                    "bill": big["id"],
                    "price": "20.10",
                    "active": True,
                    "product": iron["id"],
                    "margin": "9",
                },
                {"name": "b", "bill": big["id"], "price": "30.20", "active": False, "due": "2020-01-01"},
                {"name": "c", "bill": small["id"], "price": "5", "active": True, "due": "2020-01-01", "margin": "1"},
            ],
        )
        records.update("bill", [Change(small["id"], {"parent": big["id"]})])
    return environment


def found(environment: Environment, filter: str, actor: Actor = SYSTEM, **options: Any) -> list[str]:
    with environment.read(actor) as records:
        return [
            record["name"] for record in records.list(Query("bill", filter=filter, sort=["name"], **options)).records
        ]


def person(role: str) -> Actor:
    return Actor(
        "0192f3a0-0000-7000-8000-000000000777", "Sam", "sam@example.org", False, frozenset({role}), "en", "UTC"
    )


def test_formula_fields_of_every_kind_have_their_values(shop: Environment) -> None:
    with shop.read(SYSTEM) as records:
        bills = {b["name"]: b for b in records.list(Query("bill")).records}
    assert bills["big"]["amount"] == Decimal("20.10")
    assert bills["big"]["weight"] == Decimal("7.874")
    assert bills["big"]["late"] == 1
    assert bills["big"]["below"] == 5
    assert bills["small"]["weight"] == 0


@pytest.mark.parametrize(
    ("filter", "names"),
    [
        ("SUM(lines.price) > 50", ["big"]),
        ("SUM(lines.price) = 50.30", ["big"]),
        ("COUNT(lines) = 1", ["small"]),
        ("COUNT(lines, lines.price > most / 4) = 1", ["big"]),
        ("MIN(lines.due) < TODAY()", ["big", "small"]),
        ("AVG(lines.price) = 25.15", ["big"]),
        ("MAX(bill_line.product.weight, NOT(ISBLANK(bill_line.product.name))) > 7", ["big"]),
        ("late = 1", ["big", "small"]),
        ("SUM(parent.lines.price) > 50", ["small"]),
        ("COUNT(bill_by_parent) = 1", ["big"]),
        ("SUM(bill_by_parent.amount) = 5 && below = 5", ["big"]),
        ("parent.late = 1", ["small"]),
    ],
)
def test_filters_ask_the_database_and_python_agrees(shop: Environment, filter: str, names: list[str]) -> None:
    assert found(shop, filter) == names
    with shop.read(SYSTEM) as records:
        engine = records.engine
        formula = engine.filter("bill", filter)
        rows = engine.store.load(records.connection, "bill", [b["id"] for b in records.list(Query("bill")).records])
        paths = formula.paths | engine.plans["bill"].rule_paths
        engine.store.attach_paths(records.connection, "bill", list(rows.values()), paths, EvalContext())
        for row in rows.values():
            for key, volatile in engine.plans["bill"].volatile:
                row[key] = volatile.evaluate(row, EvalContext())
        assert sorted(row["name"] for row in rows.values() if formula.evaluate(row, EvalContext())) == names


def test_counts_sums_and_sorting_go_by_them_too(shop: Environment) -> None:
    with shop.read(SYSTEM) as records:
        page = records.list(Query("bill", filter="COUNT(lines) > 0", sort=["-amount"], count=True))
        assert [b["name"] for b in page.records] == ["big", "small"]
        assert page.total == 2
        (row,) = records.aggregate("bill", measures=[("sum", "amount")], filter="SUM(lines.price) > 5")
        assert row["sum_amount"] == Decimal("20.10")


def test_a_rule_holds_when_the_related_records_change(shop: Environment) -> None:
    with shop.read(SYSTEM) as records:
        bills = {b["name"]: b["id"] for b in records.list(Query("bill")).records}
        lines = {b["name"]: b["id"] for b in records.list(Query("bill_line")).records}
    changes: list[Any] = [
        lambda r: r.create("bill_line", [{"name": "d", "bill": bills["big"], "price": "49.71"}]),
        lambda r: r.update("bill_line", [Change(lines["a"], {"price": "90"})]),
        lambda r: r.update("bill_line", [Change(lines["c"], {"price": "60", "bill": bills["big"]})]),
        lambda r: r.update("bill", [Change(bills["big"], {"most": "50"})]),
    ]
    for change in changes:
        with pytest.raises(ValidationFailed, match="too much"):
            shop.transact(SYSTEM, change)
    shop.transact(SYSTEM, lambda r: r.create("bill_line", [{"name": "e", "bill": bills["big"], "price": "49.70"}]))
    with shop.read(SYSTEM) as records:
        steps = explain(shop.registry, "bill_line", "created", records.engine.reactions)
    assert "bill.most" in [part.name for step in steps for part in step.parts if step.number == 13]


def test_filters_count_only_what_the_reader_may_see(shop: Environment) -> None:
    seller = person("seller")
    assert found(shop, "COUNT(lines) = 1", seller) == ["big", "small"]
    assert found(shop, "SUM(lines.price) > 50", seller) == []
    assert found(shop, "SUM(lines.price) = 20.1", seller) == ["big"]
    with pytest.raises(BadRequest, match="no field margin"):
        found(shop, "SUM(lines.margin) > 1", seller)
    with pytest.raises(BadRequest) as refused:
        found(shop, "COUNT(lines) > 1", person("clerk"))
    assert "line" not in str(refused.value).replace("COUNT(lines)", "").replace("field lines", "")


@pytest.mark.parametrize(
    ("filter", "says"),
    [
        ("lines.price > 1", "several records"),
        ("SUM(lines.prise) > 1", "price"),
        ("SUM(linse.price) > 1", "lines"),
        ("SUM(lines.price, lines.price) > 1", "boolean"),
        ("SUM(lines.price * SUM(lines.price)) > 1", "formula field of its own"),
        ("SUM(lines.price + bill_by_parent.amount) > 1", "another one"),
        ("SUM(most) > 1", "needs related records"),
        ("SUM(lines.name) > 1", "number"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_hint(shop: Environment, filter: str, says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        found(shop, filter)


MONEY: list[dict[str, Any]] = [
    {"kind": "package", "name": "money", "version": "1.0.0", "label": "Money"},
    {
        "kind": "object", "name": "deal", "label": "Deal", "plural_label": "Deals", "title": "name",
        "fields": [
            {"name": "name", "type": "text", "label": "Name"},
            {"name": "amount", "type": "currency", "label": "Amount"},
            {"name": "closes", "type": "date", "label": "Closes"},
            {"name": "kind", "type": "picklist", "label": "Kind",
             "values": [{"value": "new", "label": "New business"}]},
            {"name": "home", "type": "formula", "label": "Home", "returns": "number", "scale": 2,
             "formula": "CONVERT(amount, amount_currency, $organization.currency, closes)"},
            {"name": "words", "type": "formula", "label": "Words", "returns": "text",
             "formula": "UPPER(LABEL(kind))"},
        ],
    },
    {"kind": "strings", "locale": "zh-Hans", "texts": {"New business": "新业务 a"}},
]  # fmt: skip


def test_amounts_are_converted_with_the_rates_that_are_records(open_world: Any) -> None:
    environment: Environment = open_world(MONEY, default_currency="EUR")
    with environment.write(SYSTEM) as records:
        records.create("exchange_rate", [{"currency": "USD", "starts_on": "2026-01-01", "rate": "0.92"},
                                         {"currency": "USD", "starts_on": "2026-07-01", "rate": "0.9"}])  # fmt: skip
        made = [("old", "USD", "2025-12-31"), ("first", "USD", "2026-06-30"), ("second", "USD", "2026-07-01"),
                ("own", "EUR", "2020-01-01"), ("other", "CNY", "2026-07-01")]  # fmt: skip
        records.create("deal", [{"name": n, "amount": "100", "amount_currency": c, "closes": d, "kind": "new"}
                                for n, c, d in made])  # fmt: skip
    with environment.read(SYSTEM) as records:
        home = {deal["name"]: deal["home"] for deal in records.list(Query("deal")).records}
        over = [deal["name"] for deal in records.list(Query("deal", filter="home > 91", sort=["name"])).records]
        rate = records.list(Query("deal", filter='CURRENCYRATE("usd", closes) = 0.9')).records
    assert home == {"old": None, "first": 92, "second": 90, "own": 100, "other": None}
    assert over == ["first", "own"]
    assert sorted(deal["name"] for deal in rate) == ["other", "second"]
    with pytest.raises(ValidationFailed, match="three capital letters"), environment.write(SYSTEM) as records:
        records.create("exchange_rate", [{"currency": "usd", "starts_on": "2026-01-01", "rate": "1"}])


def test_labels_are_in_the_language_of_whoever_reads(open_world: Any) -> None:
    environment: Environment = open_world(MONEY)
    with environment.write(SYSTEM) as records:
        records.create("deal", [{"name": "a", "kind": "new"}, {"name": "b"}])
    chinese = Actor(None, "L", admin=True, locale="zh-Hans")
    for actor, words in ((SYSTEM, "NEW BUSINESS"), (chinese, "新业务 A")):
        with environment.read(actor) as records:
            assert [d["words"] for d in records.list(Query("deal", sort=["name"])).records] == [words, None]
            found = records.list(Query("deal", filter=f'UPPER(LABEL(kind)) = "{words}" && words = "{words}"')).records
            assert [d["name"] for d in found] == ["a"]
