"""Date-relative rules: ninety days before the end, at nine in the morning where the record is, on a working day.

A sweep looks at all records of a rule at once: the index of the date field gives those whose date may be due, the
moment is worked out per record, and what was done for that record and moment before is left out. So each happens
exactly once per record, rule and date; a date that moves counts anew; what was missed while nobody worked is made up
for. The marks, and the runs they start, are written in one transaction by one worker at a time.

What was due before the rule was there, or longer ago than its ``catch_up_days`` while it was swept, is not done any
more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.automation.deferring import CHUNK, start
from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas.types import Type
from ratoon.platform.metadata.calendar_model import WEEKDAYS, Calendar
from ratoon.platform.metadata.model import Automation
from ratoon.platform.metadata.trigger_model import DateTrigger
from ratoon.platform.records.drafts import Draft
from ratoon.platform.records.plan import dotted
from ratoon.platform.records.reading import context_of
from ratoon.platform.records.service import RecordService
from ratoon.platform.storage import timers

if TYPE_CHECKING:
    from ratoon.platform.environment import Environment

EVERY = timedelta(seconds=60)
"""How often a rule is swept."""
SLACK = timedelta(days=1)
"""Time zones and the day's time move a moment by up to this much."""


def moment(
    trigger: DateTrigger, value: date | datetime, days: int, zone: ZoneInfo, calendar: Calendar = WEEKDAYS
) -> datetime:
    """When a rule is due for a date (or a moment, of which the day counts) and an offset."""
    day = value.astimezone(zone).date() if isinstance(value, datetime) else value
    day += timedelta(days=days)
    if trigger.working_days:
        day = calendar.last(day)
    return datetime.combine(day, trigger.at, zone).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class _Due:
    record: str
    at: datetime


def sweep(environment: Environment, automation: Automation, now: datetime) -> int:
    """Starts what became due until ``now``; returns how many records."""
    trigger = automation.triggers.date
    if trigger is None:
        return 0
    rule = automation.full_name

    def work(records: RecordService) -> int:
        timer = timers.take(records.connection, rule, repr(trigger), now, _next_look(now))
        if timer is None:
            return 0
        reach = min(now - timedelta(days=trigger.catch_up_days), timer.last_at)
        low = max(reach, timer.since_at or timer.last_at)
        due = list(_due(environment, records, automation, trigger, low, now))
        timers.mark(records.connection, rule, [(d.record, d.at) for d in due], now)
        timers.forget(records.connection, rule, reach - 2 * SLACK)
        _start(records, automation, [d.record for d in due])
        return len(due)

    return environment.transact(SYSTEM, work)


def _next_look(now: datetime) -> datetime:
    """The next full minute."""
    return now.replace(second=0, microsecond=0) + EVERY


def _due(
    environment: Environment,
    records: RecordService,
    automation: Automation,
    trigger: DateTrigger,
    low: datetime,
    now: datetime,
) -> Iterator[_Due]:
    done = timers.done_for(records.connection, automation.full_name, low - SLACK)
    default = _zone(trigger.time_zone or environment.settings.default_time_zone, ZoneInfo("UTC"))
    found: dict[str, Any] = {}
    for days in trigger.days:
        found.update(_candidates(records, automation, trigger, days, low, now))
    ids = list(found)
    for place in range(0, len(ids), CHUNK):
        chunk = ids[place : place + CHUNK]
        zones = _zones(records, automation, trigger, chunk, default) if trigger.zone_path else {}
        calendars = _calendars(records, automation, trigger, chunk)
        for record in chunk:
            zone, calendar = zones.get(record, default), calendars.get(record, _calendar(records, trigger))
            for at in sorted({moment(trigger, found[record], days, zone, calendar) for days in trigger.days}):
                if low < at <= now and (record, at) not in done:
                    yield _Due(record, at)


