"""What the standard package does by itself: approvals, leads that find a seller, reminders where the customer is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest

import ratoon.objects
from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import SYSTEM, Actor
from ratoon.platform.app import open_environment
from ratoon.platform.automation.approvals import approvals_of
from ratoon.platform.config import Settings, World
from ratoon.platform.environment import Environment
from ratoon.platform.errors import ValidationFailed
from ratoon.platform.jobs import drain
from ratoon.platform.jobs.timers import tick
from ratoon.platform.plugins import Plugins
from ratoon.platform.records.service import Change
from ratoon.platform.storage.notifications import of_user


class Clock:
    now = datetime(2026, 11, 21, 8, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def crm(module_database: Callable[[str], str], backend: str, clock: Clock) -> Iterator[Environment]:
    """The standard package; Guo leads Mei and Wei, and has Robin above him."""
    plugins = Plugins()
    plugins.add(ratoon.objects, "standard")
    environment = open_environment(Settings(database_url=module_database(backend)), World(clock=clock), plugins)
    with environment.write(SYSTEM) as records:
        accounts, made = Accounts(environment.world), {}
        for name, role, above in [("robin", None, None), ("guo", "sales_manager", "robin"), ("mei", "sales_rep", "guo"),
                                  ("wei", "sales_rep", "guo")]:  # fmt: skip
            values = {"name": name.title(), "email": f"{name}@x.cn", "time_zone": "Asia/Shanghai"}
            above_id = {"manager": made[above]} if above else {}
            made[name] = records.create("user", [{**values, **above_id}])[0]["id"]
            accounts.set_roles(records.connection, made[name], [role] if role else [])
    yield environment
    environment.close()


def person(crm: Environment, name: str) -> Actor:
    accounts = Accounts(crm.world)
    with crm.database.read() as connection:
        user = accounts.user_id(connection, f"{name}@x.cn")
        actor = accounts.actor_for_user(connection, str(user))
    assert actor is not None
    return actor


def told(crm: Environment, name: str) -> list[str]:
    with crm.database.read() as connection:
        return [n.title for n in of_user(connection, str(person(crm, name).id))]


def make(crm: Environment, object: str, actor: Actor = SYSTEM, **values: Any) -> dict[str, Any]:
    return crm.transact(actor, lambda r: r.create(object, [values], acknowledge=True))[0]


def test_a_large_discount_asks_the_manager_and_locks_until_there_is_a_yes(crm: Environment) -> None:
    mei, guo = person(crm, "mei"), person(crm, "guo")
    account = make(crm, "account", name="Lotus")["id"]
    sale = make(crm, "opportunity", mei, name="Pumps", account=account, kind="new_business", stage="proposal",
                amount="1000", amount_currency="CNY", close_date="2026-12-24")["id"]  # fmt: skip
    with pytest.raises(ValidationFailed):
        crm.transact(mei, lambda r: approvals_of(r).submit("opportunity", sale))
    pump = make(crm, "product", code="P1", name="Pump", list_price="1250", list_price_currency="CNY")["id"]
    make(crm, "opportunity_line", mei, opportunity=sale, product=pump, quantity="1", unit_price="1250", discount="20")
    request = crm.transact(mei, lambda r: approvals_of(r).submit("opportunity", sale, comment="three years"))
    assert [v["user_id"] for v in request["votes"]] == [guo.id]
    assert told(crm, "guo")[0] == "Discount approval: Pumps"
    change = {"amount": "900"}
    with pytest.raises(ValidationFailed):
        crm.transact(mei, lambda r: r.update("opportunity", [Change(sale, change)]))
    crm.transact(mei, lambda r: r.update("opportunity", [Change(sale, {"next_step": "call"})]))
    crm.transact(guo, lambda r: approvals_of(r).decide(request["id"], approve=True))
    with crm.read(mei) as records:
        assert records.get("opportunity", sale)["approval_status"] == "approved"
    assert told(crm, "mei")[0] == "Approved: Pumps"


def test_a_lead_that_nobody_owns_finds_a_seller_and_says_so(crm: Environment) -> None:
    owners = [make(crm, "lead", name=f"L{i}", company="C", email=f"l{i}@x.cn")["id"] for i in range(2)]
    large = make(crm, "lead", name="Big", company="C", email="big@x.cn", employees=5000)["id"]
    own = make(crm, "lead", person(crm, "mei"), name="Own", company="C", email="own@x.cn")["owner"]
    with crm.read(SYSTEM) as records:
        found = [records.get("lead", lead)["owner"] for lead in (*owners, large)]
    assert found == [person(crm, name).id for name in ("mei", "wei", "guo")]
    assert own == person(crm, "mei").id, "a lead of one's own stays one's own"
    assert told(crm, "wei") == ["Lead for you: L1"]


def test_a_contract_reminds_at_nine_where_the_customer_is_and_not_on_a_holiday(crm: Environment, clock: Clock) -> None:
    clock.now = datetime(2026, 9, 1, tzinfo=UTC)
    tick(crm, clock.now)
    mei = person(crm, "mei")
    china = make(crm, "account", name="Lotus", billing_country="中国", time_zone="Asia/Shanghai")["id"]
    york = make(crm, "account", name="Owl", billing_country="United States", time_zone="America/New_York")["id"]
    for account in (china, york):  # ends on 3 January 2027: ninety days before is 5 October 2026
        make(crm, "opportunity", mei, name="S", account=account, kind="new_business", stage="won", amount="10",
             amount_currency="CNY", close_date="2026-09-01", contract_start=date(2026, 1, 4),
             contract_months=12)  # fmt: skip
    came = {}
    for now in (datetime(2026, 9, 30, 0, 59, tzinfo=UTC), datetime(2026, 9, 30, 1, 0, tzinfo=UTC),
                datetime(2026, 10, 5, 12, 59, tzinfo=UTC), datetime(2026, 10, 5, 13, 0, tzinfo=UTC)):  # fmt: skip
        clock.now = now
        tick(crm, now)
        drain(crm)
        came[now.isoformat()[:16]] = len([t for t in told(crm, "mei") if "contract ends" in t])
    assert came == {"2026-09-30T00:59": 0, "2026-09-30T01:00": 1, "2026-10-05T12:59": 1, "2026-10-05T13:00": 2}
