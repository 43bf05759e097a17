"""The demo story on real databases: complete, exact, played once, and the same everywhere."""

from __future__ import annotations

import hashlib
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest

import ratoon.objects
from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import SYSTEM, Actor
from ratoon.platform.app import open_environment
from ratoon.platform.config import Settings
from ratoon.platform.environment import Environment
from ratoon.platform.packages.demo import load_demo
from ratoon.platform.plugins import Plugins
from ratoon.platform.records.reading import Query

FOLDER = Path(str(ratoon.objects.__file__)).parent
ATLEAST = {
    "account": 200,
    "contact": 600,
    "lead": 150,
    "opportunity": 400,
    "opportunity_line": 700,
    "activity": 1200,
    "case": 200,
    "product": 40,
    "campaign": 12,
    "user": 11,
}
pytestmark = pytest.mark.slow


def opened(url: str) -> Environment:
    """An environment with the standard package."""
    plugins = Plugins()
    plugins.add(ratoon.objects, "standard")
    return open_environment(Settings(database_url=url), plugins=plugins)


def story(url: str) -> Iterator[Environment]:
    """The story played on that database."""
    environment = opened(url)
    load_demo(environment)
    yield environment
    environment.close()


@pytest.fixture(scope="module")
def sqlite(module_database: Callable[[str], str]) -> Iterator[Environment]:
    """SQLite with the story played."""
    yield from story(module_database("sqlite"))


@pytest.fixture(scope="module")
def postgresql(module_database: Callable[[str], str]) -> Iterator[Environment]:
    """PostgreSQL with the story played."""
    yield from story(module_database("postgresql"))


@pytest.fixture
def played(request: pytest.FixtureRequest, backend: str) -> Environment:
    """Each database with the story played."""
    environment: Environment = request.getfixturevalue(backend)
    return environment


def everything(environment: Environment, object: str, actor: Actor = SYSTEM) -> list[dict[str, Any]]:
    """All live records of an object that the actor may see, by id."""
    found: list[dict[str, Any]] = []
    cursor = None
    with environment.read(actor) as records:
        while True:
            page = records.list(Query(object, sort=["id"], limit=500, cursor=cursor))
            found += page.records
            cursor = page.next_cursor
            if cursor is None:
                return found


def fingerprints(environment: Environment) -> dict[str, str]:
    """A hash over every row of every object, and over the stage periods."""
    prints = {}
    for object in sorted(environment.registry.objects):
        rows = everything(environment, object)
        prints[object] = hashlib.sha256(orjson.dumps(rows, default=str, option=orjson.OPT_SORT_KEYS)).hexdigest()
    with environment.read(SYSTEM) as records:
        for object in ("opportunity", "lead", "case"):
            periods = [records.stage_history(object, row["id"]) for row in everything(environment, object)[:60]]
            plain = [[(p["stage"], p["entered_at"], p["left_at"]) for p in period] for period in periods]
            prints[f"{object} stages"] = hashlib.sha256(orjson.dumps(plain)).hexdigest()
    return prints


def test_there_is_as_much_as_promised(played: Environment) -> None:
    counts = {object: len(everything(played, object)) for object in ATLEAST}
    assert {object: n for object, n in counts.items() if n < ATLEAST[object]} == {}


def test_a_second_start_does_nothing(played: Environment) -> None:
    begun = time.perf_counter()
    assert load_demo(played) == {}
    assert time.perf_counter() - begun < 2


def test_stage_history_covers_two_years(played: Environment) -> None:
    moves: Counter[str] = Counter()
    begun: list[datetime] = []
    with played.read(SYSTEM) as records:
        for row in everything(played, "opportunity"):
            periods = records.stage_history("opportunity", row["id"])
            assert periods[0]["entered_at"] == row["created_at"]
            assert periods[-1]["stage"] == row["stage"]
            assert periods[-1]["left_at"] is None
            for earlier, later in pairwise(periods):
                assert earlier["left_at"] == later["entered_at"]
            begun.append(row["created_at"])
            moves.update(period["stage"] for period in periods)
    assert (max(begun) - min(begun)).days > 600
    assert moves["won"] > 80
    assert moves["lost"] > 60
    assert {"upcoming", "in_review", "quoted", "discovery", "proposal", "negotiation"} <= set(moves)


def test_records_belong_to_people_and_were_made_by_them(played: Environment) -> None:
    owners = Counter(row["owner"] for row in everything(played, "opportunity"))
    assert len(owners) == 5
    assert all(row["created_by"] == row["owner"] for row in everything(played, "opportunity"))


def test_rollups_and_formulas_are_those_of_a_full_recompute(played: Environment) -> None:
    expected = recomputed(played)
    for object, wanted in expected.items():
        for row in everything(played, object):
            got = {key: row[key] for key in wanted[row["id"]]}
            assert got == wanted[row["id"]], (object, row)


