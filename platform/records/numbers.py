"""Autonumbers: ``INV-{YYYY}-{0000}``, counted per object, field and period, without gaps.

The counter row is taken within the transaction, so a refused save gives its number back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ratoon.platform.fields.autonumber import counter_period, render
from ratoon.platform.records.drafts import Draft
from ratoon.platform.records.plan import ObjectPlan

if TYPE_CHECKING:
    from ratoon.platform.records.saving import Saving


def assign(saving: Saving, plan: ObjectPlan, drafts: Sequence[Draft]) -> None:
    """Gives every draft its numbers, in the order of the call."""
    if not drafts:
        return
    today = saving.now.astimezone(saving.actor.zone).date()
    for field in plan.autonumbers:
        pattern = str(field.spec.option("format"))
        counter = f"{plan.name}.{field.name}:{counter_period(pattern, today)}"
        taken = saving.store.next_numbers(saving.connection, counter, len(drafts))
        for draft, number in zip(drafts, taken, strict=True):
            draft.row[field.name] = render(pattern, number, today)
