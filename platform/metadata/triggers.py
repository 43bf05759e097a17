"""What starts an automation other than a save: a date of the record, a schedule, a button, a call from outside.

All of them need ``"when": "after_commit"``: what they start is a run of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import time
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ratoon.platform.errors import Hint, Text, say
from ratoon.platform.formulas.types import Type
from ratoon.platform.metadata.calendars import known_calendar
from ratoon.platform.metadata.names import suggestion
from ratoon.platform.metadata.trigger_model import (
    OTHER,
    SAVES,
    Button,
    DateTrigger,
    Inbound,
    Schedule,
    Status,
    Triggers,
)

if TYPE_CHECKING:
    from ratoon.platform.formulas import Formula
    from ratoon.platform.metadata.documents import Document
    from ratoon.platform.metadata.drafts import ObjectDraft
    from ratoon.platform.metadata.formulas import Formulas
    from ratoon.platform.metadata.report import Path, Report


def status_of(data: Mapping[str, Any]) -> Status:
    """The status in an automation document."""
    status: Status = data.get("status") or ("active" if data.get("active", True) else "off")
    return status


_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


class TriggerCheck:
    """Reads the triggers of one automation document."""

    def __init__(self, draft: ObjectDraft, document: Document, formulas: Formulas, report: Report) -> None:
        self._draft = draft
        self._document = document
        self._formulas = formulas
        self._report = report

    def triggers(self) -> Triggers:
        """The triggers; what is wrong is reported."""
        data = self._document.data
        wanted = [name for name in OTHER if name in data["on"]]
        for name in OTHER:
            if name in wanted and name not in data:
                self._add(
                    (),
                    "missing_key",
                    say('"{name}" is missing: it says what the trigger {name_2} means.', name=name, name_2=repr(name)),
                )
            elif name in data and name not in wanted:
                self._add(
                    (name,),
                    "unused_key",
                    say('{name} says nothing: it is not among "on".', name=repr(name)),
                    say('add "{name}" there', name=name),
                )
        own_run = [name for name in data["on"] if name not in SAVES]
        if own_run and data["when"] != "after_commit":
            self._add(
                ("when",),
                "not_before",
                say("{wanted} starts a run of its own.", wanted=repr(own_run[0])),
                say('write "when": "after_commit"'),
            )
        usable = {name: data[name] for name in wanted if name in data}
        return Triggers(
            date=self._date(usable["date"]) if "date" in usable else None,
            schedule=self._schedule(usable["schedule"]) if "schedule" in usable else None,
            button=self._button(usable["button"]) if "button" in usable else None,
            inbound=self._inbound(usable["inbound"]) if "inbound" in usable else None,
        )

    def _add(self, path: Path, code: str, message: Text, hint: Hint = "") -> None:
        self._report.add(self._document, path, code, message, hint)

    def _zone(self, path: Path, name: str | None) -> str | None:
        if name is not None:
            try:
                ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                self._add(
                    path,
                    "unknown_time_zone",
                    say("There is no time zone {name}.", name=repr(name)),
                    say("for example Asia/Shanghai"),
                )
        return name

    def _date(self, data: Mapping[str, Any]) -> DateTrigger:
        name = data["field"]
        field = self._draft.keys_of.get(name)
        part = next((p for p in field.parts if p.key == name), None) if field is not None else None
        fitting = [
            key
            for key, f in self._draft.keys_of.items()
            if any(p.key == key and p.sql is not None and p.formula in (Type.DATE, Type.DATETIME) for p in f.parts)
        ]
        if name not in fitting:
            what = say("is no date") if part is not None else say("is not there")
            if not self._report.suspected(name):
                message = say("{object}.{name} {what}.", object=self._draft.name, name=name, what=what)
                self._add(("date", "field"), "unknown_field", message, suggestion(name, fitting, say("dates")))
        path = data.get("time_zone_field")
        if path is not None:
            self._formulas.compile(
                self._document, ("date", "time_zone_field"), path, self._formulas.scopes[self._draft.name], Type.TEXT
            )
        found = known_calendar(
            self._formulas.drafts, self._document, ("date", "calendar"), data.get("calendar"), self._report
        )
        chosen = data.get("calendar_formula")
        formula: Formula | None = None
        if chosen is not None:
            scope = self._formulas.scopes[self._draft.name]
            formula = self._formulas.compile(self._document, ("date", "calendar_formula"), chosen, scope, Type.TEXT)
        for key in ("calendar", "calendar_formula"):
            if key in data and not data.get("working_days"):
                self._add(("date", key), "unused_key", say("It says nothing without working days."),
                          say('add "working_days": true'))  # fmt: skip
        days = (*(-n for n in data.get("days_before", ())), *data.get("days_after", ()))
        hour, minute = (data.get("at") or "00:00").split(":")
        return DateTrigger(
            field=name,
            days=tuple(dict.fromkeys(days)) or (0,),
            at=time(int(hour), int(minute)),
            time_zone=self._zone(("date", "time_zone"), data.get("time_zone")),
            zone_path=path,
            working_days=data.get("working_days", False),
            calendar=found.name if found is not None else None,
            calendar_source=chosen,
            calendar_formula=formula,
            catch_up_days=data.get("catch_up_days", 7),
        )

    def _schedule(self, data: Mapping[str, Any]) -> Schedule:
        from croniter import croniter

        if not croniter.is_valid(data["cron"]) or len(data["cron"].split()) != 5:
            hint = say('minute hour day month weekday: "0 9 * * 1" is Mondays at nine')
            self._add(
                ("schedule", "cron"), "bad_cron", say("{cron} is no cron expression.", cron=repr(data["cron"])), hint
            )
        return Schedule(data["cron"], self._zone(("schedule", "time_zone"), data.get("time_zone")))

    def _button(self, data: Mapping[str, Any]) -> Button:
        visible: Formula | None = None
        if "visible_when" in data:
            scope = self._formulas.scopes[self._draft.name]
            visible = self._formulas.compile(
                self._document, ("button", "visible_when"), data["visible_when"], scope, change=False
            )
        return Button(data.get("label") or self._document.data["label"], data.get("confirm", ""), visible)

    def _inbound(self, data: Mapping[str, Any]) -> Inbound:
        draft = self._draft
        for name in data["mapping"]:
            field = draft.keys_of.get(name)
            part = next((p for p in field.parts if p.key == name), None) if field is not None else None
            if (part is None or not part.writable) and not self._report.suspected(name):
                hint = suggestion(name, draft.keys_of)
                message = say(
                    "{object} has no field {name} that can be written.", object=repr(draft.name), name=repr(name)
                )
                self._add(("inbound", "mapping", name), "unknown_field", message, hint)
        key = data.get("key")
        if key is not None:
            field = draft.fields.get(key)
            named = [f.name for f in draft.fields.values() if f.data.get("external_id") or f.data.get("unique")]
            if field is None or key not in named:
                message = say("{key} is no external id of {object}.", key=repr(key), object=repr(draft.name))
                self._add(("inbound", "key"), "unknown_field", message, suggestion(key, named))
            elif key not in data["mapping"]:
                self._add(("inbound", "key"), "missing_key", say("The mapping says nothing of {key}.", key=repr(key)))
        return Inbound(dict(data["mapping"]), key)
