"""Pipelines at save time: which pipeline, which stage, and the gates between stages (step 7).

A new record gets the first pipeline (by ``order``) whose ``when`` is true and its first stage, unless the caller named
others; one that is put into another pipeline by hand begins at its first stage, unless that pipeline has the stage
too. A move is refused with everything that is missing at once: a transition that is not allowed, or not to this
role; required tasks that are not ticked; exit criteria of the stage it leaves, entry criteria of the stage it
enters; the fields that the stage requires, as long as the record is in it; the reason for a loss.

What a stage says of its records is written to them when they enter it (``carry``): since when they are there and when
they are overdue, and what the pipeline carries to fields (probability, forecast category).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ratoon.platform.access.actor import Actor
from ratoon.platform.errors import FormulaError, Invalid, say
from ratoon.platform.fields.stage import DUE, SINCE, SUFFIX
from ratoon.platform.metadata.model import Field, Rule
from ratoon.platform.metadata.pipeline_model import Pipeline, Stage, Task
from ratoon.platform.records.drafts import Draft
from ratoon.platform.records.plan import ObjectPlan
from ratoon.platform.storage import stage_tasks
from ratoon.platform.storage.history import StageMove

if TYPE_CHECKING:
    from ratoon.platform.records.saving import Saving

Ticks = Mapping[str, frozenset[tuple[str, str, str]]]
"""Record → (pipeline, stage, task) of what is ticked."""


def pipeline_key(field: Field) -> str:
    """The key that holds the pipeline's name."""
    return field.name + SUFFIX


def of_row(plan: ObjectPlan, row: Mapping[str, Any]) -> tuple[Pipeline | None, Stage | None]:
    """The pipeline and stage a row is in."""
    field = plan.object.stage_field
    if field is None:
        return None, None
    pipeline = plan.object.pipeline(row.get(pipeline_key(field)))
    return pipeline, pipeline.by_name.get(row.get(field.name) or "") if pipeline else None


def moved(plan: ObjectPlan, draft: Draft) -> bool:
    """Whether the draft enters a stage."""
    field = plan.object.stage_field
    if field is None or not plan.object.pipelines:
        return False
    return draft.old is None or draft.value_changed(field.name) or draft.value_changed(pipeline_key(field))


def choose(saving: Saving, plan: ObjectPlan, draft: Draft) -> None:
    """Step 3: pipeline and first stage of a new record where the caller named none; the first stage of another
    pipeline that a record is put into by hand."""
    field = plan.object.stage_field
    if field is None or not plan.object.pipelines:
        return
    row, key = draft.row, pipeline_key(field)
    if draft.old is not None:
        other = (
            plan.object.pipeline(row[key]) if draft.value_changed(key) and not draft.value_changed(field.name) else None
        )
        if other is not None and row[field.name] not in other.by_name:
            row[field.name] = other.stages[0].name
        return
    if row[key] is None:
        named = row[field.name]
        fitting = [p for p in plan.object.pipelines if named is None or named in p.by_name]
        for pipeline in fitting:
            try:
                fits = pipeline.when is None or pipeline.when.evaluate(row, saving.context(draft)) is True
            except FormulaError:
                fits = False
            if fits:
                row[key] = pipeline.name
                break
        else:
            row[key] = (fitting or plan.object.pipelines)[0].name
    chosen = plan.object.pipeline(row[key])
    if row[field.name] is None and chosen is not None:
        row[field.name] = chosen.stages[0].name


def carry(saving: Saving, plan: ObjectPlan, draft: Draft) -> None:
    """The end of step 4: what the stage says is written to a record that enters it. A field that this save set
    otherwise stays as it is."""
    field = plan.object.stage_field
    if field is None or not moved(plan, draft):
        return
    pipeline, stage = of_row(plan, draft.row)
    if pipeline is None or stage is None:
        return
    row = draft.row
    row[field.name + SINCE], row[field.name + DUE] = saving.now, stage.due(saving.now)
    for what, key in pipeline.carry:
        set_already = row[key] is not None if draft.old is None else draft.value_changed(key)
        if key in draft.given or set_already:
            continue
        said: Any = stage.forecast or None
        if what == "probability":
            said = None if stage.probability is None else Decimal(stage.probability)
        try:
            row[key] = None if said is None else plan.object.parts[key].coerce(said)
        except Invalid as refusal:
            draft.problems.append(refusal.problem(key).at(draft.index))
            continue
        saving.note(4, plan.name, draft.id, f"{pipeline.name}.{stage.name}", f"{key} = {row[key]}")


def move_of(saving: Saving, plan: ObjectPlan, draft: Draft) -> StageMove | None:
    """What the stage history keeps of a record that was written."""
    field = plan.object.stage_field
    if field is None:
        return None
    key = pipeline_key(field)
    before = (None, None) if draft.old is None else (draft.old.get(key), draft.old.get(field.name))
    after = (draft.row.get(key), draft.row.get(field.name))
    if before == after:
        return None
    return StageMove(plan.name, draft.id, field.name, after[0], after[1], before[1], saving.now, saving.actor.id)


def check_all(saving: Saving, plan: ObjectPlan, drafts: Sequence[Draft]) -> None:
    """Step 7: everything that stands between the records and the stages they are to be in."""
    field = plan.object.stage_field
    if field is None or not plan.object.pipelines:
        return
    ticks = _ticks_needed(saving, plan, drafts)
    for draft in drafts:
        place = _place(plan, field, draft)
        if place is not None:
            _check(saving, plan, field, draft, *place, ticks)


