"""Rows in, rows out, set by set, on both databases."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from ratoon.platform.errors import Conflict
from ratoon.platform.formulas.types import EvalContext

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
CONTEXT = EvalContext(now=NOW)


def test_a_row_comes_back_as_it_was_written(shop: Any) -> None:
    values = {
        "name": "第一单 %s ? 'x' \" \\",
        "amount": Decimal("1234567890.12"),
        "count": 2**40,
        "day": date(2026, 11, 21),
        "at": time(8, 30, 1),
        "urgent": True,
        "extra": {"a": [1, "二", None]},
        "created_at": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    }
    whole = shop.row("order", **values)
    with shop.write() as conn:
        shop.store.insert(conn, "order", [whole])
    with shop.read() as conn:
        (one,) = shop.store.load(conn, "order", [whole["id"]]).values()
        two = shop.store.load(conn, "order", [whole["id"], shop.new_id()])
    assert one == whole
    assert two == {whole["id"]: whole}
    assert str(one["amount"]) == "1234567890.12"
    assert one["created_at"].tzinfo is UTC
    assert one["urgent"] is True


def test_update_writes_only_its_keys(shop: Any) -> None:
    first, second = shop.add("order", {"name": "a", "count": 1}, {"name": "b", "count": 2})
    with shop.write() as conn:
        rows = [{"id": first, "count": 10, "extra": [1]}, {"id": second, "count": 20, "extra": None}]
        shop.store.update(conn, "order", ("count", "extra"), rows)
    with shop.read() as conn:
        rows = shop.store.load(conn, "order", [first, second])
    assert [(r["name"], r["count"], r["extra"]) for r in rows.values()] == [("a", 10, [1]), ("b", 20, None)]


def test_a_versioned_update_tells_who_was_too_late(shop: Any) -> None:
    first, second, gone = shop.add("order", {"name": "a"}, {"name": "b", "version": 3}, {"name": "c"})
    with shop.write() as conn:
        shop.store.mark_deleted(conn, "order", [gone], NOW, shop.new_id())
        rows = [{"id": record, "_version": 1, "version": 2, "name": "new"} for record in (first, second, gone)]
        late = shop.store.update_versioned(conn, "order", ("name", "version"), rows)
    assert late == [second, gone]
    with shop.read() as conn:
        assert [r["name"] for r in shop.store.load(conn, "order", [first, second]).values()] == ["new", "b"]


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("name", ["a", "b", "c"]),
        ("amount", [Decimal("1.50"), Decimal("2.00"), Decimal("3")]),
        ("count", [1, 2, 3]),
        ("day", [date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3)]),
        ("created_at", [NOW, datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)]),
    ],
)
def test_existing_finds_values_of_every_kind(shop: Any, key: str, values: list[Any]) -> None:
    first, second = shop.add("order", {key: values[0]}, {key: values[1]})
    with shop.read() as conn:
        assert shop.store.existing(conn, "order", key, values) == {values[0]: first, values[1]: second}
        assert shop.store.existing(conn, "order", key, []) == {}


def test_existing_sees_deleted_rows_only_when_asked(shop: Any) -> None:
    first, second = shop.add("order", {"name": "a"}, {"name": "b"})
    with shop.write() as conn:
        shop.store.mark_deleted(conn, "order", [first], NOW, shop.new_id())
    with shop.read() as conn:
        assert shop.store.existing(conn, "order", "id", {first, second}) == {second: second}
        assert shop.store.existing(conn, "order", "id", [first], deleted=True) == {first: first}
        assert shop.store.load(conn, "order", [first]) == {}
        assert shop.store.load(conn, "order", [first], deleted=True)[first]["deleted_at"] == NOW


def test_compound_keys_are_found_together(shop: Any) -> None:
    first, second = shop.add("customer", {"name": "a", "industry": "x"}, {"name": "b", "industry": "y"})
    asked = [("a", "x"), ("a", "y"), ("b", "y")]
    with shop.read() as conn:
        found = shop.store.existing_keys(conn, "customer", ("name", "industry"), asked)
    assert found == {("a", "x"): first, ("b", "y"): second}


def test_compound_keys_of_every_kind_are_found(shop: Any) -> None:
    values = {"amount": Decimal("1.50"), "day": date(2026, 1, 1), "count": 7, "created_at": NOW}
    (order,) = shop.add("order", values)
    with shop.read() as conn:
        found = shop.store.existing_keys(conn, "order", tuple(values), [tuple(values.values())])
    assert found == {tuple(values.values()): order}


def test_children_and_the_way_back(shop: Any) -> None:
    one, two = shop.add("customer", {"name": "1"}, {"name": "2"})
    orders = shop.add("order", {"customer": one}, {"customer": two}, {"customer": one}, {"customer": None})
    with shop.read() as conn:
        pairs = shop.store.children(conn, "order", "customer", [one, two])
        assert pairs == [(orders[0], one), (orders[1], two), (orders[2], one)]
        assert len(shop.store.children(conn, "order", "customer", [one, two], limit=2)) == 2
        assert shop.store.back(conn, "order", "customer", {one}) == {orders[0], orders[2]}
        assert shop.store.values(conn, "order", "customer", orders) == {one, two}
        assert shop.store.values(conn, "order", "customer", orders[3:]) == set()


def test_any_number_of_ids_goes_into_one_statement(shop: Any) -> None:
    (customer,) = shop.add("customer", {"name": "1"})
    orders = shop.add("order", *({"customer": customer} for _ in range(3000)))
    with shop.read() as conn:
        assert len(shop.store.load(conn, "order", orders)) == 3000
        assert shop.store.back(conn, "order", "customer", [*orders, customer]) == set(orders)


def test_ancestors_come_nearest_first_and_stop_at_a_repeat(shop: Any) -> None:
    (a,) = shop.add("region", {"name": "a"})
    (b,) = shop.add("region", {"name": "b", "above": a})
    (c,) = shop.add("region", {"name": "c", "above": b})
    with shop.write() as conn:
        assert shop.store.ancestors(conn, "region", "above", c) == [b, a]
        assert shop.store.ancestors(conn, "region", "above", a) == []
        shop.store.update(conn, "region", ("above",), [{"id": a, "above": b}])
        assert shop.store.ancestors(conn, "region", "above", c) == [b, a]
        assert shop.store.ancestors(conn, "region", "above", a) == [b]


def test_deleting_takes_rows_out_of_sight_and_brings_them_back(shop: Any) -> None:
    first, second, third = shop.add("order", {"name": "a"}, {"name": "b"}, {"name": "c"})
    one, two = shop.new_id(), shop.new_id()
    with shop.write() as conn:
        shop.store.mark_deleted(conn, "order", [first], NOW, one)
        shop.store.mark_deleted(conn, "order", [first, second], NOW, two)
        assert shop.store.deletion_of(conn, "order", first) == one
        assert shop.store.deletion_of(conn, "order", second) == two
        assert shop.store.deletion_of(conn, "order", third) is None
    assert shop.names("order") == ["c"]
    assert sorted(shop.names("order", deleted=True)) == ["a", "b"]
    with shop.write() as conn:
        assert shop.store.unmark_deleted(conn, "order", two) == [second]
        assert shop.store.unmark_deleted(conn, "order", two) == []
    assert sorted(shop.names("order")) == ["b", "c"]


def test_emptied_lookups_are_remembered_once(shop: Any) -> None:
    deletion, record, target = shop.new_id(), shop.new_id(), shop.new_id()
    with shop.write() as conn:
        shop.store.remember_unlinked(conn, deletion, [("order", record, "customer", target)])
        shop.store.remember_unlinked(conn, deletion, [])
    with shop.write() as conn:
        assert shop.store.take_unlinked(conn, deletion) == [("order", record, "customer", target)]
        assert shop.store.take_unlinked(conn, deletion) == []


def test_numbers_count_up_and_a_rollback_leaves_no_gap(shop: Any) -> None:
    with shop.write() as conn:
        assert list(shop.store.next_numbers(conn, "order.number", 3)) == [1, 2, 3]

    def fail() -> None:
        with shop.write() as conn:
            shop.store.next_numbers(conn, "order.number", 5)
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        fail()
    with shop.write() as conn:
        assert list(shop.store.next_numbers(conn, "order.number", 1)) == [4]


def test_visible_takes_conditions_from_outside(shop: Any) -> None:
    first, second = shop.add("order", {"name": "a"}, {"name": "b"})
    name = shop.store.tables.table("order").c.name
    region = shop.store.tables.table("region")
    with shop.read() as conn:
        for wanted, found in (("a", {first}), ("b", {second}), ("c", set())):
            assert shop.store.visible(conn, "order", [first, second], (name == wanted,)) == found
        assert shop.store.visible(conn, "order", [first, second], (name.in_(["a", "b"]),)) == {first, second}
        assert shop.store.visible(conn, "order", [first, second], (name.in_(select(region.c.name)),)) == set()
        assert shop.store.visible(conn, "order", [first, second], ()) == {first, second}


def test_two_live_records_cannot_share_a_unique_value(shop: Any) -> None:
    (first,) = shop.add("customer", {"name": "a", "code": "X"})
    with pytest.raises(Conflict, match="same value"):
        shop.add("customer", {"name": "b", "code": "X"})
    with shop.write() as conn:
        shop.store.mark_deleted(conn, "customer", [first], NOW, shop.new_id())
    shop.add("customer", {"name": "b", "code": "X"}, {"name": "c"}, {"name": "d"})


def test_a_reference_to_nothing_is_refused_at_the_end(shop: Any) -> None:
    ghost = shop.new_id()
    with pytest.raises(Conflict, match="not there"):
        shop.add("order", {"name": "a", "customer": ghost})
    one, two = shop.new_id(), shop.new_id()
    shop.add("region", {"id": one, "name": "child", "above": two}, {"id": two, "name": "parent"})


def test_locks_are_taken_and_let_go(shop: Any) -> None:
    ids = shop.add("order", {"name": "a"}, {"name": "b"})
    with shop.write() as conn:
        shop.store.lock(conn, "order", set(ids))
        shop.store.lock(conn, "order", ids, deleting=True)
        shop.store.advisory_lock(conn, "hierarchy:region.above")
        assert len(shop.store.load(conn, "order", ids, lock=True)) == 2
    with shop.write() as conn:
        shop.store.lock(conn, "order", ids)
