"""What an automation can do: one function per kind of action, listed in ``Actions``.

================ ======================================================================================
set_fields       sets fields of the record itself (before the save: no second write)
create_record    makes a record of ``object``; values are formulas over the record that triggered it
update_related   sets fields of the record that the lookup ``path`` points at, or, with
                 ``path`` = ``child_object.lookup``, of all child records
upsert_record    after the commit: makes or changes the record of ``object`` with that external id
================ ======================================================================================

A plugin adds kinds with the hook ``automation_actions``. After the save every action gets all records that match.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ratoon.platform.errors import FormulaError, Problem, ValidationFailed
from ratoon.platform.formulas.types import EvalContext
from ratoon.platform.metadata.model import Action, Automation, Object
from ratoon.platform.records.drafts import Change, Draft
from ratoon.platform.records.plan import ObjectPlan
from ratoon.platform.records.service import RecordService
from ratoon.platform.records.veil import reason


@dataclass(frozen=True)
class ActionRun:
    """One action on the set of records that matched. ``rows`` carry the dotted paths its formulas read."""

    records: RecordService
    """Writes go through this; it is one level deeper and acts for the platform."""
    object: Object
    automation: Automation
    action: Action
    drafts: Sequence[Draft]
    contexts: Sequence[EvalContext]

    def values(self, object: str | None = None) -> list[dict[str, Any]]:
        """The action's values, worked out for each record, as ``object`` (``None`` = their own) takes them.

        Raises ``ValidationFailed`` naming the automation.
        """
        plan = self.records.plan(object or self.object.name)
        return [
            values_of(self.records, self.automation, self.action, d, c, plan)
            for d, c in zip(self.drafts, self.contexts, strict=True)
        ]


Perform = Callable[[ActionRun], None]


@dataclass(frozen=True)
class ActionType:
    """A kind of action that a plugin brings."""

    name: str
    """What ``"type"`` says in the automation document."""
    perform: Perform
    """Gets all records that matched at once; raises a ``RatoonError`` to refuse the whole save."""
    description: str = ""


def values_of(
    records: RecordService, automation: Automation, action: Action, draft: Draft, context: EvalContext, plan: ObjectPlan
) -> dict[str, Any]:
    """The values an action sets because of one record, as the object of ``plan`` takes them.

    Raises ``ValidationFailed``."""
    values: dict[str, Any] = {}
    for key, formula in action.values.items():
        try:
            values[key] = plan.given_by_formula(key, formula.evaluate(draft.row, context))
        except FormulaError as error:
            message = "Automation {rule} could not work out {key}: {reason}"
            params = {"rule": automation.name, "key": key, "reason": reason(records, automation.object, formula, error)}
            raise ValidationFailed(
                [Problem("automation_failed", message, key, params, rule=automation.name)]
            ) from error
    return values


def set_fields(run: ActionRun) -> None:
    """Sets fields of the records themselves, in one save."""
    changes = [Change(d.id, values) for d, values in zip(run.drafts, run.values(), strict=True)]
    run.records.update(run.object.name, changes)


def create_record(run: ActionRun) -> None:
    """Makes one record per record that matched."""
    target = run.action.object or ""
    run.records.create(target, run.values(target))


def upsert_record(run: ActionRun) -> None:
    """Makes or changes one record per record that matched, found by an external id."""
    target = run.action.object or ""
    run.records.upsert(target, run.action.options["key"], run.values(target))


def update_related(run: ActionRun) -> None:
    """Sets fields of the parent, or of all children.

    Where several records want the same one, each sees what those before it left there (``account.calls + 1`` counts
    every record), and the last wins: as if they had come one by one.
    """
    path = run.action.path or ""
    changes: dict[tuple[str, str], dict[str, Any]] = {}
    for draft, context in zip(run.drafts, run.contexts, strict=True):
        for object, record in _related(run, draft, path):
            plan = run.records.plan(object)
            left = changes.get((object, record))
            seen = draft if left is None else _after(draft, path, plan, left)
            values = values_of(run.records, run.automation, run.action, seen, context, plan)
            changes[object, record] = {**(left or {}), **values}
    by_object: dict[str, list[Change]] = {}
    for (object, record), values in changes.items():
        by_object.setdefault(object, []).append(Change(record, values))
    for object, group in by_object.items():
        run.records.update(object, group)


def _after(draft: Draft, path: str, plan: ObjectPlan, left: Mapping[str, Any]) -> Draft:
    """The draft as its formulas see it after other records left these values in the record at ``path``."""
    parts = plan.object.parts
    row = {
        f"{path}.{key}": None if value is None or value == "" else parts[key].coerce(value)
        for key, value in left.items()
        if f"{path}.{key}" in draft.row
    }
    return replace(draft, row={**draft.row, **row}) if row else draft


def _related(run: ActionRun, draft: Draft, path: str) -> list[tuple[str, str]]:
    if "." in path:
        child, key = path.split(".", 1)
        store, connection = run.records.engine.store, run.records.connection
        return [(child, kid) for kid, _ in store.children(connection, child, key, [draft.id])]
    field = run.object.fields[path]
    record = draft.row.get(path)
    if record is None:
        return []
    target = draft.row[field.parts[1].key] if len(field.parts) > 1 else field.targets[0]
    return [(target, record)]


class Actions:
    """The kinds of action of one environment."""

    def __init__(self, more: Iterable[ActionType] = ()) -> None:
        self._kinds: dict[str, Perform] = {
            "set_fields": set_fields,
            "create_record": create_record,
            "update_related": update_related,
            "upsert_record": upsert_record,
        }
        for kind in more:
            self.add(kind)

    def add(self, kind: ActionType) -> None:
        """Adds a kind; a second one of the same name raises ``ValueError``."""
        if kind.name in self._kinds:
            raise ValueError(f"two kinds of action are called {kind.name!r}")
        self._kinds[kind.name] = kind.perform

    def __getitem__(self, name: str) -> Perform:
        return self._kinds[name]

    def kinds(self) -> Mapping[str, Perform]:
        """Every kind by name."""
        return dict(self._kinds)
