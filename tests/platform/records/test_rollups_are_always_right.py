"""Random operations, then every stored rollup and formula is compared with one worked out anew from the raw rows."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.environment import Environment
from ratoon.platform.errors import RatoonError
from ratoon.platform.records.drafts import Change

SHOP: list[dict[str, Any]] = [
    {"kind": "package", "name": "shop", "version": "1.0.0", "label": "Shop"},
    {
        "kind": "object", "name": "company", "label": "Company", "plural_label": "Companies", "title": "name",
        "fields": [
            {"name": "name", "type": "text", "label": "Name"},
            {"name": "discount", "type": "percent", "label": "Discount", "scale": 0},
            {"name": "billed", "type": "rollup", "label": "Billed", "of": "bill", "via": "company",
             "operation": "sum", "field": "total"},
            {"name": "bills", "type": "rollup", "label": "Bills", "of": "bill", "via": "company", "operation": "count",
             "filter": "total > 100"},
            {"name": "big", "type": "formula", "label": "Big", "returns": "boolean", "formula": "billed > 500"},
            {"name": "worth", "type": "formula", "label": "Worth", "returns": "number", "scale": 2,
             "formula": "SUM(bills.total) + COUNT(bill, bill.total > 100)"},
            {"name": "smallest", "type": "formula", "label": "Smallest", "returns": "number", "scale": 2,
             "formula": "MIN(bill.total, bill.company.billed > bill.total)"},
        ],
    },
    {
        "kind": "object", "name": "bill", "label": "Bill", "plural_label": "Bills", "title": "name",
        "fields": [
            {"name": "name", "type": "text", "label": "Name"},
            {"name": "company", "type": "lookup", "label": "Company", "object": "company", "on_delete": "set_null"},
            {"name": "lines_total", "type": "rollup", "label": "Lines", "of": "bill_line", "via": "bill",
             "operation": "sum", "field": "amount"},
            {"name": "dearest", "type": "rollup", "label": "Dearest", "of": "bill_line", "via": "bill",
             "operation": "max", "field": "amount"},
            {"name": "mean", "type": "rollup", "label": "Mean", "of": "bill_line", "via": "bill", "operation": "avg",
             "field": "amount"},
            {"name": "rebate", "type": "formula", "label": "Rebate", "returns": "number", "scale": 2,
             "blanks": "zero", "formula": "ROUND(lines_total * company.discount, 2)"},
            {"name": "total", "type": "formula", "label": "Total", "returns": "number", "scale": 2, "blanks": "zero",
             "formula": "lines_total - rebate"},
            {"name": "summed", "type": "formula", "label": "Summed", "returns": "number", "scale": 2,
             "blanks": "zero", "formula": "SUM(lines.quantity * lines.price, lines.quantity > 0)"},
            {"name": "average", "type": "formula", "label": "Average", "returns": "number", "scale": 4,
             "formula": "AVG(lines.amount)"},
        ],
    },
    {
        "kind": "object", "name": "bill_line", "label": "Line", "plural_label": "Lines", "title": "name",
        "fields": [
            {"name": "name", "type": "text", "label": "Name"},
            {"name": "bill", "type": "master_detail", "label": "Bill", "object": "bill", "reparent": True},
            {"name": "quantity", "type": "integer", "label": "Quantity"},
            {"name": "price", "type": "decimal", "label": "Price", "precision": 12, "scale": 2},
            {"name": "amount", "type": "formula", "label": "Amount", "returns": "number", "scale": 2,
             "blanks": "zero", "formula": "quantity * price"},
            {"name": "beside", "type": "formula", "label": "Beside", "returns": "number", "scale": 0,
             "formula": "COUNT(bill.lines, bill.lines.amount > 100)"},
        ],
    },
]  # fmt: skip
CENT = Decimal("0.01")
prices = st.decimals(min_value=0, max_value=999, places=2)
quantities = st.none() | st.integers(min_value=-3, max_value=9)


def rounded(value: Decimal) -> Decimal:
    return value.quantize(CENT, "ROUND_HALF_UP")


class Shop(RuleBasedStateMachine):
    """Creates, changes, moves, deletes and restores companies, bills and lines at random."""

    environment: Environment

    @initialize()
    def start(self) -> None:
        self.alive: dict[str, list[str]] = {"company": [], "bill": [], "bill_line": []}
        self.deleted: list[tuple[str, str]] = []
        with self.environment.write(SYSTEM) as records:
            for name in ("bill_line", "bill", "company"):
                for record in records.list(everything(name)).records:
                    records.delete(name, [record["id"]])

    def refresh(self) -> None:
        with self.environment.read(SYSTEM) as records:
            for name in self.alive:
                self.alive[name] = sorted(r["id"] for r in records.list(everything(name)).records)

    def write(self, work: Callable[[Any], Any]) -> None:
        try:
            self.environment.transact(SYSTEM, work)
        except RatoonError:
            pass
        self.refresh()

    @rule(discount=st.none() | st.integers(0, 50))
    def company(self, discount: int | None) -> None:
        self.write(lambda r: r.create("company", [{"name": "c", "discount": discount}]))

    @rule(data=st.data())
    def bill(self, data: st.DataObject) -> None:
        company = data.draw(st.sampled_from([None, *self.alive["company"]]))
        self.write(lambda r: r.create("bill", [{"name": "b", "company": company}]))

    @precondition(lambda self: self.alive["bill"])
    @rule(data=st.data(), sizes=st.lists(st.tuples(quantities, prices), min_size=1, max_size=3))
    def lines(self, data: st.DataObject, sizes: list[tuple[int | None, Decimal]]) -> None:
        bill = data.draw(st.sampled_from(self.alive["bill"]))
        self.write(
            lambda r: r.create("bill_line", [{"name": "l", "bill": bill, "quantity": q, "price": p} for q, p in sizes])
        )

    @precondition(lambda self: self.alive["bill_line"])
    @rule(data=st.data(), quantity=quantities)
    def change_or_move_a_line(self, data: st.DataObject, quantity: int | None) -> None:
        line = data.draw(st.sampled_from(self.alive["bill_line"]))
        values: dict[str, Any] = {"quantity": quantity}
        if data.draw(st.booleans()):
            values["bill"] = data.draw(st.sampled_from(self.alive["bill"]))
        self.write(lambda r: r.update("bill_line", [Change(line, values)]))

    @precondition(lambda self: self.alive["bill"])
    @rule(data=st.data())
    def move_a_bill(self, data: st.DataObject) -> None:
        bill = data.draw(st.sampled_from(self.alive["bill"]))
        company = data.draw(st.sampled_from([None, *self.alive["company"]]))
        self.write(lambda r: r.update("bill", [Change(bill, {"company": company})]))

    @precondition(lambda self: self.alive["company"])
    @rule(data=st.data(), discount=st.none() | st.integers(0, 50))
    def change_a_discount(self, data: st.DataObject, discount: int | None) -> None:
        company = data.draw(st.sampled_from(self.alive["company"]))
        self.write(lambda r: r.update("company", [Change(company, {"discount": discount})]))

    @rule(data=st.data())
    def delete_something(self, data: st.DataObject) -> None:
        there = [(name, record) for name, records in self.alive.items() for record in records]
        if there:
            name, record = data.draw(st.sampled_from(there))
            self.deleted.append((name, record))
            self.write(lambda r: r.delete(name, [record]))

    @precondition(lambda self: self.deleted)
    @rule(data=st.data())
    def restore_something(self, data: st.DataObject) -> None:
        name, record = data.draw(st.sampled_from(self.deleted))
        self.write(lambda r: r.restore(name, [record]))

    @invariant()
    def every_number_is_right(self) -> None:
        if not hasattr(self, "alive"):
            return
        with self.environment.read(SYSTEM) as records:
            companies = records.list(everything("company")).records
            bills = records.list(everything("bill")).records
            lines = records.list(everything("bill_line")).records
        zero = Decimal(0)
        for line in lines:
            assert line["amount"] == (line["quantity"] or 0) * (line["price"] or zero)
        by_id = {c["id"]: c for c in companies}
        for bill in bills:
            amounts = [line["amount"] for line in lines if line["bill"] == bill["id"]]
            discount = (by_id[bill["company"]]["discount"] or zero) / 100 if bill["company"] else zero
            assert bill["lines_total"] == sum(amounts, zero)
            assert bill["dearest"] == max(amounts, default=None)
            assert bill["rebate"] == rounded(bill["lines_total"] * discount)
            assert bill["total"] == bill["lines_total"] - bill["rebate"]
            assert bill["summed"] == sum([a for a in amounts if a > 0], zero)
            average = sum(amounts, zero) / len(amounts) if amounts else None
            assert bill["average"] == (average and average.quantize(Decimal("0.0001"), "ROUND_HALF_UP"))
            for line in lines:
                if line["bill"] == bill["id"]:
                    assert line["beside"] == len([a for a in amounts if a > 100])
            if amounts:
                mean = sum(amounts, zero) / len(amounts)
                assert abs(bill["mean"] - mean) <= Decimal("0.005")
        for company in companies:
            totals = [b["total"] for b in bills if b["company"] == company["id"]]
            assert company["billed"] == sum(totals, zero)
            assert company["bills"] == len([t for t in totals if t > 100])
            assert company["big"] is (company["billed"] > 500)
            assert company["worth"] == company["billed"] + company["bills"]
            assert company["smallest"] == min((t for t in totals if company["billed"] > t), default=None)


def everything(name: str) -> Any:
    from ratoon.platform.records.reading import Query

    return Query(name, limit=500)


def test_after_random_operations_every_rollup_and_formula_equals_a_full_recompute(open_world: Any) -> None:
    Shop.environment = open_world(SHOP)
    run_state_machine_as_test(
        Shop,
        settings=settings(
            max_examples=15,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.generate],
        ),
    )
