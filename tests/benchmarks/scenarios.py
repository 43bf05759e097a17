"""What is called: the same work for both applications, as bytes that the load generator sends."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from data import deal, deal_id

BASE = "/api/v1/records/deal"
Request = Mapping[str, Any]


@dataclass(frozen=True)
class Scenario:
    """One kind of call."""

    title: str
    ours: Sequence[Request]
    theirs: Sequence[Request]
    goal: str


def get(**parameters: Any) -> list[Request]:
    """A list call."""
    return [{"method": "GET", "path": f"{BASE}?{urlencode(parameters)}"}]


def reads(rows: int) -> list[Request]:
    """Single records all over the table."""
    return [{"method": "GET", "path": f"{BASE}/{deal_id(n * 7919 % rows + 1)}"} for n in range(1000)]


def updates(rows: int) -> list[Request]:
    """One field of single records all over the table."""
    return [
        {
            "method": "PATCH",
            "path": f"{BASE}/{deal_id(n * 7919 % rows + 1)}",
            "body": json.dumps({"score": n * 13 % 101}),
        }
        for n in range(1, 1001)
    ]


def creates(object: str = "deal") -> list[Request]:
    """New records of 20 fields, each with a code that is not there yet."""
    return [
        {
            "method": "POST",
            "path": f"/api/v1/records/{object}",
            "body": json.dumps(deal(n, f"N{n}-@@SERIAL@@"), ensure_ascii=False),
        }
        for n in range(50)
    ]


def bulk(count: int) -> list[Request]:
    """Many new records in one call."""
    body = json.dumps([deal(n, f"B{n}-@@SERIAL@@") for n in range(count)], ensure_ascii=False)
    return [{"method": "POST", "path": BASE, "body": body}]


def open_deals() -> tuple[list[Request], list[Request]]:
    """A page of 50 with a filter that both applications have an index for."""
    return get(filter='status = "open"', sort="id", limit=50), get(status="open", sort="id", limit=50)


def largest_deals() -> tuple[list[Request], list[Request]]:
    """A page of 50, filtered and sorted as a view declares; the hand-written application has no index for it."""
    ours = get(filter='industry = "software"', sort="-amount", limit=50)
    return ours, get(industry="software", sort="-amount", limit=50)


def scenarios(rows: int) -> list[Scenario]:
    """Everything that is compared call by call."""
    read, update, create = reads(rows), updates(rows), creates()
    return [
        Scenario("read one", read, read, ">= 0.7"),
        Scenario("list of 50, filtered", *open_deals(), ">= 0.8"),
        Scenario("update one field", update, update, ">= 0.5"),
        Scenario("create", create, create, ">= 0.5"),
        Scenario("list of 50, declared sort; no index there", *largest_deals(), ">= 10"),
    ]
