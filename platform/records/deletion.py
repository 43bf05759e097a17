"""Deleting and restoring.

A delete is soft: the rows get a time and a *deletion id*, which is shared by everything that one delete took with it.
What points at the deleted record decides what happens: ``restrict`` refuses, ``cascade`` goes too,
``set_null`` lets go (what
it let go of is remembered). Restoring brings back all rows of the same deletion and, where the place is still empty,
the links.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ratoon.platform.errors import Conflict, NotFound, Problem, ValidationFailed
from ratoon.platform.metadata.model import Field
from ratoon.platform.records import checks, locks, propagation, veil
from ratoon.platform.records.drafts import Draft

if TYPE_CHECKING:
    from ratoon.platform.records.saving import Saving


@dataclass(slots=True)
class _Plan:
    """What one delete takes with it."""

    gone: dict[str, set[str]] = field(default_factory=dict)
    loosened: list[tuple[str, str, str, str]] = field(default_factory=list)
    """(object, record, key, id it pointed at)"""
    held: list[tuple[Field, list[str]]] = field(default_factory=list)


def delete(saving: Saving, object: str, ids: Sequence[str]) -> None:
    """Deletes records of one object and what hangs on them. Raises ``Conflict`` when a restrict reference holds one."""
    for record in ids:
        if record not in saving.touched.get(object, {}) or saving.touched[object][record].event != "deleted":
            _delete_one(saving, object, record)


def _delete_one(saving: Saving, object: str, record: str) -> None:
    plan = _closure(saving, object, record)
    held = [(ref, [k for k in kids if k not in plan.gone.get(ref.object, ())]) for ref, kids in plan.held]
    for ref, kids in held:
        if kids and not (shown := _shown(saving, ref, kids)):
            raise Conflict("It cannot be deleted: records that you may not see point at it.")
        if kids:
            kids, label = shown, saving.engine.registry[ref.object].plural_label
            raise Conflict(
                "It cannot be deleted: {count} {objects} point at it ({field}). Delete or change them first.",
                count=len(kids), objects=label, field=ref.label, object=ref.object, records=kids[:10],
            )  # fmt: skip
    locks.refuse_deletion(saving, plan.gone)
    deletion = saving.engine.world.new_id()
    loaded: dict[str, list[Draft]] = {}
    for name, gone in plan.gone.items():
        rows = saving.store.load(saving.connection, name, sorted(gone), lock=True)
        loaded[name] = [Draft(i, r, row, dict(row), frozenset()) for i, (r, row) in enumerate(rows.items())]
    for name, drafts in loaded.items():
        saving.engine.reactions.before_save(saving.service, name, "deleted", drafts)
    _let_go(saving, plan, deletion)
    for name, drafts in loaded.items():
        saving.store.mark_deleted(saving.connection, name, [d.id for d in drafts], saving.now, deletion)
        for draft in drafts:
            draft.row["deleted_at"] = saving.now
            saving.touch(name, draft.id, "deleted", draft.old, draft.row)
            saving.note(10, name, draft.id, "written", "deleted")
    for name, drafts in loaded.items():
        saving.engine.reactions.after_save(saving.service, name, "deleted", drafts)


def _shown(saving: Saving, ref: Field, ids: Sequence[str]) -> list[str]:
    """Those of the records of which the actor may see that they point at something by this reference."""
    policy, actor, object = saving.engine.policy, saving.actor, ref.object
    if actor.admin:
        return list(ids)
    if not policy.may(actor, object, "read") or ref.name not in policy.readable_keys(actor, object):
        return []
    seen = saving.store.visible(saving.connection, object, ids, policy.row_filter(actor, object, "read"))
    return [record for record in ids if record in seen]


def _closure(saving: Saving, object: str, record: str) -> _Plan:
    """Follows every reference to the record, and to what is deleted with it."""
    plan = _Plan({object: {record}})
    saving.store.lock(saving.connection, object, [record], deleting=True)
    ahead = [(object, [record])]
    while ahead:
        name, ids = ahead.pop()
        for ref in saving.engine.registry.children[name]:
            kids = saving.store.children(saving.connection, ref.object, ref.name, ids)
            if not kids:
                continue
            known = plan.gone.get(ref.object, set())
            if ref.on_delete == "cascade":
                new = [kid for kid, _ in kids if kid not in known]
                if new:
                    saving.store.lock(saving.connection, ref.object, new, deleting=True)
                    plan.gone.setdefault(ref.object, set()).update(new)
                    ahead.append((ref.object, new))
            elif ref.on_delete == "set_null" and not ref.required:
                plan.loosened += [(ref.object, kid, ref.name, target) for kid, target in kids]
            else:
                plan.held.append((ref, [kid for kid, _ in kids]))
    return plan


def _let_go(saving: Saving, plan: _Plan, deletion: str) -> None:
    """Blanks the set_null references to what goes, and remembers them for a restore."""
    by_key: dict[tuple[str, str], dict[str, str]] = {}
    for object, record, key, target in plan.loosened:
        if record not in plan.gone.get(object, ()):
            by_key.setdefault((object, key), {})[record] = target
    for (object, key), targets in by_key.items():
        rows = saving.store.load(saving.connection, object, sorted(targets), lock=True)
        keys = tuple(p.key for p in saving.engine.registry[object].fields[key].parts)
        changes = []
        for record, row in rows.items():
            new = {**row, **dict.fromkeys(keys), "version": row["version"] + 1, "modified_at": saving.now}
            changes.append({"id": record, **{k: new[k] for k in (*keys, "version", "modified_at")}})
            saving.touch(object, record, "updated", row, new)
        saving.store.update(saving.connection, object, (*keys, "version", "modified_at"), changes)
        saving.store.remember_unlinked(
            saving.connection, deletion, [(object, record, key, target) for record, target in targets.items()]
        )
        for record in rows:
            propagation.recompute(saving, object, [record])


def restore(saving: Saving, object: str, ids: Sequence[str]) -> None:
    """Brings deleted records back with everything their deletion took. Raises ``NotFound`` for what is not deleted,
    ``ValidationFailed`` when a unique value was taken meanwhile or the master is still deleted."""
    for record in ids:
        deletion = saving.store.deletion_of(saving.connection, object, record)
        if deletion is None:
            if saving.touched.get(object, {}).get(record):
                continue
            raise NotFound("There is no deleted {object} with id {id}.", object=object, id=record)
        _restore_deletion(saving, deletion)


def _restore_deletion(saving: Saving, deletion: str) -> None:
    back: dict[str, list[Draft]] = {}
    for name in saving.engine.registry.objects:
        ids = saving.store.taken_by(saving.connection, name, deletion)
        if ids:
            rows = saving.store.load(saving.connection, name, ids, lock=True, deleted=True)
            back[name] = [Draft(i, r, None, dict(row), frozenset()) for i, (r, row) in enumerate(rows.items())]
    problems: list[Problem] = []
    for name, drafts in back.items():
        checks.check_unique(saving, saving.engine.plans[name], drafts)
        for draft in drafts:
            _check_masters(saving, back, saving.engine.plans[name].references, draft)
        veil.veil(saving, saving.engine.plans[name], drafts)
        problems += [p for d in drafts for p in d.problems]
    if problems:
        raise ValidationFailed(problems)
    for name, drafts in back.items():
        saving.store.unmark_deleted(saving.connection, name, deletion)
        for draft in drafts:
            old = dict(draft.row)
            draft.row["deleted_at"] = None
            saving.touch(name, draft.id, "restored", old, draft.row)
            saving.note(10, name, draft.id, "written", "restored")
    _relink(saving, deletion)
    for name, drafts in back.items():
        _drop_dead_links(saving, name, drafts)
        propagation.recompute(saving, name, [d.id for d in drafts])
    for name, drafts in back.items():
        saving.engine.reactions.after_save(saving.service, name, "restored", drafts)


def _check_masters(saving: Saving, back: dict[str, list[Draft]], references: Sequence[Field], draft: Draft) -> None:
    """What the record cannot be without is there, or comes back together with it."""
    for ref in references:
        target = draft.row[ref.name]
        if target is None or ref.on_delete == "set_null":
            continue
        objects = [draft.row[ref.parts[1].key]] if len(ref.parts) > 1 else ref.targets
        if any(d.id == target for o in objects for d in back.get(o, ())):
            continue
        if not any(saving.store.existing(saving.connection, o, "id", [target]) for o in objects if o in ref.targets):
            draft.refuse("parent_deleted", "{label} is deleted too; restore it first.", ref.name, label=ref.label)


def _drop_dead_links(saving: Saving, object: str, drafts: Sequence[Draft]) -> None:
    """What a restored record pointed at may have been deleted meanwhile: a set_null reference lets go now, and comes
    back when its target does."""
    for ref in saving.engine.plans[object].references:
        if ref.on_delete != "set_null":
            continue
        for draft in drafts:
            target = draft.row[ref.name]
            if target is None:
                continue
            owner = draft.row[ref.parts[1].key] if len(ref.parts) > 1 else ref.targets[0]
            gone = saving.store.deletion_of(saving.connection, owner, target)
            if gone is None:
                continue
            saving.store.remember_unlinked(saving.connection, gone, [(object, draft.id, ref.name, target)])
            keys = tuple(p.key for p in ref.parts)
            blank: dict[str, Any] = dict.fromkeys(keys)
            saving.store.update(saving.connection, object, keys, [{"id": draft.id, **blank}])
            draft.row.update(blank)


def _relink(saving: Saving, deletion: str) -> None:
    for object, record, key, target in saving.store.take_unlinked(saving.connection, deletion):
        row = saving.store.load(saving.connection, object, [record], lock=True).get(record)
        if row is None or row[key] is not None:
            continue
        fields = saving.engine.registry[object].fields
        if key not in fields:
            continue
        new: dict[str, Any] = {**row, key: target, "version": row["version"] + 1, "modified_at": saving.now}
        parts = fields[key].parts
        if len(parts) > 1:
            owner = [o for o in fields[key].targets if saving.store.existing(saving.connection, o, "id", [target])]
            new[parts[1].key] = owner[0] if owner else None
        keys = (*(p.key for p in parts), "version", "modified_at")
        saving.store.update(saving.connection, object, keys, [{"id": record, **{k: new[k] for k in keys}}])
        saving.touch(object, record, "updated", row, new)
        propagation.recompute(saving, object, [record])
