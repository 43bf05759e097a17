"""Pipelines of an object: names resolved, formulas compiled, contradictions refused."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ratoon.platform.errors import say
from ratoon.platform.metadata.behaviour import Behaviour
from ratoon.platform.metadata.calendars import known_calendar
from ratoon.platform.metadata.documents import Document
from ratoon.platform.metadata.drafts import ObjectDraft, Piece
from ratoon.platform.metadata.formulas import Formulas
from ratoon.platform.metadata.model import Rule
from ratoon.platform.metadata.names import shape_problem, suggestion
from ratoon.platform.metadata.pipeline_model import Advance, Carried, Pipeline, Stage, Task
from ratoon.platform.metadata.report import Report

CARRIED: Mapping[Carried, frozenset[str]] = MappingProxyType(
    {
        "probability": frozenset({"percent", "integer", "decimal"}),
        "forecast": frozenset({"picklist", "text"}),
    }
)
"""What a stage may write to a field of the record → the types of field that take it."""


class Pipelines:
    """Compiles the pipelines of objects."""

    def __init__(self, formulas: Formulas, behaviour: Behaviour, report: Report) -> None:
        self._roles = behaviour.roles
        self._formulas = formulas
        self._behaviour = behaviour
        self._report = report

    def of(self, draft: ObjectDraft) -> tuple[Pipeline, ...]:
        """The pipelines in their order."""
        found = []
        stage_fields = [f.name for f in draft.fields.values() if f.spec.type == "stage"]
        if len(stage_fields) > 1:
            field = draft.fields[stage_fields[1]]
            message = say(
                "{object} has the stage fields {stage_fields}; an object has one.",
                object=repr(draft.name),
                stage_fields=", ".join(stage_fields),
            )
            hint = say("one field can follow several pipelines")
            self._report.add(field.piece.document, field.piece.path, "two_stage_fields", message, hint)
        if stage_fields and not draft.components_of("pipeline"):
            field = draft.fields[stage_fields[0]]
            message = say("The stage field {field} has no pipeline.", field=repr(field.name))
            hint = say("add {object}/pipelines/<name>.json", object=draft.name)
            self._report.add(field.piece.document, field.piece.path, "no_pipeline", message, hint)
        for document in draft.components_of("pipeline"):
            data = document.data
            field_name = data.get("field", stage_fields[0] if stage_fields else "stage")
            if field_name not in stage_fields:
                message = say(
                    "{object} has no stage field {field_name}.", object=repr(draft.name), field_name=repr(field_name)
                )
                hint = suggestion(field_name, stage_fields) or say('add a field of type "stage" to the object')
                self._report.add(document, ("field",), "unknown_field", message, hint)
                continue
            found.append(self._pipeline(draft, document, field_name))
        return tuple(sorted(found, key=lambda p: (p.order, p.name)))

    def _pipeline(self, draft: ObjectDraft, document: Document, field: str) -> Pipeline:
        data = document.data
        when = None
        if "when" in data:
            when = self._formulas.compile(document, ("when",), data["when"], self._formulas.scopes[draft.name])
        names = [stage["name"] for stage in data["stages"]]
        stages: list[Stage] = []
        for i, stage in enumerate(data["stages"]):
            piece = Piece(document, ("stages", i), stage)
            if stage["name"] in names[:i]:
                message = say("The pipeline has a stage {name} already.", name=repr(stage["name"]))
                self._report.add(document, piece.at("name"), "duplicate", message)
                continue
            stages.append(self._stage(draft, piece, names))
        return Pipeline(
            object=draft.name,
            name=data["name"],
            label=data["label"],
            field=field,
            stages=tuple(stages),
            when=when,
            order=data.get("order", 0),
            carry=self._carry(draft, document),
            loss_reason=self._loss_reason(draft, document),
            owner=document.package,
        )

    def _carry(self, draft: ObjectDraft, document: Document) -> tuple[tuple[Carried, str], ...]:
        found: list[tuple[Carried, str]] = []
        declared = document.data.get("carry", {})
        for what, types in CARRIED.items():
            key = declared.get(what)
            if key is None or not self._behaviour.known_key(draft, document, ("carry", what), key):
                continue
            field = draft.fields.get(key)
            if field is None or field.spec.type not in types:
                message = say(
                    "{key} cannot keep the {what} of a stage; its type would have to be {types}.",
                    key=repr(key),
                    what=what,
                    types=" or ".join(types),
                )
                self._report.add(document, ("carry", what), "wrong_type", message)
                continue
            found.append((what, key))
            if what == "forecast" and field.spec.choices:
                self._forecasts(document, {o.value for o in field.spec.choices})
        return tuple(found)

    def _forecasts(self, document: Document, known: set[str]) -> None:
        for i, stage in enumerate(document.data["stages"]):
            value = stage.get("forecast", "")
            if value and value not in known:
                message = say("The field that keeps the forecast has no value {value}.", value=repr(value))
                self._report.add(
                    document,
                    ("stages", i, "forecast"),
                    "unknown_value",
                    message,
                    suggestion(value, known, say("values")),
                )

    def _loss_reason(self, draft: ObjectDraft, document: Document) -> str | None:
        key = document.data.get("loss_reason")
        if key is None or not self._behaviour.known_key(draft, document, ("loss_reason",), key):
            return None
        if not any(s.get("category") == "lost" for s in document.data["stages"]):
            message = say("There is no stage of category lost, so nobody is ever asked for a reason.")
            self._report.add(document, ("loss_reason",), "no_lost_stage", message, severity="warning")
        return str(key)

    def _stage(self, draft: ObjectDraft, piece: Piece, names: Sequence[str]) -> Stage:
        data = piece.data
        problem = shape_problem(data["name"])
        if problem is not None:
            self._report.add(piece.document, piece.at("name"), "bad_name", *problem)
        for i, key in enumerate(data.get("required_fields", ())):
            self._behaviour.known_key(draft, piece.document, piece.at("required_fields", i), key)
        following, roles = self._next(piece, names)
        return Stage(
            name=data["name"],
            label=data.get("label", data["name"]),
            category=data.get("category", "open"),
            probability=data.get("probability"),
            forecast=data.get("forecast", ""),
            color=data.get("color", ""),
            required_fields=tuple(data.get("required_fields", ())),
            entry=self._criteria(draft, piece, "entry"),
            exit=self._criteria(draft, piece, "exit"),
            next=following,
            next_roles=MappingProxyType(roles),
            checklist=self._checklist(piece),
            expected_days=data.get("expected_days"),
            calendar=known_calendar(
                self._formulas.drafts, piece.document, piece.at("calendar"), data.get("calendar"), self._report
            ),
            advance=self._advance(draft, piece, names),
        )

    def _next(self, piece: Piece, names: Sequence[str]) -> tuple[tuple[str, ...] | None, dict[str, frozenset[str]]]:
        if "next" not in piece.data:
            return None, {}
        following: list[str] = []
        roles: dict[str, frozenset[str]] = {}
        for i, item in enumerate(piece.data["next"]):
            path = piece.at("next", i)
            name = item if isinstance(item, str) else item["stage"]
            self._known_stage(piece.document, path if isinstance(item, str) else (*path, "stage"), name, names)
            following.append(name)
            if isinstance(item, Mapping) and "roles" in item:
                roles[name] = frozenset(item["roles"])
                for j, role in enumerate(item["roles"]):
                    if role not in self._roles:
                        hint = suggestion(role, self._roles, say("roles"))
                        message = say("There is no role {role}.", role=repr(role))
                        self._report.add(piece.document, (*path, "roles", j), "unknown_role", message, hint)
        return tuple(following), roles

    def _known_stage(self, document: Document, path: Any, name: str, names: Sequence[str]) -> None:
        if name not in names:
            message = say("The pipeline has no stage {name}.", name=repr(name))
            self._report.add(document, path, "unknown_stage", message, suggestion(name, names, say("stages")))

    def _checklist(self, piece: Piece) -> tuple[Task, ...]:
        found: dict[str, Task] = {}
        for i, item in enumerate(piece.data.get("checklist", ())):
            if isinstance(item, str):
                task = Task("task_" + hashlib.sha256(item.encode()).hexdigest()[:10], item)
            else:
                task = Task(item["name"], item.get("label", item["name"]), item.get("required", False))
                problem = shape_problem(task.name)
                if problem is not None:
                    self._report.add(piece.document, piece.at("checklist", i, "name"), "bad_name", *problem)
            if task.name in found:
                message = say("The stage has this task already.")
                self._report.add(piece.document, piece.at("checklist", i), "duplicate", message)
            found[task.name] = task
        return tuple(found.values())

    def _advance(self, draft: ObjectDraft, piece: Piece, names: Sequence[str]) -> tuple[Advance, ...]:
        found = []
        for i, item in enumerate(piece.data.get("advance", ())):
            path = piece.at("advance", i)
            self._known_stage(piece.document, (*path, "to"), item["to"], names)
            if item["to"] == piece.data["name"]:
                message = say("The record is in this stage already.")
                self._report.add(piece.document, (*path, "to"), "circular", message)
            scope = self._formulas.scopes[draft.name]
            when = self._formulas.compile(piece.document, (*path, "when"), item["when"], scope, change=False)
            if when is not None:
                found.append(Advance(when, item["to"]))
        return tuple(found)

    def _criteria(self, draft: ObjectDraft, piece: Piece, side: str) -> tuple[Rule, ...]:
        found = []
        for i, data in enumerate(piece.data.get(side, ())):
            inner = Piece(piece.document, piece.at(side, i), data)
            pipeline = piece.document.data["name"]
            made = f"{pipeline}.{piece.data['name']}.{side}.{i + 1}"
            rule = self._behaviour.rule(draft, inner, data.get("name", made))
            if rule is not None:
                found.append(rule)
        return tuple(found)
