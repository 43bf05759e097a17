"""Records that wait for an approval are locked: on every way in, for people, programs and automations.

What the process declares stays open: some fields for everybody, some for those who are asked, everything for
administrators (unless it says otherwise) and for some roles. What the platform computes (rollups, formulas) and
what the process itself does is not bound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ratoon.platform.access.actor import Actor
from ratoon.platform.errors import Conflict
from ratoon.platform.fields.stage import DUE, SINCE
from ratoon.platform.metadata.approval_model import Approval
from ratoon.platform.metadata.model import Object
from ratoon.platform.records.drafts import Draft
from ratoon.platform.records.plan import SYSTEM_KEYS, ObjectPlan
from ratoon.platform.storage import approvals

if TYPE_CHECKING:
    from ratoon.platform.records.saving import Saving


def check(saving: Saving, plan: ObjectPlan, drafts: Sequence[Draft]) -> None:
    """Refuses changes of locked records: one statement for all of them."""
    if not any(a.lock for a in plan.object.approvals):
        return
    asked = {d.id: d for d in drafts if d.old is not None and d.id not in saving.unlocked}
    for record, request in approvals.pending(saving.connection, list(asked)).items():
        process = process_of(plan.object, request["process"])
        if process is None or not process.lock or is_free(saving.actor, process):
            continue
        draft = asked[record]
        open_keys = process.open_fields
        if process.approver_fields and _is_asked(saving, request["id"]):
            open_keys |= process.approver_fields
        closed = [key for key in (*_changed(plan, draft), *draft.links) if key not in open_keys]
        if closed:
            labels = ", ".join(dict.fromkeys(plan.object.field_of[k].label for k in closed))
            draft.refuse("locked", "It waits for approval ({label}): {fields} cannot be changed now.", closed[0],
                         label=process.label, fields=labels, rule=process.name)  # fmt: skip


def refuse_deletion(saving: Saving, gone: Mapping[str, set[str]]) -> None:
    """Raises ``Conflict`` when one of these records is locked."""
    for object, records in gone.items():
        found = saving.engine.registry[object]
        if not any(a.lock for a in found.approvals):
            continue
        for request in approvals.pending(saving.connection, sorted(records - saving.unlocked)).values():
            process = process_of(found, request["process"])
            if process is not None and process.lock and not is_free(saving.actor, process):
                raise Conflict("It cannot be deleted while it waits for approval ({label}).", label=process.label)


def process_of(object: Object, name: str) -> Approval | None:
    """The approval process of that name; ``None`` when it is not there any more."""
    return next((a for a in object.approvals if a.name == name), None)


def is_free(actor: Actor, process: Approval) -> bool:
    """Whether the lock of that process does not bind the actor at all."""
    return (actor.admin and process.admins_unlocked) or bool(actor.roles & process.unlocked_roles)


def _is_asked(saving: Saving, request: str) -> bool:
    votes = approvals.votes_of(saving.connection, request)
    return any(v["state"] == "open" and v["user_id"] == saving.actor.id for v in votes)


def _changed(plan: ObjectPlan, draft: Draft) -> list[str]:
    """What somebody changed: without what the platform keeps and computes itself."""
    field = plan.object.stage_field
    kept = {*SYSTEM_KEYS, *(name for name, _ in plan.formulas)}
    if field is not None:
        kept |= {field.name + SINCE, field.name + DUE}
    return [key for key in draft.changed(plan.columns) if key not in kept]
