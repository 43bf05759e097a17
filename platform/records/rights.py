"""What a person may not put into a record, asked before anything is worked out from it.

* A record they may not see is answered like one that is not there, and nothing (default, formula, rule, automation)
  reads it afterwards: a message of a rule would otherwise tell what is in it.
* Where ownership decides who sees a record, only its owner and those above give it away.
* What its master controls is put only under a master they may edit.

Automations and the platform itself are not asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ratoon.platform.records.drafts import Draft
from ratoon.platform.records.plan import ObjectPlan

if TYPE_CHECKING:
    from ratoon.platform.records.saving import Saving

OWNER_DECIDES = frozenset({"private", "read"})


def check_rights(saving: Saving, plan: ObjectPlan, drafts: Sequence[Draft]) -> None:
    """Refuses, and takes back, what the actor may not put there."""
    _hidden_targets(saving, plan, drafts)
    _hidden_links(saving, plan, drafts)
    if plan.object.default_access in OWNER_DECIDES:
        _owners(saving, plan, drafts)
    if plan.object.default_access == "controlled_by_parent":
        _masters(saving, plan, drafts)


def reveals(saving: Saving, object: str, record: str) -> bool:
    """Whether the actor may learn that this record is there."""
    policy, actor = saving.engine.policy, saving.actor
    if actor.admin:
        return True
    where = policy.row_filter(actor, object, "read")
    return policy.may(actor, object, "read") and bool(saving.store.visible(saving.connection, object, [record], where))


def _hidden_targets(saving: Saving, plan: ObjectPlan, drafts: Sequence[Draft]) -> None:
    for field in plan.references:
        key = field.name
        for target in field.targets:
            asked = [d for d in _pointing(drafts, key) if len(field.parts) == 1 or d.row[field.parts[1].key] == target]
            for draft in _not_visible(saving, target, asked, key):
                draft.refuse(
                    "unknown_record", "{label}: there is no {object} with id {id}.", key, label=field.label,
                    object=target, id=draft.row[key],
                )  # fmt: skip
                _take_back(draft, *(part.key for part in field.parts))


def _hidden_links(saving: Saving, plan: ObjectPlan, drafts: Sequence[Draft]) -> None:
    for key, field in plan.links.items():
        target = field.targets[0]
        where = saving.engine.policy.row_filter(saving.actor, target, "read")
        asked = {link["id"] for draft in drafts for link in draft.links.get(key, ())}
        if not where or not asked:
            continue
        seen = saving.store.visible(saving.connection, target, sorted(asked), where)
        for draft in drafts:
            for link in draft.links.get(key, ()):
                if link["id"] not in seen:
                    draft.refuse(
                        "unknown_record", "{label}: there is no {object} with id {id}.", key, label=field.label,
                        object=target, id=link["id"],
                    )  # fmt: skip
            if key in draft.links:
                draft.links[key] = [link for link in draft.links[key] if link["id"] in seen]


def _owners(saving: Saving, plan: ObjectPlan, drafts: Sequence[Draft]) -> None:
    asked = [d for d in drafts if d.old is not None and d.value_changed("owner")]
    where = saving.engine.policy.row_filter(saving.actor, plan.name, "transfer")
    if not asked or not where:
        return
    mine = saving.store.visible(saving.connection, plan.name, [d.id for d in asked], where)
    for draft in asked:
        if draft.id not in mine:
            draft.refuse(
                "not_yours", "Only the owner and those above in the role tree may give this record away.", "owner"
            )
            _take_back(draft, "owner")


def _masters(saving: Saving, plan: ObjectPlan, drafts: Sequence[Draft]) -> None:
    field = plan.object.parent
    if field is None:
        return
    target = field.targets[0]
    where = saving.engine.policy.row_filter(saving.actor, target, "edit")
    asked = list(_pointing(drafts, field.name)) if where else []
    if not asked:
        return
    ids = sorted({d.row[field.name] for d in asked})
    mine = saving.store.visible(saving.connection, target, ids, where)
    for draft in asked:
        if draft.row[field.name] not in mine:
            draft.refuse(
                "master_closed",
                "{label}: you may not change this {object}.",
                field.name,
                label=field.label,
                object=target,
            )


def _pointing(drafts: Sequence[Draft], key: str) -> Iterator[Draft]:
    return (d for d in drafts if d.row.get(key) is not None and d.value_changed(key))


def _not_visible(saving: Saving, target: str, drafts: Sequence[Draft], key: str) -> list[Draft]:
    where = saving.engine.policy.row_filter(saving.actor, target, "read") if drafts else ()
    if not where:
        return []
    seen = saving.store.visible(saving.connection, target, sorted({d.row[key] for d in drafts}), where)
    return [draft for draft in drafts if draft.row[key] not in seen]


def _take_back(draft: Draft, *keys: str) -> None:
    for key in keys:
        draft.row[key] = None if draft.old is None else draft.old.get(key)
