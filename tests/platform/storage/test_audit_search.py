"""The audit trail is searched by who, what, to what and when; newest first, and by an index however long it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import inspect, text

from ratoon.platform.environment import Environment
from ratoon.platform.errors import BadRequest
from ratoon.platform.storage.audit import Happening, forget, note, verify
from ratoon.platform.storage.audit_search import NOBODY, Wanted, every, find, statement
from ratoon.platform.storage.system_schema import create_system_tables

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ANN, BEN = "01900000-0000-7000-8000-00000000000a", "01900000-0000-7000-8000-00000000000b"
SOMEBODY = "01900000-0000-7000-8000-000000000017"
APPLIED = {"packages": {"crm": "1.2.0"}, "components": ["changed crm/account/object.json"]}
HAPPENED = (
    Happening("sign_in", "signed_in", ANN, subject="ann@example.com"),
    Happening("sign_in", "refused", None, subject="ben@example.com"),
    Happening("access", "shared", ANN, "deal", "deal-1"),
    Happening("access", "transferred", BEN, "deal", "deal-2"),
    Happening("export", "exported", BEN, "deal", "deal"),
    Happening("setup", "applied", ANN, "revision", "7", APPLIED, ["crm/account/object.json", "crm/roles/seller.json"]),
    Happening("setup", "setting_given", None, "setting", "mails.key"),
    Happening("setup", "purged", ANN, "kept_data", "deal.old", {"packages": ["sales"], "lost": {"deal.old": 3}}),
)


@pytest.fixture
def trail(open_world: Callable[..., Environment]) -> Environment:
    """Eight entries, an hour apart, numbers 1 to 8."""
    environment = open_world()
    with environment.database.write() as conn:
        conn.execute(text("DELETE FROM ratoon_audit"))
        conn.execute(text("DELETE FROM ratoon_audit_about"))
        for hour, happening in enumerate(HAPPENED):
            note(conn, NOON + timedelta(hours=hour), happening)
    return environment


def test_entries_are_found_by_who_what_to_what_and_when(trail: Environment) -> None:
    def numbers(**wanted: Any) -> list[int]:
        with trail.database.read() as conn:
            return [entry.number for entry in find(conn, Wanted(**wanted))]

    assert numbers() == [8, 7, 6, 5, 4, 3, 2, 1]
    assert numbers(trail="access") == [4, 3]
    assert numbers(by=ANN) == [8, 6, 3, 1]
    assert numbers(by=NOBODY) == [7, 2]
    assert numbers(by=ANN, trail="access") == [3]
    assert numbers(action="exported", object="deal") == [5]
    assert numbers(object="deal", subjects=("deal-1",)) == [3]
    assert numbers(subjects=("ann@example.com", "deal-2")) == [4, 1]
    assert numbers(package="crm") == [6]
    assert numbers(package="mails") == [7]
    assert numbers(component="crm/account/object.json") == numbers(component="account/object.json") == [6]
    assert numbers(component="roles/seller.json") == [6], "the entry's detail does not name it"
    assert numbers(component="deal.old", package="sales") == [8]
    assert numbers(since=NOON + timedelta(hours=2), until=NOON + timedelta(hours=4)) == [4, 3]
    assert numbers(package="crm", by=BEN) == []


def test_pages_go_on_where_they_ended_also_when_two_clocks_disagree(trail: Environment) -> None:
    with trail.database.write() as conn:
        note(conn, NOON, Happening("access", "shared", ANN, "deal", "late"))
    with trail.database.read() as conn:
        page, seen = find(conn, Wanted(), limit=2), []
        while page:
            seen += [entry.number for entry in page]
            page = find(conn, Wanted(), after=page[-1].number, limit=2)
        assert seen == [8, 7, 6, 5, 4, 3, 2, 9, 1]
        assert [entry.number for entry in every(conn, Wanted(subjects=("late", "deal-1")))] == [3, 9]
        with pytest.raises(BadRequest, match="no entry with the number 99"):
            find(conn, Wanted(), after=99)


def test_a_trail_of_an_older_version_is_searched_by_package_too(trail: Environment) -> None:
    with trail.database.write() as conn:
        conn.execute(text("DROP TABLE ratoon_audit_about"))
        conn.execute(text("DROP INDEX ix_ratoon_audit_subject_at"))
        conn.execute(text("DELETE FROM ratoon_setting WHERE name = 'system_tables'"))
    with trail.database.write() as conn:
        create_system_tables(conn)  # what opening a database does
        assert [entry.number for entry in find(conn, Wanted(package="crm"))] == [6]
        assert [entry.number for entry in find(conn, Wanted(component="deal.old"))] == [8]
        assert "ix_ratoon_audit_subject_at" in {index["name"] for index in inspect(conn).get_indexes("ratoon_audit")}
        assert verify(conn).flaws == ()


def test_what_is_forgotten_is_not_found_by_what_it_said(trail: Environment) -> None:
    with trail.database.write() as conn:
        assert forget(conn, NOON + timedelta(days=1), "setup", NOON + timedelta(hours=7)) == 2
        assert find(conn, Wanted(package="crm")) == []
        assert [entry.number for entry in find(conn, Wanted(package="sales"))] == [8]
        assert verify(conn).flaws == ()


MATTERS = {
    "everything": Wanted(),
    "a trail": Wanted(trail="privacy"),
    "a person": Wanted(by=SOMEBODY),
    "nobody": Wanted(by=NOBODY),
    "an action": Wanted(action="shared"),
    "an object": Wanted(object="deal"),
    "a record": Wanted(object="deal", subjects=("record-777",)),
    "what a person did in a trail": Wanted(by=SOMEBODY, trail="access"),
    "what a person took out": Wanted(by=SOMEBODY, action="exported"),
    "who took an object out": Wanted(object="deal", action="exported"),
    "a day": Wanted(since=NOON + timedelta(hours=30), until=NOON + timedelta(hours=31)),
    "a person's day": Wanted(by=SOMEBODY, since=NOON + timedelta(hours=30), until=NOON + timedelta(hours=31)),
    "a trail's day": Wanted(trail="access", since=NOON + timedelta(hours=30), until=NOON + timedelta(hours=31)),
    "a package": Wanted(package="crm"),
    "a package in a time": Wanted(package="crm", since=NOON, until=NOON + timedelta(hours=31)),
    "a component": Wanted(component="account/object.json", trail="setup"),
}


@pytest.fixture
def long_trail(open_world: Callable[..., Environment]) -> Iterator[Any]:
    """A connection to a trail of 30,000 entries of 50 people, a few of them of the trail setup."""
    environment = open_world()
    with environment.database.write() as conn:
        fill_trail(conn, 30_000)
        yield conn


def fill_trail(conn: Any, entries: int) -> None:
    """So many entries, ten seconds apart, made by the database itself; they are not chained."""
    conn.execute(text("DELETE FROM ratoon_audit"))
    lite = conn.dialect.name == "sqlite"
    person = "'01900000-0000-7000-8000-0000000000' || CAST(n % 50 + 10 AS text)"
    at = "strftime('%Y-%m-%dT%H:%M:%S', '2026-11-21 12:00:00', (n * 10) || ' seconds') || '.000000Z'"
    if not lite:
        person = f"CAST({person} AS uuid)"
        at = "timestamptz '2026-11-21 12:00:00Z' + n * interval '10 seconds'"
    conn.execute(
        text(f"""
        INSERT INTO ratoon_audit (number, at, trail, action, by, object, subject, detail, previous, hash)
        WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :entries)
        SELECT n, {at},
            CASE WHEN n % 1000 = 0 THEN 'setup' WHEN n % 700 = 0 THEN 'privacy' WHEN n % 3 = 0 THEN 'access'
                ELSE 'sign_in' END,
            CASE WHEN n % 3 = 0 THEN 'shared' WHEN n % 101 = 0 THEN 'exported' ELSE 'signed_in' END,
            CASE WHEN n % 9 = 0 THEN NULL ELSE {person} END,
            CASE WHEN n % 3 = 0 THEN 'deal' ELSE '' END,
            'record-' || (n / 4), '{{}}', '', ''
        FROM numbers"""),
        {"entries": entries},
    )
    conn.execute(text("INSERT INTO ratoon_audit_about SELECT 'package', 'crm', number FROM ratoon_audit "
                      "WHERE trail = 'setup'"))  # fmt: skip
    conn.execute(text("INSERT INTO ratoon_audit_about SELECT 'component', 'account/object.json', number "
                      "FROM ratoon_audit WHERE number % 5000 = 0"))  # fmt: skip
    if not lite:
        conn.execute(text("ANALYZE ratoon_audit"))
        conn.execute(text("ANALYZE ratoon_audit_about"))


def plan_of(conn: Any, wanted: Wanted) -> str:
    """How the database goes about it, in its own words."""
    asked = statement(wanted, next(iter(wanted.subjects), None), limit=51)
    made = asked.compile(dialect=conn.dialect, compile_kwargs={"literal_binds": True})
    how = "EXPLAIN QUERY PLAN" if conn.dialect.name == "sqlite" else "EXPLAIN"
    return "\n".join(str(row[-1]) for row in conn.exec_driver_sql(f"{how} {made}".replace("%", "%%")))


def test_no_way_of_asking_reads_the_whole_trail(long_trail: Any) -> None:
    for name, wanted in MATTERS.items():
        plan = plan_of(long_trail, wanted)
        assert "Seq Scan on ratoon_audit " not in plan, (name, plan)
        for line in plan.splitlines():
            assert not line.startswith("SCAN ratoon_audit") or "ix_ratoon_audit_at" in line, (name, plan)
        if name not in ("a package", "a package in a time", "a component", "a record"):
            assert "TEMP B-TREE" not in plan, (name, plan)
