"""How a person reads a value: numbers, money, dates and durations in a locale and a time zone.

An unknown locale reads as English and an unknown time zone as UTC, because a screen must show something.
"""

from __future__ import annotations

import html
from datetime import date, datetime, time, tzinfo
from decimal import Decimal
from functools import lru_cache

import nh3
from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime, format_time, get_datetime_format, get_timezone
from babel.numbers import format_currency, format_decimal, get_currency_precision
from babel.units import format_unit

_YES_NO = {"en": ("Yes", "No"), "zh": ("是", "否")}


@lru_cache(maxsize=64)
def known_locale(name: str) -> Locale:
    """The Babel locale of ``en``, ``zh-Hans``, ``zh_Hant`` …"""
    try:
        return Locale.parse(name.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return Locale("en")


@lru_cache(maxsize=64)
def known_zone(name: str) -> tzinfo:
    """The time zone of that IANA name."""
    try:
        return get_timezone(name)
    except LookupError:
        return get_timezone("UTC")


def number(value: Decimal | int, locale: str, places: int) -> str:
    """``1234.5`` at two places → ``1,234.50``."""
    fraction = "." + "0" * places if places else ""
    return str(format_decimal(value, format="#,##0" + fraction, locale=known_locale(locale)))


def percent(value: Decimal, locale: str) -> str:
    """``20.50`` → ``20.5%``; the value is in percent units."""
    digits = max(0, -int(value.normalize().as_tuple().exponent)) if value else 0
    return number(value, locale, digits) + "%"


def money(value: Decimal, currency: str, locale: str) -> str:
    """The amount with its currency, at the places usual for it, or at all places when those would hide something."""
    usual = get_currency_precision(currency)
    if value == round(value, usual):
        return str(format_currency(value, currency, locale=known_locale(locale)))
    return str(
        format_currency(value, currency, locale=known_locale(locale), currency_digits=False, decimal_quantization=False)
    )


def day(value: date, locale: str) -> str:
    """``2026-11-21`` → ``Nov 21, 2026``."""
    return str(format_date(value, "medium", locale=known_locale(locale)))


def moment(value: datetime, locale: str, time_zone: str, *, seconds: bool = False) -> str:
    """A moment on the reader's wall clock: ``Nov 21, 2026, 8:30 PM``; ``seconds`` where the order of things matters."""
    known, zone = known_locale(locale), known_zone(time_zone)
    if seconds:
        return str(format_datetime(value, "medium", tzinfo=zone, locale=known))
    joined = str(get_datetime_format("medium", locale=known))
    time_text = format_time(value, "short", tzinfo=zone, locale=known)
    day_text = format_date(value.astimezone(zone).date(), "medium", locale=known)
    return joined.replace("'", "").replace("{0}", time_text).replace("{1}", day_text)


def time_of_day(value: time, locale: str) -> str:
    """``08:00`` → ``8:00 AM``; seconds only when there are any."""
    return str(format_time(value, "medium" if value.second else "short", locale=known_locale(locale)))


def duration(seconds: int, locale: str) -> str:
    """``5400`` → ``1 hr 30 min``."""
    rest = abs(seconds)
    words: list[str] = []
    for unit, size in (("hour", 3600), ("minute", 60), ("second", 1)):
        count, rest = divmod(rest, size)
        if count or (unit == "second" and not words):
            words.append(format_unit(count, f"duration-{unit}", "short", locale=known_locale(locale)))
    return ("−" if seconds < 0 else "") + " ".join(words)


def yes_no(value: bool, locale: str) -> str:
    """``Yes`` or ``No`` in the reader's language; English when there is none."""
    yes, no = _YES_NO.get(known_locale(locale).language, _YES_NO["en"])
    return yes if value else no


def without_markup(source: str) -> str:
    """The text of an HTML fragment."""
    return html.unescape(nh3.clean(source, tags=set())).strip()
