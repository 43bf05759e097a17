"""Assignments: who gets a record, exactly in turn however many assign at once."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.automation.assigning import at_work
from ratoon.platform.environment import Environment
from ratoon.platform.errors import MetadataRefused
from ratoon.platform.metadata.assignment_model import WorkingHours
from ratoon.platform.records.drafts import Change
from ratoon.platform.records.order import explain
from ratoon.platform.records.reading import Query
from ratoon.platform.storage import approvals

ALL = ["create", "read", "edit", "delete"]
LEADS: list[dict[str, Any]] = [
    {"kind": "package", "name": "leads", "version": "1.0.0", "label": "Leads"},
    {
        "kind": "object", "name": "prospect", "label": "Prospect", "plural_label": "Prospects", "title": "name",
        "fields": [
            {"name": "name", "type": "text", "label": "Name"}, {"name": "land", "type": "text", "label": "Land"},
            {"name": "closed", "type": "boolean", "label": "Closed"},
            {"name": "again", "type": "boolean", "label": "Again"},
            {"name": "boss", "type": "user", "label": "Boss"},
        ],
    },
    {
        "kind": "assignment", "object": "prospect", "name": "inbound", "label": "Inbound", "load": "NOT(closed)",
        "rules": [
            {"name": "named", "condition": "land = 'named'", "to": [{"field": "boss"}]},
            {"name": "idle", "condition": "land = 'idle'", "to": [{"role": "rep"}], "method": "least_loaded"},
            {"name": "full", "condition": "land = 'full'", "to": [{"role": "rep"}], "capacity": 2},
            {"name": "day", "condition": "land = 'day'", "to": [{"role": "rep"}], "method": "first",
             "hours": {"days": ["sat"], "from": "09:00", "to": "17:00"}},
            {"name": "rest", "condition": "NOT(land = 'full')", "to": [{"role": "rep"}]},
        ],
    },
    {
        "kind": "automation", "object": "prospect", "name": "again", "label": "Again", "on": ["updated"],
        "when": "after", "fields": ["again"], "condition": "again",
        "actions": [{"type": "assign", "options": {"assignment": "inbound"}}],
    },
    {"kind": "role", "name": "rep", "label": "Rep", "objects": {"*": ALL}},
]  # fmt: skip


@pytest.fixture
def world(open_world: Any) -> Environment:
    return open_world(LEADS)  # type: ignore[no-any-return]


@pytest.fixture
def reps(world: Environment) -> list[str]:
    zones = {"ann": "UTC", "bob": "Asia/Shanghai", "cem": "America/New_York"}
    with world.write(SYSTEM) as records:
        made = records.create(
            "user", [{"name": n, "email": f"{n}@x.cn", "time_zone": zone} for n, zone in zones.items()]
        )
        for user in made:
            Accounts(world.world).set_roles(records.connection, user["id"], ["rep"])
    return [user["id"] for user in made]


def create(world: Environment, *values: dict[str, Any]) -> list[str]:
    made = world.transact(SYSTEM, lambda r: r.create("prospect", [{"name": "x", **v} for v in values]))
    return [record["owner"] for record in made]


def test_records_go_round_and_what_somebody_gave_stays(world: Environment, reps: list[str]) -> None:
    assert create(world, {}, {}, {}, {}) == [*reps, reps[0]]
    assert create(world, {"owner": reps[2]}, {}) == [reps[2], reps[1]]
    assert create(world, {"land": "named", "boss": reps[2]}) == [reps[2]]
    assert create(world, {"land": "named"}) == [reps[2]], "no boss: the next rule that applies"


def test_bulk_is_the_same_as_one_by_one(world: Environment, reps: list[str]) -> None:
    kinds = [None, "idle", "full", None, "idle", "full", "full", "idle", None, "full"] * 3
    values = [{"land": k} if k else {} for k in kinds]
    bulk = create(world, *values)
    with world.write(SYSTEM) as records:
        ids = [r["id"] for r in records.list(Query("prospect", limit=100)).records]
        records.delete("prospect", ids)
        for table in ("ratoon_turn", "ratoon_counter"):
            records.connection.exec_driver_sql(f"DELETE FROM {table}")
    assert [create(world, value)[0] for value in values] == bulk


def test_the_least_loaded_gets_the_next_one(world: Environment, reps: list[str]) -> None:
    create(world, {"owner": reps[0]}, {"owner": reps[0]}, {"owner": reps[1]}, {"owner": reps[2], "closed": True})
    assert create(world, {"land": "idle"}, {"land": "idle"}) == [reps[2], reps[1]]
    assert create(world, {"land": "idle", "closed": True}, {"land": "idle"}) == [reps[2], reps[2]]


def test_nobody_gets_more_than_the_capacity(world: Environment, reps: list[str]) -> None:
    owners = create(world, *[{"land": "full"}] * 8)
    assert Counter(owners) == {**dict.fromkeys(reps, 2), None: 2}


def test_who_is_away_inactive_or_not_at_work_gets_nothing(world: Environment, reps: list[str], time: Any) -> None:
    assert create(world, {"land": "day"}) == [reps[1]], "Saturday 08:00 UTC is 16:00 in Shanghai, 03:00 in New York"
    with world.write(SYSTEM) as records:
        records.update("user", [Change(reps[0], {"active": False})])
        approvals.add_delegation(records.connection, {
            "id": world.world.new_id(), "user_id": reps[1], "delegate": reps[2], "starts_at": time.now,
            "ends_at": time.now + timedelta(days=1),
        })  # fmt: skip
    assert create(world, {}, {}) == [reps[2], reps[2]]
    time.pass_(days=2)
    assert create(world, {}) == [reps[1]]


@pytest.mark.parametrize(
    ("hours", "moment", "works"),
    [
        (("09:00", "17:00", {0}), datetime(2026, 11, 23, 9, 0, tzinfo=UTC), True),
        (("09:00", "17:00", {0}), datetime(2026, 11, 23, 17, 0, tzinfo=UTC), False),
        (("22:00", "06:00", {0}), datetime(2026, 11, 24, 5, 0, tzinfo=UTC), True),
        (("22:00", "06:00", {0}), datetime(2026, 11, 23, 5, 0, tzinfo=UTC), False),
    ],
)
def test_working_hours(hours: Any, moment: datetime, works: bool) -> None:
    from datetime import time as clock

    begins, ends, days = hours
    made = WorkingHours(frozenset(days), clock.fromisoformat(begins), clock.fromisoformat(ends))
    assert at_work(made, moment) is works


def test_working_hours_keep_holidays_and_worked_saturdays() -> None:
    from datetime import date
    from datetime import time as clock

    from ratoon.platform.metadata.calendar_model import Calendar

    special = Calendar("x", days={date(2026, 11, 23): False, date(2026, 11, 28): True})
    made = WorkingHours(frozenset(range(5)), clock(9), clock(17), calendar=special)
    worked = [day for day in range(22, 30) if at_work(made, datetime(2026, 11, day, 10, tzinfo=UTC))]
    assert worked == [24, 25, 26, 27, 28]


def test_an_automation_assigns_again_and_explain_shows_it(world: Environment, reps: list[str]) -> None:
    (record,) = world.transact(SYSTEM, lambda r: r.create("prospect", [{"name": "x", "owner": reps[1]}]))
    changed = world.transact(SYSTEM, lambda r: r.update("prospect", [Change(record["id"], {"again": True})]))
    assert changed[0]["owner"] == reps[0]
    steps = explain(world.registry, "prospect", "created", world.reactions)
    assert ("assignment", "inbound") in {(p.kind, p.name) for s in steps if s.number == 4 for p in s.parts}
    trace: list[Any] = []
    with world.write(SYSTEM, trace=trace) as records:
        records.create("prospect", [{"name": "x"}])
    assert next((t.step, t.what, t.outcome) for t in trace) == (4, "inbound", f"owner = {reps[1]} (rest)")


WRITER = """
import sys
from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.app import open_environment
from ratoon.platform.config import Settings
from ratoon.platform.plugins import Plugins

