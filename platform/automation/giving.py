"""Telling people that records were given to them: by somebody else, or by an assignment.

Looked at in step 15, where everything of the call is known: one notification per person and object, however many
records there are. Nobody is told of what they took themselves, nor of what the platform wrote without an assignment
(imports of the operator, packages).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ratoon.platform.automation.telling import tell
from ratoon.platform.metadata.model import Object
from ratoon.platform.records.service import RecordService


def tell_given(records: RecordService, touched: Iterable[str]) -> None:
    """Tells everybody who got records of these objects in the call of the moment."""
    saving = records.saving
    giver = saving.actor.id
    for name in touched:
        obj = records.engine.registry[name]
        if obj.hidden or obj.owner == "system" or (giver is None and not saving.assigned):
            continue
        keys = {"owner", *(a.field for a in obj.assignments)}
        given: dict[str, list[Mapping[str, Any]]] = {}
        for record, change in saving.touched[name].items():
            if change.event == "deleted" or (giver is None and record not in saving.assigned):
                continue
            old = change.old or {}
            for key in keys:
                user = change.new.get(key)
                if user is not None and user != giver and user != old.get(key):
                    given.setdefault(user, []).append(change.new)
        tell_of(records, obj, given)


def tell_of(records: RecordService, obj: Object, given: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Tells these users of these rows."""
    actor, now = records.actor, records.engine.world.clock()
    for user, rows in given.items():
        first = rows[0]
        told = {
            "object": (obj.label, obj.owner),
            "objects": (obj.plural_label, obj.owner),
            "title": str(first.get(obj.title) or first["id"]),
            "count": len(rows),
            "by": actor.name if actor.id is not None else "",
        }
        key = f"given/{first['id']}/{now.isoformat()}"
        tell(records, [user], "assignment", "assignment", {"assignment": told}, object=obj.name, record=first["id"],
             key=key)  # fmt: skip
