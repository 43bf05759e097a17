"""What there is: the caller, the objects, one object in full, search over all of them, and type-ahead for lookups.

``describe`` says everything a client needs to build a form or a report for an object it has never seen: fields with
their parts, schemas, operators and conditions, keys, rules, pipelines and views, in the language of the request and cut
down to what the caller may read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, Response, request

from ratoon.platform.access.actor import Actor
from ratoon.platform.access.policy import ObjectAction
from ratoon.platform.api.body import known_parameters, whole_number, words
from ratoon.platform.api.context import Api, answer_value
from ratoon.platform.api.shapes import LookupCallShape, load
from ratoon.platform.errors import BadRequest, Invalid
from ratoon.platform.formulas import Formula
from ratoon.platform.formulas.reference import reference_json
from ratoon.platform.metadata.model import Field, Object
from ratoon.platform.metadata.pipeline_model import Pipeline, Stage
from ratoon.platform.metadata.screen_model import View
from ratoon.platform.records.engine import Engine
from ratoon.platform.records.plan import ObjectPlan

ACTIONS: tuple[ObjectAction, ...] = ("create", "read", "edit", "delete")
Label = Callable[[str, str], str]


class ObjectViews:
    """The views of objects."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def register(self, blueprint: Blueprint) -> None:
        """Adds the routes."""
        blueprint.add_url_rule("/", "index", self.index, methods=["GET"])
        blueprint.add_url_rule("/me", "me", self.me, methods=["GET"])
        blueprint.add_url_rule("/objects", "objects", self.all, methods=["GET"])
        blueprint.add_url_rule("/objects/<object>", "describe", self.describe, methods=["GET"])
        blueprint.add_url_rule("/objects/<object>/lookups/<field>", "lookup", self.lookup, methods=["POST"])
        blueprint.add_url_rule("/search", "search", self.search, methods=["GET"])
        blueprint.add_url_rule("/formulas/functions", "functions", self.functions, methods=["GET"])

    def index(self) -> Response:
        """Where to begin."""
        known_parameters(request, ())
        names = ("docs", "openapi.json", "objects", "search", "me")
        return answer_value({name.removesuffix(".json"): f"{self._api.base}/{name}" for name in names})

    def functions(self) -> Response:
        """The functions that formulas may use here, those of plugins among them."""
        self._api.actor()
        known_parameters(request, ())
        return answer_value({"functions": reference_json(self._api.environment.functions)})

    def me(self) -> Response:
        """Who is calling."""
        actor = self._api.actor()
        known_parameters(request, ())
        return answer_value(
            {
                "id": actor.id,
                "name": actor.name,
                "email": actor.email,
                "admin": actor.admin,
                "roles": sorted(actor.roles),
                "locale": actor.locale,
                "time_zone": actor.time_zone,
            }
        )

    def all(self) -> Response:
        """The objects that the caller may read."""
        actor = self._api.actor()
        known_parameters(request, ())
        engine = self._api.environment.engine
        label = self._labels(engine)
        found = [_summary(obj, engine, actor, label) for obj in engine.policy.objects(actor)]
        return answer_value({"revision": engine.registry.revision, "objects": found})

    def describe(self, object: str) -> Response:
        """One object in full."""
        actor = self._api.actor()
        known_parameters(request, ())
        engine = self._api.environment.engine
        obj = readable_object(engine, actor, object)
        return answer_value(described(obj, engine, actor, self._labels(engine)))

    def lookup(self, object: str, field: str) -> Response:
        """Type-ahead: records that a lookup of the record at hand may point at."""
        actor = self._api.actor()
        known_parameters(request, ())
        call = load(LookupCallShape, self._api.object_body())
        with self._api.environment.read(actor) as records:
            readable_object(records.engine, actor, object)
            so_far = _so_far(records.plan(object), call["record"])
            hits = records.lookup(object, field, call["text"], so_far, call["limit"])
        return answer_value({"results": [{"object": o, "id": i, "title": t} for o, i, t in hits]})

    def search(self) -> Response:
        """Records of any object by words."""
        actor = self._api.actor()
        given = known_parameters(request, ("q", "objects", "limit"))
        text = given.get("q", "").strip()
        if not text:
            raise BadRequest("q is the text to look for.", field="q")
        with self._api.environment.read(actor) as records:
            hits = records.search(text, words(given, "objects"), whole_number(given, "limit", 20, 100))
        return answer_value({"results": [{"object": o, "id": i, "title": t} for o, i, t in hits]})

    def _labels(self, engine: Engine) -> Label:
        locale = self._api.locale()
        return lambda text, package: engine.registry.text(text, locale, package) if text else text


