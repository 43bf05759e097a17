"""Rollup fields: what they aggregate is checked, and their type follows from it.

``count`` is a whole number. ``sum``, ``min`` and ``max`` keep the type and scale of what they aggregate; ``avg`` keeps
the type and gets four more decimal places (at most 10). A rollup may aggregate another rollup, at any nesting; a circle
is refused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ratoon.platform.errors import Hint, Text, say
from ratoon.platform.formulas.types import Type
from ratoon.platform.metadata.drafts import Drafts, FieldDraft
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
    data, piece = field.data, field.piece

    def refuse(key: str, code: str, message: Text, hint: Hint = "") -> bool:
        report.add(piece.document, piece.at(key), code, message, hint)
        _drop(drafts, field, report)
        return True

    child = drafts.objects.get(data["of"])
    if child is None:
        if report.suspected(data["of"]):
            _drop(drafts, field, report)
            return True
        hint = report.elsewhere(data["of"]) or suggestion(data["of"], drafts.objects, say("objects"))
        return refuse("of", "unknown_object", say("There is no object {name}.", name=repr(data["of"])), hint)
    via = child.fields.get(data["via"])
    if via is None or not via.type.reference or field.object not in via.spec.targets:
        if via is None and report.suspected(data["via"]):
            _drop(drafts, field, report)
            return True
        fitting = [f.name for f in child.fields.values() if f.type.reference and field.object in f.spec.targets]
        message = say(
            "{child}.{lookup} is not a lookup that points at {object}.",
            child=child.name,
            lookup=data["via"],
            object=repr(field.object),
        )
        return refuse("via", "unknown_field", message, suggestion(data["via"], fitting, say("lookups that do")))
    operation, key = data["operation"], data.get("field")
    if operation == "count":
        return _done(field, child.name, {"returns": "integer", "scale": 0}, None)
    if key is None:
        return refuse(
            "operation",
            "missing_key",
            say("{operation} needs the field to aggregate.", operation=repr(operation)),
            say('add "field": "…"'),
        )
    source = next((f for f in child.fields.values() if any(p.key == key for p in f.parts) or f.name == key), None)
    if source is None:
        if report.suspected(key):
            _drop(drafts, field, report)
            return True
        hint = suggestion(key, [f.name for f in child.fields.values()])
        return refuse(
            "field",
            "unknown_field",
            say("{object} has no field {name}.", object=repr(child.name), name=repr(key)),
            hint,
        )
    if not source.parts:
        return False
    part = next(p for p in source.parts if p.key == key)
    wanted = _SUMMABLE if operation in {"sum", "avg"} else _ORDERED
    if part.formula not in wanted or part.sql is None:
        fitting = [f.name for f in child.fields.values() if f.parts and f.parts[0].formula in wanted]
        message = say(
            "{operation} cannot aggregate {child}.{key}, which is of type {type}.",
            operation=repr(operation),
            child=child.name,
            key=key,
            type=repr(source.spec.type),
        )
        return refuse("field", "wrong_type", message, suggestion(key, fitting, say("fields that fit")))
    return _done(field, child.name, _derived(source, part.formula, part.scale, operation), key)


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
