"""Rollup fields: what they aggregate is checked, and their type follows from it.

``count`` is a whole number. ``sum``, ``min`` and ``max`` keep the type and scale of what they aggregate; ``avg`` keeps
the type and gets four more decimal places (at most 10). A rollup may aggregate another rollup, at any nesting; a circle
is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ratoon.platform.errors import Hint, Text, say
from ratoon.platform.fields.base import Part
from ratoon.platform.formulas.types import Type
from ratoon.platform.metadata.drafts import Drafts, FieldDraft, ObjectDraft
from ratoon.platform.metadata.model import Rollup
from ratoon.platform.metadata.names import suggestion
from ratoon.platform.metadata.report import Report

MAX_SCALE = 10
AVERAGE_DIGITS = 4
"""Decimal places an average has beyond those of its values."""
_SUMMABLE = frozenset({Type.NUMBER})
_ORDERED = frozenset({Type.NUMBER, Type.DATE, Type.DATETIME, Type.TIME})
_FROM_FORMULA_TYPE = {Type.DATE: "date", Type.DATETIME: "datetime", Type.TIME: "time"}


def build_rollups(drafts: Drafts, report: Report) -> None:
    """Gives every rollup its spec, parts and definition (its filter is compiled later)."""
    waiting = [f for o in drafts.objects.values() for f in o.fields.values() if f.spec.type == "rollup"]
    while waiting:
        later = [field for field in waiting if not _build(field, drafts, report)]
        if len(later) == len(waiting):
            for field in later:
                report.add(
                    field.piece.document,
                    field.piece.path,
                    "circular",
                    say(
                        "The rollup {object}.{field} depends on itself through other rollups.",
                        object=field.object,
                        field=field.name,
                    ),
                    say("take one of the rollups of the circle out"),
                )
                _drop(drafts, field, report)
            return
        waiting = later


def _drop(drafts: Drafts, field: FieldDraft, report: Report) -> None:
    del drafts.objects[field.object].fields[field.name]
    report.suspect(field.name)


def _build(field: FieldDraft, drafts: Drafts, report: Report) -> bool:
    """True when the rollup is done (built, or reported and dropped); False when what it aggregates is not built yet."""
    building = _Building(field, drafts, report)
    child = building.child()
    if child is None or not building.leads_here(child):
        return True
    operation, key = field.data["operation"], field.data.get("field")
    if operation == "count":
        return _done(field, child.name, {"returns": "integer", "scale": 0}, None)
    if key is None:
        building.refuse(
            "operation",
            "missing_key",
            say("{operation} needs the field to aggregate.", operation=repr(operation)),
            say('add "field": "…"'),
        )
        return True
    source = building.source(child, key)
    if source is None:
        return True
    if not source.parts:
        return False
    part = next(p for p in source.parts if p.key == key)
    if not building.fits(child, source, part):
        return True
    return _done(field, child.name, _derived(source, part.formula, part.scale, operation), key)


@dataclass(frozen=True)
class _Building:
    """One rollup on the way: each step finds what it names, or refuses and drops the rollup."""

    field: FieldDraft
    drafts: Drafts
    report: Report

    def refuse(self, key: str, code: str, message: Text, hint: Hint = "") -> None:
        """Reports what is wrong with a key of the document, and drops the rollup."""
        piece = self.field.piece
        self.report.add(piece.document, piece.at(key), code, message, hint)
        self.drop()

    def drop(self) -> None:
        _drop(self.drafts, self.field, self.report)

    def child(self) -> ObjectDraft | None:
        """The object whose records are aggregated."""
        name = self.field.data["of"]
        found = self.drafts.objects.get(name)
        if found is None and self.report.suspected(name):
            self.drop()
        elif found is None:
            hint = self.report.elsewhere(name) or suggestion(name, self.drafts.objects, say("objects"))
            self.refuse("of", "unknown_object", say("There is no object {name}.", name=repr(name)), hint)
        return found

    def leads_here(self, child: ObjectDraft) -> bool:
        """Whether ``via`` is a lookup of the child that points at the rollup's object."""
        name, object = self.field.data["via"], self.field.object
        via = child.fields.get(name)
        if via is not None and via.type.reference and object in via.spec.targets:
            return True
        if via is None and self.report.suspected(name):
            self.drop()
            return False
        fitting = [f.name for f in child.fields.values() if f.type.reference and object in f.spec.targets]
        message = say(
            "{child}.{lookup} is not a lookup that points at {object}.",
            child=child.name,
            lookup=name,
            object=repr(object),
        )
        self.refuse("via", "unknown_field", message, suggestion(name, fitting, say("lookups that do")))
        return False

    def source(self, child: ObjectDraft, key: str) -> FieldDraft | None:
        """The field whose values are aggregated."""
        found = next((f for f in child.fields.values() if any(p.key == key for p in f.parts) or f.name == key), None)
        if found is None and self.report.suspected(key):
            self.drop()
        elif found is None:
            message = say("{object} has no field {name}.", object=repr(child.name), name=repr(key))
            hint = suggestion(key, [f.name for f in child.fields.values()])
            self.refuse("field", "unknown_field", message, hint)
        return found

    def fits(self, child: ObjectDraft, source: FieldDraft, part: Part) -> bool:
        """Whether values of that type can be aggregated so."""
        operation = self.field.data["operation"]
        wanted = _SUMMABLE if operation in {"sum", "avg"} else _ORDERED
        if part.formula in wanted and part.sql is not None:
            return True
        fitting = [f.name for f in child.fields.values() if f.parts and f.parts[0].formula in wanted]
        message = say(
            "{operation} cannot aggregate {child}.{key}, which is of type {type}.",
            operation=repr(operation),
            child=child.name,
            key=part.key,
            type=repr(source.spec.type),
        )
        self.refuse("field", "wrong_type", message, suggestion(part.key, fitting, say("fields that fit")))
        return False


def _derived(source: FieldDraft, kind: Type | None, scale: int | None, operation: str) -> dict[str, Any]:
    if kind in _FROM_FORMULA_TYPE:
        return {"returns": _FROM_FORMULA_TYPE[kind]}
    declared = source.spec.option("returns") if source.type.computed else None
    returns = declared or source.spec.type
    if returns not in {"integer", "decimal", "currency", "percent"}:
        returns = "decimal" if scale else "integer"
    places = scale or 0
    if operation == "avg":
        places = min(places + AVERAGE_DIGITS, MAX_SCALE)
        returns = "decimal" if returns == "integer" else returns
    return {"returns": returns, "scale": places}


def _done(field: FieldDraft, child: str, derived: dict[str, Any], key: str | None) -> bool:
    field.spec = replace(field.spec, options={**derived, **field.spec.options})
    field.parts = field.type.parts(field.spec)
    field.rollup = Rollup(child, field.data["via"], field.data["operation"], key, None)
    return True
