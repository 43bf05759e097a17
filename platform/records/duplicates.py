"""Step 9: duplicate rules. Is there a record already that counts as the same?

Asked for new records and for those whose compared values changed, all at once: one statement per rule. What a rule
compares is kept in one key per record (``storage/match_keys.py``), written with the record in step 10, so that
records of the same transaction, and of the same call, find each other too. For rules that block, two transactions that
bring the same key wait for each other.

A rule of scope ``visible`` counts only records that the user may see, compared by fields that the user may
read: nothing is given away. With ``all`` every record counts, and those the user may not see are not named.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ratoon.platform.errors import FormulaError, Problem
from ratoon.platform.metadata.matching import DuplicateRule
from ratoon.platform.records.drafts import Draft
from ratoon.platform.records.plan import ObjectPlan
from ratoon.platform.storage import match_keys

if TYPE_CHECKING:
    from ratoon.platform.records.saving import Saving

BUCKETS = 64
"""Locks per rule: enough that others rarely wait, few enough for ten thousand records at once."""
NAMED = 5
"""Records named in a message."""


def check(saving: Saving, plan: ObjectPlan, drafts: Sequence[Draft]) -> None:
    """Asks every duplicate rule about the drafts of one object."""
    for rule in plan.object.duplicates:
        asked = [(draft, key) for draft in drafts if (key := _asked(saving, rule, draft)) is not None]
        if asked:
            _check_rule(saving, plan, rule, asked)


def remember(saving: Saving, plan: ObjectPlan, drafts: Sequence[Draft]) -> None:
    """Step 10: keeps the keys of records that were written."""
    for rule in plan.object.duplicates:
        keys = {}
        for draft in drafts:
            key = rule.key(draft.row)
            if key != (None if draft.old is None else rule.key(draft.old)):
                keys[draft.id] = key
            saving.matched[plan.name, rule.name, draft.id] = key
        if keys:
            match_keys.keep(saving.connection, plan.name, rule.name, keys)


def settle(saving: Saving) -> None:
    """Step 14: keys of what was deleted, restored or lost a lookup."""
    for object, records in saving.touched.items():
        for rule in saving.engine.registry[object].duplicates:
            keys: dict[str, str | None] = {}
            for record, touched in records.items():
                key = None if touched.event == "deleted" else rule.key(touched.new)
                known = saving.matched.get((object, rule.name, record), _before(rule, touched))
                if key != known:
                    keys[record] = key
            if keys:
                match_keys.keep(saving.connection, object, rule.name, keys)


def _before(rule: DuplicateRule, touched: Any) -> str | None:
    return None if touched.old is None or touched.event == "restored" else rule.key(touched.old)


def _asked(saving: Saving, rule: DuplicateRule, draft: Draft) -> str | None:
    """The draft's key when the rule has to be asked about it."""
    if draft.old is not None and not any(draft.value_changed(key) for key in rule.keys):
        return None
    key = rule.key(draft.row)
    if key is None or (draft.old is not None and key == rule.key(draft.old)):
        return None
    if rule.condition is not None:
        try:
            if rule.condition.evaluate(draft.row, saving.context(draft)) is not True:
                return None
        except FormulaError as error:
            draft.refuse("formula_failed", "Rule {rule} could not be worked out: {reason}", rule=rule.name,
                         reason=error.text(), about=rule.condition.paths)  # fmt: skip
            return None
    return key


def _check_rule(saving: Saving, plan: ObjectPlan, rule: DuplicateRule, asked: Sequence[tuple[Draft, str]]) -> None:
    policy, actor = saving.engine.policy, saving.actor
    where = policy.row_filter(actor, plan.name, "read")
    visible = policy.may(actor, plan.name, "read") and set(rule.keys) <= policy.readable_keys(actor, plan.name)
    if rule.scope == "visible" and not visible:
        return
    keys = {key for _, key in asked}
    if rule.action == "block":
        for bucket in sorted({_bucket(key) for key in keys}):
            saving.store.advisory_lock(saving.connection, f"match:{plan.name}.{rule.name}:{bucket}")
    counted = where if rule.scope == "visible" else ()
    there = match_keys.same(saving.store, saving.connection, plan.name, rule.name, keys, counted)
    nameable = there if visible and not (where and rule.scope == "all") else {}
    if visible and where and rule.scope == "all" and there:
        nameable = match_keys.same(saving.store, saving.connection, plan.name, rule.name, list(there), where)
    titles = _titles(saving, plan, {r for found in nameable.values() for r in found})
    first: dict[str, Draft] = {}
    for draft, key in asked:
        others = [record for record in there.get(key, ()) if record != draft.id]
        twin = first.setdefault(key, draft)
        saving.note(9, plan.name, draft.id, rule.name, "found" if others or twin is not draft else "none")
        if others:
            named = [record for record in nameable.get(key, ()) if record != draft.id][:NAMED]
            _found(draft, rule, named, titles)
        elif twin is not draft:
            _twin(draft, rule, twin)


def _bucket(key: str) -> int:
    return int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) % BUCKETS


def _titles(saving: Saving, plan: ObjectPlan, ids: set[str]) -> dict[str, str]:
    title = plan.object.title
    readable = saving.engine.policy.readable_keys(saving.actor, plan.name)
    rows = saving.store.load(saving.connection, plan.name, ids)
    return {r: str(row.get(title) or r) if title in readable else r for r, row in rows.items()}


def _found(draft: Draft, rule: DuplicateRule, named: Sequence[str], titles: dict[str, str]) -> None:
    message = "This looks the same as {titles}."
    if not named:
        message = "There is a record like this already, which you may not see."
    elif rule.message:
        message = rule.message
    params: dict[str, Any] = {
        "titles": ", ".join(titles[record] for record in named),
        "named": {record: titles[record] for record in named},
        "rule": rule.name,
    }
    _refuse(draft, rule, message, params)


def _twin(draft: Draft, rule: DuplicateRule, twin: Draft) -> None:
    message = "This is the same as record {place} of this call."
    _refuse(draft, rule, message, {"place": twin.index + 1, "rule": rule.name})


def _refuse(draft: Draft, rule: DuplicateRule, message: str, params: dict[str, Any]) -> None:
    severity = "error" if rule.action == "block" else "warning"
    field = rule.keys[0]
    draft.problems.append(
        Problem("duplicate", message, field, params, severity=severity, index=draft.index, rule=rule.name)  # type: ignore[arg-type]
    )
