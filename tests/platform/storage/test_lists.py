"""Lists page by key in every order, with filters over paths, and counts and sums in groups."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from ratoon.platform.formulas.types import EvalContext
from ratoon.platform.storage.lists import ListRequest

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
CONTEXT = EvalContext(now=NOW)

STATUSES = ("won", "lost", None)
AMOUNTS = (Decimal("5.00"), None, Decimal("-1.50"), Decimal("5.00"))
DAYS = (date(2026, 1, 2), date(2026, 1, 1), None)
ROWS = [
    {"name": f"{place:02d}", "status": status, "amount": amount, "day": day}
    for place, (status, amount, day) in enumerate(itertools.product(STATUSES, AMOUNTS, DAYS))
]


def sorted_rows(rows: list[dict[str, Any]], sort: tuple[tuple[str, bool], ...]) -> list[dict[str, Any]]:
    """What the list must show: blanks last, ties by id in the direction of the last key."""
    last = sort[-1][1] if sort else False
    found = sorted(rows, key=lambda row: row["id"], reverse=last)
    for key, down in reversed(sort):
        filled = [row for row in found if row[key] is not None]
        found = sorted(filled, key=lambda row, key=key: row[key], reverse=down) + [r for r in found if r[key] is None]
    return found


SORTS: tuple[tuple[tuple[str, bool], ...], ...] = (
    (),
    (("amount", False),),
    (("amount", True),),
    (("status", False), ("amount", False)),
    (("status", True), ("amount", False)),
    (("status", False), ("day", True), ("amount", False)),
    (("created_at", True),),
    (("status", True), ("created_at", True)),
    (("day", True), ("status", True), ("amount", True)),
    (("id", True),),
    (("status", False), ("id", True)),
)


def test_pages_follow_one_another_without_gaps_or_repeats(shop: Any) -> None:
    rows = [shop.row("order", **row) for row in ROWS]
    gone = shop.row("order", name="gone", amount=Decimal(5))
    with shop.write() as conn:
        shop.store.insert(conn, "order", [*rows, gone])
        shop.store.mark_deleted(conn, "order", [gone["id"]], NOW, shop.new_id())
    with shop.read() as conn:
        for sort, limit in itertools.product(SORTS, (1, 7, 100)):
            found: list[str] = []
            request = ListRequest("order", sort=sort, limit=limit)
            while True:
                page = shop.store.lists.fetch(conn, request)
                assert len(page.rows) <= limit
                found += [row["name"] for row in page.rows]
                if page.next is None:
                    break
                request = replace(request, after=page.next)
            assert found == [row["name"] for row in sorted_rows(rows, sort)], (sort, limit)


def test_a_position_of_another_sort_is_refused(shop: Any) -> None:
    with shop.read() as conn, pytest.raises(ValueError, match="sort order"):
        shop.store.lists.fetch(conn, ListRequest("order", sort=(("name", False),), after=("x",)))


def test_only_the_wanted_columns_come(shop: Any) -> None:
    (home,) = shop.add("region", {"name": "home"})
    (customer,) = shop.add("customer", {"name": "Acme", "region": home})
    shop.add("order", {"name": "a", "customer": customer, "count": 3})
    request = ListRequest("order", fields=("count", "customer.region.name", "age"), sort=(("customer.name", False),))
    with shop.read() as conn:
        (row,) = shop.store.lists.fetch(conn, request).rows
        (whole,) = shop.store.lists.fetch(conn, ListRequest("order")).rows
    assert {k: v for k, v in row.items() if k != "id"} == {
        "count": 3,
        "customer.region.name": "home",
        "customer.name": "Acme",
    }
    assert "deletion_id" not in whole
    assert whole["extra"] is None


def test_filters_reach_through_lookups(shop: Any) -> None:
    home, away = shop.add("region", {"name": "home"}, {"name": "away"})
    one, two = shop.add("customer", {"name": "1", "region": home}, {"name": "2", "region": away})
    shop.add("order", {"name": "a", "customer": one}, {"name": "b", "customer": two}, {"name": "c"})
    assert shop.names("order", filter='customer.region.name = "home"') == ["a"]
    assert shop.names("order", filter='customer.region.name = "home" || customer.name = "2"') == ["a", "b"]
    assert shop.names(
        "order", filter='customer.region.name = "away" && name = "b"', sort=(("customer.name", True),)
    ) == ["b"]


def test_the_same_filter_with_other_values_gives_other_rows(shop: Any) -> None:
    shop.add("order", *({"name": str(n), "amount": Decimal(n)} for n in range(5)))
    for bound in range(5):
        assert shop.names("order", filter=f"amount > {bound}") == [str(n) for n in range(bound + 1, 5)]


def test_a_filter_that_depends_on_today_moves_with_the_clock(shop: Any) -> None:
    shop.add("order", {"name": "old", "day": date(2026, 11, 1)}, {"name": "new", "day": date(2026, 11, 21)})
    assert shop.names("order", filter="day < TODAY()") == ["old"]
    later = EvalContext(now=datetime(2026, 11, 25, tzinfo=UTC))
    assert shop.names("order", filter="day < TODAY()", context=later) == ["old", "new"]
    assert shop.names("order", filter="age > 10") == ["old"]


def test_row_filters_hold_beside_filters(shop: Any) -> None:
    shop.add("order", *({"name": str(n), "count": n} for n in range(6)))
    count = shop.store.tables.table("order").c["count"]
    assert shop.names("order", where=(count > 2,), filter='name <> "4"') == ["3", "5"]
    assert shop.names("order", where=(count > 3,), filter='name <> "4"') == ["5"]
    assert shop.names("order", where=(count.in_([1, 2]),)) == ["1", "2"]
    assert shop.names("order", where=(count.in_([1]),)) == ["1"]


def test_counts_stop_at_the_ceiling(shop: Any) -> None:
    shop.add("order", *({"name": str(n), "count": n} for n in range(6)))
    with shop.read() as conn:
        request = ListRequest("order", filter=shop.formula("order", "count > 1"))
        assert shop.store.lists.count(conn, request, 100) == 4
        assert shop.store.lists.count(conn, request, 4) == 4
        assert shop.store.lists.count(conn, request, 3) == 4
        assert shop.store.lists.count(conn, request, 2) == 3


def test_groups_are_counted_and_summed_exactly(shop: Any) -> None:
    one, two = shop.add("customer", {"name": "1"}, {"name": "2"})
    shop.add(
        "order",
        {"customer": one, "status": "won", "amount": Decimal("0.10"), "count": 1, "day": date(2026, 1, 5)},
        {"customer": one, "status": "won", "amount": Decimal("0.20"), "count": 2},
        {"customer": two, "status": "won", "amount": Decimal("0.31"), "count": 4},
        {"customer": two, "amount": None},
    )
    measures = [
        ("count", None),
        ("count", "amount"),
        ("sum", "amount"),
        ("avg", "amount"),
        ("avg", "count"),
        ("max", "day"),
    ]
    with shop.read() as conn:
        groups = shop.store.lists.aggregate(conn, "order", ["status"], measures)
        by_name = shop.store.lists.aggregate(
            conn, "order", ["customer.name", "status"], [("sum", "amount")], shop.formula("order", "amount > 0")
        )
        total = shop.store.lists.aggregate(conn, "order", [], [("min", "amount")], context=CONTEXT)
        few = shop.store.lists.aggregate(
            conn, "order", ["customer"], [("sum", "amount")], having=[("sum_amount", "lt", Decimal("0.31"))]
        )
        mean = shop.store.lists.aggregate(
            conn, "order", ["status"], [("avg", "count")], having=[("avg_count", "gt", 2)]
        )
    assert groups == [
        {"status": "won", "count": 3, "count_amount": 3, "sum_amount": Decimal("0.61"), "avg_amount": Decimal("0.20"),
         "avg_count": Decimal("2.33"), "max_day": date(2026, 1, 5)},
        {"status": None, "count": 1, "count_amount": 0, "sum_amount": Decimal("0.00"), "avg_amount": None,
         "avg_count": None, "max_day": None},
    ]  # fmt: skip
    assert by_name == [
        {"customer.name": "1", "status": "won", "sum_amount": Decimal("0.30")},
        {"customer.name": "2", "status": "won", "sum_amount": Decimal("0.31")},
    ]
    assert total == [{"min_amount": Decimal("0.10")}]
    assert few == [{"customer": one, "sum_amount": Decimal("0.30")}]
    assert [group["status"] for group in mean] == ["won"]


def test_unknown_measures_are_refused(shop: Any) -> None:
    with shop.read() as conn:
        with pytest.raises(ValueError, match="median"):
            shop.store.lists.aggregate(conn, "order", [], [("median", "amount")])
        with pytest.raises(ValueError, match="sum_count"):
            shop.store.lists.aggregate(conn, "order", [], [("count", None)], having=[("sum_count", "gt", 1)])
