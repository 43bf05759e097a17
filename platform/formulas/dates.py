"""Date and time functions. A day begins at midnight of the context's time zone; texts of moments are UTC."""

from __future__ import annotations

import calendar
import functools
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas.functions import define, overload
from ratoon.platform.formulas.operators import add_days
from ratoon.platform.formulas.types import EvalContext

_MOMENT = re.compile(
    r"\s*(\d{4})-(\d{1,2})-(\d{1,2})[ T](\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,3}))?\s*Z?\s*", re.ASCII
)
_DAY = re.compile(r"\s*(\d{4})-(\d{1,2})-(\d{1,2})\s*", re.ASCII)
_CLOCK = re.compile(r"\s*(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,3}))?\s*", re.ASCII)


def _micro(text: str | None) -> int:
    return int(text.ljust(6, "0")) if text else 0


def make_date(year: Decimal, month: Decimal, day: Decimal) -> date:
    """The date; parts are cut to whole numbers. Raises ``FormulaError`` when there is no such day."""
    try:
        return date(int(year), int(month), int(day))
    except (ValueError, OverflowError):
        raise FormulaError(
            "no_such_date", "There is no date {year}-{month}-{day}", year=year, month=month, day=day
        ) from None


def read_datetime(text: str) -> datetime | None:
    """``2026-11-21 08:00:00`` → the moment (UTC)."""
    if not text.strip():
        return None
    found = _MOMENT.fullmatch(text)
    try:
        if found:
            year, month, day, hour, minute, second = map(int, found.groups()[:6])
            return datetime(year, month, day, hour, minute, second, _micro(found[7]), UTC)
    except ValueError:
        pass
    raise FormulaError("not_a_datetime", "{text} is not a date and time (2026-11-21 08:00:00)", text=text[:40])


def read_date(text: str) -> date | None:
    """``2026-11-21`` → the date."""
    if not text.strip():
        return None
    found = _DAY.fullmatch(text)
    try:
        if found:
            return date(*map(int, found.groups()))
    except ValueError:
        pass
    raise FormulaError("not_a_date", "{text} is not a date (2026-11-21)", text=text[:40])


def read_time(text: str) -> time | None:
    """``08:00:00.000`` → the time of day."""
    if not text.strip():
        return None
    found = _CLOCK.fullmatch(text)
    try:
        if found:
            return time(int(found[1]), int(found[2]), int(found[3]), _micro(found[4]))
    except ValueError:
        pass
    raise FormulaError("not_a_time", "{text} is not a time (08:00:00.000)", text=text[:40])


def today(context: EvalContext) -> date:
    """The day it is in the context's time zone."""
    return context.now.astimezone(context.time_zone).date()


def add_months(day: date, months: Decimal) -> date:
    """The same day some months later; the last day of a month stays the last day."""
    total = day.year * 12 + day.month - 1 + int(months)
    year, month = divmod(total, 12)
    if not 1 <= year <= 9999:
        raise FormulaError("no_such_date", "The year {year} is out of range", year=year)
    last = calendar.monthrange(year, month + 1)[1]
    was_last = day.day == calendar.monthrange(day.year, day.month)[1]
    return day.replace(year=year, month=month + 1, day=last if was_last or day.day > last else day.day)


def _local_day(context: EvalContext, moment: datetime) -> date:
    return moment.astimezone(context.time_zone).date()


def _local_time(context: EvalContext, moment: datetime) -> time:
    return moment.astimezone(context.time_zone).time()


def _midnight(context: EvalContext, day: date) -> datetime:
    return datetime.combine(day, time(), context.time_zone).astimezone(UTC)


def zone_named(name: str) -> ZoneInfo:
    """The time zone of a name such as ``Asia/Shanghai``. Raises ``FormulaError`` (no_time_zone)."""
    if name in time_zones():
        return ZoneInfo(name)
    raise FormulaError("no_time_zone", "{zone} is not a time zone (Asia/Shanghai)", zone=name[:40])


