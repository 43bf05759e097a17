"""A client that does not know yet that something was renamed goes on working, and so does a process."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ratoon.platform.app import open_environment
from ratoon.platform.config import World
from ratoon.platform.metadata.documents import canonical, place
from ratoon.platform.packages import Target, apply_package
from ratoon.platform.plugins import Plugins
from ratoon.platform.storage import revisions

Shop = Any
Client = Any


def source_of(documents: list[dict[str, Any]]) -> dict[str, bytes]:
    return {place(str(d["kind"]), d): canonical(d).encode() for d in documents}


def apply(shop: Shop, documents: list[dict[str, Any]]) -> None:
    apply_package(Target.of(shop.environment), source_of(documents), allow_destructive=True)


@pytest.fixture
def documents(shop: Shop) -> list[dict[str, Any]]:
    return standing(shop)


def standing(shop: Shop) -> list[dict[str, Any]]:
    """The documents of the shop as they are applied."""
    with shop.environment.database.read() as connection:
        found = revisions.documents_at(connection, revisions.current_revision(connection))
    return [copy.deepcopy(dict(d.data)) for d in found if d.package == "shop"]


def of_kind(documents: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    return next(d for d in documents if d["kind"] == kind and d["name"] == name)


@pytest.fixture
def renamed(shop: Shop, admin: Client, documents: list[dict[str, Any]]) -> str:
    """A customer with a credit; then the object, the credit, the code and a value are renamed."""
    made = admin.post("/records/customer", {"name": "Lin", "code": "L1", "credit": "12.50", "tier": "gold"})
    customer = of_kind(documents, "object", "customer")
    customer.update(name="client", renamed_from="customer")
    for old, new in (("credit", "limit"), ("code", "number")):
        next(f for f in customer["fields"] if f["name"] == old).update(name=new, renamed_from=old)
    tier = next(f for f in customer["fields"] if f["name"] == "tier")
    tier["values"][0].update(value="golden", renamed_from="gold")
    for document in documents:
        if document.get("object") == "customer":
            document["object"] = "client"
    apply(shop, documents)
    return str(made["id"])


def test_reading_under_the_old_names(admin: Client, renamed: str) -> None:
    found = admin.get(f"/records/customer/{renamed}")
    assert (found["limit"], found["credit"], found["tier"]) == ("12.50", "12.50", "golden")
    page = admin.get("/records/customer", query_string={
        "filter": "credit > 10", "sort": "-credit", "fields": "name,credit"})["records"]  # fmt: skip
    assert [(r["id"], r["credit"]) for r in page] == [(renamed, "12.50")]
    sums = admin.get("/records/customer/aggregate", query_string={"measures": "sum:credit", "group_by": "tier"})
    assert "12.50" in str(sums)
    assert admin.get("/objects/customer")["name"] == "client"


def test_writing_under_the_old_names(admin: Client, renamed: str) -> None:
    admin.patch(f"/records/customer/{renamed}", {"credit": "20"})
    assert admin.get(f"/records/client/{renamed}")["limit"] == "20.00"
    made = admin.post("/records/customer", {"name": "Wei", "credit": "7", "tier": "gold", "code": "W1"})
    assert (made["limit"], made["tier"], made["number"]) == ("7.00", "golden", "W1")
    again = admin.put("/records/customer/code/W1", {"credit": "8"})
    assert (again["id"], again["limit"]) == (made["id"], "8.00")


def test_an_old_name_ends_with_its_declaration(shop: Shop, admin: Client, renamed: str) -> None:
    documents = standing(shop)
    of_kind(documents, "object", "client").pop("renamed_from")
    apply(shop, documents)
    admin.get(f"/records/customer/{renamed}", 404)


def test_a_process_that_has_not_noticed_yet_answers_all_the_same(
    shop: Shop, admin: Client, documents: list[dict[str, Any]]
) -> None:
    made = admin.post("/records/customer", {"name": "Lin", "visits": 3, "weight": "1.500"})["id"]
    for _ in range(8):  # PostgreSQL prepares what is asked often
        assert admin.get(f"/records/customer/{made}")["visits"] == 3
    object.__setattr__(shop.environment.settings, "revision_poll_seconds", 3600.0)
    customer = of_kind(documents, "object", "customer")
    next(f for f in customer["fields"] if f["name"] == "visits").update(name="calls", renamed_from="visits")
    weight = next(f for f in customer["fields"] if f["name"] == "weight")
    weight.clear()
    weight.update(name="weight", type="text", label="Weight")
    customer["rules"] = []
    elsewhere = open_environment(shop.environment.settings, World(), Plugins())
    apply_package(Target.of(elsewhere), source_of(documents), allow_destructive=True)
    elsewhere.close()
    found = admin.get(f"/records/customer/{made}")
    assert (found["calls"], found["visits"], found["weight"]) == (3, 3, "1.500")
    assert admin.get("/records/customer")["records"]
    assert admin.patch(f"/records/customer/{made}", {"weight": "heavy"})["weight"] == "heavy"
