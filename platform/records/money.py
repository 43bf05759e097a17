"""Money of different currencies is not added up.

A sum, average, smallest or largest amount is asked for together with the smallest and largest currency code of the same
records: if those differ, the question has no answer and is refused with what to group by.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ratoon.platform.errors import BadRequest
from ratoon.platform.records.plan import ObjectPlan
from ratoon.platform.storage.aggregates import Measure, measure_name

Row = dict[str, Any]


def codes_beside(plan: ObjectPlan, group_by: Sequence[str], measures: Sequence[Measure]) -> tuple[str, ...]:
    """The currency keys that must be the same within a group for these measures to mean anything."""
    code_of = {amount: code for amount, code, _ in plan.currencies}
    asked = (key for operation, key in measures if operation != "count" and key is not None)
    return tuple(dict.fromkeys(code_of[key] for key in asked if key in code_of and code_of[key] not in group_by))


def with_codes(measures: Sequence[Measure], codes: Sequence[str]) -> tuple[Measure, ...]:
    """The measures, and what tells whether a group holds one currency only."""
    return tuple(dict.fromkeys([*measures, *((operation, code) for code in codes for operation in ("min", "max"))]))


def refuse_mixtures(rows: list[Row], measures: Sequence[Measure], codes: Sequence[str]) -> list[Row]:
    """The rows with the measures asked for. Raises ``BadRequest`` when a group holds amounts of several currencies."""
    for row in rows:
        for code in codes:
            first, last = row[measure_name(("min", code))], row[measure_name(("max", code))]
            if first != last:
                raise BadRequest(
                    "Amounts in {first} and {last} cannot be added up or compared. Group by {key} as well.",
                    field="group_by", first=first, last=last, key=code,
                )  # fmt: skip
    if codes:
        extra = {measure_name(m) for m in with_codes((), codes)} - {measure_name(m) for m in measures}
        return [{name: value for name, value in row.items() if name not in extra} for row in rows]
    return rows
