"""Step 6: required, conditional, picklist, unique, reference, lookup-filter and hierarchy checks. All collected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas import Formula
from ratoon.platform.metadata.model import Field
from ratoon.platform.records.drafts import Draft
from ratoon.platform.records.plan import ObjectPlan
from ratoon.platform.records.rights import reveals

if TYPE_CHECKING:
    from ratoon.platform.records.saving import Saving


def check_all(saving: Saving, plan: ObjectPlan, drafts: Sequence[Draft]) -> None:
    """Runs every check of step 6 on the drafts of one object."""
    for draft in drafts:
        check_required(plan, draft)
    for draft in drafts if plan.conditional else ():
        check_conditions(saving, plan, draft)
    for draft in drafts if plan.picklists else ():
        check_picklists(plan, draft)
    check_unique(saving, plan, drafts)
    check_references(saving, plan, drafts)
    for field in plan.hierarchies:
        check_hierarchy(saving, plan, field, drafts)
    check_reparenting(plan, drafts)


def check_required(plan: ObjectPlan, draft: Draft) -> None:
    """Required fields are filled in."""
    row = draft.row
    for field in plan.required:
        if row[field.name] is None and not (draft.problems and field.name in draft.wrong_keys):
            draft.refuse("required", "{label} is required.", field.name, label=field.label)
    for field in plan.links.values():
        if field.required and not draft.links.get(field.name) and (draft.old is None or field.name in draft.links):
            draft.refuse("required", "{label} is required.", field.name, label=field.label)


def check_conditions(saving: Saving, plan: ObjectPlan, draft: Draft) -> None:
    """Conditional fields hold on every way in.

    ``required_when`` is asked of the new row. A hidden field cannot be given a value. ``read_only_when``
    is asked of the
    row as it stood (so that no one unlocks and changes in one step), for a new record of the new row; it binds people
    and programs that send values, not automations.
    """
    for field in plan.conditional:
        key, row = field.name, draft.row
        changed = [p.key for p in field.parts if p.sql is not None and draft.value_changed(p.key)]
        if field.required_when and row[key] is None and _true(saving, plan, draft, field.required_when, row):
            draft.refuse("required", "{label} is required.", key, label=field.label)
        if not changed or key not in draft.given:
            continue
        if (
            field.visible_when
            and any(row[k] is not None for k in changed)
            and not _true(saving, plan, draft, field.visible_when, row)
        ):
            draft.refuse("hidden_field", "{label} does not apply here and cannot be set.", key, label=field.label)
        before = row if draft.old is None else {**row, **draft.old}
        if field.read_only_when and _true(saving, plan, draft, field.read_only_when, before):
            draft.refuse("read_only", "{label} cannot be changed now.", key, label=field.label)


def _true(saving: Saving, plan: ObjectPlan, draft: Draft, formula: Formula, row: Mapping[str, Any]) -> bool:
    try:
        return formula.evaluate(row, saving.context(draft)) is True
    except FormulaError as error:
        message = "A condition could not be worked out: {reason}"
        draft.refuse("formula_failed", message, reason=error.text(), about=formula.paths)
        return False


def check_picklists(plan: ObjectPlan, draft: Draft) -> None:
    """A newly chosen value is active and goes with the value of the controlling field."""
    for field in plan.picklists:
        key = field.name
        controller = field.spec.option("depends_on")
        chosen = draft.row[key]
        if chosen is None or not (draft.value_changed(key) or (controller and draft.value_changed(controller))):
            continue
        options = {option.value: option for option in field.choices}
        before = (draft.old or {}).get(key)
        kept = {before} if isinstance(before, str) else set(before or ())
        for value in (chosen,) if isinstance(chosen, str) else chosen:
            option = options.get(value)
            if option is None:
                continue
            if not option.active and value not in kept:
                draft.refuse("inactive_value", "{value} is no longer used; choose another.", key, value=option.label)
            if controller and option.parents is not None:
                above, other = plan.object.fields[controller], draft.row.get(controller)
                held = {other} if isinstance(other, str) else set(other or ())
                if not held & option.parents:
                    words = ", ".join(o.label for o in above.choices if o.value in held)
                    draft.refuse(
                        "dependent_value", "{value} does not go with {controller} = {other}.", key, value=option.label,
                        controller=above.label, other=words or ", ".join(sorted(held)) or "∅", about=(controller,),
                    )  # fmt: skip


def check_unique(saving: Saving, plan: ObjectPlan, drafts: Sequence[Draft]) -> None:
    """No other live record, and no other record of this call, has the value."""
    for field in plan.unique:
        key = field.name
        asked = [d for d in drafts if d.row[key] is not None and d.value_changed(key)]
        if not asked:
            continue
        there = saving.store.existing(saving.connection, plan.name, key, [d.row[key] for d in asked])
        seen: dict[Any, Draft] = {}
        for draft in asked:
            value = draft.row[key]
            other = there.get(value)
            if (other is not None and other != draft.id) or value in seen:
                draft.refuse(
                    "not_unique",
                    "{label} {value} is already used.",
                    key,
                    label=field.label,
                    value=value,
                    other=other if other is not None and reveals(saving, plan.name, other) else None,
                )
            seen[value] = draft
    for compound in plan.keys:
        names = compound.fields
        asked = [
            d for d in drafts if all(d.row[n] is not None for n in names) and any(d.value_changed(n) for n in names)
        ]
        if not asked:
            continue
        tuples = [tuple(d.row[n] for n in names) for d in asked]
        found = saving.store.existing_keys(saving.connection, plan.name, names, tuples)
        taken: set[tuple[Any, ...]] = set()
        for draft, values in zip(asked, tuples, strict=True):
            other = found.get(values)
            if (other is not None and other != draft.id) or values in taken:
                labels = " + ".join(plan.object.field_of[n].label for n in names)
                message = "The combination of {labels} is already used."
                draft.refuse("not_unique", message, names[0], labels=labels, about=names)
            taken.add(values)


def check_references(saving: Saving, plan: ObjectPlan, drafts: Sequence[Draft]) -> None:
    """A referenced record exists, is of an allowed object, is visible to the actor and passes the lookup filter."""
    for field in plan.references:
        key = field.name
        asked = [d for d in drafts if d.row[key] is not None and d.value_changed(key)]
        if key == "owner":
            asked = [d for d in asked if not _owned_by_default(saving, d)]
        if not asked:
            continue
        polymorphic = len(field.parts) > 1
        by_target: dict[str, list[Draft]] = {}
        for draft in asked:
            target = draft.row.get(f"{key}_object") if polymorphic else field.targets[0]
            if target not in field.targets:
                draft.refuse(
                    "wrong_object", "{label} must name one of: {objects}.", f"{key}_object", label=field.label,
                    objects=", ".join(field.targets),
                )  # fmt: skip
                continue
            by_target.setdefault(target, []).append(draft)
        for target, group in by_target.items():
            _check_targets(saving, field, target, group)


def _owned_by_default(saving: Saving, draft: Draft) -> bool:
    """Nobody named an owner, so it is who saves: the platform knows that one, and may set what the actor may not see.
    That the record exists is for the foreign key."""
    return draft.old is None and "owner" not in draft.given and draft.row["owner"] == saving.actor.id


def _check_targets(saving: Saving, field: Field, target: str, drafts: Sequence[Draft]) -> None:
    ids = list({d.row[field.name] for d in drafts})
    visible = saving.visible(target, ids)
    for draft in drafts:
        if draft.row[field.name] not in visible:
            draft.refuse(
                "unknown_record", "{label}: there is no {object} with id {id}.", field.name, label=field.label,
                object=target, id=draft.row[field.name],
            )  # fmt: skip
    if field.lookup_filter is None:
        return
    formula = field.lookup_filter
    paths = [p for p in formula.paths if "." in p and not p.startswith("$")]
    rows = saving.store.load(saving.connection, target, ids, paths=paths, context=saving.context())
    for draft in drafts:
        row = rows.get(draft.row[field.name])
        if row is None or row["id"] not in visible:
            continue
        try:
            passes = formula.evaluate(row, replace(saving.context(draft), source=draft.row)) is True
        except FormulaError:
            passes = False
        if not passes:
            draft.refuse(
                "lookup_filter", "{label}: this {object} may not be chosen here ({filter}).", field.name,
                label=field.label, object=target, filter=formula.source,
            )  # fmt: skip


def check_hierarchy(saving: Saving, plan: ObjectPlan, field: Field, drafts: Sequence[Draft]) -> None:
    """Nobody becomes their own ancestor; moves of one hierarchy wait for one another."""
    key = field.name
    moved = {d.id: d for d in drafts if d.row[key] is not None and d.value_changed(key)}
    if not moved:
        return
    saving.store.advisory_lock(saving.connection, f"hierarchy:{plan.name}.{key}")
    for draft in moved.values():
        above = draft.row[key]
        seen = {draft.id}
        while above is not None:
            if above in seen:
                draft.refuse("circle", "{label}: a record cannot stand below itself.", key, label=field.label)
                break
            seen.add(above)
            if above in moved:
                above = moved[above].row[key]
                continue
            chain = saving.store.ancestors(saving.connection, plan.name, key, above)
            stop = next((a for a in chain if a in moved or a in seen), None)
            seen.update(chain[: chain.index(stop)] if stop else chain)
            above = stop


def check_reparenting(plan: ObjectPlan, drafts: Sequence[Draft]) -> None:
    """A detail record stays with its master unless the field allows reparenting."""
    parent = plan.object.parent
    if parent is None or parent.spec.option("reparent"):
        return
    for draft in drafts:
        if draft.old is not None and draft.value_changed(parent.name):
            draft.refuse("reparent", "{label} cannot be changed after creation.", parent.name, label=parent.label)
