"""Whether an automation is triggered by what happened to a record."""

from __future__ import annotations

from ratoon.platform.metadata.model import Automation, Object
from ratoon.platform.records.drafts import Draft
from ratoon.platform.records.engine import Event


def triggered(obj: Object, automation: Automation, event: Event, draft: Draft) -> bool:
    """Whether the event, the changed fields and the stage are those that the automation names."""
    field = obj.stage_field
    for on in automation.on:
        if on in ("stage_entered", "stage_left"):
            if field is None or event not in ("created", "updated") or not draft.value_changed(field.name):
                continue
            stage = draft.row.get(field.name) if on == "stage_entered" else (draft.old or {}).get(field.name)
            if stage is not None and (not automation.stages or stage in automation.stages):
                return True
        elif on == event and (
            event != "updated" or not automation.fields or any(_changed(obj, draft, name) for name in automation.fields)
        ):
            return True
    return False


def could(automation: Automation, event: Event) -> bool:
    """Whether the event may trigger the automation at all."""
    staged = event in ("created", "updated") and bool({"stage_entered", "stage_left"} & set(automation.on))
    return event in automation.on or staged


def _changed(obj: Object, draft: Draft, name: str) -> bool:
    field = obj.fields.get(name)
    return any(draft.value_changed(part.key) for part in field.parts) if field else draft.value_changed(name)
