"""Automations and plugin hooks in the order of execution: steps 4, 11 and 15 of a save.

Before the save an automation sets fields on the drafts; afterwards its actions run on the whole set of records that
matched, through a record service one level deeper. Automations run by ``order``, then by name; plugin hooks
run after the
automations of the same step. What a formula of an automation reads through lookups is loaded once per step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from ratoon.platform.automation.actions import ActionRun, Actions, values_of
from ratoon.platform.automation.assigning import assign_new
from ratoon.platform.automation.deferring import enqueue_matching
from ratoon.platform.automation.giving import tell_given
from ratoon.platform.automation.matching import could, fitting
from ratoon.platform.errors import Invalid
from ratoon.platform.metadata.model import Automation, Object
from ratoon.platform.records.drafts import Draft
from ratoon.platform.records.engine import Event, Reactions, Step
from ratoon.platform.records.plan import dotted
from ratoon.platform.records.service import RecordService
from ratoon.platform.records.veil import reason

WHEN = {"before": "before", "after": "after", "job": "after_commit"}
"""Phase of a save → what automations of it say in ``when``."""


class AutomationReactions:
    """Runs the automations of the objects that are saved, and after them what plugins do in the same step."""

    def __init__(self, actions: Actions, plugins: Reactions) -> None:
        self._actions = actions
        self.actions = actions
        """The kinds of action of the environment."""
        self._plugins = plugins

    def before_save(self, records: RecordService, object: str, event: Event, drafts: Sequence[Draft]) -> None:
        """Step 4."""
        obj = records.plan(object).object
        for automation in obj.automations:
            if automation.when == "before":
                fits = matching(records, obj, automation, event, drafts)
                if fits:
                    records.budget.begin((automation.full_name,), f"{object}/{fits[0].id}")
                for draft in fits:
                    _set_before(records, obj, automation, draft)
        if event == "created" and obj.assignments:
            assign_new(records, obj.assignments, drafts)
        self._plugins.before_save(records, object, event, drafts)

    def after_save(self, records: RecordService, object: str, event: Event, drafts: Sequence[Draft]) -> None:
        """Step 11."""
        obj = records.plan(object).object
        after = [a for a in obj.automations if a.when == "after"]
        if after:
            formulas = [
                c for a in after for c in (a.condition, *(f for x in a.actions for f in x.values.values())) if c
            ]
            paths = dotted(formulas)
            if paths:
                rows, context = [d.row for d in drafts], records.saving.context()
                records.engine.store.attach_paths(records.connection, object, rows, paths, context)
        for automation in after:
            fits = matching(records, obj, automation, event, drafts)
            if fits:
                self._perform(records, obj, automation, fits)
        self._plugins.after_save(records, object, event, drafts)

    def _perform(self, records: RecordService, obj: Object, automation: Automation, drafts: list[Draft]) -> None:
        saving = records.saving
        nested = records.nested(f"{obj.name}.{automation.name}", [(obj.name, d.id) for d in drafts])
        contexts = [saving.context(d) for d in drafts]
        for draft in drafts:
            saving.note(11, obj.name, draft.id, automation.name, "ran")
        for action in automation.actions:
            self._actions[action.kind](ActionRun(nested, obj, automation, action, drafts, contexts))

    def enqueue(self, records: RecordService, touched: Mapping[str, Mapping[str, Event]]) -> None:
        """Step 15."""
        enqueue_matching(records, touched)
        tell_given(records, touched)
        self._plugins.enqueue(records, touched)

    def explain(self, object: Object, event: Event, phase: Literal["before", "after", "job"]) -> Sequence[Step]:
        """The automations and hooks of a step, in the order they run."""
        steps = [
            Step("automation", a.name, a.condition.source if a.condition else "always")
            for a in object.automations
            if a.when == WHEN[phase] and could(a, event)
        ]
        if phase == "before" and event == "created":
            steps += [Step("assignment", a.name, a.field) for a in object.assignments if a.on_create]
        return [*steps, *self._plugins.explain(object, event, phase)]


def matching(
    records: RecordService, obj: Object, automation: Automation, event: Event, drafts: Sequence[Draft]
) -> list[Draft]:
    """The drafts that trigger an automation and for which its condition is true; one for which it cannot be worked
    out is refused."""
    saving = records.saving
    fits, others, unclear = fitting(obj, automation, event, drafts, saving.context)
    for draft, error in unclear:
        assert automation.condition is not None
        draft.refuse("automation_failed", "The condition of automation {rule} could not be worked out: {reason}",
                     rule=automation.name, reason=reason(records, obj.name, automation.condition, error))  # fmt: skip
    if saving.trace is not None:
        step = 4 if automation.when == "before" else 11
        for draft in others:
            saving.note(step, obj.name, draft.id, automation.name, "condition is false")
    return fits


def _set_before(records: RecordService, obj: Object, automation: Automation, draft: Draft) -> None:
    saving, plan = records.saving, records.plan(obj.name)
    for action in automation.actions:
        for key, value in values_of(records, automation, action, draft, saving.context(draft), plan).items():
            try:
                draft.row[key] = None if value is None or value == "" else obj.parts[key].coerce(value)
            except Invalid as refusal:
                draft.problems.append(refusal.problem(key).at(draft.index))
                continue
            saving.note(4, obj.name, draft.id, automation.name, f"{key} = {draft.row[key]}")
