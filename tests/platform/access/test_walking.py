"""However a page is found, walking the list or way by way, it is the page of one plain query with every condition."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import SYSTEM, Actor
from ratoon.platform.environment import Environment
from ratoon.platform.records.ownership import Ownership
from ratoon.platform.records.reading import Query
from ratoon.platform.storage.database import driver
from ratoon.platform.storage.sight import PATIENCE, WALKED
from ratoon.platform.storage.statements import Statement

RIGHTS = {"deal": ["create", "read", "edit", "delete"], "line": ["create", "read", "edit", "delete"]}
FIELDS = [{"name": "name", "type": "text", "label": "Name"}, {"name": "amount", "type": "integer", "label": "Amount"}]
HOUSE: list[dict[str, Any]] = [
    {"kind": "package", "name": "house", "version": "1.0.0", "label": "House"},
    {"kind": "object", "name": "deal", "label": "Deal", "plural_label": "Deals", "title": "name", "fields": FIELDS,
     "default_access": "private"},
    {"kind": "object", "name": "line", "label": "Line", "plural_label": "Lines", "title": "name", "fields": [
        *FIELDS, {"name": "deal", "type": "master_detail", "label": "Deal", "object": "deal", "required": True}]},
    {"kind": "role", "name": "top", "label": "Top", "objects": RIGHTS},
    {"kind": "role", "name": "middle", "label": "Middle", "parent": "top", "objects": RIGHTS},
    {"kind": "role", "name": "low", "label": "Low", "parent": "middle", "objects": RIGHTS},
    {"kind": "role", "name": "other", "label": "Other", "parent": "top", "objects": RIGHTS},
    {"kind": "role", "name": "few", "label": "Few", "objects": {"deal": ["read"], "line": ["read"]},
     "rows": {"deal": "amount < 90"}},
    *({"kind": "sharing", "name": f"rule_{n}", "label": f"Rule {n}", "object": "deal", "when": f"amount = {n}",
       "with": [{"role_and_below": "middle" if n % 2 else "other"}, {"role": "few"}], "access": "read"}
      for n in range(12)),
]  # fmt: skip
PEOPLE = {"tom": "top", "mia": "middle", "lou": "low", "leo": "low", "ola": "other", "fay": "few"}
FAR = 300
"""Rows: more than the nearer walk of a small page passes, and for the smallest pages more than the further one does."""


def people(environment: Environment) -> dict[str, Actor]:
    """Six people, each with a share of the rows: leo has most, lou those made first, fay none but a shared one."""
    accounts = Accounts(environment.world)
    with environment.write(SYSTEM) as records:
        ids = {n: accounts.create_user(records, name=n, email=f"{n}@example.com", roles=[r]) for n, r in PEOPLE.items()}
        owners = ["lou"] * 20 + [("leo", "leo", "leo", "ola", "tom")[n % 5] for n in range(FAR - 20)]
        rows = [{"name": f"{n % 7}", "amount": None if n % 11 == 0 else n * 37 % 101, "owner": ids[owner]}
                for n, owner in enumerate(owners)]  # fmt: skip
        deals = records.create("deal", rows)
        Ownership(records).share("deal", deals[25]["id"], f"user:{ids['fay']}", "read")
        Ownership(records).share("deal", deals[200]["id"], "role:low", "read")
        their = [{"name": row["name"], "amount": row["amount"], "deal": deals[n * 13 % FAR]["id"]}
                 for n, row in enumerate(rows)]  # fmt: skip
        lines = records.create("line", their)
        for object, made in (("deal", deals), ("line", lines)):
            table = records.engine.store.tables.table(object)
            for n, record in enumerate(made):  # made one after another, three at a time
                at = environment.world.clock() + timedelta(seconds=n // 3)
                records.connection.execute(table.update().where(table.c.id == record["id"]).values(created_at=at))
    with environment.database.read() as conn:
        found = {name: accounts.actor_for_user(conn, id) for name, id in ids.items()}
    return {name: actor for name, actor in found.items() if actor is not None}


def plainly(environment: Environment, actor: Actor, sort: str, above: int | None, object: str = "deal") -> list[str]:
    """The ids of the whole list by one query."""
    with environment.read(actor) as records:
        engine = records.engine
    table = engine.store.tables.table(object)
    down, key = sort.startswith("-"), sort.removeprefix("-")
    order = [column.desc().nulls_last() if down else column.asc().nulls_last() for column in (table.c[key], table.c.id)]
    where = [table.c.deleted_at.is_(None), *engine.policy.row_filter(actor, object, "read")]
    if above is not None:
        where.append(table.c.amount > above)
    with environment.database.read() as conn:
        return [str(id) for id in conn.execute(select(table.c.id).where(*where).order_by(*order)).scalars()]


def paged(
    environment: Environment, actor: Actor, sort: str, above: int | None, limit: int, pages: int, object: str = "deal"
) -> list[str]:
    """The ids of the first pages, one page after another."""
    found, cursor = [], None
    with environment.read(actor) as records:
        for _ in range(pages):
            given = None if above is None else f"amount > {above}"
            page = records.list(Query(object, given, sort=[sort], limit=limit, cursor=cursor))
            assert len(page.records) == limit or page.next_cursor is None
            found += [record["id"] for record in page.records]
            cursor = page.next_cursor
            if cursor is None:
                break
    return found


def test_every_page_is_that_of_one_plain_query(open_world: Callable[..., Environment]) -> None:
    environment = open_world(HOUSE)
    actors = people(environment)
    seen = {name: len(plainly(environment, actor, "-created_at", None)) for name, actor in actors.items()}
    assert seen["tom"] == FAR
    assert 0 < len(plainly(environment, actors["fay"], "-created_at", None, "line")) < FAR // 4
    assert seen["fay"] < seen["lou"] < FAR // 4 < seen["mia"]
    assert WALKED[0] * 3 < FAR, "pages of two must not always be filled by the nearer walk"

    @settings(max_examples=80, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        who=st.sampled_from(sorted(actors)),
        sort=st.sampled_from(["-created_at", "created_at", "-amount", "amount", "name", "id"]),
        above=st.sampled_from([None, None, 3, 60, 99]),
        limit=st.sampled_from([1, 2, 2, 3, 7, 50]),
        pages=st.integers(1, 4),
        object=st.sampled_from(["deal", "line"]),
    )
    def same(who: str, sort: str, above: int | None, limit: int, pages: int, object: str) -> None:
        whole = plainly(environment, actors[who], sort, above, object)
        assert paged(environment, actors[who], sort, above, limit, pages, object) == whole[: limit * pages]

    same()


def test_a_list_that_was_walked_in_vain_is_tried_again_later(open_world: Callable[..., Environment]) -> None:
    environment = open_world(HOUSE)
    actors = people(environment)
    lou = actors["lou"]
    assert paged(environment, lou, "-created_at", None, 50, 1) == plainly(environment, lou, "-created_at", None)[:50]
    with environment.write(SYSTEM) as records:
        records.create("deal", [{"name": "new", "amount": 1000, "owner": lou.id} for _ in range(60)])
    whole = plainly(environment, lou, "-created_at", None)
    for _ in range(PATIENCE + 2):
        assert paged(environment, lou, "-created_at", None, 50, 1) == whole[:50]


def test_who_sees_little_is_not_searched_for_among_all_rows(
    open_world: Callable[..., Environment], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is shared is found by the shares and what is below by its owners: a list costs what its reader sees, however
    long the table is."""
    environment = open_world(HOUSE)
    fay = people(environment)["fay"]
    ran: list[tuple[str, Any]] = []
    inner = Statement.tuples

    def noted(statement: Statement, connection: Connection, **given: Any) -> list[tuple[Any, ...]]:
        ran.append((statement.sql, statement.params(given)))
        return inner(statement, connection, **given)

    monkeypatch.setattr(Statement, "tuples", noted)
    paged(environment, fay, "-created_at", None, 50, 1)
    sql, params = next((sql, params) for sql, params in reversed(ran) if "ratoon_share" in sql)
    explain = "EXPLAIN QUERY PLAN " if environment.database.dialect == "sqlite" else "EXPLAIN "
    with environment.database.read() as conn:
        plan = "\n".join(str(row[-1]) for row in driver(conn).execute(explain + sql, params))
    assert "ratoon_share" in plan
    assert "CORRELATED" not in plan
    assert "SubPlan" not in plan
