"""Step 15 of a save: automations that run after the commit are enqueued with the records they match.

What counts is the outcome of the whole call: the row before it against the row as written, rollups and automations of
the same transaction included. Conditions are evaluated here, where the old values are known; one run per automation
and chunk of records is written in the same transaction. A condition that cannot be worked out does not refuse the
save: its records get a run of their own that says so and can be repeated after the repair.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ratoon.platform.automation.matching import could, fitting
from ratoon.platform.errors import LoopStopped, Problem
from ratoon.platform.formulas import Formula
from ratoon.platform.formulas.batch import write_value
from ratoon.platform.metadata.model import Action, Automation, Object
from ratoon.platform.records.drafts import Draft
from ratoon.platform.records.engine import Event
from ratoon.platform.records.plan import ObjectPlan, dotted
from ratoon.platform.records.service import RecordService
from ratoon.platform.storage.runs import About, enqueue

JOB = "automation"
CHUNK = 500
"""Records of one run."""
CHAIN = 12
"""Automations after the commit that may cause one another."""
SAME = 3
"""How often the same one may occur in such a chain."""


def enqueue_matching(records: RecordService, touched: Mapping[str, Mapping[str, Event]]) -> None:
    """Enqueues what the save of these records triggers."""
    registry = records.engine.registry
    for object in touched:
        later = [a for a in registry[object].automations if a.when == "after_commit"]
        if later:
            _of_object(records, registry[object], later)


def _of_object(records: RecordService, obj: Object, later: Sequence[Automation]) -> None:
    saving = records.saving
    by_event: dict[tuple[Event, bool], list[Draft]] = {}
    none: tuple[dict[str, Any], list[Problem]] = {}, []  # shared: nobody links or refuses anything any more
    for record, touched in saving.touched[obj.name].items():
        if touched.event == "deleted" or touched.new.get("deleted_at") is None:
            draft = Draft(0, record, touched.old, touched.new, frozenset(), *none)
            by_event.setdefault((touched.event, touched.computed), []).append(draft)
    paths = dotted([a.condition for a in later if a.condition is not None])
    for (event, computed), drafts in by_event.items():
        concerned = [a for a in later if could(a, event) and (not computed or a.fields)]
        if concerned and paths:
            rows = [draft.row for draft in drafts]
            records.engine.store.attach_paths(records.connection, obj.name, rows, paths, saving.context())
        for automation in concerned:
            fits, others, unclear = fitting(obj, automation, event, drafts, saving.context)
            if saving.trace is not None:
                for name, group in (("enqueued", fits), ("condition is false", others)):
                    for draft in group:
                        saving.note(15, obj.name, draft.id, automation.name, name)
            if fits:
                start(records, automation, event, fits)
            if unclear:
                start(records, automation, event, [draft for draft, _ in unclear], check=True)


def start(
    records: RecordService,
    automation: Automation,
    trigger: str,
    drafts: Sequence[Draft],
    *,
    check: bool = False,
    key: str | None = None,
) -> list[str]:
    """Enqueues runs of an automation on these records; ``check`` lets the run evaluate the condition.

    Raises ``LoopStopped`` when automations after the commit have caused one another in a circle.
    """
    plan = records.plan(automation.object)
    chain = _longer(records.chain, automation.full_name, f"{automation.object}/{drafts[0].id}" if drafts else "")
    made = []
    for number, chunk in enumerate(_chunks(drafts)):
        payload: dict[str, Any] = {"object": automation.object, "automation": automation.name, "event": trigger}
        payload["chain"] = chain
        if check:
            payload["check"] = True
        if automation.run_as == "user":
            payload["user"] = records.actor.id
        old = _old_values(plan, automation, chunk)
        if old:
            payload["old"] = old
        run = enqueue(
            records.connection,
            records.engine.world,
            JOB,
            payload,
            key=f"{key}/{number}" if key is not None and number else key,
            about=About(
                trigger=trigger,
                rule=automation.full_name,
                object=automation.object,
                records={d.id: seen(automation.condition, d.row) for d in chunk},
                by=records.actor.id,
                revision=records.engine.registry.revision,
            ),
        )
        if run is not None:
            made.append(run)
    return made


def seen(condition: Formula | None, row: Mapping[str, Any]) -> dict[str, Any] | None:
    """The values that a condition read, as JSON."""
    if condition is None:
        return None
    return {path: write_value(row.get(path)) for path in condition.paths}


def formulas_of(actions: Sequence[Action]) -> Iterator[Formula]:
    """Every formula of these actions, branches included."""
    for action in actions:
        yield from action.values.values()
        for value in action.options.values():
            if isinstance(value, Formula):
                yield value
        for condition, inner in action.options.get("cases", ()):
            yield condition
            yield from formulas_of(inner)
        yield from formulas_of(action.options.get("otherwise", ()))


def _chunks(drafts: Sequence[Draft]) -> Iterator[Sequence[Draft]]:
    for place in range(0, len(drafts), CHUNK):
        yield drafts[place : place + CHUNK]


def _longer(chain: Sequence[str], name: str, record: str) -> list[str]:
    if len(chain) >= CHAIN or chain.count(name) >= SAME:
        begin = chain.index(name) if name in chain else 0
        raise LoopStopped(
            "Automations after the commit keep causing one another: {cycle}, at {record}. Nothing was saved.",
            cycle=[*chain[begin:], name],
            record=record,
        )
    return [*chain, name]


def _old_values(plan: ObjectPlan, automation: Automation, drafts: Sequence[Draft]) -> dict[str, dict[str, Any]]:
    """The values before the change that formulas of the actions read: they are gone when the run begins."""
    keys = {key for formula in formulas_of(automation.actions) for key in formula.old_paths if "." not in key}
    new = any(formula.uses_change for formula in formulas_of(automation.actions))
    if not new:
        return {}
    return {d.id: {k: write_value(d.old.get(k)) for k in sorted(keys)} for d in drafts if d.old is not None}
