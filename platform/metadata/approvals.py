"""Approval processes of an object: names resolved, formulas compiled, contradictions refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ratoon.platform.errors import say
from ratoon.platform.formulas import Formula
from ratoon.platform.metadata.approval_model import OUTCOMES, Approval, ApprovalStep, Outcome
from ratoon.platform.metadata.behaviour import Behaviour
from ratoon.platform.metadata.deferred import LATER_ACTIONS
from ratoon.platform.metadata.documents import Document
from ratoon.platform.metadata.drafts import ObjectDraft, Piece
from ratoon.platform.metadata.formulas import Formulas
from ratoon.platform.metadata.model import Action
from ratoon.platform.metadata.names import shape_problem, suggestion
from ratoon.platform.metadata.people import Person
from ratoon.platform.metadata.report import Path, Report
from ratoon.platform.metadata.staffing import compile_people


def approvals(draft: ObjectDraft, formulas: Formulas, behaviour: Behaviour, report: Report) -> tuple[Approval, ...]:
    """The active approval processes of an object in their order."""
    compiler = _Compiler(draft, formulas, behaviour, report)
    made = [compiler.approval(d) for d in draft.components_of("approval") if d.data.get("active", True)]
    return tuple(sorted(made, key=lambda a: (a.order, a.name)))


class _Compiler:
    def __init__(self, draft: ObjectDraft, formulas: Formulas, behaviour: Behaviour, report: Report) -> None:
        self._draft = draft
        self._formulas = formulas
        self._behaviour = behaviour
        self._report = report
        self._scope = formulas.scopes[draft.name]

    def approval(self, document: Document) -> Approval:
        data = document.data
        lock = data.get("lock", {})
        names = [step["name"] for step in data["steps"]]
        return Approval(
            object=self._draft.name,
            name=data["name"],
            label=data["label"],
            steps=tuple(self._step(document, i, step, names) for i, step in enumerate(data["steps"])),
            when=self._condition(document, ("condition",), data),
            message=data.get("message", ""),
            template=self._behaviour.known_template(document, ("template",), data.get("template"), "approval"),
            lock=lock.get("record", True),
            open_fields=self._keys(document, ("lock", "open_fields"), lock.get("open_fields", ())),
            approver_fields=self._keys(document, ("lock", "approver_fields"), lock.get("approver_fields", ())),
            unlocked_roles=self._roles(document, ("lock", "except_roles"), lock.get("except_roles", ())),
            admins_unlocked=lock.get("except_admins", True),
            status_field=self._status(document, data.get("status_field")),
            recall=data.get("recall", True),
            actions=MappingProxyType(self._actions(document, data.get("actions", {}))),
            order=data.get("order", 0),
            owner=document.package,
        )

    def _step(self, document: Document, place: int, data: Mapping[str, Any], names: Sequence[str]) -> ApprovalStep:
        path: Path = ("steps", place)
        problem = shape_problem(data["name"])
        if problem is not None:
            self._report.add(document, (*path, "name"), "bad_name", *problem)
        if data["name"] in names[:place]:
            self._report.add(document, (*path, "name"), "duplicate", say("There is a step of this name already."))
        back = data.get("reject_to", "end")
        if back not in ("end", *names[: place + 1]):
            hint = suggestion(back, ["end", *names[:place]], say("earlier steps"))
            self._report.add(
                document,
                (*path, "reject_to"),
                "unknown_step",
                say("There is no earlier step {back}.", back=repr(back)),
                hint,
            )
        decide = data.get("decide", "first")
        if decide == "quorum" and "quorum" not in data:
            message = say('A step that is decided by a quorum says how many: "quorum".')
            self._report.add(document, path, "missing_key", message, say('add "quorum": 2'))
        escalation = data.get("escalate", {})
        return ApprovalStep(
            name=data["name"],
            label=data.get("label", data["name"]),
            approvers=self._people(document, (*path, "approvers"), data["approvers"]),
            decide=decide,
            quorum=data.get("quorum", 1),
            when=self._condition(document, (*path, "condition"), data),
            reject_to=None if back == "end" else back,
            nobody=data.get("nobody", "refuse"),
            own=data.get("own", False),
            escalate_hours=escalation.get("after_hours"),
            escalate_to=self._people(document, (*path, "escalate", "to"), escalation.get("to", ())),
        )

    def _people(self, document: Document, path: Path, items: Sequence[Mapping[str, Any]]) -> tuple[Person, ...]:
        return compile_people(document, path, items, self._scope, self._behaviour.roles, self._formulas, self._report)

    def _condition(self, document: Document, path: Path, data: Mapping[str, Any]) -> Formula | None:
        source = data.get("condition")
        return None if source is None else self._formulas.compile(document, path, source, self._scope, change=False)

    def _keys(self, document: Document, path: Path, keys: Sequence[str]) -> frozenset[str]:
        good = [k for i, k in enumerate(keys) if self._behaviour.known_key(self._draft, document, (*path, i), k)]
        fields = [self._draft.keys_of.get(k) or self._draft.fields[k] for k in good]
        return frozenset(part.key for f in fields for part in f.parts) | frozenset(good)

    def _roles(self, document: Document, path: Path, roles: Sequence[str]) -> frozenset[str]:
        known: Collection[str] = self._behaviour.roles
        for i, role in enumerate(roles):
            if role not in known:
                hint = suggestion(role, known, say("roles"))
                self._report.add(
                    document, (*path, i), "unknown_role", say("There is no role {role}.", role=repr(role)), hint
                )
        return frozenset(roles)

    def _status(self, document: Document, key: str | None) -> str | None:
        if key is None or not self._behaviour.known_key(self._draft, document, ("status_field",), key):
            return None
        found = self._draft.fields.get(key)
        values = {o.value for o in found.spec.choices} if found is not None else set()
        if found is None or found.spec.type not in ("picklist", "text"):
            message = say("{key} must be a picklist or a text to keep where the approval stands.", key=repr(key))
            self._report.add(document, ("status_field",), "wrong_type", message)
        elif values and not {"pending", "approved", "rejected", "recalled"} <= values:
            message = say("{key} needs the values pending, approved, rejected and recalled.", key=repr(key))
            self._report.add(document, ("status_field",), "unknown_value", message)
        return key

    def _actions(self, document: Document, declared: Mapping[str, Any]) -> dict[Outcome, tuple[Action, ...]]:
        found: dict[Outcome, tuple[Action, ...]] = {}
        for outcome in OUTCOMES:
            made = []
            for i, data in enumerate(declared.get(outcome, ())):
                piece = Piece(document, ("actions", outcome, i), data)
                if data["type"] in LATER_ACTIONS:
                    message = say(
                        "{type} happens after the commit; here are only actions that happen at once.",
                        type=repr(data["type"]),
                    )
                    hint = say("let the action set a field, and an automation after the commit follow it")
                    self._report.add(document, piece.at("type"), "not_here", message, hint)
                    continue
                made.append(self._behaviour.action(self._draft, piece))
            found[outcome] = tuple(made)
        return found
