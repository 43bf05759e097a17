"""Whether an automation is triggered by what happened to a record."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas.types import EvalContext
from ratoon.platform.metadata.model import Automation, Object
from ratoon.platform.records.drafts import Draft
from ratoon.platform.records.engine import Event

Contexts = Callable[[Draft], EvalContext]
Unclear = list[tuple[Draft, FormulaError]]


def fitting(
    obj: Object, automation: Automation, event: Event, drafts: Sequence[Draft], contexts: Contexts
) -> tuple[list[Draft], list[Draft], Unclear]:
    """The drafts that trigger the automation and for which its condition is true, those for which it is false, and
    those for which it cannot be worked out.

    This runs for every automation and every row of an import: it is a loop over ready-made closures and little else.
    """
    if event not in automation.on or (event == "updated" and automation.fields):
        drafts = [draft for draft in drafts if triggered(obj, automation, event, draft)]
    condition = automation.condition
    if condition is None:
        return list(drafts), [], []
    fits: list[Draft] = []
    not_: list[Draft] = []
    unclear: Unclear = []
    run = condition.run
    plain = contexts(drafts[0]) if drafts and event == "created" else None
    for draft in drafts:
        try:
            (fits if run(draft.row, plain or contexts(draft)) is True else not_).append(draft)
        except FormulaError as error:
            unclear.append((draft, error))
        except (ArithmeticError, ValueError) as error:
            message = "A value is out of range ({reason})"
            unclear.append((draft, FormulaError("out_of_range", message, reason=type(error).__name__)))
    return fits, not_, unclear


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
