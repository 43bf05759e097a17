"""Drafts never run and can be tried; making one active is a change of the metadata; a run names the version it used."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.environment import Environment
from ratoon.platform.errors import NotFound
from ratoon.platform.jobs import drain
from ratoon.platform.jobs.listing import overview, version_at, versions
from ratoon.platform.jobs.looking import try_out
from ratoon.platform.packages import Target, rollback
from ratoon.platform.packages.automation_status import plan_status, set_status
from ratoon.platform.packages.upgrades import local_edits
from ratoon.platform.records.reading import Query
from ratoon.platform.storage import audit, runs
from ratoon.platform.storage.runs import Wanted

BASE = {"kind": "automation", "object": "contract", "label": "Rule"}
TASK = {"type": "create_record", "object": "task", "values": {"subject": '"Call " & name'}}
LATER = {**BASE, "name": "later", "on": ["created"], "when": "after_commit", "actions": [TASK]}
BEFORE = {**BASE, "name": "early", "on": ["created"], "when": "before", "status": "draft", "condition": "amount > 10",
          "actions": [{"type": "set_fields", "values": {"note": '"big"'}}]}  # fmt: skip
DUE = {**BASE, "name": "due", "on": ["date"], "when": "after_commit", "date": {"field": "end_date"}, "actions": [TASK]}


@pytest.fixture
def world(agency: Callable[..., Environment]) -> Environment:
    return agency({**LATER, "status": "draft"}, BEFORE, DUE)


def create(env: Environment, **values: Any) -> str:
    return str(env.transact(SYSTEM, lambda records: records.create("contract", [{"name": "c", **values}]))[0]["id"])


def subjects(env: Environment) -> list[str]:
    env.jobs.tick(env, env.world.clock())
    drain(env)
    with env.read(SYSTEM) as records:
        return sorted(r["subject"] for r in records.list(Query("task")).records)


def become(env: Environment, name: str, status: Any) -> int:
    return set_status(Target.of(env), "contract", name, status, by="ada").revision


def test_a_draft_never_runs_and_a_try_shows_what_it_would_do(world: Environment) -> None:
    record = create(world, amount=5)
    assert subjects(world) == []
    told = try_out(world, world.actions, "contract", "later", record).as_json()
    assert (told["status"], told["condition"], list(told["changes"]["task"].values())) == ("draft", True, ["created"])
    early = try_out(world, world.actions, "contract", "early", record).as_json()
    assert (early["condition"], early["records"][f"contract/{record}"]["note"]) == (False, "big")
    assert subjects(world) == []
    with world.read(SYSTEM) as records:
        assert records.get("contract", record)["note"] is None


def test_making_one_active_is_planned_audited_kept_in_an_upgrade_and_taken_back(world: Environment) -> None:
    with world.database.read() as connection:
        plan = plan_status(Target.of(world), connection, "contract", "later", "active")
        assert [(c.kind, c.action) for c in plan.components] == [("automation", "changed")]
    before = world.registry.revision
    revision = become(world, "later", "active")
    create(world)
    assert subjects(world) == ["Call c"]
    with world.database.read() as connection:
        newest = audit.entries(connection, limit=1)[0]
        assert (newest.action, newest.subject) == ("applied", str(revision))
        assert len(local_edits(connection, "agency")) == 1
    rollback(Target.of(world), before)
    create(world)
    assert subjects(world) == ["Call c"]
    with pytest.raises(NotFound):
        become(world, "nothing", "off")


def test_a_run_names_the_version_that_it_used(world: Environment) -> None:
    first = become(world, "later", "active")
    become(world, "early", "active")  # another document: no new version of this one
    create(world)
    drain(world)
    with world.database.read() as connection:
        (run,) = runs.find(connection, Wanted(rule="contract.later"))
        used = version_at(connection, run.rule, run.revision)
        assert used is not None
        assert (run.revision, used.since.revision, used.data["status"]) == (first + 1, first, "active")
        assert [(v.data["status"], v.until) for v in versions(connection, "contract", "later")] == [
            ("active", None),
            ("draft", first),
        ]


def test_what_was_enqueued_waits_for_an_admin_when_the_automation_rests_by_then(world: Environment) -> None:
    become(world, "later", "active")
    create(world)
    become(world, "later", "off")
    assert subjects(world) == []
    (line,) = [line for line in overview(world, "contract") if line.automation.name == "later"]
    assert (line.automation.status, line.runs) == ("off", {"failed": 1})
    with world.database.write() as connection:
        (run,) = runs.find(connection, Wanted(state="failed"))
        assert run.error == "The automation contract.later is off by now; repeat the run when it is active again."
        runs.retry(connection, run.id, world.world.clock())
    become(world, "later", "active")
    assert subjects(world) == ["Call c"]


def test_what_a_timer_would_have_done_while_it_rested_is_not_made_up_for(world: Environment, time: Any) -> None:
    assert subjects(world) == []
    become(world, "due", "off")
    create(world, name="missed", end_date="2026-11-22")
    create(world, name="coming", end_date="2026-11-25")
    time.now = datetime(2026, 11, 24, 9, tzinfo=UTC)
    assert subjects(world) == []
    become(world, "due", "active")
    assert subjects(world) == []
    time.now = datetime(2026, 11, 25, 9, tzinfo=UTC)
    assert subjects(world) == ["Call coming"]
