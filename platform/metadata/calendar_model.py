"""Calendars as the registry holds them: which days are worked, and how moments are counted in working time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONGEST = 366
"""Days of one holiday at most."""


@dataclass(frozen=True)
class Calendar:
    """Which days are worked."""

    name: str
    label: str = ""
    weekend: frozenset[int] = frozenset({5, 6})
    """0 = Monday."""
    days: Mapping[date, bool] = field(default_factory=dict)
    """The days that differ from their weekday: False = free, True = worked."""
    time_zone: str = "UTC"
    """Where its days begin."""
    owner: str = "local"

    def works(self, day: date) -> bool:
        """Whether it is a working day."""
        return self.days.get(day, day.weekday() not in self.weekend)

    def last(self, day: date) -> date:
        """The day itself when it is worked, else the last working day before it."""
        for _ in range(self.longest_break + 1):
            if self.works(day):
                return day
            day -= timedelta(days=1)
        return day

    def after(self, day: date, count: int) -> date:
        """The day ``count`` working days later."""
        limit = day + timedelta(days=(count + 1) * 7 + len(self.days) + 14)
        while count > 0 and day < limit:
            day += timedelta(days=1)
            count -= self.works(day)
        return day

    def later(self, moment: datetime, count: int) -> datetime:
        """The same time of day, ``count`` working days later."""
        zone = ZoneInfo(self.time_zone)
        local = moment.astimezone(zone)
        day = self.after(local.date(), count)
        return datetime.combine(day, local.time(), zone).astimezone(UTC)

    @cached_property
    def longest_break(self) -> int:
        """The most free days in a row, anywhere."""
        if len(self.weekend) >= 7:
            return LONGEST
        longest = 7
        for day in self.days:
            count, here = 0, day
            while not self.works(here) and count <= LONGEST:
                count, here = count + 1, here - timedelta(days=1)
            longest = max(longest, count)
        return longest


WEEKDAYS = Calendar("", "Monday to Friday")
"""Where nobody named a calendar."""
