"""A hidden field is answered like one that is not there, wherever its name is tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ratoon.platform.access.actor import SYSTEM, Actor
from ratoon.platform.environment import Environment
from ratoon.platform.errors import BadRequest
from ratoon.platform.records.reading import Query
from ratoon.platform.records.service import RecordService

CLERK = Actor(id=None, name="Clerk", roles=frozenset({"clerk"}))
TRIES: dict[str, Callable[[RecordService, str], Any]] = {
    "fields": lambda r, name: r.list(Query("good", fields=[name])),
    "sort": lambda r, name: r.list(Query("good", sort=[name])),
    "filter": lambda r, name: r.list(Query("good", filter=f"{name} > 1")),
    "filter through a lookup": lambda r, name: r.list(Query("sale", filter=f"good.{name} > 1")),
    "group_by": lambda r, name: r.aggregate("good", group_by=[name]),
    "measures": lambda r, name: r.aggregate("good", measures=[("sum", name)]),
}


@pytest.fixture
def shop(open_world: Any, an_object: Any, a_field: Any) -> Environment:
    world: Environment = open_world(
        [
            {"kind": "package", "name": "goods", "version": "1.0.0", "label": "Goods"},
            an_object("good", a_field("cost", "decimal", precision=10, scale=2), a_field("list_price", "decimal")),
            an_object("sale", a_field("good", "lookup", object="good")),
            {
                "kind": "view", "object": "good", "name": "dear", "label": "Dear", "columns": ["name", "cost"],
                "filter": "cost > 5", "sort": ["-cost"],
            },
            {
                "kind": "role", "name": "clerk", "label": "Clerk",
                "objects": {"good": ["read"], "sale": ["read"]}, "fields": {"good.cost": []},
            },
        ]
    )  # fmt: skip
    return world


@pytest.mark.parametrize("place", TRIES)
def test_neither_its_name_nor_a_near_one_gives_it_away(shop: Environment, place: str) -> None:
    with shop.read(CLERK) as records:
        said = {}
        for name in ("cost", "cots", "cosy"):
            with pytest.raises(BadRequest) as error:
                TRIES[place](records, name)
            said[name] = error.value.text().replace(name, "…")
    assert said["cost"] == said["cots"] == said["cosy"]
    with shop.read(SYSTEM) as records, pytest.raises(BadRequest, match="cost"):
        TRIES[place](records, "cots")


def test_what_is_readable_works(shop: Environment) -> None:
    with shop.read(CLERK) as records:
        for name in TRIES:
            TRIES[name](records, "list_price")


def test_a_view_over_a_hidden_field_still_lists_its_records(shop: Environment) -> None:
    shop.transact(SYSTEM, lambda r: r.create("good", [{"name": n, "cost": c} for n, c in (("a", "9"), ("b", "1"))]))
    with shop.read(CLERK) as records:
        listed = records.list(Query("good", view="dear")).records
    assert [r["name"] for r in listed] == ["a"]
    assert "cost" not in listed[0]
