"""Number functions. Angles are in radians; logarithms and roots have more good digits than are shown."""

from __future__ import annotations

import decimal
import math
import re
from collections.abc import Callable, Iterable
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_UP, Decimal
from typing import Any

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas import aggregates
from ratoon.platform.formulas.functions import Function, Overload, define
from ratoon.platform.formulas.numeric import EXACT, ONE, WORKING, divide, round_half_up, truncate

_FINE = decimal.Context(
    prec=75,
    rounding=decimal.ROUND_HALF_EVEN,
    Emin=-400,
    Emax=400,
    traps=[trap for trap, on in EXACT.traps.items() if on],
)


def whole(rounding: str, value: Decimal) -> Decimal:
    """The number as a whole one, after settling it to the working scale (so that (1/9)*9 is 1)."""
    value = Decimal(value)
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent >= 0:
        return value
    if isinstance(exponent, int) and exponent < -18:
        value = EXACT.quantize(value, WORKING)
    result = value.quantize(ONE, rounding=rounding, context=EXACT)
    return result if result else Decimal(0)


def mod(value: Decimal, divisor: Decimal) -> Decimal:
    """The rest of a division, with the sign of the value."""
    if not divisor:
        raise FormulaError("division_by_zero", "Division by zero")
    return EXACT.remainder(value, divisor)


def _log(value: Decimal, base: Decimal | None = None) -> Decimal:
    if value <= 0:
        raise FormulaError("out_of_range", "There is no logarithm of {value}", value=value)
    if base is None:
        return _FINE.log10(value)
    if base <= 0 or base == 1:
        raise FormulaError("out_of_range", "There is no logarithm to the base {base}", base=base)
    return divide(_FINE.ln(value), _FINE.ln(base))


def _ln(value: Decimal) -> Decimal:
    if value <= 0:
        raise FormulaError("out_of_range", "There is no logarithm of {value}", value=value)
    return _FINE.ln(value)


def _sqrt(value: Decimal) -> Decimal:
    if value < 0:
        raise FormulaError("out_of_range", "There is no square root of {value}", value=value)
    return _FINE.sqrt(value)


def _exp(value: Decimal) -> Decimal:
    return _FINE.exp(value)


def _angle(compute: Callable[..., float]) -> Callable[..., Decimal]:
    def run(*values: Decimal) -> Decimal:
        try:
            return Decimal(repr(compute(*map(float, values))))
        except (ValueError, OverflowError):
            raise FormulaError("out_of_range", "{value} is out of range", value=values[0]) from None

    return run


def _biggest(*values: Decimal) -> Decimal:
    return max(values)


def _smallest(*values: Decimal) -> Decimal:
    return min(values)


def _round(value: Decimal, places: Decimal | None = None) -> Decimal:
    return round_half_up(value, int(places) if places is not None else 0)


def _trunc(value: Decimal, places: Decimal | None = None) -> Decimal:
    return truncate(value, int(places) if places is not None else 0)


def _whole(rounding: str) -> Callable[[Decimal], Decimal]:
    return lambda value: whole(rounding, value)


def _sign(value: Decimal) -> Decimal:
    return Decimal((value > 0) - (value < 0))


def _even_step(rounding: str) -> Callable[..., Decimal]:
    def run(value: Decimal, step: Decimal) -> Decimal:
        return EXACT.multiply(whole(rounding, divide(value, step)), step) if step else Decimal(0)

    return run


def distance(here: tuple[Decimal, Decimal], there: tuple[Decimal, Decimal], unit: str) -> Decimal:
    """The great-circle distance in miles or kilometres."""
    radius = {"mi": 3958.761, "km": 6371.0088}.get(unit.lower())
    if radius is None:
        raise FormulaError("out_of_range", "The unit is 'mi' or 'km', not {unit}", unit=unit)
    lat1, lon1, lat2, lon2 = (math.radians(float(v)) for v in (*here, *there))
    half = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return Decimal(repr(2 * radius * math.asin(math.sqrt(min(1.0, half)))))


def _place(latitude: Decimal | None, longitude: Decimal | None) -> tuple[Decimal, Decimal] | None:
    if latitude is None and longitude is None:
        return None
    if latitude is None or longitude is None:
        raise FormulaError("out_of_range", "A place needs both a latitude and a longitude")
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise FormulaError(
            "out_of_range", "{latitude}, {longitude} is not on Earth", latitude=latitude, longitude=longitude
        )
    return latitude, longitude


NO_CENTS: frozenset[str] = frozenset(re.findall("...", "BIFCLPDJFGNFISKJPYKMFKRWPYGRWFUGXUYIVNDVUVXAFXOFXPF"))
"""Currencies without decimals."""
MILS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
"""Currencies with three decimals."""


def minor_digits(currency: str | None) -> int:
    """Decimals that amounts of a currency are written with."""
    return 0 if currency in NO_CENTS else 3 if currency in MILS else 2


def _format_currency(currency: str | None, amount: Decimal | None) -> str | None:
    if amount is None:
        return None
    digits = minor_digits(currency)
    return f"{currency} {round_half_up(amount, digits):,.{digits}f}" if currency else f"{round_half_up(amount, 2):,.2f}"


def _number(
    name: str,
    signature: str,
    python: Callable[..., Any],
    doc: str,
    *examples: tuple[str, Any],
    inexact: bool = False,
    also: Iterable[Overload] = (),
) -> Function:
    return define(
        name, signature, "number", python, doc=doc, group="Numbers", examples=examples, inexact=inexact, also=also
    )


