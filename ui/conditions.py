"""What holds for a record that is being filled in: which fields show, which are required, which are locked.

The server decides when the record is saved (``records/checks.py``); this works the same formulas out on what a form
contains so far, so that the form can show it beforehand. Nothing is saved and no right is widened: the answers are
only yes or no.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ratoon.platform.errors import FormulaError, Invalid
from ratoon.platform.formulas import Formula
from ratoon.platform.formulas.types import EvalContext
from ratoon.platform.metadata.model import Field, Object
from ratoon.platform.metadata.screen_model import Section
from ratoon.platform.records.plan import ObjectPlan
from ratoon.platform.records.reading import context_of
from ratoon.platform.records.service import RecordService


@dataclass(frozen=True)
class Draft:
    """A record as it would be, with everything its formulas read."""

    object: Object
    row: dict[str, Any]
    stored: Mapping[str, Any] | None
    context: EvalContext

    def holds(self, formula: Formula | None, default: bool, row: Mapping[str, Any] | None = None) -> bool:
        """Whether a condition is true; ``default`` when there is none or it cannot be worked out."""
        if formula is None:
            return default
        try:
            return formula.evaluate(self.row if row is None else row, self.context) is True
        except FormulaError:
            return default

    def visible(self, thing: Field | Section) -> bool:
        """Whether a field or a section applies."""
        return self.holds(thing.visible_when, True)

    def required(self, field: Field) -> bool:
        """Whether a field must be filled in: always, under its condition, or in the stage the record is in."""
        return field.required or self.holds(field.required_when, False) or field.name in self._stage_fields()

    def locked(self, field: Field) -> bool:
        """Whether a field may not be changed now. An existing record is asked as it stands, like on saving."""
        if self.stored is None:
            return self.holds(field.read_only_when, False)
        return self.holds(field.read_only_when, False, {**self.row, **self.stored})

    def _stage_fields(self) -> tuple[str, ...]:
        field = self.object.stage_field
        pipeline = self.object.pipeline(self.row.get(f"{field.name}_pipeline")) if field else None
        if field is None or pipeline is None:
            return ()
        stage = pipeline.by_name.get(str(self.row.get(field.name)))
        return stage.required_fields if stage else ()


def draft_of(
    records: RecordService, object: Object, given: Mapping[str, Any], stored: Mapping[str, Any] | None = None
) -> Draft:
    """The draft of a new record (``stored`` is None) or of a change, with formula fields worked out.

    A given value that does not fit its field counts as blank here; saving will say what is wrong with it.
    """
    plan = records.plan(object.name)
    row: dict[str, Any] = {**plan.blank_row, **(stored or {})}
    for key, value in given.items():
        coerce = plan.coerce.get(key)
        if coerce is not None and key not in plan.links:
            row[key] = _coerced(coerce, value)
    _forget_hidden(records, object, row, stored)
    context = context_for(records, stored)
    if stored is None:
        _defaults(plan, row, given, context)
    paths = plan.rule_paths | plan.early_paths | _section_paths(object)
    if paths:
        records.engine.store.attach_paths(records.connection, object.name, [row], paths, context)
    for key, formula in plan.formulas:
        try:
            row[key] = plan.fit(key, formula.evaluate(row, context))
        except (FormulaError, Invalid):
            row[key] = None
    return Draft(object, row, stored, context)


def _forget_hidden(
    records: RecordService, object: Object, row: dict[str, Any], stored: Mapping[str, Any] | None
) -> None:
    """Takes back typed ids of records that the actor may not see: no condition reads what is behind them."""
    for field in records.plan(object.name).references:
        key = field.name
        if not row.get(key) or (stored is not None and row[key] == stored.get(key)):
            continue
        target = field.targets[0] if len(field.parts) == 1 else row.get(field.parts[1].key)
        if target not in field.targets or row[key] not in records.titles(str(target), [row[key]]):
            row[key] = None


def context_for(records: RecordService, stored: Mapping[str, Any] | None = None) -> EvalContext:
    """What formulas see beside the row."""
    return replace(context_of(records), old=stored)


def _coerced(coerce: Any, value: Any) -> Any:
    try:
        return None if value is None or value == "" else coerce(value)
    except Invalid:
        return None


def _defaults(plan: ObjectPlan, row: dict[str, Any], given: Mapping[str, Any], context: EvalContext) -> None:
    for key, formula in plan.defaults:
        if key in given:
            continue
        try:
            value = formula.evaluate(row, context)
            row[key] = None if value is None else plan.object.parts[key].coerce(value)
        except (FormulaError, Invalid):
            row[key] = None
    for amount, code, declared in plan.currencies:
        if row.get(code) is None and amount not in given:
            row[code] = declared
    field = plan.object.stage_field
    if field is not None and plan.object.pipelines and row.get(f"{field.name}_pipeline") is None:
        named = row.get(field.name)
        fitting = [p for p in plan.object.pipelines if named is None or named in p.by_name]
        chosen = next((p for p in fitting if p.when is None or _true(p.when, row, context)), None)
        chosen = chosen or (fitting or list(plan.object.pipelines))[0]
        row[f"{field.name}_pipeline"] = chosen.name
        row[field.name] = named or chosen.stages[0].name


def _true(formula: Formula, row: Mapping[str, Any], context: EvalContext) -> bool:
    try:
        return formula.evaluate(row, context) is True
    except FormulaError:
        return False


def _section_paths(object: Object) -> frozenset[str]:
    formulas = [s.visible_when for layout in object.layouts for s in layout.sections if s.visible_when]
    return frozenset(p for f in formulas for p in f.paths if "." in p and not p.startswith("$"))


def watched_keys(object: Object) -> frozenset[str]:
    """Keys whose change can show, hide, require, lock or refill another part of the form."""
    keys: set[str] = set()
    for field in object.fields.values():
        for formula in (field.visible_when, field.required_when, field.read_only_when):
            keys |= _with_formulas(object, formula)
        if field.spec.option("depends_on"):
            keys.add(str(field.spec.option("depends_on")))
    for layout in object.layouts:
        for section in layout.sections:
            keys |= _with_formulas(object, section.visible_when)
    if any(s.required_fields for p in object.pipelines for s in p.stages) and object.stage_field:
        keys.add(object.stage_field.name)
    return frozenset(keys)


def _with_formulas(object: Object, formula: Formula | None, depth: int = 0) -> set[str]:
    """The fields that a formula reads, through formula fields of the same object as well."""
    found: set[str] = set()
    for path in formula.paths if formula else ():
        owner = object.field_of.get(path.partition(".")[0])
        if owner is None:
            continue
        found.add(owner.name)
        if owner.formula is not None and depth < 8:
            found |= _with_formulas(object, owner.formula, depth + 1)
    return found
