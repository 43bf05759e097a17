"""Random automations and random saves: many records in one call end up as the same records one by one, and whatever
runs, rollups, history and stages agree with the records.

No condition here reads through a lookup what an action of another record of the same call writes there: such a rule
sees the state in which the call began (``platform/automation/README.md`` says so).
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from sqlalchemy import text

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.environment import Environment
from ratoon.platform.errors import RatoonError
from ratoon.platform.metadata.compile import compile_registry
from ratoon.platform.metadata.documents import Document, place
from ratoon.platform.records.drafts import Change
from ratoon.platform.records.engine import Engine
from ratoon.platform.records.reading import Query
from ratoon.platform.records.service import RecordService
from ratoon.platform.storage import revisions

JOBS = 3
KEYS = ("name", "price", "parts", "flag", "label", "stage")
WORKSHOP: list[dict[str, Any]] = [
    {"kind": "package", "name": "workshop", "version": "1.0.0", "label": "Workshop"},
    {"kind": "object", "name": "client", "label": "Client", "title": "name", "fields": [
        {"name": "name", "type": "text", "label": "Name"},
        {"name": "calls", "type": "integer", "label": "Calls"},
        {"name": "grade", "type": "text", "label": "Grade"},
        {"name": "total", "type": "rollup", "label": "Total", "of": "job", "via": "client", "operation": "sum",
         "field": "price"},
        {"name": "jobs", "type": "rollup", "label": "Jobs", "of": "job", "via": "client", "operation": "count"},
    ]},
    {"kind": "object", "name": "job", "label": "Job", "title": "name", "fields": [
        {"name": "name", "type": "text", "label": "Name"},
        {"name": "client", "type": "lookup", "object": "client", "label": "Client"},
        {"name": "price", "type": "decimal", "scale": 2, "label": "Price", "track_history": True},
        {"name": "parts", "type": "integer", "label": "Parts", "track_history": True},
        {"name": "flag", "type": "boolean", "label": "Flag"},
        {"name": "label", "type": "text", "label": "Label", "track_history": True},
        {"name": "stage", "type": "stage", "label": "Stage"},
    ]},
    {"kind": "pipeline", "object": "job", "name": "repair", "label": "Repair", "field": "stage", "stages": [
        {"name": "new", "label": "New", "category": "open"}, {"name": "work", "label": "Work", "category": "open"},
        {"name": "done", "label": "Done", "category": "won"},
    ]},
    {"kind": "object", "name": "note", "label": "Note", "title": "body", "fields": [
        {"name": "body", "type": "text", "label": "Body"},
        {"name": "job", "type": "lookup", "object": "job", "label": "Job"},
    ]},
]  # fmt: skip
MORE_PARTS = {"type": "set_fields", "values": {"parts": "IF(ISBLANK(parts), 0, parts) + 1"}}
OWN = [
    MORE_PARTS,
    {"type": "set_fields", "values": {"flag": "price > 10"}},
    {"type": "set_fields", "values": {"label": 'name & "/" & TEXT(parts)'}},
    {"type": "set_fields", "values": {"label": 'IF(ISNEW(), "new", "was " & TEXT(PRIORVALUE(price)))'}},
    {"type": "set_fields", "values": {"stage": '"done"'}},
]
OTHERS = [
    *OWN,
    {"type": "create_record", "object": "note", "values": {"body": 'name & ": " & TEXT(price)', "job": "id"}},
    {"type": "update_related", "path": "client", "values": {"calls": "IF(ISBLANK(client.calls), 0, client.calls) + 1"}},
    {"type": "update_related", "path": "client", "values": {"grade": 'IF(price > 10, "big", client.grade)'}},
    {"type": "update_related", "path": "note.job", "values": {"body": '"seen " & name'}},
]
CONDITIONS = [
    None, "price > 10", "ISCHANGED(price)", "NOT(flag)", 'client.name = "c"', "ISNEW()", 'ISPICKVAL(stage, "work")',
    "PRIORVALUE(price) < price", "OR(ISBLANK(parts), parts < 3)",
]  # fmt: skip
TRIGGERS: list[dict[str, Any]] = [
    {"on": ["created"]}, {"on": ["updated"]}, {"on": ["created", "updated"]}, {"on": ["updated"], "fields": ["price"]},
    {"on": ["stage_entered"], "stages": ["work", "done"]}, {"on": ["stage_left"]},
]  # fmt: skip


@st.composite
def automations(draw: st.DrawFn) -> list[dict[str, Any]]:
    made = []
    for number in range(draw(st.integers(1, 4))):
        when = draw(st.sampled_from(["before", "after", "after_commit"]))
        actions = draw(st.lists(st.sampled_from(OWN if when == "before" else OTHERS), min_size=1, max_size=2))
        document = {
            "kind": "automation", "object": "job", "name": f"rule{number}", "label": "Rule", "when": when,
            "actions": actions, "order": draw(st.integers(1, 3)), **draw(st.sampled_from(TRIGGERS)),
        }  # fmt: skip
        condition = draw(st.sampled_from(CONDITIONS))
        made.append(document if condition is None else {**document, "condition": condition})
    return made


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "price": st.sampled_from([None, "5.00", "12.50", "99.99"]),
        "parts": st.sampled_from([None, 1, 5]),
        "flag": st.booleans(),
        "stage": st.sampled_from(["new", "work", "done"]),
    },
)
SAVES = st.lists(st.lists(VALUES, min_size=JOBS, max_size=JOBS), min_size=1, max_size=3)


@pytest.fixture
def workshop(open_world: Callable[..., Environment]) -> Environment:
    return open_world(WORKSHOP)


def engine_with(env: Environment, extra: Sequence[dict[str, Any]]) -> Engine:
    """The world with more automations: they need no tables, so nothing is applied."""
    with env.database.read() as connection:
        standing = revisions.documents_at(connection, env.registry.revision)
    more = [Document(place("automation", d), "automation", d, "workshop") for d in extra]
    return env.build(compile_registry([*standing, *more], types=env.types, revision=env.registry.revision))


class Rolled(Exception):
    """Takes a transaction back."""


Call = Callable[[RecordService], Any]


def carried_out(env: Environment, engine: Engine, calls: Callable[[Callable[[Call], bool]], None]) -> dict[str, Any]:
    """What there is after the calls, each of which succeeds or leaves nothing; then all of it is taken back."""
    found: dict[str, Any] = {}
    try:
        with env.database.write() as connection:

            def attempt(call: Call) -> bool:
                try:
                    with connection.begin_nested():
                        call(RecordService(engine, connection, SYSTEM))
                except RatoonError:
                    return False
                return True

            calls(attempt)
            found.update(state(RecordService(engine, connection, SYSTEM)))
            raise Rolled
    except Rolled:
        return found


def state(records: RecordService) -> dict[str, Any]:
    clients, jobs, notes = (records.list(Query(name, limit=500)).records for name in ("client", "job", "note"))
    names = {job["id"]: job["name"] for job in jobs}
    for client in clients:
        mine = [job for job in jobs if job["client"] == client["id"]]
        assert client["jobs"] == len(mine)
        assert (client["total"] or 0) == sum((job["price"] or Decimal(0) for job in mine), Decimal(0))
    for job in jobs:
        _history_agrees(records, job)
    enqueued = records.connection.execute(
        text("SELECT r.rule, o.record FROM ratoon_run r JOIN ratoon_run_record o ON o.run = r.id")
    )
    return {
        "clients": [(c["name"], c["calls"], c["grade"], c["total"]) for c in sorted(clients, key=lambda c: c["name"])],
        "jobs": [[job[key] for key in KEYS] for job in sorted(jobs, key=lambda j: j["name"])],
        "notes": Counter((names.get(note["job"]), note["body"]) for note in notes),
        "runs": Counter((rule, names[record]) for rule, record in enqueued),
    }


def _history_agrees(records: RecordService, job: dict[str, Any]) -> None:
    entries = records.history("job", job["id"])
    for key in ("price", "parts", "label"):
        changes = [e["changes"][key] for e in reversed(entries) if key in (e["changes"] or {})]
        if changes:
            last = changes[-1][1]
            assert str(last) == str(job[key]) or (last is None and job[key] is None)
            assert all(before[1] == after[0] for before, after in itertools.pairwise(changes))
    periods = records.stage_history("job", job["id"])
    assert [p["stage"] for p in periods if p["left_at"] is None] == [job["stage"]]
    assert periods[-1]["entered_at"] == job["stage_since"]


def create(values: Sequence[tuple[int, dict[str, Any]]]) -> Call:
    def call(records: RecordService) -> None:
        (client,) = records.list(Query("client")).records
        given = [{"stage": "new", **v, "name": f"j{n}", "client": client["id"]} for n, v in values]
        records.create("job", given)

    return call


def update(values: Sequence[tuple[int, dict[str, Any]]]) -> Call:
    def call(records: RecordService) -> None:
        ids = {job["name"]: job["id"] for job in records.list(Query("job", limit=500)).records}
        changes = [Change(ids[f"j{n}"], v) for n, v in values if f"j{n}" in ids]
        if changes:
            records.update("job", changes)

    return call


@settings(
    max_examples=25, deadline=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(rules=automations(), saves=SAVES)
def test_many_records_in_one_call_end_up_as_one_by_one(workshop: Environment, rules: Any, saves: Any) -> None:
    note(f"{json.dumps(rules)} {json.dumps(saves)}")
    engine = engine_with(workshop, rules)
    good: list[list[int]] = []

    def one_by_one(attempt: Callable[[Call], bool]) -> None:
        attempt(lambda r: r.create("client", [{"name": "c"}]))
        for place_, values in enumerate(saves):
            make = create if place_ == 0 else update
            good.append([n for n, v in enumerate(values) if attempt(make([(n, v)]))])

    def together(attempt: Callable[[Call], bool]) -> None:
        attempt(lambda r: r.create("client", [{"name": "c"}]))
        for place_, (values, fine) in enumerate(zip(saves, good, strict=True)):
            make = create if place_ == 0 else update
            assert attempt(make([(n, values[n]) for n in fine])) or not fine

    alone = carried_out(workshop, engine, one_by_one)
    assert carried_out(workshop, engine, together) == alone
