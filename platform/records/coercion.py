"""Steps 2 and 3: values become typed, and what was not given gets its default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ratoon.platform.errors import FormulaError, Invalid, Problem
from ratoon.platform.formulas.types import EvalContext
from ratoon.platform.records.drafts import Draft
from ratoon.platform.records.plan import SYSTEM_KEYS, ObjectPlan


def coerce_given(
    plan: ObjectPlan,
    draft: Draft,
    values: Mapping[str, Any],
    editable: frozenset[str] | None,
    readable: frozenset[str] = frozenset(),
) -> None:
    """Puts the caller's values into the draft, each through its field's ``coerce``; collects every problem.

    ``editable`` are the keys the actor may write (``None`` = all), ``readable`` those the actor may read: any other is
    answered like one that is not there. System keys and computed fields that come back unchanged (a client that sends
    the whole record) are accepted, changed ones are refused.
    """
    coercers, row, links = plan.coerce, draft.row, plan.links
    for key, value in values.items():
        if editable is not None and key not in editable and key not in readable:
            _unknown(plan, draft, key, editable)
            continue
        coerce = coercers.get(key)
        if coerce is None or (editable is not None and key not in editable):
            if coerce is None:
                _not_writable(plan, draft, key, value, editable)
            else:
                draft.refuse("forbidden_field", "You may not change {field}.", key, field=key)
            continue
        try:
            row[key] = coerce(value)
        except Invalid as refusal:
            problem = refusal.problem(key)
            draft.problems.append(Problem(problem.code, problem.message, key, problem.params, index=draft.index))
    for key in links:
        if key in row:
            draft.links[key] = row.pop(key) or []


def _not_writable(plan: ObjectPlan, draft: Draft, key: str, value: Any, editable: frozenset[str] | None) -> None:
    part = plan.object.parts.get(key)
    if part is None:
        _unknown(plan, draft, key, editable)
        return
    old = None if draft.old is None else draft.old.get(key)
    dump = part.dump
    same = value == old or (old is not None and value == (dump(old) if dump else old))
    if not same and not (value is None and draft.old is None):
        reason = "system" if key in SYSTEM_KEYS else plan.object.field_of[key].type.name
        draft.refuse("not_writable", "{key} is kept by the platform ({reason}) and cannot be set.", key, key=key,
                     reason=reason)  # fmt: skip


def _unknown(plan: ObjectPlan, draft: Draft, key: str, editable: frozenset[str] | None) -> None:
    near = plan.unknown_key(key, editable)
    message = "There is no field {key} on {object}." + (" Did you mean {near}?" if near else "")
    draft.refuse("unknown_field", message, key, key=key, object=plan.name, near=near)


def apply_defaults(plan: ObjectPlan, draft: Draft, context: EvalContext, currency: str) -> None:
    """Fills what the caller of a new record left out: declared defaults, false for booleans, the currency."""
    row = draft.row
    for key, formula in plan.defaults:
        if key not in draft.given:
            try:
                value = formula.evaluate(row, context)
                value = plan.given_by_formula(key, value)
                row[key] = None if value is None else plan.object.parts[key].coerce(value)
            except (FormulaError, Invalid) as error:
                draft.refuse("default_failed", "The default of {key} could not be worked out: {reason}", key, key=key,
                             reason=error.text(), about=formula.paths)  # fmt: skip
    for key in plan.false_unless_given:
        if row[key] is None:
            row[key] = False


def complete_currencies(plan: ObjectPlan, draft: Draft, currency: str) -> None:
    """An amount without a currency gets the declared one, or the organisation's."""
    row = draft.row
    for amount, code, declared in plan.currencies:
        if row[amount] is not None and row[code] is None:
            row[code] = declared or currency
