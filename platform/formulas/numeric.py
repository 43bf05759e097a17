"""How formulas count: exactly, in decimal, the same on every back end.

Sums and products are exact up to 80 digits. A quotient keeps 50 decimals; a result that a division (or a root, a
logarithm …) took part in is shown and compared with ``SHOWN`` decimals, so that ``(1/3)*3`` is 1.
"""

from __future__ import annotations

import decimal
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal

from ratoon.platform.errors import FormulaError

EXACT = Context(
    prec=80, rounding=ROUND_HALF_UP, Emin=-400, Emax=400, traps=[decimal.InvalidOperation, decimal.DivisionByZero,
                                                                   decimal.Overflow],
)  # fmt: skip
DIVISION = Decimal(1).scaleb(-50)
SHOWN = 32
"""Decimals kept of a result that is not exact."""
SHOWN_STEP = Decimal(1).scaleb(-SHOWN)
ZERO = Decimal(0)
ONE = Decimal(1)
WORKING = Decimal(1).scaleb(-18)
"""FLOOR, CEILING … first round to this, so that a quotient just below a whole number counts as that number."""

_quantize = EXACT.quantize
_normalize = EXACT.normalize
_divide = EXACT.divide


def parse_number(text: str) -> Decimal:
    """The value of a number as written in a formula (``12``, ``1.5``, ``.40``)."""
    return Decimal(text.rstrip(".") or "0")


def divide(left: Decimal, right: Decimal) -> Decimal:
    """The quotient, 50 decimals. Raises ``FormulaError`` for a zero divisor."""
    if not right:
        raise FormulaError("division_by_zero", "Division by zero")
    result = _divide(left, right)
    return result if result.adjusted() > 28 else _quantize(result, DIVISION)


def settle(value: Decimal) -> Decimal:
    """An inexact result with at most ``SHOWN`` decimals and no trailing zeros."""
    value = Decimal(value)
    return tidy(_quantize(value, SHOWN_STEP)) if value.adjusted() < 46 else value


def tidy(value: Decimal) -> Decimal:
    """Without trailing zeros after the point, never in exponent form."""
    short = _normalize(value)
    whole = short.to_integral_value()
    return _quantize(short, ONE) if short == whole else short


def _step(places: int) -> Decimal:
    return Decimal(1).scaleb(-places)


def round_half_up(value: Decimal, places: int) -> Decimal:
    """Rounded to ``places`` decimals (negative: tens, hundreds …), halves away from zero."""
    return _to_places(value, places, ROUND_HALF_UP)


def truncate(value: Decimal, places: int) -> Decimal:
    """Cut to ``places`` decimals."""
    return _to_places(value, places, ROUND_DOWN)


def _to_places(value: Decimal, places: int, rounding: str) -> Decimal:
    value = Decimal(value)
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and places >= 0 and exponent >= -places:
        return value
    places = max(min(places, 60), -60)
    result = value.quantize(_step(places), rounding=rounding, context=EXACT)
    return EXACT.plus(_quantize(result, ONE) if places < 0 else result)  # plus: there is no negative zero


def plain(value: Decimal) -> str:
    """The number as text: no exponent, no trailing zeros after the point."""
    text = format(value if value else abs(value), "f") if isinstance(value, Decimal) else str(value)
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"
