"""Coercions of dates, moments, times of day and durations.

A moment with any offset becomes UTC; one without an offset *is* UTC (a form turns the user's wall clock into a moment
before it sends it). Numbers are never dates.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from ratoon.platform.fields.number_values import integer, typed
from ratoon.platform.fields.refusals import refuse

FIRST_YEAR = 1000
LAST_YEAR = 9998
"""One year short of the calendar's end, so that any time zone can show the moment."""
LONGEST = 10**10
"""Seconds in the longest duration: about 317 years."""
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}.*", re.IGNORECASE)
_TIME = re.compile(r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?")
_DURATION = re.compile(r"(-?)([0-9]{1,7}):([0-5][0-9])(?::([0-5][0-9]))?")
_seconds = integer(-LONGEST, LONGEST)


def _in_range(year: int) -> None:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise refuse("year_out_of_range", min=FIRST_YEAR, max=LAST_YEAR)


def day(value: Any) -> date | None:
    """A calendar day from ``2026-11-21``."""
    if isinstance(value, str):
        value = typed(value)
        if not value:
            return None
        if len(value) != 10 or not value[4] == "-" == value[7]:
            raise refuse("not_a_date")
        try:
            found = date.fromisoformat(value)
        except ValueError:
            raise refuse("not_a_date") from None
    elif value is None:
        return None
    elif isinstance(value, datetime):
        found = value.date()
    elif isinstance(value, date):
        found = value
    else:
        raise refuse("not_a_date")
    _in_range(found.year)
    return found


def moment(value: Any) -> datetime | None:
    """A moment, aware and in UTC, from ISO 8601 text with or without an offset."""
    if isinstance(value, str):
        value = typed(value)
        if not value:
            return None
        if len(value) > 40 or not _MOMENT.fullmatch(value):
            raise refuse("not_a_datetime")
        try:
            value = datetime.fromisoformat(value.upper())
        except ValueError:
            raise refuse("not_a_datetime") from None
    elif value is None:
        return None
    elif not isinstance(value, datetime):
        raise refuse("not_a_datetime")
    if value.tzinfo is UTC:
        found = value
    elif value.tzinfo is None:
        found = value.replace(tzinfo=UTC)
    else:
        try:
            found = value.astimezone(UTC)
        except OverflowError:
            raise refuse("year_out_of_range", min=FIRST_YEAR, max=LAST_YEAR) from None
    _in_range(found.year)
    return found


def time_of_day(value: Any) -> time | None:
    """A time of day without a zone, from ``08:00`` or ``08:00:00``."""
    if isinstance(value, str):
        value = typed(value)
        if not value:
            return None
        if not _TIME.fullmatch(value):
            raise refuse("not_a_time")
        try:
            return time.fromisoformat(value)
        except ValueError:
            raise refuse("not_a_time") from None
    if value is None:
        return None
    if isinstance(value, time) and value.tzinfo is None:
        return value
    raise refuse("not_a_time")


def duration(value: Any) -> int | None:
    """A duration in whole seconds, from a number of seconds, ``1:30`` (hours, minutes) or ``1:30:00``."""
    if isinstance(value, str):
        value = typed(value)
    if isinstance(value, str) and ":" in value:
        found = _DURATION.fullmatch(value)
        if found is None:
            raise refuse("not_a_duration")
        sign, hours, minutes, seconds = found.groups()
        total = int(hours) * 3600 + int(minutes) * 60 + int(seconds or 0)
        value = -total if sign else total
    elif isinstance(value, timedelta):
        value = value.days * 86_400 + value.seconds
    elif isinstance(value, bool) or not isinstance(value, int | float | str | None):
        raise refuse("not_a_duration")
    result: int | None = _seconds(value)
    return result