@functools.cache
def time_zones() -> frozenset[str]:
    """The names of time zones that may be written: ``Asia/Shanghai``, ``UTC``."""
    return frozenset(name for name in available_timezones() if "/" in name or name in ("UTC", "GMT"))


def _day_in(moment: datetime, zone: str) -> date:
    return moment.astimezone(zone_named(zone)).date()


def _time_in(moment: datetime, zone: str) -> time:
    return moment.astimezone(zone_named(zone)).time()


def _midnight_in(day: date, zone: str) -> datetime:
    return datetime.combine(day, time(), zone_named(zone)).astimezone(UTC)


def month_end(day: date) -> date:
    """The last day of the month."""
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])


def _part(name: str) -> Callable[[Any], Decimal]:
    return lambda value: Decimal(getattr(value, name))


FUNCTIONS = (
    define(
        "TODAY",
        "",
        "date",
        today,
        context=True,
        volatile=True,
        group="Dates",
        doc="Today's date.",
        examples=[("TODAY() = TODAY()", True)],
    ),
    define(
        "NOW",
        "",
        "datetime",
        lambda context: context.now,
        context=True,
        volatile=True,
        group="Dates",
        doc="This moment.",
        examples=[("NOW() - NOW()", "0")],
    ),
    define(
        "TIMENOW",
        "",
        "time",
        lambda context: _local_time(context, context.now),
        context=True,
        volatile=True,
        group="Dates",
        doc="The time of day it is.",
        examples=[("TIMENOW() = TIMENOW()", True)],
    ),
    define(
        "DATE",
        "year: number, month: number, day: number",
        "date",
        make_date,
        group="Dates",
        doc="A date out of year, month and day.",
        examples=[("DATE(2026, 11, 21)", "2026-11-21")],
    ),
    define(
        "DATEVALUE",
        "text",
        "date",
        read_date,
        group="Dates",
        doc="The date a text shows, or the day of a moment (in the reader's time zone, or in one that is named).",
        examples=[
            ('DATEVALUE("2026-11-21")', "2026-11-21"),
            ('DATEVALUE(DATETIMEVALUE("2026-11-21 20:00:00"), "Asia/Tokyo")', "2026-11-22"),
        ],
        also=[
            overload("DATEVALUE", "datetime", "date", _local_day, context=True, form="DATEVALUE_DATETIME"),
            overload("DATEVALUE", "date", "date", lambda d: d, form="DATEVALUE_DATE"),
            overload("DATEVALUE", "datetime, zone: text", "date", _day_in, form="DATEVALUE_IN"),
        ],
    ),
    define(
        "DATETIMEVALUE",
        "text",
        "datetime",
        read_datetime,
        group="Dates",
        doc="The moment a text shows (UTC), or the midnight a date begins with.",
        examples=[('DATETIMEVALUE("2026-11-21 08:00:00")', "2026-11-21T08:00:00Z")],
        also=[
            overload("DATETIMEVALUE", "date", "datetime", _midnight, context=True, form="DATETIMEVALUE_DATE"),
            overload("DATETIMEVALUE", "datetime", "datetime", lambda d: d, form="DATETIMEVALUE_DATETIME"),
            overload("DATETIMEVALUE", "date, zone: text", "datetime", _midnight_in, form="DATETIMEVALUE_IN"),
        ],
    ),
    define(
        "TIMEVALUE",
        "text",
        "time",
        read_time,
        group="Dates",
        doc="The time a text shows, or the time of day of a moment.",
        examples=[('TIMEVALUE("08:30:00")', "08:30:00.000")],
        also=[
            overload("TIMEVALUE", "datetime", "time", _local_time, context=True, form="TIMEVALUE_DATETIME"),
            overload("TIMEVALUE", "time", "time", lambda t: t, form="TIMEVALUE_TIME"),
            overload("TIMEVALUE", "datetime, zone: text", "time", _time_in, form="TIMEVALUE_IN"),
        ],
    ),
    define(
        "YEAR",
        "date",
        "number",
        _part("year"),
        group="Dates",
        doc="The year.",
        examples=[("YEAR(DATE(2026, 11, 21))", "2026")],
    ),
    define(
        "MONTH",
        "date",
        "number",
        _part("month"),
        group="Dates",
        doc="The month, 1 to 12.",
        examples=[("MONTH(DATE(2026, 11, 21))", "11")],
    ),
    define(
        "DAY",
        "date",
        "number",
        _part("day"),
        group="Dates",
        doc="The day of the month.",
        examples=[("DAY(DATE(2026, 11, 21))", "21")],
    ),
    define(
        "HOUR",
        "time",
        "number",
        _part("hour"),
        group="Dates",
        doc="The hour.",
        examples=[('HOUR(TIMEVALUE("08:30:10"))', "8")],
    ),
    define(
        "MINUTE",
        "time",
        "number",
        _part("minute"),
        group="Dates",
        doc="The minute.",
        examples=[('MINUTE(TIMEVALUE("08:30:10"))', "30")],
    ),
    define(
        "SECOND",
        "time",
        "number",
        _part("second"),
        group="Dates",
        doc="The second.",
        examples=[('SECOND(TIMEVALUE("08:30:10"))', "10")],
    ),
    define(
        "MILLISECOND",
        "time",
        "number",
        lambda t: Decimal(t.microsecond // 1000),
        group="Dates",
        doc="The thousandths of the second.",
        examples=[('MILLISECOND(TIMEVALUE("08:30:10.250"))', "250")],
    ),
    define(
        "WEEKDAY",
        "date",
        "number",
        lambda d: Decimal(d.isoweekday() % 7 + 1),
        group="Dates",
        doc="1 for Sunday to 7 for Saturday.",
        examples=[("WEEKDAY(DATE(2026, 11, 21))", "7")],
    ),
    define(
        "ISOWEEK",
        "date",
        "number",
        lambda d: Decimal(d.isocalendar()[1]),
        group="Dates",
        doc="The week's number (ISO 8601).",
        examples=[("ISOWEEK(DATE(2026, 1, 1))", "1")],
    ),
    define(
        "ISOYEAR",
        "date",
        "number",
        lambda d: Decimal(d.isocalendar()[0]),
        group="Dates",
        doc="The year the week belongs to (ISO 8601).",
        examples=[("ISOYEAR(DATE(2027, 1, 1))", "2026")],
    ),
    define(
        "DAYOFYEAR",
        "date",
        "number",
        lambda d: Decimal(d.timetuple().tm_yday),
        group="Dates",
        doc="The day's number in its year.",
        examples=[("DAYOFYEAR(DATE(2026, 2, 1))", "32")],
    ),
    define(
        "QUARTER",
        "date",
        "number",
        lambda d: Decimal((d.month + 2) // 3),
        group="Dates",
        doc="The quarter of the year, 1 to 4.",
        examples=[("QUARTER(DATE(2026, 11, 21))", "4")],
    ),
    define(
        "STARTOFMONTH",
        "date",
        "date",
        lambda d: d.replace(day=1),
        group="Dates",
        doc="The first day of the month.",
        examples=[("STARTOFMONTH(DATE(2026, 11, 21))", "2026-11-01")],
    ),
    define(
        "ENDOFMONTH",
        "date",
        "date",
        month_end,
        group="Dates",
        doc="The last day of the month.",
        examples=[("ENDOFMONTH(DATE(2028, 2, 3))", "2028-02-29")],
    ),
    define(
        "ADDMONTHS",
        "date, months: number",
        "date",
        add_months,
        group="Dates",
        doc="The same day some months later; the last day of a month stays the last.",
        examples=[("ADDMONTHS(DATE(2026, 1, 31), 1)", "2026-02-28")],
        also=[overload("ADDMONTHS", "datetime, months: number", "datetime", add_months, form="ADDMONTHS_DATETIME")],
    ),
    define(
        "ADDDAYS",
        "date, days: number",
        "date",
        add_days,
        group="Dates",
        doc="Some days later.",
        examples=[("ADDDAYS(DATE(2026, 1, 31), 1)", "2026-02-01")],
    ),
)
