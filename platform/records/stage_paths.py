"""What people see of a pipeline on one record: its path, its checklist, whether it is overdue; ticking tasks off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ratoon.platform.errors import NotFound
from ratoon.platform.fields.stage import DUE
from ratoon.platform.metadata.names import nearest
from ratoon.platform.metadata.pipeline_model import Stage
from ratoon.platform.records import stages
from ratoon.platform.records.plan import ObjectPlan
from ratoon.platform.storage import history, stage_tasks

if TYPE_CHECKING:
    from ratoon.platform.records.service import RecordService

Records = list[dict[str, Any]]


def path(service: RecordService, plan: ObjectPlan, record: Mapping[str, Any]) -> Records:
    """The stages of the record's pipeline; ``state``: done, current or ahead; ``allowed``: may the actor go there."""
    pipeline, here = stages.of_row(plan, record)
    if pipeline is None:
        return []
    place = pipeline.place[here.name] if here else -1
    return [
        {
            "name": s.name,
            "label": s.label,
            "category": s.category,
            "color": s.color,
            "probability": s.probability,
            "state": _state(s, i, place),
            "allowed": i != place and (here is None or stages.may_move(service.actor, here, s.name)),
        }
        for i, s in enumerate(pipeline.stages)
    ]


def _state(stage: Stage, at: int, place: int) -> str:
    """A record that was lost did not pass through “won”, however the stages are ordered."""
    if at == place:
        return "current"
    return "done" if at < place and stage.category == "open" else "ahead"


def checklist(service: RecordService, plan: ObjectPlan, record: Mapping[str, Any]) -> Records:
    """The tasks of the stage the record is in: name, label, required, done, at, by."""
    pipeline, here = stages.of_row(plan, record)
    if pipeline is None or here is None or not here.checklist:
        return []
    ticks = {
        row["task"]: row
        for row in stage_tasks.done(service.connection, [record["id"]])
        if (row["pipeline"], row["stage"]) == (pipeline.name, here.name)
    }
    return [
        {
            "name": task.name,
            "label": task.label,
            "required": task.required,
            "done": task.name in ticks,
            "at": ticks[task.name]["at"] if task.name in ticks else None,
            "by": ticks[task.name]["by"] if task.name in ticks else None,
        }
        for task in here.checklist
    ]


def overdue(service: RecordService, plan: ObjectPlan, record: Mapping[str, Any]) -> bool:
    """Whether the record is longer in its stage than expected."""
    field = plan.object.stage_field
    due = record.get(field.name + DUE) if field is not None else None
    return due is not None and due < service.engine.world.clock()


def tick(service: RecordService, plan: ObjectPlan, row: Mapping[str, Any], task: str, done: bool) -> None:
    """Marks a task of the record's stage as done, or takes the mark away. Raises ``NotFound`` for another task."""
    pipeline, here = stages.of_row(plan, row)
    known = {t.name for t in here.checklist} if here is not None else set()
    if pipeline is None or here is None or task not in known:
        near = nearest(task, known)
        message = "The stage has no task {task}." + (" Did you mean {near}?" if near else "")
        raise NotFound(message, task=task, near=near)
    mark = stage_tasks.Tick(plan.name, str(row["id"]), pipeline.name, here.name, task)
    now, who = service.engine.world.clock(), service.actor
    if done:
        changed = stage_tasks.tick(service.connection, mark, now, who.id)
    else:
        changed = stage_tasks.untick(service.connection, mark)
    if changed:
        event, key = history.TICKED if done else history.UNTICKED, f"{here.name}.{task}"
        told = history.Entry(plan.name, mark.record, event, key, not done, done, now, who.id, who.source)
        history.write_history(service.connection, [told])