FUNCTIONS = (
    _number("ABS", "number", abs, "Without its sign.", ("ABS(-2.5)", "2.5")),
    _number(
        "ROUND",
        "number, places: number?",
        _round,
        "Rounded, halves away from zero; negative places round to tens, hundreds …",
        ("ROUND(2.345, 2)", "2.35"),
        ("ROUND(-0.002, 2)", "0.00"),
        ("ROUND(1250, -2)", "1300"),
    ),
    _number("TRUNC", "number, places: number?", _trunc, "Cut to some places.", ("TRUNC(2.349, 2)", "2.34")),
    _number(
        "FLOOR",
        "number",
        _whole(ROUND_DOWN),
        "The whole number towards zero.",
        ("FLOOR(2.7)", "2"),
        ("FLOOR((1/9)*9)", "1"),
    ),
    _number("CEILING", "number", _whole(ROUND_UP), "The whole number away from zero.", ("CEILING(2.1)", "3")),
    _number("MFLOOR", "number", _whole(ROUND_FLOOR), "The next whole number below.", ("MFLOOR(-2.1)", "-3")),
    _number("MCEILING", "number", _whole(ROUND_CEILING), "The next whole number above.", ("MCEILING(-2.1)", "-2")),
    _number(
        "MOD",
        "number, divisor: number",
        mod,
        "The rest of a division; it has the sign of the number and keeps decimals.",
        ("MOD(10.5, 3)", "1.5"),
    ),
    _number(
        "MIN",
        "number, more: number*",
        _smallest,
        "The smallest, blank when one is blank; or the smallest value of the related records, skipping blanks.",
        ("MIN(3, 1, 2)", "1"),
        ("MIN(lines.price)", "10.00"),
        also=aggregates.best("MIN"),
    ),
    _number(
        "MAX",
        "number, more: number*",
        _biggest,
        "The biggest, blank when one is blank; or the biggest value of the related records, skipping blanks.",
        ("MAX(3, 1, 2)", "3"),
        ("MAX(lines.price, lines.active)", "20.00"),
        also=aggregates.best("MAX"),
    ),
    _number("SQRT", "number", _sqrt, "The square root.", ("SQRT(9)", "3"), inexact=True),
    _number("EXP", "number", _exp, "e to the power of the number.", ("ROUND(EXP(1), 5)", "2.71828"), inexact=True),
    _number("LN", "number", _ln, "The natural logarithm.", ("ROUND(LN(2), 5)", "0.69315"), inexact=True),
    _number(
        "LOG",
        "number, base: number?",
        _log,
        "The logarithm to the base 10 or another.",
        ("LOG(1000)", "3"),
        inexact=True,
    ),
    _number(
        "PI",
        "",
        lambda: Decimal("3.14159265358979323846264338327950288"),
        "The circle's number.",
        ("ROUND(PI(), 4)", "3.1416"),
    ),
    _number("SIN", "number", _angle(math.sin), "Sine.", ("SIN(0)", "0"), inexact=True),
    _number("COS", "number", _angle(math.cos), "Cosine.", ("COS(0)", "1"), inexact=True),
    _number("TAN", "number", _angle(math.tan), "Tangent.", ("TAN(0)", "0"), inexact=True),
    _number("ASIN", "number", _angle(math.asin), "Arc sine.", ("ASIN(0)", "0"), inexact=True),
    _number("ACOS", "number", _angle(math.acos), "Arc cosine.", ("ACOS(1)", "0"), inexact=True),
    _number("ATAN", "number", _angle(math.atan), "Arc tangent.", ("ATAN(0)", "0"), inexact=True),
    _number(
        "ATAN2",
        "y: number, x: number",
        _angle(math.atan2),
        "The angle of a point.",
        ("ATAN2(0, 1)", "0"),
        inexact=True,
    ),
    _number("SIGN", "number", _sign, "-1, 0 or 1.", ("SIGN(-3)", "-1")),
    _number(
        "ROUNDUP",
        "number, step: number",
        _even_step(ROUND_CEILING),
        "The next multiple of the step above.",
        ("ROUNDUP(12, 5)", "15"),
    ),
    _number(
        "ROUNDDOWN",
        "number, step: number",
        _even_step(ROUND_FLOOR),
        "The next multiple of the step below.",
        ("ROUNDDOWN(12, 5)", "10"),
    ),
    define(
        "FORMATCURRENCY",
        "currency: text, amount: number",
        "text",
        _format_currency,
        strict=False,
        group="Numbers",
        doc="An amount with its currency code, grouped in thousands.",
        examples=[('FORMATCURRENCY("USD", 1000.495)', "USD 1,000.50"), ('FORMATCURRENCY("JPY", 500)', "JPY 500")],
    ),
    define(
        "GEOLOCATION",
        "latitude: number, longitude: number",
        "geolocation",
        _place,
        strict=False,
        group="Numbers",
        doc="A place on Earth.",
        examples=[],
    ),
    _number(
        "DISTANCE",
        "here: geo, there: geo, unit: text",
        distance,
        "Distance between two places in 'mi' or 'km'.",
        ("ROUND(DISTANCE(GEOLOCATION(0, 0), GEOLOCATION(0, 1), 'km'), 1)", "111.2"),
        inexact=True,
    ),
)
