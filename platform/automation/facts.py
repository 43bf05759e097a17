"""A record in a few lines: what stands at the head of its page, as its reader may see it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ratoon.platform.automation.rendering import Reader
from ratoon.platform.fields import display
from ratoon.platform.formulas.types import Type
from ratoon.platform.metadata.approval_model import Approval
from ratoon.platform.metadata.model import Object
from ratoon.platform.records.service import RecordService

MOST = 8


def facts_of(
    records: RecordService, obj: Object, record: str, reader: Reader, process: Approval | None = None
) -> list[dict[str, str]]:
    """``{"label", "value"}`` of each highlight of the layout that the actor may read and that is not blank; where an
    approval is asked for, what its conditions read comes first: that is why it is asked."""
    registry = records.engine.registry
    readable = records.engine.policy.readable_keys(records.actor, obj.name)
    highlights = next((layout.highlights for layout in obj.layouts if layout.highlights), ())
    wanted = dict.fromkeys((*_asked_for(obj, process), *(highlights or _first(obj))))
    names = [name for name in wanted if name in readable][:MOST]
    row = records.get(obj.name, record)
    found = []
    for name in names:
        value = _shown(records, obj, name, row, reader)
        if value:
            field = obj.field_of[name]
            found.append({"label": registry.text(field.label, reader.locale, field.owner), "value": value})
    return found


def _asked_for(obj: Object, process: Approval | None) -> list[str]:
    """The values that the conditions of a process read: its own first, then its steps'; what is only true or false (“is
    open”) and the state of the approval itself tell an approver nothing."""
    if process is None:
        return []
    conditions = [f for f in (process.when, *(s.when for s in process.steps)) if f is not None]
    fields = [obj.fields[path] for f in conditions for path in sorted(f.paths) if path in obj.fields]
    return [f.name for f in fields if f.parts[0].formula is not Type.BOOLEAN and f.name != process.status_field]


def _first(obj: Object) -> list[str]:
    """Where no layout says: the first fields that were declared."""
    return [name for name in obj.fields if name != obj.title]


def _shown(records: RecordService, obj: Object, name: str, row: dict[str, Any], reader: Reader) -> str:
    field, value = obj.field_of[name], row.get(name)
    if value is None or value in ("", ()) or field.type.name in ("secret", "file", "image", "many_to_many"):
        return ""
    if field.type.name == "stage":
        stages = {s.name: (s.label, p.owner) for p in obj.pipelines for s in p.stages}
        return (
            records.engine.registry.text(stages[value][0], reader.locale, stages[value][1]) if value in stages else ""
        )
    if field.choices:
        labels = {c.value: records.engine.registry.text(c.label, reader.locale, field.owner) for c in field.choices}
        return ", ".join(labels.get(v, str(v)) for v in ((value,) if isinstance(value, str) else value))
    if len(field.targets) == 1:
        return records.titles(field.targets[0], [str(value)]).get(str(value), "")
    if field.targets:
        return ""
    if isinstance(value, Decimal) and field.formula is not None and field.spec.option("returns") == "currency":
        currency = field.spec.option("currency") or records.engine.organization.get("currency") or "CNY"
        return display.money(value, str(currency), reader.locale)
    return field.type.show(field.spec, row, reader.locale, reader.zone.key)
