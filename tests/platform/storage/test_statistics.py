"""SQLite's planner knows how large tables are, in every connection, when they have grown too."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from ratoon.platform.jobs.measuring import EVERY, Measuring
from ratoon.platform.storage.database import Database, driver
from ratoon.platform.storage.statistics import TOO_SMALL, refresh

NUMBERS = itertools.count()
ASKED = "EXPLAIN QUERY PLAN SELECT * FROM deal WHERE kind = 1 AND place = 7"


@pytest.fixture
def grown(database_url: str) -> Iterator[Database]:
    """A database with a table of which one index says much and the other nothing."""
    database = Database.open(database_url)
    with database.write() as connection:
        raw = driver(connection)
        raw.execute("CREATE TABLE deal (id VARCHAR(36) PRIMARY KEY, kind INTEGER, place INTEGER)")
        raw.execute("CREATE INDEX ix_deal_place ON deal (place)")
        raw.execute("CREATE INDEX ix_deal_kind ON deal (kind)")
    add(database, 2000)
    yield database
    database.dispose()


def add(database: Database, count: int, *, first: int = 0) -> None:
    """Rows of one kind in many places."""
    with database.write() as connection:
        rows = ", ".join(f"('{n}', 1, {n})" for n in range(first, first + count))
        driver(connection).execute(f"INSERT INTO deal VALUES {rows}")


def plan(raw: Any) -> str:
    """Which index SQLite takes, once the connection has seen that the schema changed."""
    raw.execute("SELECT id FROM deal LIMIT 1").fetchone()
    anew = f"{ASKED} -- {next(NUMBERS)}"  # an EXPLAIN that the driver keeps is not planned again
    return " ".join(row[3] for row in raw.execute(anew))


def test_every_connection_plans_with_what_is_known_of_a_table(grown: Database) -> None:
    if grown.dialect == "postgresql":
        assert refresh(grown) == []
        return
    other = sqlite3.connect(grown.engine.url.database or "", isolation_level=None)
    assert "ix_deal_kind" in plan(other), "without statistics the index made last is taken"
    assert refresh(grown) == ["deal"]
    assert "ix_deal_place" in plan(other)
    other.close()


def test_a_table_is_looked_at_again_when_it_has_twice_the_rows_or_a_new_index(grown: Database) -> None:
    expected = {"sqlite": ["deal"], "postgresql": []}[grown.dialect]
    assert refresh(grown) == expected
    assert refresh(grown) == []
    add(grown, 1500, first=2000)
    assert refresh(grown) == []
    add(grown, 1000, first=3500)
    assert refresh(grown) == expected
    with grown.write() as connection:
        driver(connection).execute("CREATE INDEX ix_deal_none ON deal (place) WHERE kind = 2")
    assert refresh(grown) == expected
    assert refresh(grown) == []


def test_small_tables_are_left_alone(database_url: str) -> None:
    database = Database.open(database_url)
    with database.write() as connection:
        driver(connection).execute("CREATE TABLE deal (id VARCHAR(36) PRIMARY KEY, kind INTEGER, place INTEGER)")
    add(database, TOO_SMALL - 1)
    assert refresh(database) == []
    database.dispose()


def test_a_worker_looks_every_few_minutes(grown: Database) -> None:
    looking, now = Measuring(), datetime(2026, 11, 28, 12, tzinfo=UTC)
    environment: Any = SimpleNamespace(database=grown)
    looking(environment, now)
    assert refresh(grown) == [], "it has looked"
    add(grown, 5000, first=2000)
    looking(environment, now + EVERY - timedelta(seconds=1))
    assert bool(refresh(grown)) == (grown.dialect == "sqlite"), "it has not looked again yet"
    add(grown, 10000, first=7000)
    looking(environment, now + EVERY)
    assert refresh(grown) == []
