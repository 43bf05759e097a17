"""Spans of time: working days, durations, seconds since 1970."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from ratoon.platform.formulas.functions import define, overload
from ratoon.platform.formulas.numeric import divide
from ratoon.platform.formulas.operators import milliseconds_of


def business_days(start: date, end: date) -> Decimal:
    """Working days (Monday to Friday) from the first date to the second, both counted; negative backwards."""
    if end < start:
        return -business_days(end, start)
    days = (end - start).days + 1
    weeks, rest = divmod(days, 7)
    first = start.weekday()
    return Decimal(weeks * 5 + sum((first + i) % 7 < 5 for i in range(rest)))


def add_business_days(day: date, days: Decimal) -> date:
    """The date some working days later (or earlier)."""
    count = int(days)
    step = 1 if count >= 0 else -1
    weeks, rest = divmod(abs(count), 5)
    day += timedelta(days=7 * weeks * step)
    while rest or (count and day.weekday() > 4):
        day += timedelta(days=step)
        if day.weekday() < 5 and rest:
            rest -= 1
    return day


def _unix(moment: datetime) -> Decimal:
    return Decimal((moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1))


def _from_unix(seconds: Decimal) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(seconds * 1000))


def _duration(seconds: Decimal, days: bool | None = None) -> str:
    total = abs(int(seconds))
    hours, rest = divmod(total, 3600)
    clock = f"{rest // 60:02d}:{rest % 60:02d}"
    if days:
        return f"{hours // 24}:{hours % 24:02d}:{clock}"
    return f"{hours:02d}:{clock}"


def _between(start: datetime, end: datetime) -> str:
    return _duration(Decimal(abs(end - start) // timedelta(seconds=1)), True)


def _between_times(start: time, end: time) -> str:
    return _duration(Decimal(abs(milliseconds_of(end) - milliseconds_of(start)) // 1000))


FUNCTIONS = (
    define(
        "BUSINESSDAYS",
        "start: date, end: date",
        "number",
        business_days,
        group="Dates",
        doc="Working days (Monday to Friday) from one date to another, both counted.",
        examples=[("BUSINESSDAYS(DATE(2026, 11, 20), DATE(2026, 11, 23))", "2")],
    ),
    define(
        "ADDBUSINESSDAYS",
        "date, days: number",
        "date",
        add_business_days,
        group="Dates",
        doc="The date some working days later.",
        examples=[("ADDBUSINESSDAYS(DATE(2026, 11, 20), 1)", "2026-11-23")],
    ),
    define(
        "UNIXTIMESTAMP",
        "datetime",
        "number",
        _unix,
        group="Dates",
        doc="Seconds since 1970, or since midnight for a time.",
        examples=[('UNIXTIMESTAMP(DATETIMEVALUE("1970-01-02 00:00:00"))', "86400")],
        also=[
            overload(
                "UNIXTIMESTAMP",
                "date",
                "number",
                lambda d: Decimal((d - date(1970, 1, 1)).days * 86400),
                form="UNIXTIMESTAMP_DATE",
            ),
            overload(
                "UNIXTIMESTAMP",
                "time",
                "number",
                lambda t: Decimal(milliseconds_of(t) // 1000),
                form="UNIXTIMESTAMP_TIME",
            ),
        ],
    ),
    define(
        "FROMUNIXTIME",
        "seconds: number",
        "datetime",
        _from_unix,
        group="Dates",
        doc="The moment some seconds after 1970.",
        examples=[("FROMUNIXTIME(86400)", "1970-01-02T00:00:00Z")],
    ),
    define(
        "FORMATDURATION",
        "seconds: number, days: boolean?",
        "text",
        _duration,
        group="Dates",
        doc="Seconds (or what lies between two times) as HH:MM:SS; between two moments as days:HH:MM:SS.",
        examples=[("FORMATDURATION(3725)", "01:02:05")],
        also=[
            overload(
                "FORMATDURATION", "start: datetime, end: datetime", "text", _between, form="FORMATDURATION_BETWEEN"
            ),
            overload("FORMATDURATION", "start: time, end: time", "text", _between_times, form="FORMATDURATION_TIMES"),
        ],
    ),
    define(
        "HOURSBETWEEN",
        "start: datetime, end: datetime",
        "number",
        lambda a, b: divide(Decimal((b - a) // timedelta(microseconds=1)), Decimal(3_600_000_000)),
        inexact=True,
        group="Dates",
        doc="Hours from one moment to another.",
        examples=[('HOURSBETWEEN(DATETIMEVALUE("2026-01-01 00:00:00"), DATETIMEVALUE("2026-01-01 01:30:00"))', "1.5")],
    ),
)
