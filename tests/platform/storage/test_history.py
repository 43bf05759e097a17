"""What happened to a record, and how long it was in each stage."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ratoon.platform.storage import history
from ratoon.platform.storage.database import Database

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
ID = "01900000-0000-7000-8000-000000000001"
USER = "01900000-0000-7000-8000-000000000002"


def entry(event: str, key: str | None = None, old: Any = None, new: Any = None, minutes: int = 0) -> history.Entry:
    """A change that many minutes from now."""
    return history.Entry("deal", ID, event, key, old, new, NOW + timedelta(minutes=minutes), USER, "api")


def test_the_changes_of_one_save_are_one_row_newest_first(database: Database) -> None:
    with database.write() as conn:
        history.write_history(conn, [])
        history.write_history(conn, [entry("created")])
        one_save = [entry("updated", "amount", "1.00", "2.00", 5), entry("updated", "tags", None, ["a", "甲"], 5)]
        history.write_history(conn, one_save)
        history.write_history(conn, [entry("updated", "amount", "2.00", "3.00", 6)])
        history.write_history(conn, [entry("deleted", minutes=7)])
    with database.read() as conn:
        found = history.read_history(conn, "deal", ID)
        assert history.read_history(conn, "deal", USER) == []
        assert history.read_history(conn, "other", ID) == []
        assert len(history.read_history(conn, "deal", ID, 2)) == 2
    assert [(row["action"], row["changes"]) for row in found] == [
        ("deleted", {}),
        ("updated", {"amount": ["2.00", "3.00"]}),
        ("updated", {"amount": ["1.00", "2.00"], "tags": [None, ["a", "甲"]]}),
        ("created", {}),
    ]
    assert found[0]["at"] == NOW + timedelta(minutes=7)
    assert (found[0]["by"], found[0]["source"]) == (USER, "api")


def test_two_changes_of_a_key_in_one_save_show_the_first_and_the_last_value(database: Database) -> None:
    with database.write() as conn:
        history.write_history(conn, [entry("updated", "amount", "1", "2"), entry("updated", "amount", "2", "3")])
    with database.read() as conn:
        (row,) = history.read_history(conn, "deal", ID)
    assert row["changes"] == {"amount": ["1", "3"]}


def move(stage: str | None, previous: str | None, hours: int) -> history.StageMove:
    """A move that many hours from now."""
    return history.StageMove("deal", ID, "stage", "sales", stage, previous, NOW + timedelta(hours=hours), USER)


def test_entering_a_stage_ends_the_one_before(database: Database) -> None:
    with database.write() as conn:
        history.write_stage_moves(conn, [])
        history.write_stage_moves(conn, [move("new", None, 0)])
        history.write_stage_moves(conn, [move("won", "new", 2)])
    with database.read() as conn:
        periods = history.read_stage_history(conn, "deal", ID, NOW + timedelta(hours=5))
    assert [(p["stage"], p["previous"], p["seconds"], p["left_at"]) for p in periods] == [
        ("new", None, 7200, NOW + timedelta(hours=2)),
        ("won", "new", 10800, None),
    ]
    assert periods[0]["pipeline"] == "sales"
    assert periods[0]["by"] == USER


def test_leaving_the_pipeline_opens_no_period(database: Database) -> None:
    with database.write() as conn:
        history.write_stage_moves(conn, [move("new", None, 0)])
        history.write_stage_moves(conn, [move(None, "new", 1)])
    with database.read() as conn:
        (period,) = history.read_stage_history(conn, "deal", ID, NOW + timedelta(hours=5))
    assert period["seconds"] == 3600
