"""Assignments: who gets a record.

Rules are tried in order; the first whose condition is true and that finds somebody gives the record away. Whoever is
inactive, away (somebody stands in), outside working hours or full gets nothing. Turns and loads are counted
while the assignment's counter is held, so that however many processes assign at once, nobody gets two more than
another. In one call the records are served one after the other, as if each had come alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ratoon.platform.automation import people
from ratoon.platform.automation.actions import ActionRun, ActionType
from ratoon.platform.automation.giving import tell_of
from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas.types import EvalContext
from ratoon.platform.metadata.assignment_model import Assignment, AssignmentRule, WorkingHours
from ratoon.platform.records.drafts import Change, Draft
from ratoon.platform.records.service import RecordService
from ratoon.platform.storage import approvals, turns

_NEVER = -1


@dataclass
class _Turns:
    """What is known of one rule while records are given out."""

    last: dict[str, int] = field(default_factory=dict)
    had: dict[str, int] = field(default_factory=dict)
    free: dict[str, bool] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)


class Assigning:
    """One round of assigning within one transaction."""

    def __init__(self, records: RecordService, assignment: Assignment) -> None:
        self._records = records
        self._assignment = assignment
        self._now = records.engine.world.clock()
        self._rules: dict[str, _Turns] = {}
        self._load: dict[str, int] = {}
        """How many records count for a user, those of this call included."""
        self._given: Counter[str] = Counter()
        self._standing: dict[str, list[str]] = {}
        """Rule → its people, where they do not depend on the record."""
        self._first: int | None = None
        """The first number of this call; the counter is held from then on, so the next ones are counted here."""
        self._used = 0

    def choose(self, row: Mapping[str, Any], context: EvalContext) -> tuple[str, str] | None:
        """(user, name of the rule) for a record; ``None`` when no rule finds anybody."""
        for rule in self._assignment.rules:
            if rule.condition is not None and not _true(rule, row, context):
                continue
            user = self._by_rule(rule, self._candidates(rule, row, context))
            if user is not None:
                if self._counts({**row, self._assignment.field: user}, context):
                    self._given[user] += 1
                    if user in self._load:
                        self._load[user] += 1
                return user, rule.name
        return None

    def finish(self) -> None:
        """Keeps whose turn it was, and how far the numbers went."""
        if self._used > 1:
            self._take(self._used - 1)
        for name, state in self._rules.items():
            turns.keep(self._records.connection, self._key(name), state.had)

    def _by_rule(self, rule: AssignmentRule, candidates: Sequence[str]) -> str | None:
        if not candidates:
            return None
        if self._first is None:
            # Whoever assigns next waits here until this transaction ends.
            self._first = self._take(1)
        state = self._state(rule, candidates)
        if rule.method == "least_loaded" or rule.capacity is not None:
            self._count(candidates)
        fit = [u for u in candidates if state.free[u]]
        if rule.capacity is not None:
            fit = [u for u in fit if self._load[u] < rule.capacity]
        if not fit:
            return None
        if rule.method == "first":
            chosen = fit[0]
        elif rule.method == "least_loaded":
            chosen = min(fit, key=lambda u: (self._load[u], state.last[u]))
        else:
            chosen = min(fit, key=lambda u: state.last[u])
        state.last[chosen] = state.had[chosen] = self._number()
        return chosen

    def _candidates(self, rule: AssignmentRule, row: Mapping[str, Any], context: EvalContext) -> list[str]:
        if any(person.formula is not None for person in rule.people):
            return people.find(self._records, rule.people, row, context)
        if rule.name not in self._standing:
            self._standing[rule.name] = people.find(self._records, rule.people, row, context)
        return self._standing[rule.name]

    def _number(self) -> int:
        assert self._first is not None
        self._used += 1
        return self._first + self._used - 1

    def _take(self, count: int) -> int:
        name = f"{self._assignment.object}.{self._assignment.name}"
        return turns.take(self._records.engine.store, self._records.connection, name, count)[0]

    def _counts(self, row: Mapping[str, Any], context: EvalContext) -> bool:
        """Whether a record will count as somebody's load."""
        if self._assignment.load is None:
            return True
        try:
            return self._assignment.load.evaluate(row, context) is True
        except FormulaError:
            return False

    def _count(self, users: Sequence[str]) -> None:
        new = [u for u in users if u not in self._load]
        if new:
            self._load.update({u: n + self._given[u] for u, n in self._loads(new).items()})

    def _state(self, rule: AssignmentRule, candidates: Sequence[str]) -> _Turns:
        state = self._rules.setdefault(rule.name, _Turns())
        new = [u for u in candidates if u not in state.known]
        if new:
            state.known.update(new)
            there = turns.last(self._records.connection, self._key(rule.name), new)
            state.last.update({u: there.get(u, _NEVER) for u in new})
            state.free.update(self._free(rule.hours, new))
        return state

    def _key(self, rule: str) -> str:
        return f"{self._assignment.object}.{self._assignment.name}.{rule}"

    def _free(self, hours: WorkingHours | None, users: Sequence[str]) -> dict[str, bool]:
        away = approvals.delegate_of(self._records.connection, users, self._now)
        if hours is None:
            return {u: u not in away for u in users}
        zones = dict.fromkeys(users, hours.time_zone)
        if hours.time_zone is None:
            rows = self._records.engine.store.load(self._records.connection, "user", users)
            zones = {u: rows[u].get("time_zone") if u in rows else None for u in users}
        return {u: u not in away and at_work(hours, self._now.astimezone(_zone(zones[u]))) for u in users}

    def _loads(self, users: Sequence[str]) -> dict[str, int]:
        engine, name = self._records.engine, self._assignment.field
        column = engine.store.tables.table(self._assignment.object).c[name]
        found = engine.store.lists.aggregate(
            self._records.connection,
            self._assignment.object,
            [name],
            (("count", None),),
            self._assignment.load,
            (column.in_(list(users)),),
            self._records.saving.context(),
            limit=len(users),
        )
        return {**dict.fromkeys(users, 0), **{row[name]: int(row["count"]) for row in found}}


