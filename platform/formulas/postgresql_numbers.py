"""PostgreSQL forms of number functions. Numerics are scaled up first, because PostgreSQL derives digits from scale."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import Date, Float, Integer, Numeric, Text, and_, case, cast, func, literal_column, null, or_, select
from sqlalchemy.dialects.postgresql import JSONB

from ratoon.platform.formulas.numbers import MILS, NO_CENTS
from ratoon.platform.formulas.sql import Sql

FINE: Sql = literal_column("1." + "0" * 60, Numeric())
BIG = literal_column("920", Numeric())
"""Natural logarithm of the biggest number there is (1e400)."""


def numeric(value: Any) -> Sql:
    """As a numeric."""
    return cast(value, Numeric())


def whole(value: Sql, least: int = -1_000_000, most: int = 1_000_000) -> Sql:
    """Cut to an integer that fits."""
    return cast(case((value < least, least), (value > most, most), else_=func.trunc(value)), Integer())


def both_or_null(function: Callable[..., Sql]) -> Callable[..., Sql]:
    """LEAST and GREATEST skip blanks; ours are blank."""

    def form(*args: Sql) -> Sql:
        if len(args) == 1:
            return args[0]
        return case((or_(*[a.is_(None) for a in args]), null()), else_=function(*args, type_=Numeric()))

    return form


def divide(left: Sql, right: Sql) -> Sql:
    """A quotient of 50 decimals; NULL for a zero divisor."""
    return func.round(left * FINE / func.nullif(right, 0), 50, type_=Numeric())


def power(base: Sql, exponent: Sql) -> Sql:
    """``base ^ exponent`` where it is defined and not too big."""
    size = exponent * func.ln(case((base == 0, 1), else_=func.abs(base)), type_=Numeric())
    integral = exponent == func.trunc(exponent)
    return case(
        (or_(base.is_(None), exponent.is_(None)), null()),
        (exponent == 0, numeric(1)),
        (base == 0, case((exponent > 0, numeric(0)), else_=null())),
        (and_(base < 0, ~integral), null()),
        (size > BIG, null()),
        (size < -BIG, numeric(0)),
        else_=func.round(func.power(base * FINE, exponent, type_=Numeric()), 50, type_=Numeric()),
    )


def _whole_power(base: Sql, exponent: Sql) -> Sql:
    return case((exponent == func.trunc(exponent), power(base, func.trunc(exponent, type_=Numeric()))), else_=null())


def _format_currency(currency: Sql, amount: Sql) -> Sql:
    groups = "FM999,999,999,999,999,999,999,999,999,990"

    def shown(digits: int) -> Sql:
        mask = groups + ("." + "0" * digits if digits else "")
        return func.to_char(func.round(amount, digits), mask, type_=Text())

    number = case((currency.in_(NO_CENTS), shown(0)), (currency.in_(MILS), shown(3)), else_=shown(2))
    coded = func.concat(currency, " ", number, type_=Text())
    return case((amount.is_(None), null()), (func.coalesce(currency, "") == "", number), else_=coded)


def rate_of(currency: Sql, day: Sql, rates: Sql) -> Sql:
    """The last rate of a currency up to a day, out of the JSON text of all rates; NULL when there is none."""
    listed = cast(rates, JSONB()).op("->", return_type=JSONB())(func.upper(currency, type_=Text()))
    entry = func.jsonb_array_elements(listed, type_=JSONB()).column_valued("rate")
    first, value = (
        entry.op("->>", return_type=Text())(literal_column("0")),
        entry.op("->>", return_type=Text())(literal_column("1")),
    )
    query = select(cast(value, Numeric())).where(cast(first, Date()) <= day).order_by(cast(first, Date()).desc())
    return query.limit(literal_column("1")).scalar_subquery()


def _within(condition: Callable[[Sql], Sql], compute: Callable[[Sql], Sql]) -> Callable[[Sql], Sql]:
    return lambda value: case((condition(value), func.round(compute(value * FINE), 50, type_=Numeric())), else_=null())


def _log(value: Sql, base: Sql | None = None) -> Sql:
    positive = case((value > 0, value * FINE), else_=null())
    if base is None:
        return func.round(func.log(positive, type_=Numeric()), 50, type_=Numeric())
    usable = case((and_(base > 0, base != 1), base * FINE), else_=null())
    return divide(func.ln(positive, type_=Numeric()), func.ln(usable, type_=Numeric()))


def _exp(value: Sql) -> Sql:
    small = func.round(func.exp(func.greatest(value, -920) * FINE, type_=Numeric()), 50, type_=Numeric())
    return case((value > BIG, null()), else_=case((value.is_(None), null()), else_=small))


def _angle(function: Any, inside: bool = False) -> Callable[..., Sql]:
    def form(*args: Sql) -> Sql:
        floats: list[Sql] = [cast(a, Float(53)) for a in args]
        if inside:
            floats = [case((func.abs(args[0]) <= 1, floats[0]), else_=null())]
        return cast(cast(function(*floats, type_=Float(53)), Text()), Numeric())

    return form


def _settled(value: Sql) -> Sql:
    return func.round(value, 18, type_=Numeric())


def _ceiling(value: Sql) -> Sql:
    return func.sign(value, type_=Numeric()) * func.ceil(func.abs(_settled(value)), type_=Numeric())


def _places(function: Any) -> Callable[..., Sql]:
    def form(value: Sql, places: Sql | None = None) -> Sql:
        if places is None:
            return function(value, 0, type_=Numeric())
        return function(value, whole(places, -60, 60), type_=Numeric())

    return form


def _mod(value: Sql, divisor: Sql) -> Sql:
    return func.mod(value, func.nullif(divisor, 0), type_=Numeric())


def _step(function: Any) -> Callable[[Sql, Sql], Sql]:
    def form(value: Sql, step: Sql) -> Sql:
        steps = function(_settled(divide(value, step)), type_=Numeric())
        return case((and_(step == 0, value.is_not(None)), numeric(0)), else_=steps * step)

    return form


def _distance(latitude1: Sql, longitude1: Sql, latitude2: Sql, longitude2: Sql, unit: Sql) -> Sql:
    def radians(value: Sql) -> Sql:
        return func.radians(cast(value, Float(53)), type_=Float(53))

    a1, a2 = radians(latitude1), radians(latitude2)
    half = func.power(func.sin((a2 - a1) / 2), 2, type_=Float(53)) + func.cos(a1, type_=Float(53)) * func.cos(
        a2, type_=Float(53)
    ) * func.power(func.sin((radians(longitude2) - radians(longitude1)) / 2), 2, type_=Float(53))
    radius = case((func.lower(unit) == "mi", 3958.761), (func.lower(unit) == "km", 6371.0088), else_=null())
    inside = and_(
        func.abs(latitude1) <= 90, func.abs(latitude2) <= 90, func.abs(longitude1) <= 180, func.abs(longitude2) <= 180
    )
    length = radius * 2 * func.asin(func.sqrt(func.least(half, 1.0)), type_=Float(53))
    return case((inside, cast(cast(cast(length, Float(53)), Text()), Numeric())), else_=null())


FORMS: Mapping[str, Callable[..., Sql]] = MappingProxyType(
    {
        "add": lambda a, b: a + b,
        "subtract": lambda a, b: a - b,
        "multiply": lambda a, b: a * b,
        "divide": divide,
        "power": power,
        "power_whole": _whole_power,
        "FORMATCURRENCY": _format_currency,
        "negate": lambda a: -a,
        "plus": lambda a: a,
        "ABS": lambda a: func.abs(a, type_=Numeric()),
        "ROUND": _places(func.round),
        "TRUNC": _places(func.trunc),
        "FLOOR": lambda a: func.trunc(_settled(a), type_=Numeric()),
        "CEILING": _ceiling,
        "MFLOOR": lambda a: func.floor(_settled(a), type_=Numeric()),
        "MCEILING": lambda a: func.ceil(_settled(a), type_=Numeric()),
        "MOD": _mod,
        "MIN": both_or_null(func.least),
        "MAX": both_or_null(func.greatest),
        "SQRT": _within(lambda v: v >= 0, lambda v: func.sqrt(v, type_=Numeric())),
        "LN": _within(lambda v: v > 0, lambda v: func.ln(v, type_=Numeric())),
        "LOG": _log,
        "EXP": _exp,
        "PI": lambda: literal_column("3.14159265358979323846264338327950288", Numeric()),
        "SIN": _angle(func.sin),
        "COS": _angle(func.cos),
        "TAN": _angle(func.tan),
        "ASIN": _angle(func.asin, inside=True),
        "ACOS": _angle(func.acos, inside=True),
        "ATAN": _angle(func.atan),
        "ATAN2": _angle(func.atan2),
        "XOR": lambda a, b: a != b,
        "SIGN": lambda a: func.sign(a, type_=Numeric()),
        "ROUNDUP": _step(func.ceil),
        "ROUNDDOWN": _step(func.floor),
        "GEOLOCATION": lambda a, b: a,
        "DISTANCE": _distance,
        "ISNUMBER_NUMBER": lambda a: a.is_not(None),
    }
)
FAILURES: Mapping[str, Callable[..., Sql]] = MappingProxyType(
    {
        "divide": lambda a, b: and_(a.is_not(None), b == 0),
        "MOD": lambda a, b: and_(a.is_not(None), b == 0),
        "power_whole": lambda a, b: and_(a.is_not(None), b.is_not(None), _whole_power(a, b).is_(None)),
        "power": lambda a, b: and_(a.is_not(None), b.is_not(None), power(a, b).is_(None)),
        "SQRT": lambda a: a < 0,
        "LN": lambda a: a <= 0,
        "LOG": lambda a, b=None: a <= 0 if b is None else or_(a <= 0, b <= 0, b == 1),
        "EXP": lambda a: a > BIG,
        "ASIN": lambda a: func.abs(a) > 1,
        "ACOS": lambda a: func.abs(a) > 1,
        "GEOLOCATION": lambda a, b: or_(func.abs(a) > 90, func.abs(b) > 180),
    }
)
"""When computing fails in Python, by form."""
