"""Rules that follow the clock: days before a date, exactly once, where the record is; schedules."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.environment import Environment
from ratoon.platform.errors import MetadataRefused
from ratoon.platform.jobs import drain
from ratoon.platform.jobs.dates import moment
from ratoon.platform.metadata.trigger_model import DateTrigger
from ratoon.platform.records.drafts import Change
from ratoon.platform.records.reading import Query

PACKAGE = [
    {"kind": "package", "name": "renewals", "version": "1.0.0", "label": "Renewals"},
    {
        "kind": "object", "name": "place", "label": "Place", "title": "name",
        "fields": [
            {"name": "name", "type": "text", "label": "Name"},
            {"name": "zone", "type": "text", "label": "Zone"},
        ],
    },
    {
        "kind": "object", "name": "deal", "label": "Deal", "title": "name",
        "fields": [
            {"name": "name", "type": "text", "label": "Name"},
            {"name": "ends", "type": "date", "label": "Ends"},
            {"name": "active", "type": "boolean", "label": "Active"},
            {"name": "place", "type": "lookup", "object": "place", "label": "Place"},
        ],
    },
    {
        "kind": "object", "name": "call", "label": "Call", "title": "name",
        "fields": [{"name": "name", "type": "text", "label": "Name"}],
    },
]  # fmt: skip
CALL = [{"type": "create_record", "object": "call", "values": {"name": "name"}}]


def rule(name: str, **more: Any) -> dict[str, Any]:
    return {"kind": "automation", "object": "deal", "name": name, "label": name, "when": "after_commit",
            "actions": CALL, **more}  # fmt: skip


DUE = rule(
    "due",
    on=["date"],
    condition="active",
    date={"field": "ends", "days_before": [30, 10], "at": "09:00", "time_zone": "Asia/Shanghai",
          "time_zone_field": "place.zone"},
)  # fmt: skip
MONDAYS = rule(
    "mondays", on=["schedule"], condition="active", schedule={"cron": "0 9 * * 1", "time_zone": "Asia/Tokyo"}
)


@pytest.fixture
def world(open_world: Callable[..., Environment]) -> Environment:
    return open_world([*PACKAGE, DUE])


def create(env: Environment, object: str, *values: dict[str, Any]) -> list[str]:
    return [r["id"] for r in env.transact(SYSTEM, lambda records: records.create(object, list(values)))]


def change(env: Environment, record: str, **values: Any) -> None:
    env.transact(SYSTEM, lambda records: records.update("deal", [Change(record, values)]))


def look(env: Environment) -> list[str]:
    """Looks at the clock, does what is due, and tells all calls there are."""
    env.jobs.tick(env, env.world.clock())
    drain(env)
    with env.read(SYSTEM) as records:
        return sorted(r["name"] for r in records.list(Query("call", limit=500)).records)


def test_each_record_and_date_exactly_once_where_the_record_is(world: Environment, time: Any) -> None:
    (tokyo,) = create(world, "place", {"name": "T", "zone": "Asia/Tokyo"})
    create(
        world, "deal",
        {"name": "shanghai", "ends": "2026-12-23", "active": True},
        {"name": "tokyo", "ends": "2026-12-23", "active": True, "place": tokyo},
        {"name": "asleep", "ends": "2026-12-23", "active": False},
        {"name": "later", "ends": "2027-12-23", "active": True},
    )  # fmt: skip
    look(world)
    time.now = datetime(2026, 11, 23, 0, 30, tzinfo=UTC)  # 09:30 in Tokyo, 08:30 in Shanghai
    assert look(world) == ["tokyo"]
    time.now = datetime(2026, 11, 23, 1, 1, tzinfo=UTC)
    assert look(world) == ["shanghai", "tokyo"]
    time.pass_(hours=5)
    assert look(world) == ["shanghai", "tokyo"]


def test_a_moved_date_counts_anew_and_downtime_is_made_up_for(world: Environment, time: Any) -> None:
    (deal,) = create(world, "deal", {"name": "d", "ends": "2026-12-23", "active": True})
    look(world)
    time.now = datetime(2026, 12, 10, 0, 0, tzinfo=UTC)  # nobody worked for more than two weeks
    assert [name for name in look(world) if name == "d"] == ["d"]
    change(world, deal, ends="2027-01-30")
    time.now = datetime(2026, 12, 30, 23, 0, tzinfo=UTC)
    assert look(world).count("d") == 1
    time.now = datetime(2026, 12, 31, 2, 0, tzinfo=UTC)
    assert look(world).count("d") == 2
    change(world, deal, ends="2027-02-28")
    change(world, deal, ends="2027-01-30")
    time.pass_(minutes=2)
    assert look(world).count("d") == 2


def test_what_was_due_before_the_rule_began_is_not_done(world: Environment, time: Any) -> None:
    create(world, "deal", {"name": "old", "ends": "2026-11-30", "active": True})
    look(world)
    time.pass_(minutes=5)
    assert look(world) == []


def test_a_schedule_runs_by_the_clocks_of_its_zone_and_once_for_what_was_missed(
    open_world: Callable[..., Environment], time: Any
) -> None:
    world = open_world([*PACKAGE, MONDAYS])
    create(world, "deal", {"name": "on", "active": True}, {"name": "off", "active": False})
    look(world)
    time.now = datetime(2026, 11, 22, 23, 59, tzinfo=UTC)
    assert look(world) == []
    time.now = datetime(2026, 11, 23, 0, 0, 30, tzinfo=UTC)
    assert look(world) == ["on"]
    time.now = datetime(2026, 12, 17, 0, 0, tzinfo=UTC)
    assert look(world) == ["on", "on"]
    assert look(world) == ["on", "on"]


def test_working_days_and_the_change_of_the_clocks() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    trigger = DateTrigger("ends", (-1,), working_days=True)
    assert moment(trigger, date(2026, 11, 23), -1, berlin) == datetime(2026, 11, 19, 23, 0, tzinfo=UTC)
    noon = DateTrigger("ends", (0,), at=datetime(2026, 1, 1, 12).time())  # noqa: DTZ001
    assert moment(noon, date(2026, 3, 28), 0, berlin).hour == 11
    assert moment(noon, date(2026, 3, 29), 0, berlin).hour == 10


LANDS: list[dict[str, Any]] = [
    {"kind": "calendar", "name": "cn", "label": "China", "time_zone": "Asia/Shanghai",
     "holidays": [{"from": "2026-12-05", "to": "2026-12-13"}], "working_days": [{"date": "2026-12-19"}]},
    {"kind": "calendar", "name": "gulf", "label": "Gulf", "weekend": ["fri", "sat"]},
]  # fmt: skip


def test_each_record_keeps_the_holidays_and_the_clock_of_where_it_is(
    open_world: Callable[..., Environment], time: Any
) -> None:
    by_land = {
        "field": "ends", "days_before": [10], "at": "09:00", "time_zone_field": "place.zone", "working_days": True,
        "calendar": "cn", "calendar_formula": "IF(CONTAINS(place.zone, \"Dubai\"), \"gulf\", \"\")",
    }  # fmt: skip
    env = open_world([*PACKAGE, *LANDS, rule("due", on=["date"], condition="active", date=by_land)])
    shanghai, dubai = create(env, "place", {"name": "S", "zone": "Asia/Shanghai"}, {"name": "D", "zone": "Asia/Dubai"})
    look(env)
    deals = [
        {"name": name, "ends": ends, "active": True, "place": place}
        for name, ends, place in [
            ("after the holiday", date(2026, 12, 22), shanghai),  # 12 December is free: the fourth
            ("worked Saturday", date(2026, 12, 29), shanghai),  # 19 December is worked
            ("Sunday there", date(2026, 12, 16), dubai),  # 6 December, a Sunday, is worked
            ("Friday there", date(2026, 12, 14), dubai),  # 4 December is free: the third
        ]
    ]
    create(env, "deal", *deals)
    seen = []
    for day in range(2, 20):
        for hour in (1, 5):  # nine in Shanghai, nine in Dubai
            time.now = datetime(2026, 12, day, hour, tzinfo=UTC)
            before = look(env)[:]
            seen += [(day, hour, name) for name in before if name not in {n for *_, n in seen}]
    assert seen == [
        (3, 5, "Friday there"), (4, 1, "after the holiday"), (6, 5, "Sunday there"), (19, 1, "worked Saturday"),
    ]  # fmt: skip
    assert len(look(env)) == 4, "each once"


def test_a_calendar_that_is_not_there_is_a_finding(open_world: Callable[..., Environment]) -> None:
    for date_ in ({"calendar": "nc", "working_days": True}, {"calendar": "cn"}):
        with pytest.raises(MetadataRefused) as refused:
            open_world([*PACKAGE, *LANDS, rule("due", on=["date"], date={"field": "ends", **date_})])
        assert [f.code for f in refused.value.findings] == [
            "unknown_calendar" if "working_days" in date_ else "unused_key"
        ]


def test_the_date_has_an_index_and_the_documents_are_checked(open_world: Callable[..., Environment]) -> None:
    env = open_world([*PACKAGE, DUE])
    assert ("ends", "id") in env.registry["deal"].indexes
    wrong = [
        rule("a", on=["date"], date={"field": "name", "time_zone": "Asia/Nowhere"}),
        rule("b", on=["schedule"], schedule={"cron": "every monday"}),
        rule("c", on=["button"]),
        {**rule("d", on=["date"], date={"field": "ends"}), "when": "after"},
        {**rule("e", on=["created"]), "actions": [{"type": "notify", "to": "owner", "template": "nope", "url": "http://x"}]},
    ]  # fmt: skip
    with pytest.raises(MetadataRefused) as refused:
        open_world([*PACKAGE, *wrong])
    codes = {(f.file.rpartition("/")[2], f.code) for f in refused.value.findings}
    assert codes >= {
        ("a.json", "unknown_field"), ("a.json", "unknown_time_zone"), ("b.json", "bad_cron"),
        ("c.json", "missing_key"), ("d.json", "not_before"), ("e.json", "unknown_template"), ("e.json", "unknown_key"),
    }  # fmt: skip
