"""Pipelines at save time: which pipeline, which stage, and the gates between stages (step 7).

A new record gets the first pipeline (by ``order``) whose ``when`` is true and its first stage, unless the caller named
others. A move is refused with everything that is missing at once: a transition that is not allowed, exit
criteria of the
stage it leaves, entry criteria of the stage it enters. The fields a stage requires are required as long as
the record is in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ratoon.platform.errors import FormulaError
from ratoon.platform.metadata.model import Field, Pipeline, Rule, Stage
from ratoon.platform.records.drafts import Draft
from ratoon.platform.records.plan import ObjectPlan

if TYPE_CHECKING:
    from ratoon.platform.records.saving import Saving


def pipeline_key(field: Field) -> str:
    """The key that holds the pipeline's name."""
    return f"{field.name}_pipeline"


def of_row(plan: ObjectPlan, row: Mapping[str, Any]) -> tuple[Pipeline | None, Stage | None]:
    """The pipeline and stage a row is in."""
    field = plan.object.stage_field
    if field is None:
        return None, None
    pipeline = plan.object.pipeline(row.get(pipeline_key(field)))
    return pipeline, pipeline.by_name.get(row.get(field.name) or "") if pipeline else None


def choose(saving: Saving, plan: ObjectPlan, draft: Draft) -> None:
    """Step 3 for a new record: its pipeline and first stage, where the caller named none."""
    field = plan.object.stage_field
    if field is None or not plan.object.pipelines:
        return
    row, key = draft.row, pipeline_key(field)
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
    pipeline_chosen = plan.object.pipeline(row[key])
    if row[field.name] is None and pipeline_chosen is not None:
        row[field.name] = pipeline_chosen.stages[0].name


def check_gates(saving: Saving, plan: ObjectPlan, draft: Draft) -> None:
    """Step 7: everything that stands between the record and the stage it is to be in."""
    field = plan.object.stage_field
    if field is None or not plan.object.pipelines:
        return
    key, row = pipeline_key(field), draft.row
    pipeline = plan.object.pipeline(row[key])
    if pipeline is None:
        names = ", ".join(p.name for p in plan.object.pipelines)
        draft.refuse("unknown_pipeline", "There is no pipeline {pipeline}; there are: {names}.", key,
                     pipeline=row[key], names=names)  # fmt: skip
        return
    stage = pipeline.by_name.get(row[field.name] or "")
    if stage is None:
        names = ", ".join(s.name for s in pipeline.stages)
        draft.refuse("unknown_stage", "{pipeline} has no stage {stage}; it has: {names}.", field.name,
                     pipeline=pipeline.label, stage=row[field.name], names=names)  # fmt: skip
        return
    moved = draft.old is None or draft.value_changed(field.name) or draft.value_changed(key)
    before = None if draft.old is None else of_row(plan, draft.old)[1]
    if moved:
        same_pipeline = draft.old is not None and draft.old.get(key) == pipeline.name
        if before is not None and same_pipeline and before.next is not None and stage.name not in before.next:
            allowed = ", ".join(pipeline.by_name[n].label for n in before.next if n in pipeline.by_name) or "–"
            draft.refuse("transition", "From {before} one cannot go to {stage}; allowed: {allowed}.", field.name,
                         before=before.label, stage=stage.label, allowed=allowed)  # fmt: skip
        if before is not None:
            _criteria(saving, draft, field, before, before.exit)
        _criteria(saving, draft, field, stage, stage.entry)
    for name in stage.required_fields:
        if row.get(name) is None and not any(p.field == name and p.code == "required" for p in draft.problems):
            label = plan.object.field_of[name].label
            draft.refuse("required_in_stage", "{label} is required in stage {stage}.", name, label=label,
                         stage=stage.label, rule=f"{pipeline.name}.{stage.name}")  # fmt: skip


def _criteria(saving: Saving, draft: Draft, field: Field, stage: Stage, rules: tuple[Rule, ...]) -> None:
    for rule in rules:
        try:
            wrong = rule.error_when.evaluate(draft.row, saving.context(draft)) is True
        except FormulaError as error:
            draft.refuse("formula_failed", "A criterion of stage {stage} could not be worked out: {reason}", field.name,
                         stage=stage.label, reason=error.text())  # fmt: skip
            continue
        if wrong:
            draft.refuse("stage_criteria", rule.message, rule.field or field.name, rule=stage.name)
