"""What people see of runs: why an automation ran on a record or did not, and what it would do.

``why`` takes a record as it stands and shows for each automation of its object which part of the condition decides,
and the last run there was. ``try_out`` carries an automation out on a record in a transaction that is rolled back:
what would have gone out is shown instead of sent. ``press`` is the button on a record page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ratoon.platform.access.actor import Actor, system_actor
from ratoon.platform.automation.actions import Actions
from ratoon.platform.automation.deferring import start
from ratoon.platform.automation.hands import ShowingHands
from ratoon.platform.automation.program import Waits
from ratoon.platform.errors import Conflict, Forbidden, FormulaError, NotFound
from ratoon.platform.formulas.explain import explain, sentence
from ratoon.platform.formulas.types import EvalContext
from ratoon.platform.jobs.automations import program_for
from ratoon.platform.jobs.dates import matching
from ratoon.platform.jobs.listing import find
from ratoon.platform.metadata.model import Automation, Object
from ratoon.platform.records.drafts import Draft
from ratoon.platform.records.plan import dotted
from ratoon.platform.records.reading import context_of
from ratoon.platform.records.saving import TraceEntry
from ratoon.platform.records.service import RecordService
from ratoon.platform.storage import runs, steps
from ratoon.platform.storage.runs import Run, Wanted

if TYPE_CHECKING:
    from ratoon.platform.environment import Environment


@dataclass(frozen=True, slots=True)
class Reason:
    """One automation and one record: would it run, and what decides."""

    automation: Automation
    fits: bool | None
    """Whether the condition is true now; ``None``: it cannot be worked out, or it is about a change."""
    sentence: str
    """What decided, in words of the formula."""
    parts: Mapping[str, Any] | None
    """The condition, part by part, with values."""
    last: Run | None
    """The newest run that had this record."""


def why(records: RecordService, object: str, record: str) -> list[Reason]:
    """Every automation of the object, as it looks at this record now; drafts and those that are off come last."""
    obj = records.plan(object).object
    row = _row(records, obj, record)
    context = _context(records, row)
    with_record = runs.find(records.connection, Wanted(object=object, record=record, limit=200))
    return [
        _reason(automation, row, context, next((r for r in with_record if r.rule == automation.full_name), None))
        for automation in (*obj.automations, *obj.resting)
    ]


def _reason(automation: Automation, row: Mapping[str, Any], context: EvalContext, last: Run | None) -> Reason:
    condition = automation.condition
    if condition is None:
        return Reason(automation, True, "", None, last)
    part = explain(condition, row, context)
    fits: bool | None = None if part.error is not None or condition.uses_change else part.value is True
    return Reason(automation, fits, sentence(part), part.json(), last)


def _row(records: RecordService, obj: Object, record: str) -> dict[str, Any]:
    store = records.engine.store
    rows = store.load(records.connection, obj.name, [record])
    if record not in rows:
        raise NotFound("There is no {object} with id {id}.", object=obj.name, id=record)
    row = rows[record]
    context = _context(records, row)
    paths = dotted([a.condition for a in (*obj.automations, *obj.resting) if a.condition is not None])
    if paths:
        store.attach_paths(records.connection, obj.name, [row], paths, context)
    plan = records.plan(obj.name)
    for key, formula in plan.volatile:
        try:
            row[key] = plan.fit(key, formula.evaluate(row, context))
        except FormulaError:
            row[key] = None
    return row


def _context(records: RecordService, row: Mapping[str, Any]) -> EvalContext:
    return replace(context_of(records), old=dict(row))


@dataclass(frozen=True)
class Tried:
    """What an automation would do to a record."""

    automation: Automation
    fits: bool | None
    """Whether its condition is true now (``None``: it is about a change); it was carried out in any case."""
    changes: Mapping[str, Mapping[str, str]]
    """Object → record id → created, updated, deleted."""
    records: Mapping[str, Mapping[str, Any]]
    """``object/id`` → the record afterwards, for those that were made or changed."""
    sent: tuple[Mapping[str, Any], ...]
    """Mails, calls and waits, as they would have been."""
    steps: tuple[Mapping[str, Any], ...]
    failures: tuple[str, ...]
    trace: tuple[TraceEntry, ...]

    def as_json(self) -> dict[str, Any]:
        """For the API and ``--json``."""
        entries = [{"step": t.step, "depth": t.depth, "object": t.object, "record": t.record, "what": t.what,
                    "outcome": t.outcome} for t in self.trace]  # fmt: skip
        return {
            "status": self.automation.status,
            "condition": self.fits,
            "changes": self.changes,
            "records": self.records,
            "sent": list(self.sent),
            "steps": list(self.steps),
            "failures": list(self.failures),
            "trace": entries,
        }


class _Undone(Exception):
    """Carries the answer out of the transaction that must not be kept."""

    def __init__(self, tried: Tried) -> None:
        super().__init__()
        self.tried = tried


def try_out(environment: Environment, actions: Actions, object: str, name: str, record: str) -> Tried:
    """What an automation, also a draft, would do to a record now. Nothing is kept, nothing goes out.

    Waits are not waited for: what comes after them is shown as it would be now.
    """
    automation = _known(environment, object, name)
    trace: list[TraceEntry] = []
    actor = system_actor(time_zone=environment.settings.default_time_zone)
    try:
        with environment.write(actor, trace=trace) as records:
            raise _Undone(_try(environment, actions, automation, records, record, actor, trace))
    except _Undone as undone:
        return undone.tried


def _try(
    environment: Environment,
    actions: Actions,
    automation: Automation,
    records: RecordService,
    record: str,
    actor: Actor,
    trace: list[TraceEntry],
) -> Tried:
    object, condition = automation.object, automation.condition
    fits, _ = matching(records, automation, [record])
    _row(records, records.plan(object).object, record)
    made = start(records, automation, "button", [Draft(0, record, None, {"id": record}, frozenset())])
    run = runs.load(records.connection, made[0])
    if run is None:
        raise RuntimeError("the run that was just written is not there")
    hands = ShowingHands(records, run.id)
    program = program_for(environment, hands, actions, automation, replace(run, trigger="button"), actor)
    place = ""
    while True:
        try:
            program.go([record], place)
            break
        except Waits as wait:
            seconds = (wait.at - environment.world.clock()) / timedelta(seconds=1)
            hands.shown.append({"wait": {"until": wait.at.isoformat(), "seconds": round(seconds)}})
            place = wait.step
    changes = {o: dict(events) for o, events in records.changes.items()}
    return Tried(
        automation=automation,
        fits=bool(fits) if condition is None or not condition.uses_change else None,
        changes=changes,
        records={f"{o}/{i}": _shown(records, o, i) for o, events in changes.items() for i, e in events.items()
                 if e != "deleted"},
        sent=tuple(hands.shown),
        steps=tuple(
            {"step": s["step"], "kind": s["kind"], "state": s["state"], "detail": s["detail"], "error": s["error"]}
            for s in steps.of_run(records.connection, run.id)
        ),
        failures=tuple(f"{f.step}: {f.words}" for f in program.failures.values()),
        trace=tuple(trace),
    )  # fmt: skip


def _shown(records: RecordService, object: str, record: str) -> dict[str, Any]:
    plan = records.plan(object)
    row = records.get(object, record)
    found = {}
    for key, value in row.items():
        dump = plan.dump.get(key)
        found[key] = dump(value) if dump is not None and value is not None else value
    return found


def _known(environment: Environment, object: str, name: str) -> Automation:
    automation = find(environment.registry, object, name)
    if automation is None:
        raise NotFound("{object} has no automation {name}.", object=object, name=name)
    return automation


def buttons(records: RecordService, object: str, row: Mapping[str, Any]) -> list[Automation]:
    """The automations that this actor may start on this record by a button."""
    obj = records.plan(object).object
    found = [a for a in obj.automations if a.triggers.button is not None]
    if not found or not records.engine.policy.may(records.actor, object, "edit"):
        return []
    whole = dict(row)
    conditions = [b.visible_when for a in found if (b := a.triggers.button) is not None and b.visible_when is not None]
    context = _context(records, whole)
    paths = dotted(conditions)
    if paths:
        records.engine.store.attach_paths(records.connection, object, [whole], paths, context)
    return [a for a in found if _visible(a, whole, context)]


def _visible(automation: Automation, row: Mapping[str, Any], context: EvalContext) -> bool:
    button = automation.triggers.button
    if button is None or button.visible_when is None:
        return button is not None
    try:
        return button.visible_when.evaluate(row, context) is True
    except FormulaError:
        return False


def press(records: RecordService, object: str, name: str, record: str) -> str:
    """Starts an automation on a record by its button; returns the run.

    Raises ``NotFound``, ``Forbidden`` (only who may edit the record), ``Conflict`` when the condition is not true.
    """
    obj = records.plan(object).object
    automation = next((a for a in obj.automations if a.name == name and a.triggers.button is not None), None)
    if automation is None:
        raise NotFound("{object} has no button {name}.", object=object, name=name)
    records.get(object, record, fields=["id"])
    engine = records.engine
    where = engine.policy.row_filter(records.actor, object, "edit")
    editable = not where or record in engine.store.visible(records.connection, object, [record], where)
    if not editable or not engine.policy.may(records.actor, object, "edit"):
        raise Forbidden("Only who may edit the record may do this.")
    if not _visible(automation, _row(records, obj, record), _context(records, {})):
        raise Conflict("{label} is not possible now.", label=automation.triggers.button.label)  # type: ignore[union-attr]
    fits, unclear = matching(records, automation, [record])
    if not fits and not unclear:
        raise Conflict("{label} is not possible now: its condition is not true.", label=automation.label)
    return start(records, automation, "button", fits or unclear, check=not fits)[0]
