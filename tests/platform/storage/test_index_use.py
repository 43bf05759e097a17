"""The statements behind lists, lookups and checks are served by an index, on the first page and on the last."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Connection

from ratoon.platform.formulas.types import EvalContext
from ratoon.platform.storage.database import driver
from ratoon.platform.storage.lists import ListRequest
from ratoon.platform.storage.statements import Statement

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
CONTEXT = EvalContext(now=NOW)
ROWS = 6000


class Plans:
    """Runs work on a connection and says how the database went about its statements."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ran: list[tuple[str, Any]] = []
        inner = Statement.tuples

        def tuples(statement: Statement, connection: Connection, **given: Any) -> list[tuple[Any, ...]]:
            self.ran.append((statement.sql, statement.params(given)))
            return inner(statement, connection, **given)

        monkeypatch.setattr(Statement, "tuples", tuples)

    def of(self, conn: Connection, work: Callable[[], object]) -> str:
        """The plans of the statements that ``work`` ran, as text."""
        self.ran.clear()
        work()
        lines = []
        for sql, params in self.ran:
            if conn.dialect.name == "sqlite":
                lines += [row[3] for row in driver(conn).execute(f"EXPLAIN QUERY PLAN {sql}", params)]
            else:
                lines += [row[0] for row in driver(conn).execute(f"EXPLAIN {sql}", params)]
        return "\n".join(lines)


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> Plans:
    """Tells plans."""
    return Plans(monkeypatch)


@pytest.fixture
def full(shop: Any) -> Any:
    """A shop with many orders."""
    customers = shop.add("customer", *({"name": f"c{n}", "code": f"C{n}"} for n in range(200)))
    shop.add(
        "order",
        *(
            {
                "name": f"o{n}",
                "customer": customers[n % 200],
                "status": ("won", "lost", "open", None)[n % 4],
                "amount": None if n % 10 == 0 else Decimal(n * 7919 % ROWS),
                "created_at": NOW + timedelta(seconds=n),
            }
            for n in range(ROWS)
        ),
    )
    if shop.store.dialect == "postgresql":
        with shop.read() as conn:
            driver(conn).execute("ANALYZE")
    return shop


def served(plan: str) -> bool:
    """No table is read as a whole and nothing is sorted but what a few rows need."""
    lines = plan.splitlines()
    whole = any(line.startswith("SCAN") and "USING" not in line and "json_each" not in line for line in lines)
    sorted_all = any("TEMP B-TREE" in line and "LAST" not in line and "RIGHT PART" not in line for line in lines)
    sorted_all = sorted_all or any(line.strip(" ->").startswith("Sort ") for line in lines)
    return not (whole or sorted_all or "Seq Scan" in plan)


SORTS: dict[str, tuple[tuple[str, bool], ...]] = {
    "amount up": (("amount", False),),
    "amount down": (("amount", True),),
    "created down": (("created_at", True),),
    "by id": (),
}


def test_lists_are_read_from_an_index_on_every_page(full: Any, plans: Plans) -> None:
    with full.read() as conn:
        for name, sort in SORTS.items():
            request = ListRequest("order", fields=("name", "amount"), sort=sort, context=CONTEXT)
            page = full.store.lists.fetch(conn, request)
            assert served(plans.of(conn, lambda request=request: full.store.lists.fetch(conn, request))), name
            for amount in (Decimal(3000), None):
                last = page.rows[-1]
                values = [amount if key == "amount" else last[key] for key, _ in sort]
                after = (*values, last["id"])
                later = ListRequest("order", fields=("name", "amount"), sort=sort, after=after, context=CONTEXT)
                plan = plans.of(conn, lambda later=later: full.store.lists.fetch(conn, later))
                assert served(plan), (name, plan)


def test_a_filter_with_its_sort_is_read_from_one_index(full: Any, plans: Plans) -> None:
    formula = full.formula("order", 'status = "won"')
    request = ListRequest("order", filter=formula, sort=(("amount", True),), context=CONTEXT)
    with full.read() as conn:
        plan = plans.of(conn, lambda: full.store.lists.fetch(conn, request))
    assert served(plan), plan
    assert full.store.tables.dialect == "sqlite" or "status" in plan


def test_lookups_uniques_and_ids_are_found_by_index(full: Any, plans: Plans) -> None:
    store = full.store
    with full.read() as conn:
        parents = list(store.existing(conn, "customer", "code", ["C1", "C2"]).values())
        orders = [record for record, _ in store.children(conn, "order", "customer", parents)]
        field = full.registry["customer"].fields["orders"]
        asked: dict[str, Callable[[], object]] = {
            "unique": lambda: store.existing(conn, "customer", "code", ["C1", "C2"]),
            "ids": lambda: store.load(conn, "order", orders),
            "id": lambda: store.load(conn, "order", orders[:1]),
            "children": lambda: store.children(conn, "order", "customer", parents),
            "compound": lambda: store.existing_keys(conn, "customer", ("name", "industry"), [("c1", "x")]),
            "rollup": lambda: store.rollup(conn, field, parents, CONTEXT),
            "values": lambda: store.values(conn, "order", "customer", orders[:3]),
        }
        if full.database.dialect == "postgresql":
            # Small tables are read whole by choice; this asks whether there is an index to use.
            driver(conn).execute("SET enable_seqscan = off")
        for name, work in asked.items():
            plan = plans.of(conn, work)
            assert "Seq Scan" not in plan, (name, plan)
            scans = [line for line in plan.splitlines() if line.startswith("SCAN") and "VIRTUAL TABLE" not in line]
            assert scans == [], (name, plan)


def test_what_was_deleted_is_found_by_index(full: Any, plans: Plans) -> None:
    deletion = full.new_id()
    with full.read() as conn:
        ids = [row["id"] for row in full.store.lists.fetch(conn, ListRequest("order", limit=5)).rows]
    with full.write() as conn:
        full.store.mark_deleted(conn, "order", ids, NOW, deletion)
        if full.database.dialect == "postgresql":
            driver(conn).execute("SET LOCAL enable_seqscan = off")
        request = ListRequest("order", deleted=True, sort=(("deleted_at", True),))
        plan = plans.of(conn, lambda: full.store.lists.fetch(conn, request))
        assert len(full.store.unmark_deleted(conn, "order", deletion)) == 5
    assert "ix_order" in plan, plan
    assert served(plan), plan