def recomputed(environment: Environment) -> dict[str, dict[str, dict[str, Any]]]:
    """Object → id → computed fields, worked out from the entered values alone."""
    lines = everything(environment, "opportunity_line")
    opportunities = everything(environment, "opportunity")
    products = {row["id"]: row for row in everything(environment, "product")}
    of_opportunity, of_account = defaultdict(list), defaultdict(list)
    result: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    sold: dict[str, Decimal] = defaultdict(Decimal)
    stage = {row["id"]: row["stage"] for row in opportunities}
    for line in lines:
        share = 1 - (line["discount"] or Decimal(0)) / 100
        total = cents(line["quantity"] * line["unit_price"] * share)
        recurring = products[line["product"]]["recurring"]
        name = products[line["product"]]["name"]
        result["opportunity_line"][line["id"]] = {"total": total, "recurring": recurring, "label": name}
        of_opportunity[line["opportunity"]].append((total, recurring))
        if stage[line["opportunity"]] == "won":
            sold[line["product"]] += line["quantity"]
    for row in opportunities:
        totals = of_opportunity[row["id"]]
        base = cents(row["amount"] * row["exchange_rate"])
        is_open = row["stage"] not in ("won", "lost")
        result["opportunity"][row["id"]] = {
            "base_amount": base,
            "expected_revenue": cents(base * row["probability"] / 100),
            "line_count": len(totals),
            "line_total": sum((t for t, _ in totals), Decimal(0)),
            "recurring_total": sum((t for t, recurring in totals if recurring), Decimal(0)),
            "is_open": is_open,
            "is_won": row["stage"] == "won",
        }
        of_account[row["account"]].append((row, base, is_open))
    for product in products.values():
        result["product"][product["id"]] = {"units_sold": sold[product["id"]]}
    people = Counter(row["account"] for row in everything(environment, "contact"))
    cases = Counter(row["account"] for row in everything(environment, "case") if row["is_open"])
    accounts = {row["id"]: row for row in everything(environment, "account")}
    for account in accounts.values():
        mine = of_account[account["id"]]
        won = [(row, base) for row, base, _ in mine if row["stage"] == "won"]
        closed = sum(not is_open for _, _, is_open in mine)
        result["account"][account["id"]] = {
            "contact_count": people[account["id"]],
            "open_case_count": cases[account["id"]],
            "open_amount": sum((base for _, base, is_open in mine if is_open), Decimal(0)),
            "won_amount": sum((base for _, base in won), Decimal(0)),
            "won_count": len(won),
            "closed_count": closed,
            "last_won_on": max((row["closed_on"] for row, _ in won), default=None),
            "group_name": accounts[account["parent"]]["name"] if account["parent"] else account["name"],
            "win_rate": tenth(Decimal(len(won)) / closed * 100) if closed else None,
        }
    return result


def cents(value: Decimal) -> Decimal:
    """Rounded to two places, half up."""
    return value.quantize(Decimal("0.01"), ROUND_HALF_UP)


def tenth(value: Decimal) -> Decimal:
    """Rounded to one place, half up."""
    return value.quantize(Decimal("0.1"), ROUND_HALF_UP)


def test_what_happens_after_a_win_happened(played: Environment) -> None:
    accounts = {row["id"]: row for row in everything(played, "account")}
    begun = {a["about"] for a in everything(played, "activity") if a["subject"].startswith(("Kick-off: ", "启动会："))}
    for row in everything(played, "opportunity"):
        if row["stage"] == "won":
            assert accounts[row["account"]]["kind"] in ("customer", "former")
            assert row["closed_on"] == row["close_date"]
            assert (row["id"] in begun) == (row["kind"] != "renewal")


def test_nothing_of_the_story_lies_after_its_anchor(played: Environment) -> None:
    for object in ("account", "opportunity", "activity", "case"):
        assert max(row["modified_at"] for row in everything(played, object)).date() <= date(2026, 11, 1)


def test_a_seller_sees_her_own_sales_and_no_cost(played: Environment) -> None:
    accounts = Accounts(played.world)
    with played.read(SYSTEM) as records:
        mei = accounts.actor_for_user(
            records.connection, str(accounts.user_id(records.connection, "mei@ratoon.example"))
        )
    assert mei is not None
    mine = {row["id"] for row in everything(played, "opportunity") if row["owner"] == mei.id}
    assert 0 < len(mine) < 400
    assert {row["id"] for row in everything(played, "opportunity", mei)} == mine
    assert {row["opportunity"] for row in everything(played, "opportunity_line", mei)} <= mine
    for row in everything(played, "activity", mei):
        assert row["owner"] == mei.id or row["about_object"] in ("account", "contact", "case")
    assert not {"cost", "margin"} & set(everything(played, "product", mei)[0])


def test_both_databases_tell_the_same_story(sqlite: Environment, postgresql: Environment) -> None:
    assert fingerprints(sqlite) == fingerprints(postgresql)
