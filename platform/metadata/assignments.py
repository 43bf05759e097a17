"""Assignments of an object: names resolved, formulas compiled, contradictions refused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from typing import Any
from zoneinfo import ZoneInfo

from ratoon.platform.errors import say
from ratoon.platform.formulas import Formula
from ratoon.platform.metadata.assignment_model import Assignment, AssignmentRule, WorkingHours
from ratoon.platform.metadata.behaviour import Behaviour
from ratoon.platform.metadata.calendar_model import DAYS
from ratoon.platform.metadata.calendars import known_calendar
from ratoon.platform.metadata.documents import Document
from ratoon.platform.metadata.drafts import ObjectDraft
from ratoon.platform.metadata.formulas import Formulas
from ratoon.platform.metadata.names import suggestion
from ratoon.platform.metadata.report import Path, Report
from ratoon.platform.metadata.staffing import compile_people


def assignments(draft: ObjectDraft, formulas: Formulas, behaviour: Behaviour, report: Report) -> tuple[Assignment, ...]:
    """The active assignments of an object in the order they are asked."""
    compiler = _Compiler(draft, formulas, behaviour, report)
    made = [compiler.assignment(d) for d in draft.components_of("assignment") if d.data.get("active", True)]
    return tuple(sorted(made, key=lambda a: (a.order, a.name)))


class _Compiler:
    def __init__(self, draft: ObjectDraft, formulas: Formulas, behaviour: Behaviour, report: Report) -> None:
        self._draft = draft
        self._formulas = formulas
        self._behaviour = behaviour
        self._report = report
        self._scope = formulas.scopes[draft.name]

    def assignment(self, document: Document) -> Assignment:
        data = document.data
        load: Formula | None = None
        if "load" in data:
            load = self._formulas.compile(
                document, ("load",), data["load"], self._scope, pushed_down=True, change=False
            )
        return Assignment(
            object=self._draft.name,
            name=data["name"],
            label=data["label"],
            field=self._field(document, data.get("field", "owner")),
            rules=tuple(self._rule(document, i, rule) for i, rule in enumerate(data["rules"])),
            on_create=data.get("on_create", True),
            load=load,
            order=data.get("order", 0),
            owner=document.package,
        )

    def _field(self, document: Document, name: str) -> str:
        fitting = [
            f.name for f in self._draft.fields.values() if f.spec.targets == ("user",) and f.name not in _PLATFORM
        ]
        if name not in fitting and not self._report.suspected(name):
            message = say(
                "{name} is not a field of {object} that holds a user.", name=repr(name), object=repr(self._draft.name)
            )
            self._report.add(
                document, ("field",), "unknown_field", message, suggestion(name, fitting, say("user fields"))
            )
        return name

    def _rule(self, document: Document, place: int, data: Mapping[str, Any]) -> AssignmentRule:
        path: Path = ("rules", place)
        condition: Formula | None = None
        if "condition" in data:
            condition = self._formulas.compile(document, (*path, "condition"), data["condition"], self._scope)
        return AssignmentRule(
            name=data["name"],
            people=compile_people(
                document, (*path, "to"), data["to"], self._scope, self._behaviour.roles, self._formulas, self._report
            ),
            method=data.get("method", "round_robin"),
            condition=condition,
            capacity=data.get("capacity"),
            hours=self._hours(document, (*path, "hours"), data["hours"]) if "hours" in data else None,
        )

    def _hours(self, document: Document, path: Path, data: Mapping[str, Any]) -> WorkingHours:
        zone = data.get("time_zone")
        if zone is not None:
            try:
                ZoneInfo(zone)
            except (ValueError, OSError, KeyError):
                message = say("There is no time zone {name}.", name=repr(zone))
                self._report.add(
                    document, (*path, "time_zone"), "bad_value", message, say('for example "Asia/Shanghai"')
                )
                zone = None
        days = data.get("days", DAYS[:5])
        return WorkingHours(
            days=frozenset(DAYS.index(day) for day in days),
            begins=time.fromisoformat(data.get("from", "00:00")),
            ends=time.fromisoformat(data.get("to", "23:59")),
            time_zone=zone,
            calendar=known_calendar(
                self._formulas.drafts, document, (*path, "calendar"), data.get("calendar"), self._report
            ),
        )


_PLATFORM = frozenset({"created_by", "modified_by"})