def _so_far(plan: ObjectPlan, given: Mapping[str, Any]) -> dict[str, Any]:
    """The record at hand with typed values; what does not fit its field yet counts as blank."""
    row: dict[str, Any] = dict(plan.blank_row)
    for key, value in given.items():
        coerce = plan.coerce.get(key)
        if coerce is not None and key not in plan.links:
            try:
                row[key] = None if value is None or value == "" else coerce(value)
            except Invalid:
                row[key] = None
    return row


def readable_object(engine: Engine, actor: Actor, name: str) -> Object:
    """The object. Raises ``NotFound`` with the nearest name, for a closed object too: it is none of the caller's."""
    obj = engine.registry.objects.get(name)
    if obj is not None and engine.policy.may(actor, name, "read"):
        return obj
    raise engine.policy.unknown(actor, name)


def _summary(obj: Object, engine: Engine, actor: Actor, label: Label) -> dict[str, Any]:
    return {
        "name": obj.name,
        "label": label(obj.label, obj.owner),
        "plural_label": label(obj.plural_label, obj.owner),
        "description": label(obj.description, obj.owner),
        "icon": obj.icon,
        "color": obj.color,
        "title": obj.title if obj.title in engine.policy.readable_keys(actor, obj.name) else "id",
        "hidden": obj.hidden,
        "person": obj.person,
        "package": obj.owner,
        "actions": [action for action in ACTIONS if engine.policy.may(actor, obj.name, action)],
    }


def described(obj: Object, engine: Engine, actor: Actor, label: Label) -> dict[str, Any]:
    """The answer of ``describe``."""
    readable = engine.policy.readable_keys(actor, obj.name)
    editable = engine.policy.editable_keys(actor, obj.name)
    fields = [field for field in obj.fields.values() if any(part.key in readable for part in field.parts)]
    shown = {field.name for field in fields}
    return {
        **_summary(obj, engine, actor, label),
        "revision": engine.registry.revision,
        "fields": [_field(field, editable, label, Sight(engine, actor, obj.name)) for field in fields],
        "keys": [{"name": key.name, "fields": list(key.fields)} for key in obj.keys if readable.issuperset(key.fields)],
        "rules": [
            {
                "name": rule.name,
                "error_when": rule.error_when.source,
                "message": label(rule.message, rule.owner),
                "field": rule.field if rule.field in obj.fields and rule.field in shown else None,
                "severity": rule.severity,
            }
            for rule in obj.rules
            if rule.active and Sight(engine, actor, obj.name).whole(rule.error_when)
        ],
        "pipelines": [
            _pipeline(pipeline, label, Sight(engine, actor, obj.name), shown)
            for pipeline in obj.pipelines
            if pipeline.field in readable
        ],
        "views": [_view(view, readable, label, Sight(engine, actor, obj.name)) for view in obj.views],
    }


@dataclass(frozen=True)
class Sight:
    """What of the metadata of an object a caller may see."""

    engine: Engine
    actor: Actor
    object: str

    def whole(self, formula: Formula) -> bool:
        """Whether the caller may read everything that a formula reads; else its text says too much."""
        policy = self.engine.policy
        return all(path.startswith("$") or policy.reads(self.actor, self.object, path) for path in formula.paths)

    def source(self, formula: Formula | None, of: str | None = None) -> str | None:
        """The text of a formula; ``None`` also for one that names what the caller may not see."""
        here = self if of is None else replace(self, object=of)
        return formula.source if formula is not None and here.whole(formula) else None

    def objects(self, names: Iterable[str]) -> list[str]:
        """Those of the objects that the caller may read."""
        return [name for name in names if self.engine.policy.may(self.actor, name, "read")]


