"""What a refusal may say: nothing of fields and records that whoever saves may not see.

A condition of the platform (required, unique, a stage's gate, a formula that fails) may be about a field that is
hidden from the actor: its label, its value in the words of an error, even its name would tell of it. Such problems
become one, ``unseen``. What an admin wrote as the message of a rule stays the admin's word; only the field it points at
is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ratoon.platform.errors import FormulaError, Problem
from ratoon.platform.formulas import Formula
from ratoon.platform.records.drafts import Draft
from ratoon.platform.records.plan import ObjectPlan

if TYPE_CHECKING:
    from ratoon.platform.records.saving import Saving
    from ratoon.platform.records.service import RecordService

PLAIN = frozenset({"unknown_field", "duplicate"})
"""Problems that are worded for whoever saves already."""


def veil(saving: Saving, plan: ObjectPlan, drafts: Sequence[Draft]) -> None:
    """Rewrites the problems of the drafts for the actor of the save."""
    if saving.actor.admin:
        return
    for draft in drafts:
        if draft.problems:
            draft.problems = _veiled(saving, plan, draft.problems)


def reason(records: RecordService, object: str, formula: Formula, error: FormulaError) -> str:
    """Why a formula could not be worked out, without the values in it when whoever saves may not see all it reads."""
    actor, policy = records.initiator, records.engine.policy
    if actor.admin or all(policy.reads(actor, object, path, every_row=True) for path in formula.paths):
        return error.text()
    return error.code


def _veiled(saving: Saving, plan: ObjectPlan, problems: Sequence[Problem]) -> list[Problem]:
    policy, actor = saving.engine.policy, saving.actor
    known = policy.readable_keys(actor, plan.name) | policy.editable_keys(actor, plan.name)
    message = "A condition is not met that is about something you may not see. An administrator can tell which."
    told: list[Problem] = []
    for problem in problems:
        named = problem.field is None or problem.field in known
        open_ = all(policy.reads(actor, plan.name, path, every_row=True) for path in problem.about)
        if problem.code in PLAIN or (named and open_):
            told.append(problem)
        elif problem.code == "rule":
            told.append(replace(problem, field=None))
        elif all(other.code != "unseen" or other.severity != problem.severity for other in told):
            told.append(Problem("unseen", message, severity=problem.severity, index=problem.index))
    return told
