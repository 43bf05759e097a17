"""Coercions of numbers and truth values: exact decimals, whole numbers, booleans.

A number that a person or a program *sends* must fit as it is: too many decimal places are refused, not rounded. A
``Decimal`` is what formulas, automations and rollups *compute*, and is rounded half up to the places of the field.

Digits and signs as a Chinese or Japanese input method types them (``１２３．５``) are read as ASCII. Other
lookalikes are not: ``10²`` must not become 102.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from ratoon.platform.fields.base import Coerce
from ratoon.platform.fields.refusals import refuse

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_WHOLE = re.compile(r"[+-]?[0-9]{1,40}")
_EXACT = Context(prec=60, rounding=ROUND_HALF_UP)
INTEGER_LIMIT = 2**53 - 1
"""The largest whole number that every JSON reader reads exactly."""
_TRUE = frozenset({"true", "1", "on", "yes", "t", "y"})
_FALSE = frozenset({"false", "0", "off", "no", "f", "n"})
_HALF_WIDTH = {0x3000: 0x20, **{wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)}}


def typed(text: str) -> str:
    """What was typed, without the spaces around it and with full-width characters as ASCII."""
    text = text.strip()
    return text if text.isascii() else text.translate(_HALF_WIDTH)


def _number(value: Any) -> Decimal | None:
    if isinstance(value, str):
        value = typed(value)
        if not value:
            return None
        if len(value) > 100 or not _NUMBER.fullmatch(value):
            raise refuse("not_a_number")
        return Decimal(value)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise refuse("not_a_number")
    if isinstance(value, int):
        if value.bit_length() > 200:
            raise refuse("too_many_digits", digits=18)
        return Decimal(value)
    number = Decimal(repr(value)) if isinstance(value, float) else value
    if not number.is_finite():
        raise refuse("not_a_number")
    return number


@lru_cache(maxsize=256)
def decimal(precision: int, scale: int, minimum: Decimal | None = None, maximum: Decimal | None = None) -> Coerce:
    """An exact number of at most ``precision`` digits, kept with exactly ``scale`` of them after the point."""
    one = Decimal(1).scaleb(-scale)
    limit = Decimal(10) ** (precision - scale)
    digits = precision - scale
    zero = Decimal(0).quantize(one)
    quantize = Decimal.quantize
    places = rf"\.[0-9]{{{scale}}}" if scale else ""
    as_kept = re.compile(rf"-?[0-9]{{1,{max(digits, 1)}}}{places}").fullmatch

    unlimited = minimum is None and maximum is None and digits > 0

    def coerce(value: Any) -> Decimal | None:
        if type(value) is str and as_kept(value):
            kept = Decimal(value)
            if unlimited or (
                -limit < kept < limit and (minimum is None or kept >= minimum) and (maximum is None or kept <= maximum)
            ):
                return kept or zero
        return slow(value)

    def slow(value: Any) -> Decimal | None:
        number = _number(value)
        if number is None:
            return None
        try:
            kept = quantize(number, one, None, _EXACT)
        except InvalidOperation:
            raise refuse("too_many_digits", digits=digits) from None
        if kept != number and type(value) is not Decimal:
            raise refuse("too_many_decimals", scale=scale)
        if not -limit < kept < limit:
            raise refuse("too_many_digits", digits=digits)
        if minimum is not None and kept < minimum:
            raise refuse("too_small", min=minimum)
        if maximum is not None and kept > maximum:
            raise refuse("too_large", max=maximum)
        return kept if kept else zero

    return coerce


@lru_cache(maxsize=256)
def integer(minimum: int | None = None, maximum: int | None = None) -> Coerce:
    """A whole number between the limits; without limits, one that every JSON reader reads exactly."""
    low = -INTEGER_LIMIT if minimum is None else minimum
    high = INTEGER_LIMIT if maximum is None else maximum

    def slow(value: Any) -> int | None:
        if value is None:
            return None
        if isinstance(value, str):
            value = typed(value)
            if not value:
                return None
            if not _WHOLE.fullmatch(value):
                raise refuse("not_an_integer")
            number = int(value)
        elif isinstance(value, Decimal) and value.is_finite():
            if value.adjusted() > 30:
                raise refuse("too_large" if value > 0 else "too_small", max=high, min=low)
            number = int(value.to_integral_value(ROUND_HALF_UP))
        elif isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
            raise refuse("not_an_integer")
        else:
            number = int(value)
        if number < low:
            raise refuse("too_small", min=low)
        if number > high:
            raise refuse("too_large", max=high)
        return number

    def coerce(value: Any) -> int | None:
        if type(value) is int and low <= value <= high:
            return value
        return slow(value)

    return coerce


def boolean(value: Any) -> bool | None:
    """True or false; from a form also ``on``, ``1``, ``yes`` and their opposites."""
    if value is True or value is False or value is None:
        return value
    if isinstance(value, str):
        word = value.strip().lower()
        if not word:
            return None
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
    elif isinstance(value, int) and value in (0, 1):
        return bool(value)
    raise refuse("not_a_boolean")


def plain_decimal(value: Decimal | str) -> str:
    """The number as the API writes it: never with an exponent. A text is one already."""
    return value if isinstance(value, str) else format(value, "f")
