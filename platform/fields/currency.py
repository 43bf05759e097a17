"""currency: an amount of money with its currency code.

Two parts: ``amount`` and ``amount_currency``. An amount that comes without a code gets the field's ``currency``, or
the organisation's (the record service fills it in).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from babel.numbers import list_currencies
from sqlalchemy import Text

from ratoon.platform.fields import display
from ratoon.platform.fields.base import Coerce, FieldSpec, FieldType, Part
from ratoon.platform.fields.decimal import LIMITS, PRECISION, SCALE, decimal_of, decimal_sample
from ratoon.platform.fields.faces import CHOICE_OPERATORS, column, part
from ratoon.platform.fields.refusals import refuse, short
from ratoon.platform.formulas.types import Type

SUFFIX = "_currency"


@lru_cache(maxsize=1)
def known_currencies() -> frozenset[str]:
    """Every ISO 4217 code, historic ones included: old contracts name them."""
    return frozenset(list_currencies())


@lru_cache(maxsize=1)
def currency_code() -> Coerce:
    """A known ISO 4217 code, in capitals."""
    known = known_currencies()

    def coerce(value: Any) -> str | None:
        if type(value) is str and value in known:
            return value
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        if isinstance(value, str) and value.strip().upper() in known:
            return value.strip().upper()
        raise refuse("unknown_currency", value=short(value))

    return coerce


class CurrencyType(FieldType):
    """An amount of money with its currency."""

    name = "currency"
    label = "Currency"
    description = "An amount of money with its currency code."
    icon = "coins"
    options = MappingProxyType(
        {
            "precision": PRECISION,
            "scale": SCALE,
            **LIMITS,
            "currency": {
                "type": "string",
                "pattern": "^[A-Z]{3}$",
                "description": "Currency of amounts that come without one, such as EUR. Default: the organisation's.",
            },
        }
    )

    def parts(self, spec: FieldSpec) -> tuple[Part, ...]:
        code = part(
            spec.name,
            sql=column(Text),
            coerce=currency_code(),
            schema={"type": "string", "pattern": "^[A-Z]{3}$", "description": "ISO 4217 currency code"},
            formula=Type.TEXT,
            operators=CHOICE_OPERATORS,
            suffix=SUFFIX,
            label="Currency",
        )
        return decimal_of(spec), code

    def widget(self, spec: FieldSpec) -> str:
        return "currency"

    def show(self, spec: FieldSpec, record: Mapping[str, Any], locale: str, time_zone: str) -> str:
        value = record.get(spec.name)
        if value is None:
            return ""
        code = record.get(spec.name + SUFFIX) or spec.option("currency")
        return display.money(value, code, locale) if code else display.number(value, locale, spec.option("scale", 2))

    def sample(self, spec: FieldSpec, seed: int) -> Mapping[str, Any]:
        code = spec.option("currency") or ("USD", "EUR", "CNY")[seed % 3]
        return {spec.name: decimal_sample(spec, seed), spec.name + SUFFIX: code}
