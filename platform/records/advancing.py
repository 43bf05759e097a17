"""Automatic moves: after the rollups, a record goes on to the stage that an ``advance`` of its stage names.

Asked of every record that the transaction touched, until none moves any more, so a rollup that changes may move a
record, and a move may change rollups. A move is a save of its own, one level deeper, through the same gates; where
they refuse, the record stays where it is and the save that set it off goes through, with a notice that says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ratoon.platform.errors import FormulaError, Problem, listed, say
from ratoon.platform.records import stages
from ratoon.platform.records.drafts import Draft
from ratoon.platform.records.plan import ObjectPlan, dotted

if TYPE_CHECKING:
    from ratoon.platform.records.saving import Saving


def advance(saving: Saving, tried: set[tuple[str, str, str]]) -> bool:
    """Moves what is ready to move; whether anything did. ``tried`` are (record, stage, stage) that were refused."""
    any_moved = False
    for object in list(saving.touched):
        plan = saving.engine.plans[object]
        if any(s.advance for p in plan.object.pipelines for s in p.stages):
            any_moved |= _advance_object(saving, plan, tried)
    return any_moved


def advance_now(saving: Saving, plan: ObjectPlan, ids: Sequence[str]) -> bool:
    """Moves those of these records that are ready by now, though nobody changed them: time went by."""
    rows = saving.store.load(saving.connection, plan.name, ids, lock=True)
    return _advance_rows(saving, plan, rows, set())


def _advance_object(saving: Saving, plan: ObjectPlan, tried: set[tuple[str, str, str]]) -> bool:
    touched = saving.touched[plan.name]
    rows = {record: dict(t.new) for record, t in touched.items() if t.event != "deleted"}
    return _advance_rows(saving, plan, rows, tried)


def _advance_rows(
    saving: Saving, plan: ObjectPlan, found: dict[str, dict[str, Any]], tried: set[tuple[str, str, str]]
) -> bool:
    waiting = {}
    for record, row in found.items():
        stage = stages.of_row(plan, row)[1]
        if stage is not None and stage.advance:
            waiting[record] = row
    if not waiting:
        return False
    formulas = [a.when for p in plan.object.pipelines for s in p.stages for a in s.advance]
    saving.store.attach_paths(saving.connection, plan.name, list(waiting.values()), dotted(formulas), saving.context())
    moves: dict[str, dict[str, str]] = {}
    for record, row in waiting.items():
        pipeline, stage = stages.of_row(plan, row)
        assert pipeline is not None
        assert stage is not None
        to = _wanted(saving, plan, record, row)
        if to is not None and (record, stage.name, to) not in tried:
            moves.setdefault(f"{plan.name}.{pipeline.name}.{stage.name}", {})[record] = to
    done = [_move(saving, plan, name, group, tried) for name, group in moves.items()]
    return any(done)


def _wanted(saving: Saving, plan: ObjectPlan, record: str, row: dict[str, Any]) -> str | None:
    stage = stages.of_row(plan, row)[1]
    context = saving.context()
    for key, formula in plan.volatile:
        try:
            row[key] = plan.fit(key, formula.evaluate(row, context))
        except FormulaError:
            row[key] = None
    for move in stage.advance if stage is not None else ():
        try:
            if move.when.evaluate(row, context) is True:
                return move.to
        except FormulaError as error:
            saving.note(12, plan.name, record, f"move on to {move.to}", error.text())
    return None


def _move(saving: Saving, plan: ObjectPlan, name: str, moves: dict[str, str], tried: set[tuple[str, str, str]]) -> bool:
    field = plan.object.stage_field
    assert field is not None
    rows = saving.store.load(saving.connection, plan.name, list(moves), lock=True)
    drafts = [Draft(i, r, row, dict(row), frozenset({field.name})) for i, (r, row) in enumerate(rows.items())]
    values = [{field.name: moves[d.id]} for d in drafts]
    saving.enter(name, [f"{plan.name}/{d.id}" for d in drafts])
    saving.depth += 1
    saving.path.append(name)
    try:
        saving.prepare(plan, drafts, values)
        ready = [d for d in drafts if not any(p.severity == "error" for p in d.problems)]
        for draft in drafts:
            outcome = "moved" if draft in ready else "; ".join(p.text() for p in draft.problems)
            saving.note(12, plan.name, draft.id, f"move on to {moves[draft.id]}", outcome)
            if draft not in ready:
                assert draft.old is not None
                tried.add((draft.id, draft.old[field.name], moves[draft.id]))
                if saving.actor.admin or field.name in saving.engine.policy.readable_keys(saving.actor, plan.name):
                    saving.notices.append(_stays(plan, draft, moves[draft.id]))
        if ready:
            saving.write(plan, ready)
    finally:
        saving.depth -= 1
        saving.path.pop()
    return bool(ready)


def _stays(plan: ObjectPlan, draft: Draft, to: str) -> Problem:
    pipeline = stages.of_row(plan, draft.row)[0]
    label = pipeline.by_name[to].label if pipeline is not None and to in pipeline.by_name else to
    message = "It did not move on to {stage} by itself: {reasons}"
    reasons = listed([_reason(p) for p in draft.problems], " ")
    return Problem("not_advanced", message, None, {"stage": label, "reasons": reasons}, severity="info")


def _reason(problem: Problem) -> str:
    """Why the stage refused; which stage it is was said before."""
    if problem.code == "stage_criteria":
        criterion: str = problem.params["criterion"]
        return criterion
    return say(problem.message, **problem.params)
