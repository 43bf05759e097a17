"""Rollups are exact on both databases."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ratoon.platform.formulas.types import EvalContext

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
CONTEXT = EvalContext(now=NOW)


def rolled(shop: Any, name: str, *parents: str) -> list[Any]:
    """The value of a rollup of customers, per parent."""
    field = shop.registry["customer"].fields[name]
    with shop.read() as conn:
        values = shop.store.rollup(conn, field, parents, CONTEXT)
    return [values[parent] for parent in parents]


def test_nothing_to_roll_up(shop: Any) -> None:
    (customer,) = shop.add("customer", {"name": "1"})
    assert [rolled(shop, n, customer)[0] for n in ("orders", "won", "mean", "last_day")] == [0, Decimal(0), None, None]


def test_counts_sums_and_means_per_parent(shop: Any) -> None:
    one, two = shop.add("customer", {"name": "1"}, {"name": "2"})
    orders = shop.add(
        "order",
        {"customer": one, "amount": Decimal("0.10"), "status": "won", "day": date(2026, 1, 1)},
        {"customer": one, "amount": Decimal("0.20"), "status": "won", "day": date(2026, 3, 1)},
        {"customer": one, "amount": None, "status": "won"},
        {"customer": two, "amount": Decimal("7"), "status": "lost"},
    )
    assert rolled(shop, "orders", one, two) == [3, 1]
    assert rolled(shop, "won", one, two) == [Decimal("0.30"), Decimal(0)]
    assert rolled(shop, "mean", one, two) == [Decimal("0.15"), Decimal(7)]
    assert rolled(shop, "last_day", one, two) == [date(2026, 3, 1), None]
    with shop.write() as conn:
        shop.store.mark_deleted(conn, "order", orders[1:2], NOW, shop.new_id())
    assert rolled(shop, "won", one) == [Decimal("0.10")]


def test_a_filter_may_reach_through_lookups(shop: Any) -> None:
    home, away = shop.add("region", {"name": "home"}, {"name": "away"})
    one, two = shop.add("customer", {"name": "1", "region": home}, {"name": "2", "region": away})
    shop.add("order", {"customer": one}, {"customer": one}, {"customer": two})
    assert rolled(shop, "home_orders", one, two) == [2, 0]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.decimals(min_value=-10_000_000, max_value=10_000_000, places=2), min_size=1, max_size=8))
def test_a_mean_is_rounded_half_away_from_zero(amounts: list[Decimal]) -> None:
    from decimal import ROUND_HALF_UP

    from ratoon.platform.formulas.columns import ExactDecimal
    from ratoon.platform.storage.rollups import PRECISE, kept

    mean = kept(PRECISE.divide(sum(amounts), Decimal(len(amounts))), ExactDecimal(18, 2))
    exact = sum(amounts) * 100
    whole = (Decimal(exact) / len(amounts)).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    assert mean == whole / 100