settings = Settings(database_url=sys.argv[1], files_dir=sys.argv[2])
world = open_environment(settings, plugins=Plugins(), apply_packages=False)
for n in range(30):
    world.transact(SYSTEM, lambda r: r.create("prospect", [{"name": "x"}] * (n % 3 + 1)))
"""


def test_two_processes_at_once_are_exactly_fair(world: Environment, reps: list[str], tmp_path: Any) -> None:
    url = world.settings.database_url
    command = [sys.executable, "-c", WRITER, url, str(tmp_path)]
    writers = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    for writer in writers:
        assert writer.wait(timeout=120) == 0, writer.stderr.read().decode() if writer.stderr else ""
    with world.read(SYSTEM) as records:
        found = records.aggregate("prospect", group_by=["owner"])
    assert {row["owner"]: row["count"] for row in found} == dict.fromkeys(reps, 40)


def test_the_check_names_what_is_wrong_with_an_assignment() -> None:
    from ratoon.platform.fields import builtin_types
    from ratoon.platform.metadata.compile import compile_registry
    from ratoon.platform.metadata.documents import Document, place

    documents = copy.deepcopy(LEADS)
    wrong = documents[2]
    wrong["field"] = "land"
    wrong["load"] = "nonsense"
    wrong["rules"][0]["to"] = [{"role": "nobody"}]
    wrong["rules"][3]["hours"]["time_zone"] = "Mars/Base"
    documents[3]["actions"][0]["options"] = {"assignment": "outbound"}
    made = [Document(place(str(d["kind"]), d), str(d["kind"]), d, "leads") for d in documents]
    with pytest.raises(MetadataRefused) as refused:
        compile_registry(made, types=builtin_types())
    assert {(f.pointer, f.code) for f in refused.value.findings} == {
        ("/field", "unknown_field"),
        ("/load", "formula_unknown_name"),
        ("/rules/0/to/0/role", "unknown_role"),
        ("/rules/3/hours/time_zone", "bad_value"),
        ("/actions/0/options", "unknown_assignment"),
    }