def assign_new(records: RecordService, assignments: Iterable[Assignment], drafts: Sequence[Draft]) -> None:
    """Step 4 for new records: fills the field where nobody said who."""
    saving = records.saving
    for assignment in assignments:
        if not assignment.on_create:
            continue
        key = assignment.field
        default = saving.actor.id if key == "owner" else None
        asked = [d for d in drafts if key not in d.given and d.row.get(key) == default]
        if not asked:
            continue
        assigning = Assigning(records, assignment)
        given: dict[str, list[str]] = {}
        for draft in asked:
            found = assigning.choose(draft.row, saving.context(draft))
            if found is not None:
                draft.row[key] = found[0]
                given.setdefault(found[0], []).append(draft.id)
            outcome = f"{key} = {found[0]} ({found[1]})" if found is not None else "nobody"
            saving.note(4, assignment.object, draft.id, assignment.name, outcome)
        assigning.finish()


def perform_assign(run: ActionRun) -> None:
    """The action ``assign``: ``{"options": {"assignment": "inbound"}}``; without a name the object's first."""
    wanted = run.action.options.get("assignment")
    assignment = next((a for a in run.object.assignments if wanted in (None, a.name)), None)
    if assignment is None:
        return
    assigning = Assigning(run.records, assignment)
    changes, given = [], defaultdict(list)
    for draft, context in zip(run.drafts, run.contexts, strict=True):
        found = assigning.choose(draft.row, context)
        if found is not None:
            changes.append(Change(draft.id, {assignment.field: found[0]}))
            if draft.row.get(assignment.field) != found[0]:
                given[found[0]].append(draft.row)
    assigning.finish()
    if changes:
        run.records.update(run.object.name, changes)
    if run.records.actor.id is None:  # what a user's save causes is told at its end
        tell_of(run.records, run.object, given)


ASSIGN = ActionType("assign", perform_assign, "gives the records to users by an assignment")


def at_work(hours: WorkingHours, local: datetime) -> bool:
    """Whether that local time lies in the working hours; a night shift belongs to the day it begins on."""
    clock, today = local.time(), local.date()
    if hours.begins <= hours.ends:
        return _worked(hours, today) and hours.begins <= clock < hours.ends
    if clock >= hours.begins:
        return _worked(hours, today)
    return clock < hours.ends and _worked(hours, today - timedelta(days=1))


def _worked(hours: WorkingHours, day: date) -> bool:
    """Whether it is a day of theirs: what the calendar says of that very day counts before its weekday."""
    special = hours.calendar.days.get(day) if hours.calendar is not None else None
    return day.weekday() in hours.days if special is None else special


def _zone(name: str | None) -> ZoneInfo:
    try:
        return ZoneInfo(name or "UTC")
    except (ValueError, OSError, KeyError):
        return ZoneInfo("UTC")


def _true(rule: AssignmentRule, row: Mapping[str, Any], context: EvalContext) -> bool:
    try:
        return rule.condition is not None and rule.condition.evaluate(row, context) is True
    except FormulaError:
        return False