def _field(field: Field, editable: frozenset[str], label: Label, sight: Sight) -> dict[str, Any]:
    conditions: Mapping[str, Formula | None] = {
        "default": field.default,
        "visible_when": field.visible_when,
        "required_when": field.required_when,
        "read_only_when": field.read_only_when,
        "formula": field.formula,
    }
    targets = sight.objects(field.targets)
    rollup = field.rollup
    if rollup is not None and (
        not sight.objects([rollup.child])
        or not sight.engine.policy.reads(sight.actor, rollup.child, rollup.key or "id")
    ):
        rollup = None
    return {
        "name": field.name,
        "type": field.type.name,
        "label": label(field.label, field.owner),
        "help": label(field.help, field.owner),
        "placeholder": label(field.placeholder, field.owner),
        "package": field.owner,
        "system": field.system,
        "required": field.required,
        "unique": field.unique,
        "external_id": field.external_id,
        "searchable": field.searchable,
        "track_history": field.track_history,
        "sensitivity": field.sensitivity,
        "computed": field.computed,
        "objects": targets,
        "on_delete": field.on_delete,
        "choices": [
            {
                "value": choice.value,
                "label": label(choice.label, field.owner),
                "color": choice.color,
                "active": choice.active,
                "for": None if choice.parents is None else sorted(choice.parents),
            }
            for choice in field.choices
        ],
        **{name: sight.source(formula) for name, formula in conditions.items()},
        "lookup_filter": sight.source(field.lookup_filter, targets[0]) if len(targets) == 1 else None,
        "rollup": None
        if rollup is None
        else {"of": rollup.child, "via": rollup.via, "operation": rollup.operation, "field": rollup.key},
        "parts": [
            {
                "key": part.key,
                "label": label(part.label, field.owner),
                "schema": dict(part.json_schema),
                "operators": list(part.operators),
                "writable": part.key in editable and not field.computed,
                "sortable": part.sortable and part.sql is not None,
                "filterable": part.formula is not None,
            }
            for part in field.parts
        ],
    }


def _pipeline(pipeline: Pipeline, label: Label, sight: Sight, shown: set[str]) -> dict[str, Any]:
    return {
        "name": pipeline.name,
        "label": label(pipeline.label, pipeline.owner),
        "field": pipeline.field,
        "when": sight.source(pipeline.when),
        "carry": {what: field for what, field in pipeline.carry if field in shown},
        "loss_reason": pipeline.loss_reason if pipeline.loss_reason in shown else None,
        "stages": [_stage(stage, label, pipeline.owner, sight, shown) for stage in pipeline.stages],
    }


def _stage(stage: Stage, label: Label, package: str, sight: Sight, shown: set[str]) -> dict[str, Any]:
    return {
        "name": stage.name,
        "label": label(stage.label, package),
        "category": stage.category,
        "probability": stage.probability,
        "forecast": stage.forecast,
        "color": stage.color,
        "required_fields": [name for name in stage.required_fields if name in shown],
        "next": None if stage.next is None else list(stage.next),
        "next_roles": {name: sorted(roles) for name, roles in stage.next_roles.items()},
        "checklist": [
            {"name": t.name, "label": label(t.label, package), "required": t.required} for t in stage.checklist
        ],
        "advance": [{"when": move.when.source, "to": move.to} for move in stage.advance if sight.whole(move.when)],
        "expected_days": stage.expected_days,
    }


def _view(view: View, readable: frozenset[str], label: Label, sight: Sight) -> dict[str, Any]:
    return {
        "name": view.name,
        "label": label(view.label, view.owner),
        "type": view.kind,
        "columns": [c for c in view.columns if sight.engine.policy.reads(sight.actor, sight.object, c)],
        "filter": sight.source(view.filter),
        "sort": [("-" if down else "") + key for key, down in view.sort if key in readable],
        "default": view.default,
    }
