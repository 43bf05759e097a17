"""PostgreSQL forms of date and time functions. Nothing here raises: what is no date is NULL.

PostgreSQL computes constant parts whenever it likes, also inside a CASE branch that is never taken; therefore every
argument is clamped to what the function takes, and a CASE beside it says whether the clamping changed anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Date, Integer, Interval, Numeric, Text, Time, and_, case, cast, func, literal, null, or_, true
from sqlalchemy.dialects.postgresql import TIMESTAMP

from ratoon.platform.formulas.columns import UtcDateTime
from ratoon.platform.formulas.postgresql_numbers import divide, numeric, whole
from ratoon.platform.formulas.postgresql_texts import matches
from ratoon.platform.formulas.sql import Sql

_DAY = (r"(\d{4})", "-", r"(\d{1,2})", "-", r"(\d{1,2})")
_CLOCK = (r"(\d{1,2})", ":", r"(\d{1,2})", ":", r"(\d{1,2})", r"(\.\d{1,3})?")
DAY = (r"^\s*", *_DAY, r"\s*$")
MOMENT = (r"^\s*", *_DAY, "[ T]", *_CLOCK, r"\s*Z?\s*$")
CLOCK = (r"^\s*", *_CLOCK, r"\s*$")
MIDNIGHT = cast(literal("00:00:00", Text()), Time())


def interval(amount: Any, unit: str) -> Sql:
    """Some units of time."""
    return amount * cast(literal(f"1 {unit}", Text()), Interval())


def part(name: str, value: Any) -> Sql:
    """A part of a date or time as a number."""
    return numeric(sa.extract(name, value))


def _stamp(value: Any, zone: Any = "UTC") -> Sql:
    """A moment as the clock shows it in a zone."""
    return func.timezone(zone, value, type_=TIMESTAMP())


def _moment(clock: Any, zone: Any = "UTC") -> Sql:
    """The moment at which the clock in a zone shows this."""
    return type_moment(func.timezone(zone, clock, type_=TIMESTAMP(timezone=True)))


def type_moment(value: Sql) -> Sql:
    """Marks an expression as one of our date-times."""
    return sa.type_coerce(value, UtcDateTime())


def _valid(year: Any, month: Any, day: Any) -> Sql:
    first = func.make_date(whole(year, 1, 9999), whole(month, 1, 12), 1, type_=Date())
    last = sa.extract("day", first + cast(literal("1 month -1 day", Text()), Interval()))
    return and_(
        func.trunc(year).between(1, 9999),
        func.trunc(month).between(1, 12),
        func.trunc(day) >= 1,
        func.trunc(day) <= last,
    )


def make_date(year: Any, month: Any, day: Any) -> Sql:
    """The date when there is one."""
    first = func.make_date(whole(year, 1, 9999), whole(month, 1, 12), 1, type_=Date())
    return case((_valid(year, month, day), _plus(first, whole(day, 1, 31) - 1)), else_=null())


def _plus(day: Any, days: Any) -> Sql:
    return sa.type_coerce(day.op("+")(days), Date())


def groups(text: Any, pieces: Sequence[str]) -> list[Sql]:
    """The numbers that a pattern finds in a text, one per group; NULL where it does not fit."""
    found = []
    for index, piece in enumerate(pieces):
        if piece.startswith("("):
            pattern = "".join(p if i == index else p.replace("(", "(?:", 1) for i, p in enumerate(pieces))
            digits = func.substring(text, literal(pattern, Text()), type_=Text())
            found.append(numeric(func.coalesce(digits, ".0") if piece.startswith(r"(\.") else digits))
    return found


def _clock_fits(hour: Sql, minute: Sql, second: Sql) -> Sql:
    return and_(hour < 24, minute < 60, second < 60)


def _seconds(hour: Sql, minute: Sql, second: Sql, fraction: Sql) -> Sql:
    return interval((hour * 60 + minute) * 60 + second + fraction, "second")


def _fits(text: Any, pieces: Sequence[str]) -> Sql:
    return matches(text, "".join(pieces))


def _read_date(text: Sql) -> Sql:
    return case((_fits(text, DAY), make_date(*groups(text, DAY))), else_=null())


def _read_datetime(text: Sql) -> Sql:
    year, month, day, hour, minute, second, fraction = groups(text, MOMENT)
    moment = cast(make_date(year, month, day), TIMESTAMP()) + _seconds(hour, minute, second, fraction)
    return type_moment(case((_clock_fits(hour, minute, second), _moment(moment)), else_=null()))


def _read_time(text: Sql) -> Sql:
    hour, minute, second, fraction = groups(text, CLOCK)
    moment = MIDNIGHT.op("+")(_seconds(hour, minute, second, fraction))
    return sa.type_coerce(case((_clock_fits(hour, minute, second), moment), else_=null()), Time())


FIRST_DAY = cast(literal("0001-01-01", Text()), Date())
LAST_DAY = 3_652_058
"""Days from the first to the last one there is."""
FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_800
"""The span of moments, in seconds since 1970."""


def _add_days(day: Sql, days: Sql) -> Sql:
    """Some days later; NULL for a day that there is not."""
    place = sa.type_coerce(day.op("-")(FIRST_DAY), Integer()) + whole(days, -5_000_000, 5_000_000)
    within = place.between(0, LAST_DAY)
    there = _plus(FIRST_DAY, case((within, place), else_=0))
    return case((within, there), else_=null())


def _add_time(moment: Sql, days: Sql) -> Sql:
    """Some days later; NULL for a moment that there is not."""
    seconds = func.round(days * 86_400, type_=Numeric())
    place = part("epoch", moment) + seconds
    within = and_(place >= FIRST_SECOND, place < LAST_SECOND)
    later = moment.op("+")(interval(case((within, seconds), else_=0), "second"))
    return type_moment(case((within, later), else_=null()))


def _add_milliseconds(moment: Sql, milliseconds: Sql) -> Sql:
    count = func.mod(func.trunc(milliseconds, type_=Numeric()), 86_400_000, type_=Numeric())
    return cast(moment.op("+")(interval(count, "millisecond")), Time())


def _between(later: Sql, earlier: Sql) -> Sql:
    return numeric(sa.extract("epoch", later.op("-")(earlier)))


def _clock_between(later: Sql, earlier: Sql) -> Sql:
    count = func.trunc(_between(later, earlier) * 1000, type_=Numeric())
    return func.mod(count + 86_400_000, 86_400_000, type_=Numeric())


def _add_months(value: Any, months: Sql) -> Sql:
    """For dates and clock times alike: the last day of a month stays the last; NULL beyond the years 1 to 9999."""
    month_end = cast(literal("1 month -1 day", Text()), Interval())
    count = whole(months, -120_000, 120_000)
    place = part("year", value) * 12 + part("month", value) - 1 + count
    within = place.between(12, 119_999)
    moved = value.op("+")(interval(case((within, count), else_=0), "month"))
    last = func.date_trunc("month", value, type_=TIMESTAMP()).op("+")(month_end)
    moved_last = func.date_trunc("month", moved, type_=TIMESTAMP()).op("+")(month_end)
    is_last = sa.extract("day", value) == sa.extract("day", last)
    clock = value.op("-")(func.date_trunc("day", value, type_=TIMESTAMP()))
    return case((within, case((is_last, moved_last.op("+")(clock)), else_=moved)), else_=null())


def _add_months_date(day: Sql, months: Sql) -> Sql:
    return cast(_add_months(cast(day, TIMESTAMP()), months), Date())


def _business_days(start: Sql, end: Sql) -> Sql:
    def weekdays(until: Sql) -> Sql:  # Monday to Friday since a Monday long ago, that day included
        days = until.op("-")(cast(literal("0001-01-01", Text()), Date())) + 1
        days = cast(days, Integer())
        return func.div(days, 7) * 5 + func.least(func.mod(days, 7), 5)

    def count(first: Sql, last: Sql) -> Sql:
        return weekdays(last) - weekdays(sa.type_coerce(first.op("-")(1), Date()))

    return numeric(case((end >= start, count(start, end)), else_=-count(end, start)))


def _two(number: Any) -> Sql:
    text = cast(cast(number, Integer()), Text())
    return func.lpad(text, func.greatest(func.length(text), 2), "0", type_=Text())


def _duration(seconds: Sql, days: Sql | None = None) -> Sql:
    total = func.abs(func.trunc(seconds), type_=Numeric())
    hours = func.div(total, 3600, type_=Numeric())
    rest = func.mod(total, 3600, type_=Numeric())
    clock = func.concat(":", _two(func.div(rest, 60)), ":", _two(func.mod(rest, 60)), type_=Text())
    plain = func.concat(_two(hours), clock, type_=Text())
    if days is None:
        return case((seconds.is_not(None), plain), else_=null())
    long = func.concat(
        cast(cast(func.div(hours, 24), Integer()), Text()), ":", _two(func.mod(hours, 24)), clock, type_=Text()
    )
    return case((or_(seconds.is_(None), days.is_(None)), null()), (days, long), else_=plain)


def _midnight(zone: Sql, day: Sql) -> Sql:
    """The moment a day begins; NULL at the very edges of the calendar."""
    within = sa.type_coerce(day.op("-")(FIRST_DAY), Integer()).between(1, LAST_DAY - 1)
    return type_moment(case((within, _moment(cast(day, TIMESTAMP()), zone)), else_=null()))


def _from_unix(seconds: Sql) -> Sql:
    within = and_(seconds >= FIRST_SECOND, seconds < LAST_SECOND)
    count = case((within, func.trunc(seconds * 1000, type_=Numeric())), else_=0)
    later = func.to_timestamp(0).op("+")(interval(count, "millisecond"))
    return type_moment(case((within, later), else_=null()))


def _no_answer(form: str) -> Callable[..., Sql]:
    """Fails when all arguments are there and the answer is not."""
    return lambda *args: and_(*[a.is_not(None) for a in args], FORMS[form](*args).is_(None))


FORMS: Mapping[str, Callable[..., Sql]] = MappingProxyType(
    {
        "add_days": _add_days,
        "add_days_right": lambda n, d: _add_days(d, n),
        "subtract_days": lambda d, n: _add_days(d, -n),
        "add_time": _add_time,
        "add_time_right": lambda n, d: _add_time(d, n),
        "subtract_time": lambda d, n: _add_time(d, -n),
        "add_milliseconds": _add_milliseconds,
        "subtract_milliseconds": lambda t, n: _add_milliseconds(t, -n),
        "days_between_dates": lambda a, b: numeric(a.op("-")(b)),
        "days_between": lambda a, b: divide(_between(a, b), numeric(86_400)),
        "milliseconds_between": _clock_between,
        "DATE": make_date,
        "DATEVALUE": _read_date,
        "DATEVALUE_DATETIME": lambda zone, a: cast(_stamp(a, zone), Date()),
        "DATEVALUE_DATE": lambda a: a,
        "DATETIMEVALUE": _read_datetime,
        "DATETIMEVALUE_DATE": _midnight,
        "DATETIMEVALUE_DATETIME": lambda a: a,
        "TIMEVALUE": _read_time,
        "TIMEVALUE_DATETIME": lambda zone, a: cast(_stamp(a, zone), Time()),
        "TIMEVALUE_TIME": lambda a: a,
        "YEAR": lambda a: part("year", a),
        "MONTH": lambda a: part("month", a),
        "DAY": lambda a: part("day", a),
        "HOUR": lambda a: part("hour", a),
        "MINUTE": lambda a: part("minute", a),
        "SECOND": lambda a: func.trunc(part("second", a), type_=Numeric()),
        "MILLISECOND": lambda a: func.mod(func.trunc(part("milliseconds", a)), 1000, type_=Numeric()),
        "WEEKDAY": lambda a: part("dow", a) + 1,
        "ISOWEEK": lambda a: part("week", a),
        "ISOYEAR": lambda a: part("isoyear", a),
        "QUARTER": lambda a: part("quarter", a),
        "STARTOFMONTH": lambda a: cast(func.date_trunc("month", cast(a, TIMESTAMP())), Date()),
        "ENDOFMONTH": lambda a: cast(
            func.date_trunc("month", cast(a, TIMESTAMP()), type_=TIMESTAMP()).op("+")(
                cast(literal("1 month -1 day", Text()), Interval())
            ),
            Date(),
        ),
        "DAYOFYEAR": lambda a: part("doy", a),
        "ADDMONTHS": _add_months_date,
        "ADDMONTHS_DATETIME": lambda a, n: _moment(_add_months(_stamp(a), n)),
        "ADDDAYS": _add_days,
        "BUSINESSDAYS": _business_days,
        "UNIXTIMESTAMP": lambda a: func.floor(part("epoch", a), type_=Numeric()),
        "UNIXTIMESTAMP_DATE": lambda a: part("epoch", a),
        "UNIXTIMESTAMP_TIME": lambda a: func.floor(part("epoch", a), type_=Numeric()),
        "FROMUNIXTIME": _from_unix,
        "FORMATDURATION": _duration,
        "FORMATDURATION_BETWEEN": lambda a, b: _duration(_between(b, a), true()),
        "FORMATDURATION_TIMES": lambda a, b: _duration(_between(b, a)),
        "HOURSBETWEEN": lambda a, b: divide(_between(b, a), numeric(3600)),
    }
)
RANGED = (
    *("add_days", "add_days_right", "subtract_days", "add_time", "add_time_right", "subtract_time"),
    *("ADDDAYS", "ADDMONTHS", "ADDMONTHS_DATETIME", "FROMUNIXTIME"),
)
"""What may leave the calendar."""
FAILURES: Mapping[str, Callable[..., Sql]] = MappingProxyType(
    {
        **{form: _no_answer(form) for form in RANGED},
        "DATE": lambda y, m, d: and_(y.is_not(None), m.is_not(None), d.is_not(None), make_date(y, m, d).is_(None)),
        "DATEVALUE": lambda a: and_(func.btrim(a) != "", _read_date(a).is_(None)),
        "DATETIMEVALUE": lambda a: and_(func.btrim(a) != "", _read_datetime(a).is_(None)),
        "TIMEVALUE": lambda a: and_(func.btrim(a) != "", _read_time(a).is_(None)),
    }
)