def _place(plan: ObjectPlan, field: Field, draft: Draft) -> tuple[Pipeline, Stage] | None:
    key, row = pipeline_key(field), draft.row
    pipeline, stage = of_row(plan, row)
    if pipeline is None:
        names = ", ".join(p.name for p in plan.object.pipelines)
        draft.refuse("unknown_pipeline", "There is no pipeline {pipeline}; there are: {names}.", key,
                     pipeline=row[key], names=names)  # fmt: skip
        return None
    if stage is None:
        names = ", ".join(s.name for s in pipeline.stages)
        draft.refuse("unknown_stage", "{pipeline} has no stage {stage}; it has: {names}.", field.name,
                     pipeline=pipeline.label, stage=row[field.name], names=names)  # fmt: skip
        return None
    return pipeline, stage


def _check(
    saving: Saving, plan: ObjectPlan, field: Field, draft: Draft, pipeline: Pipeline, stage: Stage, ticks: Ticks
) -> None:
    if moved(plan, draft):
        was, before = (None, None) if draft.old is None else of_row(plan, draft.old)
        if before is not None and was is not None:
            if was is pipeline:
                _check_move(saving, field, draft, pipeline, before, stage)
            if was is pipeline and not _exempt(pipeline, before, stage):
                for task in missing_tasks(was, before, ticks.get(draft.id, frozenset())):
                    draft.refuse("task_open", "Still to do in {before}: {task}.", field.name, before=before.label,
                                 task=task.label, rule=task.name)  # fmt: skip
            _criteria(saving, draft, field, before, before.exit, entering=False)
        _criteria(saving, draft, field, stage, stage.entry, entering=True)
    required = stage.required_fields
    if stage.category == "lost" and pipeline.loss_reason is not None and pipeline.loss_reason not in required:
        required = (*required, pipeline.loss_reason)
    for name in required:
        if draft.row.get(name) is None and name not in draft.wrong_keys:
            label = plan.object.field_of[name].label
            draft.refuse("required_in_stage", "{label} is required in stage {stage}.", name, label=label,
                         stage=stage.label, rule=f"{pipeline.name}.{stage.name}", about=(field.name,))  # fmt: skip


def _check_move(saving: Saving, field: Field, draft: Draft, pipeline: Pipeline, before: Stage, stage: Stage) -> None:
    actor = None if saving.depth else saving.actor
    if before.next is not None and stage.name not in before.next:
        allowed = ", ".join(pipeline.by_name[n].label for n in before.next if may_move(actor, before, n)) or "–"
        draft.refuse("transition", "From {before} one cannot go to {stage}; allowed: {allowed}.", field.name,
                     before=before.label, stage=stage.label, allowed=allowed)  # fmt: skip
    elif not may_move(actor, before, stage.name):
        draft.refuse("transition_role", "You may not move this from {before} to {stage}.", field.name,
                     before=before.label, stage=stage.label)  # fmt: skip


def may_move(actor: Actor | None, here: Stage, to: str) -> bool:
    """Whether the pipeline allows this move to the actor; ``None`` = to the platform, which no role binds."""
    if here.next is None:
        return True
    roles = here.next_roles.get(to)
    return to in here.next and (roles is None or actor is None or actor.admin or bool(roles & actor.roles))


def _exempt(pipeline: Pipeline, before: Stage, stage: Stage) -> bool:
    """Moves that need no task done: giving up, and going back (another pipeline asks for none either)."""
    return stage.category == "lost" or pipeline.place[stage.name] < pipeline.place[before.name]


def missing_tasks(pipeline: Pipeline, stage: Stage, ticked: frozenset[tuple[str, str, str]]) -> list[Task]:
    """The required tasks of a stage that are not done."""
    return [t for t in stage.checklist if t.required and (pipeline.name, stage.name, t.name) not in ticked]


def ticks_of(conn: Any, records: Sequence[str]) -> dict[str, frozenset[tuple[str, str, str]]]:
    """What is ticked on these records."""
    found: dict[str, set[tuple[str, str, str]]] = {}
    for row in stage_tasks.done(conn, records):
        found.setdefault(row["record"], set()).add((row["pipeline"], row["stage"], row["task"]))
    return {record: frozenset(ticks) for record, ticks in found.items()}


def _ticks_needed(saving: Saving, plan: ObjectPlan, drafts: Sequence[Draft]) -> Ticks:
    """The ticks of records that leave a stage with required tasks: one statement for all."""
    asked = []
    for draft in drafts:
        if draft.old is not None and moved(plan, draft):
            _, before = of_row(plan, draft.old)
            if before is not None and any(t.required for t in before.checklist):
                asked.append(draft.id)
    return ticks_of(saving.connection, asked) if asked else {}


def _criteria(
    saving: Saving, draft: Draft, field: Field, stage: Stage, rules: tuple[Rule, ...], *, entering: bool
) -> None:
    """Refuses with every criterion that fails, and says which stage asks and whether one enters or leaves it."""
    message = "To leave stage {stage}: {criterion}"
    if entering:
        message = "To enter stage {stage}: {criterion}"
    for rule in rules:
        try:
            wrong = rule.error_when.evaluate(draft.row, saving.context(draft)) is True
        except FormulaError as error:
            draft.refuse("formula_failed", "A criterion of stage {stage} could not be worked out: {reason}", field.name,
                         stage=stage.label, reason=error.text(), about=rule.error_when.paths)  # fmt: skip
            continue
        if wrong:
            draft.refuse("stage_criteria", message, rule.field or field.name, stage=stage.label,
                         criterion=say(rule.message), rule=rule.name, about=(field.name,))  # fmt: skip