def _candidates(
    records: RecordService, automation: Automation, trigger: DateTrigger, days: int, low: datetime, now: datetime
) -> Iterator[tuple[str, Any]]:
    """Records whose date may be due with this offset: a range of the index."""
    later = timedelta(days=_reach(records, trigger))
    offset = timedelta(days=days)
    first, last = low - offset - SLACK, now - offset + SLACK + later
    engine = records.engine
    part = engine.registry[automation.object].parts[trigger.field]
    bounds: tuple[Any, Any] = (first, last) if part.formula is Type.DATETIME else (first.date(), last.date())
    yield from timers.dated(records.connection, engine.store, automation.object, trigger.field, *bounds)


def _calendar(records: RecordService, trigger: DateTrigger) -> Calendar:
    """The calendar of the rule."""
    return records.engine.registry.calendars.get(trigger.calendar or "", WEEKDAYS)


def _reach(records: RecordService, trigger: DateTrigger) -> int:
    """How many days a working day may lie before a date, by any calendar that may count."""
    if not trigger.working_days:
        return 0
    several = records.engine.registry.calendars.values() if trigger.calendar_source is not None else ()
    return max(calendar.longest_break for calendar in (_calendar(records, trigger), *several))


def _calendars(
    records: RecordService, automation: Automation, trigger: DateTrigger, ids: Sequence[str]
) -> dict[str, Calendar]:
    """The calendar of each record that its formula names."""
    formula = trigger.calendar_formula
    if formula is None or not trigger.working_days:
        return {}
    store, name, known = records.engine.store, automation.object, records.engine.registry.calendars
    rows, context = store.load(records.connection, name, ids), context_of(records)
    paths = dotted([formula])
    if paths:
        store.attach_paths(records.connection, name, list(rows.values()), paths, context)
    found = {}
    for record, row in rows.items():
        try:
            chosen = formula.evaluate(row, context)
        except FormulaError:
            continue
        if chosen in known:
            found[record] = known[chosen]
    return found


def _zones(
    records: RecordService, automation: Automation, trigger: DateTrigger, ids: Sequence[str], default: ZoneInfo
) -> dict[str, ZoneInfo]:
    path = trigger.zone_path or ""
    store, name = records.engine.store, automation.object
    rows = store.load(records.connection, name, ids)
    if "." in path:
        store.attach_paths(records.connection, name, list(rows.values()), frozenset({path}), context_of(records))
    return {record: _zone(row.get(path), default) for record, row in rows.items()}


def _zone(name: Any, default: ZoneInfo) -> ZoneInfo:
    try:
        return ZoneInfo(str(name)) if name else default
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return default


def _start(records: RecordService, automation: Automation, ids: Sequence[str]) -> None:
    """Enqueues runs for those for which the condition is true now."""
    waiting = iter(dict.fromkeys(ids))
    while chunk := list(islice(waiting, CHUNK)):
        fits, unclear = matching(records, automation, chunk)
        for drafts, check in ((fits, False), (unclear, True)):
            if drafts:
                start(records, automation, "date", drafts, check=check)


def matching(records: RecordService, automation: Automation, ids: Sequence[str]) -> tuple[list[Draft], list[Draft]]:
    """Those of these records for which the condition is true, and those for which it cannot be worked out."""
    plan, store = records.plan(automation.object), records.engine.store
    rows = store.load(records.connection, automation.object, ids)
    drafts = [Draft(0, record, dict(rows[record]), rows[record], frozenset()) for record in ids if record in rows]
    condition = automation.condition
    if condition is None:
        return drafts, []
    context = context_of(records)
    paths = dotted([condition])
    if paths:
        store.attach_paths(records.connection, automation.object, list(rows.values()), paths, context)
    fits, unclear = [], []
    for draft in drafts:
        try:
            for key, formula in plan.volatile:
                if key in condition.paths:
                    draft.row[key] = plan.fit(key, formula.evaluate(draft.row, context))
            if condition.evaluate(draft.row, context) is True:
                fits.append(draft)
        except FormulaError:
            unclear.append(draft)
    return fits, unclear
