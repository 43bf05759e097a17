"""What paths from rows in memory lead to, with one statement per step for all rows."""

from __future__ import annotations

from typing import Any


def test_paths_are_followed_in_sets(shop: Any) -> None:
    (top,) = shop.add("region", {"name": "world"})
    (home,) = shop.add("region", {"name": "home", "above": top})
    (customer,) = shop.add("customer", {"name": "Acme", "region": home})
    unsaved = [{"id": None, "customer": customer}, {"id": None, "customer": None}]
    paths = ["customer.name", "customer.region.above.name", "customer.region", "name", "$source.x"]
    with shop.write() as conn:
        shop.store.attach_paths(conn, "order", unsaved, paths, None, lock=True)
    assert unsaved[0] == {
        "id": None,
        "customer": customer,
        "customer.name": "Acme",
        "customer.region.above.name": "world",
        "customer.region": home,
    }
    assert unsaved[1]["customer.region.above.name"] is None


def test_load_can_bring_paths_along(shop: Any) -> None:
    (home,) = shop.add("region", {"name": "home"})
    (customer,) = shop.add("customer", {"name": "Acme", "region": home})
    (order,) = shop.add("order", {"customer": customer})
    with shop.read() as conn:
        rows = shop.store.load(conn, "order", [order], paths=["customer.region.name", "customer.id"])
    assert rows[order]["customer.region.name"] == "home"
    assert rows[order]["customer.id"] == customer
