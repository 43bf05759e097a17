"""Calendars: holidays, weekend days that are worked, years that extend others."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ratoon.platform.fields import builtin_types
from ratoon.platform.formulas import builtin_functions
from ratoon.platform.metadata.builtin import with_system
from ratoon.platform.metadata.calendar_model import WEEKDAYS, Calendar
from ratoon.platform.metadata.calendars import compile_calendars
from ratoon.platform.metadata.collect import collect
from ratoon.platform.metadata.compile import compile_registry
from ratoon.platform.metadata.documents import Document, read_package
from ratoon.platform.metadata.report import Report

ROOT = Path(__file__).parents[3]


def calendars(*documents: dict[str, Any]) -> tuple[dict[str, Calendar], list[str]]:
    report = Report()
    made = [
        Document(f"calendars/{d['name']}.json", "calendar", {"kind": "calendar", "label": "L", **d}) for d in documents
    ]
    return compile_calendars(collect(made, report), report), [f.code for f in report.findings]


def china() -> Calendar:
    registry = compile_registry(
        with_system(read_package(ROOT / "objects")), types=builtin_types(), functions=builtin_functions(), revision=1
    )
    return registry.calendars["cn"]


def test_china_rests_at_spring_festival_and_works_two_saturdays_for_it() -> None:
    cn = china()
    free = [f"2026-02-{day:02d}" for day in range(1, 29) if not cn.works(date(2026, 2, day))]
    assert free == [f"2026-02-{d:02d}" for d in (1, 7, 8, 15, 16, 17, 18, 19, 20, 21, 22, 23)]
    assert cn.works(date(2026, 2, 14))
    assert cn.works(date(2026, 2, 28))
    assert cn.last(date(2026, 10, 7)) == date(2026, 9, 30)
    assert cn.after(date(2026, 9, 30), 3) == date(2026, 10, 10), "the Saturday after the holiday is worked"
    worked = {y: sum(cn.works(date(y, 1, 1) + timedelta(days=n)) for n in range(365)) for y in (2025, 2026)}
    assert worked == {2025: 248, 2026: 248}
    night = datetime(2026, 9, 30, 17, 0, tzinfo=UTC)  # one in the morning of the first of October there
    assert cn.later(night, 1) == datetime(2026, 10, 7, 17, 0, tzinfo=UTC)


def test_a_calendar_extends_another_and_its_own_days_count_first() -> None:
    made, problems = calendars(
        {"name": "land", "holidays": [{"from": "2027-01-01", "to": "2027-01-03"}], "time_zone": "Asia/Tokyo"},
        {"name": "firm", "extends": "land", "working_days": [{"date": "2027-01-02"}], "weekend": ["fri", "sat"]},
    )
    assert problems == []
    firm = made["firm"]
    assert [firm.works(date(2027, 1, day)) for day in range(1, 9)] == [
        False,
        True,
        False,
        True,
        True,
        True,
        True,
        False,
    ]
    assert firm.time_zone == "Asia/Tokyo"


def test_what_is_wrong_in_a_calendar_is_told() -> None:
    _, problems = calendars(
        {"name": "a", "extends": "a"},
        {"name": "b", "extends": "nowhere", "time_zone": "Mars/Base"},
        {
            "name": "c",
            "holidays": [{"date": "2026-02-30"}, {"from": "2026-03-01"}, {"from": "2026-03-02", "to": "2026-03-01"}],
        },
        {"name": "d", "holidays": [{"date": "2026-03-01"}], "working_days": [{"date": "2026-03-01"}]},
    )
    assert problems == [
        "cycle", "unknown_calendar", "unknown_time_zone", "bad_value", "bad_value", "bad_value", "contradiction",
    ]  # fmt: skip


@given(day=st.dates(date(2024, 12, 1), date(2027, 2, 1)), count=st.integers(0, 40))
@settings(max_examples=80, deadline=None)
def test_moving_by_working_days_agrees_with_counting_them(day: date, count: int) -> None:
    for calendar in (WEEKDAYS, _CHINA):
        end = calendar.after(day, count)
        between = sum(calendar.works(day + timedelta(days=n)) for n in range(1, (end - day).days + 1))
        assert between == count
        assert end == day or calendar.works(end)
        last = calendar.last(day)
        assert calendar.works(last)
        assert 0 <= (day - last).days <= calendar.longest_break


_CHINA = china()
