"""What a worker does when it looks at the clock: date-relative rules and schedules of the metadata of the moment.

``tick`` is called every second or so by every worker. A look costs one read when nothing is due; what is due is done
by the worker that holds the rule's timer.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.automation.deferring import CHUNK, start
from ratoon.platform.errors import RatoonError
from ratoon.platform.jobs.dates import matching, sweep
from ratoon.platform.metadata.model import Automation
from ratoon.platform.metadata.trigger_model import Schedule
from ratoon.platform.records.reading import Query
from ratoon.platform.records.service import RecordService
from ratoon.platform.storage import timers

if TYPE_CHECKING:
    from ratoon.platform.environment import Environment


def tick(environment: Environment, now: datetime) -> None:
    """Starts what became due by ``now``."""
    registry = environment.registry
    wanted = [a for obj in registry for a in _timed(obj.automations)]
    asleep = [a.full_name for obj in registry for a in _timed(obj.resting)]
    if not wanted and not asleep:
        return
    with environment.database.read() as connection:
        resting = timers.due_names(connection, now)
        stopped = timers.known(connection, asleep)
    if stopped:
        # Made active again, they begin then: what was due while they rested is not made up for.
        with environment.database.write() as connection:
            timers.drop(connection, stopped)
    for automation in wanted:
        triggers = automation.triggers
        shape = repr(triggers.date or triggers.schedule)
        if resting.get(automation.full_name) == shape:
            continue
        try:
            if triggers.date is not None:
                sweep(environment, automation, now)
            elif triggers.schedule is not None:
                run_schedule(environment, automation, triggers.schedule, now)
        except RatoonError as error:
            logging.getLogger("ratoon.jobs").error("%s: %s", automation.full_name, error.text())


def _timed(automations: Iterable[Automation]) -> Iterator[Automation]:
    for automation in automations:
        if automation.triggers.date is not None or automation.triggers.schedule is not None:
            yield automation


def next_time(schedule: Schedule, after: datetime, default_zone: str) -> datetime:
    """The next time of a schedule, by the clocks of its zone."""
    from croniter import croniter

    try:
        zone = ZoneInfo(schedule.time_zone or default_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        zone = ZoneInfo("UTC")
    found: datetime = croniter(schedule.cron, after.astimezone(zone)).get_next(datetime)
    return found.astimezone(UTC)


def run_schedule(environment: Environment, automation: Automation, schedule: Schedule, now: datetime) -> int:
    """Runs a schedule that is due, on all records for which its condition is true; returns how many.

    Times that were missed are made up for by one run.
    """

    def work(records: RecordService) -> int:
        following = next_time(schedule, now, environment.settings.default_time_zone)
        timer = timers.take(records.connection, automation.full_name, repr(schedule), now, following)
        if timer is None:
            return 0
        count = 0
        for chunk in _everyone(records, automation.object):
            fits, unclear = matching(records, automation, chunk)
            for drafts, check in ((fits, False), (unclear, True)):
                if drafts:
                    start(records, automation, "schedule", drafts, check=check)
            count += len(fits)
        return count

    return environment.transact(SYSTEM, work)


def _everyone(records: RecordService, object: str) -> Iterator[list[str]]:
    cursor = None
    while True:
        page = records.list(Query(object, fields=["id"], sort=["id"], limit=CHUNK, cursor=cursor))
        if page.records:
            yield [record["id"] for record in page.records]
        cursor = page.next_cursor
        if cursor is None:
            return
