"""Currency conversion: CONVERT, CURRENCYRATE, FORMATCURRENCY.

Rates come with the context (``EvalContext.rates``). A rate says what one unit of a currency costs in the organisation's
currency from a day on, until the next one; the organisation's own is 1. Nothing is guessed: where no rate is known for
a day, Python raises ``no_rate`` and a database answers with a blank.

Because rates change by themselves, a formula that asks for one is volatile: it is worked out whenever it is read.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

import orjson

from ratoon.platform.formulas.dates import today
from ratoon.platform.formulas.functions import define
from ratoon.platform.formulas.numeric import EXACT, ONE, divide
from ratoon.platform.formulas.types import EvalContext, NoRates

BEGINNING = date(1, 1, 1)


@dataclass(frozen=True)
class Rates:
    """Known rates; implements ``types.RateSource``."""

    known: Mapping[str, tuple[tuple[date, Decimal], ...]] = field(default_factory=dict)
    """Currency → (first day, rate) in the order of days."""

    @classmethod
    def of(cls, home: str, rows: Iterable[tuple[str, date, Decimal]]) -> Rates:
        """Rates out of (currency, first day, rate); ``home`` is the organisation's currency."""
        known: dict[str, list[tuple[date, Decimal]]] = {}
        for currency, day, rate in rows:
            known.setdefault(currency.upper(), []).append((day, rate))
        known[home.upper()] = [(BEGINNING, ONE)]
        return cls({currency: tuple(sorted(days)) for currency, days in known.items()})

    def rate(self, currency: str, day: date) -> Decimal:
        """What one unit of a currency costs in the organisation's on a day. Raises ``FormulaError`` (no_rate)."""
        days = self.known.get(currency.upper(), ())
        at = bisect.bisect_right(days, day, key=lambda entry: entry[0])
        return days[at - 1][1] if at else NoRates().rate(currency, day)

    def as_json(self) -> str:
        """All rates as JSON: currency → list of (first day, rate as text)."""
        return orjson.dumps({c: [[d, str(r)] for d, r in days] for c, days in self.known.items()}).decode()


def read_rates(text: str) -> Rates:
    """Rates out of ``as_json``."""
    return Rates(
        {c: tuple((date.fromisoformat(d), Decimal(r)) for d, r in days) for c, days in orjson.loads(text).items()}
    )


def convert(context: EvalContext, amount: Decimal, source: str, target: str, day: date | None = None) -> Decimal | None:
    """An amount in another currency at the rate of a day. Raises ``FormulaError`` (no_rate)."""
    if source.upper() == target.upper():
        return amount
    day = day or today(context)
    return divide(EXACT.multiply(amount, context.rates.rate(source, day)), context.rates.rate(target, day))


def currency_rate(context: EvalContext, currency: str, day: date | None = None) -> Decimal:
    """What one unit of a currency costs. Raises ``FormulaError`` (no_rate)."""
    return context.rates.rate(currency, day or today(context))


FUNCTIONS = (
    define(
        "CONVERT",
        "amount: number, from: text, to: text, day: date?",
        "number",
        convert,
        context=True,
        volatile=True,
        inexact=True,
        group="Money",
        doc="An amount in another currency, at the rate of a day (today when left out). Where no rate is known for "
        "that day it is an error; in a filter the record is then not found.",
        examples=[
            ('ROUND(CONVERT(100, "USD", "EUR", DATE(2026, 6, 1)), 2)', "92"),
            ('CONVERT(5, "JPY", "JPY")', "5"),
        ],
    ),
    define(
        "CURRENCYRATE",
        "currency: text, day: date?",
        "number",
        currency_rate,
        context=True,
        volatile=True,
        group="Money",
        doc="What one unit of a currency costs in the organisation's currency on a day (today when left out).",
        examples=[('CURRENCYRATE("USD", DATE(2026, 6, 1))', "0.92")],
    ),
)
