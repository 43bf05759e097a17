"""What the standard package promises to people who sell: stages, follow-ups, prices, currencies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

import ratoon.objects
from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.app import open_environment
from ratoon.platform.config import Settings, World
from ratoon.platform.environment import Environment
from ratoon.platform.errors import Conflict, ValidationFailed
from ratoon.platform.plugins import Plugins
from ratoon.platform.records.reading import Query
from ratoon.platform.records.service import Change, RecordService

Record = dict[str, Any]


class _Undo(Exception):
    """Takes back what a test did."""


@pytest.fixture(scope="module")
def crm(module_database: Callable[[str], str], backend: str) -> Iterator[Environment]:
    """The standard package on a database; it is 2026-11-21."""
    plugins = Plugins()
    plugins.add(ratoon.objects, "standard")
    now = datetime(2026, 11, 21, 8, tzinfo=UTC)
    settings = Settings(database_url=module_database(backend))
    environment = open_environment(settings, World(clock=lambda: now), plugins)
    yield environment
    environment.close()


@pytest.fixture
def shop(crm: Environment) -> Iterator[Shop]:
    """A company to sell to, within a transaction that is taken back afterwards."""
    with suppress(_Undo), crm.write(SYSTEM) as records:
        yield Shop(records)
        raise _Undo


class Shop:
    """A company with a contact, and short ways to work with it."""

    def __init__(self, records: RecordService) -> None:
        self.records = records
        self.account = self.make("account", name="砚川集团")
        self.contact = self.make("contact", last_name="王", first_name="小明", account=self.account["id"])

    def make(self, object: str, **values: Any) -> Record:
        """A new record."""
        return self.records.create(object, [values], acknowledge=True)[0]

    def change(self, object: str, record: Record, **values: Any) -> Record:
        """The record, changed."""
        return self.records.update(object, [Change(record["id"], values)], acknowledge=True)[0]

    def again(self, object: str, record: Record) -> Record:
        """The record as it stands now."""
        return self.records.get(object, record["id"])

    def sale(self, **values: Any) -> Record:
        """A new opportunity."""
        return self.make("opportunity", **{"name": "Group platform", "account": self.account["id"], **values})


def codes(refusal: pytest.ExceptionInfo[ValidationFailed]) -> set[tuple[str | None, str | None]]:
    """(field, rule or code) of every problem."""
    return {(p.field, p.rule or p.code) for p in refusal.value.problems}


def test_a_new_sale_starts_in_qualification_with_the_probability_of_its_stage(shop: Shop) -> None:
    sale = shop.sale(amount="1000")
    assert (sale["stage_pipeline"], sale["stage"]) == ("sales", "qualification")
    assert sale["probability"] == 10
    assert sale["close_date"] == date(2027, 2, 19)
    assert sale["expected_revenue"] == Decimal("100.00")
    sale = shop.change("opportunity", sale, stage="proposal")
    assert (sale["probability"], sale["expected_revenue"]) == (50, Decimal("500.00"))
    sale = shop.change("opportunity", sale, stage="discovery", probability=33)
    assert sale["probability"] == 33


def test_a_renewal_takes_the_renewal_pipeline(shop: Shop) -> None:
    sale = shop.sale(kind="renewal")
    assert (sale["stage_pipeline"], sale["stage"], sale["probability"]) == ("renewal", "upcoming", 60)


def test_winning_makes_a_customer_and_plans_the_kick_off(shop: Shop) -> None:
    sale = shop.sale(amount="5000", stage="proposal", next_step="Call")
    sale = shop.change("opportunity", sale, stage="won")
    assert (sale["closed_on"], sale["next_step"]) == (date(2026, 11, 21), None)
    account = shop.again("account", shop.account)
    assert (account["kind"], account["customer_since"]) == ("customer", date(2026, 11, 21))
    assert (account["won_amount"], account["won_count"], account["win_rate"]) == (Decimal("5000.00"), 1, 100)
    (task,) = shop.records.list(Query("activity")).records
    assert task["subject"] == "Kick-off: Group platform"
    assert (task["about"], task["about_object"], task["done"]) == (sale["id"], "opportunity", False)


def test_losing_needs_a_reason_and_reopening_forgets_it(shop: Shop) -> None:
    sale = shop.sale(amount="10")
    with pytest.raises(ValidationFailed) as refusal:
        shop.change("opportunity", sale, stage="lost")
    assert {field for field, _ in codes(refusal)} == {"loss_reason"}
    lost = shop.change("opportunity", sale, stage="lost", loss_reason="price")
    assert (lost["closed_on"], lost["probability"]) == (date(2026, 11, 21), 0)
    back = shop.change("opportunity", sale, stage="qualification")
    assert (back["closed_on"], back["loss_reason"], back["probability"]) == (None, None, 10)


def test_a_sale_cannot_jump_from_qualification_to_won(shop: Shop) -> None:
    sale = shop.sale(amount="10")
    with pytest.raises(ValidationFailed) as refusal:
        shop.change("opportunity", sale, stage="won")
    assert {field for field, _ in codes(refusal)} == {"stage"}


def test_recurring_lines_need_a_contract_term_before_the_win(shop: Shop) -> None:
    product = shop.make("product", name="Platform", code="P", list_price="100", recurring=True, billing_period="yearly")
    sale = shop.sale(amount="300", primary_contact=shop.contact["id"])
    line = shop.make("opportunity_line", opportunity=sale["id"], product=product["id"], quantity=3)
    assert (line["unit_price"], line["total"], line["label"]) == (Decimal("100.00"), Decimal("300.00"), "Platform")
    for stage in ("proposal", "negotiation"):
        shop.change("opportunity", sale, stage=stage)
    with pytest.raises(ValidationFailed) as refusal:
        shop.change("opportunity", sale, stage="won")
    assert {field for field, _ in codes(refusal)} == {"contract_months"}
    won = shop.change("opportunity", sale, stage="won", contract_start="2027-01-01", contract_months=12)
    assert won["contract_end"] == date(2027, 12, 31)
    assert shop.again("product", product)["units_sold"] == 3


def test_the_list_price_is_not_taken_in_another_currency(shop: Shop) -> None:
    product = shop.make("product", name="Gateway", code="G", list_price="100")
    sale = shop.sale(amount="50", amount_currency="EUR", exchange_rate="7.85")
    with pytest.raises(ValidationFailed) as refusal:
        shop.make("opportunity_line", opportunity=sale["id"], product=product["id"])
    assert codes(refusal) == {("unit_price", "required")}


def test_totals_over_currencies_are_in_the_organisations(shop: Shop) -> None:
    shop.sale(amount="100", amount_currency="EUR", exchange_rate="7.85")
    shop.sale(amount="100")
    assert shop.again("account", shop.account)["open_amount"] == Decimal("885.00")


def test_a_rate_that_does_not_fit_the_currency_is_a_warning(shop: Shop) -> None:
    values = {"name": "x", "account": shop.account["id"], "amount": "100", "amount_currency": "EUR"}
    with pytest.raises(ValidationFailed) as refusal:
        shop.records.create("opportunity", [values])
    assert codes(refusal) == {("exchange_rate", "rate_fits_currency")}
    assert shop.records.create("opportunity", [values], acknowledge=True)


def test_the_primary_contact_is_of_the_same_account(shop: Shop) -> None:
    other = shop.make("account", name="Norvane Group")
    with pytest.raises(ValidationFailed) as refusal:
        shop.make("opportunity", name="x", account=other["id"], primary_contact=shop.contact["id"])
    assert {field for field, _ in codes(refusal)} == {"primary_contact"}


def test_an_inactive_product_is_not_sold(shop: Shop) -> None:
    product = shop.make("product", name="Old", code="O", list_price="1", active=False)
    sale = shop.sale()
    with pytest.raises(ValidationFailed) as refusal:
        shop.make("opportunity_line", opportunity=sale["id"], product=product["id"], unit_price="1")
    assert {field for field, _ in codes(refusal)} == {"product"}


def test_a_lead_is_converted_to_an_account(shop: Shop) -> None:
    with pytest.raises(ValidationFailed) as refusal:
        shop.make("lead", name="林若曦", company="青杏果蔬")
    assert codes(refusal) == {("email", "reachable")}
    lead = shop.make("lead", name="林若曦", company="青杏果蔬", email="lin@qingxing.example", source="wechat")
    assert (lead["stage"], lead["is_open"]) == ("new", True)
    with pytest.raises(ValidationFailed) as refusal:
        shop.change("lead", lead, stage="converted")
    assert {field for field, _ in codes(refusal)} == {"converted_account"}
    lead = shop.change("lead", lead, stage="converted", converted_account=shop.account["id"])
    assert (lead["converted_on"], lead["is_open"]) == (date(2026, 11, 21), False)


def test_a_case_gets_a_number_and_a_deadline(shop: Shop) -> None:
    case = shop.make("case", subject="Gateway is offline", account=shop.account["id"], priority="urgent",
                     category="fault", subcategory="hardware")  # fmt: skip
    assert case["number"] == "CASE-2026-00001"
    assert (case["due"] - case["created_at"]).total_seconds() == 6 * 3600
    assert shop.again("account", shop.account)["open_case_count"] == 1
    with pytest.raises(ValidationFailed) as refusal:
        shop.change("case", case, subcategory="invoice")
    assert {field for field, _ in codes(refusal)} == {"subcategory"}
    case = shop.change("case", case, stage="resolved", solution="<p>Replaced</p>", satisfaction=5)
    assert case["resolved_at"] == case["created_at"]
    assert shop.again("account", shop.account)["open_case_count"] == 0


def test_names_are_written_as_people_write_them(shop: Shop) -> None:
    account = shop.account["id"]
    anna = shop.make("contact", last_name="Keller", first_name="Anna", account=account)
    wang = shop.make("contact", last_name="王", first_name="小明", account=account, name_order="family_first")
    cher = shop.make("contact", last_name="Cher", account=account)
    assert [c["full_name"] for c in (anna, wang, cher)] == ["Anna Keller", "王小明", "Cher"]


def test_an_account_with_sales_is_not_deleted_and_one_without_takes_its_contacts_along(shop: Shop) -> None:
    sale = shop.sale()
    with pytest.raises(Conflict):
        shop.records.delete("account", [shop.account["id"]])
    shop.records.delete("opportunity", [sale["id"]])
    shop.records.delete("account", [shop.account["id"]])
    assert shop.records.list(Query("contact")).records == []
    shop.records.restore("account", [shop.account["id"]])
    assert [c["id"] for c in shop.records.list(Query("contact")).records] == [shop.contact["id"]]


def test_campaign_members_carry_their_answer(shop: Shop) -> None:
    link = {"id": shop.contact["id"], "status": "attended", "responded_on": "2026-11-20"}
    campaign = shop.make("campaign", name="Summit", members=[link])
    (kept,) = shop.records.get("campaign", campaign["id"], fields=["members"])["members"]
    assert (kept["id"], kept["status"]) == (shop.contact["id"], "attended")


def test_every_view_can_be_opened(shop: Shop) -> None:
    shop.sale()
    for object in shop.records.engine.registry:
        for view in object.views:
            shop.records.list(Query(object.name, view=view.name))
