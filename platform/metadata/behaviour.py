"""Validation rules, keys and automations of an object: names resolved, formulas compiled."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ratoon.platform.errors import say
from ratoon.platform.formulas import Formula
from ratoon.platform.metadata.deferred import LATER_ACTIONS, LaterActions
from ratoon.platform.metadata.documents import Document
from ratoon.platform.metadata.drafts import Drafts, ObjectDraft, Piece
from ratoon.platform.metadata.formulas import Formulas
from ratoon.platform.metadata.indexes import LONG
from ratoon.platform.metadata.model import EMPTY, Action, Automation, Key, Rule
from ratoon.platform.metadata.names import shape_problem, suggestion
from ratoon.platform.metadata.report import Path, Report
from ratoon.platform.metadata.trigger_model import OTHER, SAVES
from ratoon.platform.metadata.triggers import TriggerCheck, status_of

OWN_ACTIONS = frozenset({"set_fields", "create_record", "update_related"}) | LATER_ACTIONS
"""Kinds of action of the platform itself."""
NAMING = {"submit_for_approval": "approval", "assign": "assignment"}
"""Kinds of action whose ``options`` name a component of the object: kind of action → kind of component."""


class Behaviour:
    """What an object does when its records are saved."""

    def __init__(
        self,
        drafts: Drafts,
        formulas: Formulas,
        report: Report,
        actions: Collection[str] | None = None,
        triggers: Collection[str] | None = None,
    ) -> None:
        self._actions = actions
        self._triggers = triggers
        self._drafts = drafts
        self._formulas = formulas
        self._report = report
        self._later = LaterActions(drafts, formulas, report, self.action)

    def known_template(self, document: Document, path: Path, name: str | None, purpose: str) -> str | None:
        """The name when there is a template for that purpose; if not, it is reported."""
        if name is None:
            return None
        fitting = [d.data["name"] for d in self._drafts.templates if d.data.get("for") == purpose]
        if name not in fitting and not self._report.suspected(name):
            message = say("There is no template {name} for {purpose}.", name=repr(name), purpose=repr(purpose))
            hint = suggestion(name, fitting, say('templates with "for": "{purpose}"', purpose=purpose))
            self._report.add(document, path, "unknown_template", message, hint)
        return name

    @property
    def roles(self) -> frozenset[str]:
        """The names of all roles."""
        return frozenset(str(document.data["name"]) for document in self._drafts.roles)

    def rules(self, draft: ObjectDraft) -> tuple[Rule, ...]:
        """The validation rules."""
        found: dict[str, Rule] = {}
        for piece in draft.rules:
            name = piece.data["name"]
            problem = shape_problem(name)
            if problem is not None:
                self._report.add(piece.document, piece.at("name"), "bad_name", *problem)
            elif name in found:
                message = say("{object} has a rule {name} already.", object=repr(draft.name), name=repr(name))
                self._report.add(piece.document, piece.at("name"), "duplicate", message)
            else:
                rule = self.rule(draft, piece, name)
                if rule is not None:
                    found[name] = rule
        return tuple(found.values())

    def rule(self, draft: ObjectDraft, piece: Piece, name: str) -> Rule | None:
        """A validation rule or a criterion of a stage; ``None`` after reporting why there is none."""
        field = piece.data.get("field")
        if field is not None:
            self.known_key(draft, piece.document, piece.at("field"), field)
        scope = self._formulas.scopes[draft.name]
        source = piece.data["error_when"]
        formula = self._formulas.compile(piece.document, piece.at("error_when"), source, scope)
        if formula is None:
            return None
        return Rule(
            name=name,
            error_when=formula,
            message=piece.data["message"],
            field=field,
            severity="info" if piece.data.get("mode") == "warn" else piece.data.get("severity", "error"),
            active=piece.data.get("active", True),
            owner=piece.document.package,
        )

    def known_key(self, draft: ObjectDraft, document: Document, path: Path, key: str) -> bool:
        """Whether the object has that record key; if not, it is reported."""
        if key in draft.keys_of or key in draft.fields:
            return True
        if not self._report.suspected(key):
            hint = suggestion(key, [*draft.keys_of, *draft.fields])
            self._report.add(
                document,
                path,
                "unknown_field",
                say("{object} has no field {name}.", object=repr(draft.name), name=repr(key)),
                hint,
            )
        return False

    def column_lists(self, draft: ObjectDraft, pieces: Sequence[Piece]) -> list[tuple[Piece, tuple[str, ...]]]:
        """The ``fields`` of keys or indexes whose columns all exist."""
        found = []
        for piece in pieces:
            good = True
            for i, key in enumerate(piece.data["fields"]):
                if not self.known_key(draft, piece.document, piece.at("fields", i), key):
                    good = False
                elif not self.has_column(draft, key):
                    good = False
                    message = say(
                        "{key} is too long, or not kept in a column: it cannot be part of a key or an index.",
                        key=repr(key),
                    )
                    self._report.add(piece.document, piece.at("fields", i), "wrong_type", message)
            if good:
                found.append((piece, tuple(piece.data["fields"])))
        return found

    def has_column(self, draft: ObjectDraft, key: str) -> bool:
        """Whether that record key is stored in a column of its own that may be indexed."""
        field = draft.keys_of.get(key)
        return (
            field is not None
            and field.spec.type not in LONG
            and any(part.key == key and part.sql is not None for part in field.parts)
        )

    def keys(self, draft: ObjectDraft) -> tuple[Key, ...]:
        """Fields that are unique together."""
        found: dict[str, Key] = {}
        for piece, columns in self.column_lists(draft, draft.keys):
            name = piece.data.get("name", "_".join(columns)[:40])
            if name in found:
                message = say("{object} has a key {name} already.", object=repr(draft.name), name=repr(name))
                self._report.add(piece.document, piece.at("name"), "duplicate", message)
            found[name] = Key(name, columns)
        return tuple(found.values())

    def automations(self, draft: ObjectDraft) -> tuple[Automation, ...]:
        """All automations in the order they run, drafts and those that are off included."""
        made = [self._automation(draft, document) for document in draft.components_of("automation")]
        return tuple(sorted(made, key=lambda a: (a.order, a.name)))

    def _automation(self, draft: ObjectDraft, document: Document) -> Automation:
        data = document.data
        for i, key in enumerate(data.get("fields", ())):
            self.known_key(draft, document, ("fields", i), key)
        if self._triggers is not None:
            for i, on in enumerate(data["on"]):
                if on not in SAVES and on not in OTHER and on not in self._triggers:
                    hint = suggestion(on, [*SAVES, *OTHER, *self._triggers], say("triggers"))
                    self._report.add(
                        document, ("on", i), "unknown_trigger", say("There is no trigger {on}.", on=repr(on)), hint
                    )
        stages = [s["name"] for p in draft.components_of("pipeline") for s in p.data["stages"]]
        for i, name in enumerate(data.get("stages", ())):
            if name not in stages:
                message = say("{object} has no stage {name}.", object=repr(draft.name), name=repr(name))
                self._report.add(
                    document, ("stages", i), "unknown_stage", message, suggestion(name, stages, say("stages"))
                )
        condition: Formula | None = None
        if "condition" in data:
            scope = self._formulas.scopes[draft.name]
            condition = self._formulas.compile(document, ("condition",), data["condition"], scope)
        actions = [self.action(draft, Piece(document, ("actions", i), a)) for i, a in enumerate(data["actions"])]
        return Automation(
            object=draft.name,
            name=data["name"],
            label=data["label"],
            on=tuple(data["on"]),
            when=data["when"],
            actions=tuple(actions),
            fields=tuple(data.get("fields", ())),
            stages=tuple(data.get("stages", ())),
            condition=condition,
            order=data.get("order", 100),
            status=status_of(data),
            owner=document.package,
            triggers=TriggerCheck(draft, document, self._formulas, self._report).triggers(),
            run_as=data.get("run_as", "platform"),
        )

    def action(self, draft: ObjectDraft, piece: Piece) -> Action:
        """An action of an automation or of an approval process."""
        data, kind = piece.data, piece.data["type"]
        if kind in NAMING:
            self._named(draft, piece, NAMING[kind])
        elif kind not in OWN_ACTIONS and self._actions is not None and kind not in self._actions:
            hint = suggestion(kind, [*OWN_ACTIONS, *NAMING, *self._actions], say("actions"))
            self._report.add(
                piece.document,
                piece.at("type"),
                "unknown_action",
                say("There is no action {kind}.", kind=repr(kind)),
                hint,
            )
        self._later.check_keys(piece)
        target: ObjectDraft | None = draft
        if kind in ("create_record", "upsert_record"):
            target = self._target_object(piece, "object", data.get("object"))
        elif kind == "update_related":
            target = self._related(draft, piece, data.get("path"))
        if piece.document.data.get("when") == "before" and kind != "set_fields" and kind not in LATER_ACTIONS:
            message = say("{kind} changes other records, which is only possible after the save.", kind=repr(kind))
            self._report.add(piece.document, piece.at("type"), "not_before", message, say('write "when": "after"'))
        if kind == "call_webhook":
            values = self._later.free_values(draft, piece)
        else:
            values = self._values(draft, target, piece) if kind in OWN_ACTIONS and target is not None else {}
        options: Mapping[str, Any] = EMPTY if kind in OWN_ACTIONS else data.get("options", EMPTY)
        return Action(
            kind=kind,
            values=values,
            object=data.get("object"),
            path=data.get("path"),
            options=self._later.options(draft, piece) if kind in LATER_ACTIONS else options,
        )

    def _named(self, draft: ObjectDraft, piece: Piece, component: str) -> None:
        """``{"options": {"approval": "discount"}}``: the component must be there."""
        known = [str(d.data["name"]) for d in draft.components_of(component)]
        options = piece.data.get("options", EMPTY)
        for key in options:
            if key != component:
                path = piece.at("options", key)
                self._report.add(
                    piece.document,
                    path,
                    "unknown_key",
                    say("There is no key {key} here.", key=repr(key)),
                    say('"{key}"', key=component),
                )
        name = options.get(component)
        if (name is None and not known) or (name is not None and name not in known):
            message = (
                say(
                    "{object} has no {component} {name}.", object=repr(draft.name), component=component, name=repr(name)
                )
                if name
                else say("{object} has no {component}.", object=repr(draft.name), component=component)
            )
            self._report.add(
                piece.document, piece.at("options"), f"unknown_{component}", message, suggestion(str(name or ""), known)
            )

    def _target_object(self, piece: Piece, key: str, name: str | None) -> ObjectDraft | None:
        found = self._drafts.objects.get(name or "")
        if found is None and not self._report.suspected(name or ""):
            hint = self._report.elsewhere(name or "") or suggestion(name or "", self._drafts.objects, say("objects"))
            message = (
                say("There is no object {name}.", name=repr(name)) if name else say('"{key}" is missing.', key=key)
            )
            self._report.add(piece.document, piece.at(key), "unknown_object", message, hint)
        return found

    def _related(self, draft: ObjectDraft, piece: Piece, path: str | None) -> ObjectDraft | None:
        """``account`` (a lookup of this object) or ``invoice_line.invoice`` (the children that point here)."""
        if path is None:
            self._report.add(piece.document, piece.path, "missing_key", say('"path" is missing: which records?'))
            return None
        child_name, dot, lookup = path.partition(".")
        if dot:
            child = self._target_object(piece, "path", child_name)
            fitting = [] if child is None else [f.name for f in child.fields.values() if draft.name in f.spec.targets]
            if child is not None and lookup not in fitting and not self._report.suspected(lookup):
                message = say(
                    "{child}.{lookup} is not a lookup that points at {object}.",
                    child=child.name,
                    lookup=lookup,
                    object=repr(draft.name),
                )
                hint = suggestion(lookup, fitting, say("lookups that do"))
                self._report.add(piece.document, piece.at("path"), "unknown_field", message, hint)
                return None
            return child
        field = draft.fields.get(path)
        if field is None or not field.type.reference or len(field.spec.targets) != 1:
            if not self._report.suspected(path):
                fitting = [f.name for f in draft.fields.values() if f.type.reference and len(f.spec.targets) == 1]
                message = say(
                    "{path} is not a lookup of {object} with one target.", path=repr(path), object=repr(draft.name)
                )
                self._report.add(
                    piece.document,
                    piece.at("path"),
                    "unknown_field",
                    message,
                    suggestion(path, fitting, say("lookups")),
                )
            return None
        return self._drafts.objects.get(field.spec.targets[0])

    def _values(self, draft: ObjectDraft, target: ObjectDraft, piece: Piece) -> Mapping[str, Formula]:
        found: dict[str, Formula] = {}
        values: Mapping[str, Any] = piece.data.get("values", EMPTY)
        for key, source in values.items():
            path = piece.at("values", key)
            if not self.known_key(target, piece.document, path, key):
                continue
            field = target.keys_of.get(key) or target.fields[key]
            part = next((p for p in field.parts if p.key == key), None)
            if part is None or not part.writable or part.formula is None or field.type.computed:
                message = say(
                    "{key} cannot be set by an automation: it is computed or has no formula type.", key=repr(key)
                )
                self._report.add(piece.document, path, "not_writable", message)
                continue
            scope = self._formulas.scopes[draft.name]
            formula = self._formulas.compile(piece.document, path, source, scope, part.formula)
            if formula is not None:
                found[key] = formula
        return found
