"""integer: a whole number."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import BigInteger

from ratoon.platform.fields import display, number_values
from ratoon.platform.fields.base import FieldSpec, FieldType, Part
from ratoon.platform.fields.faces import ORDER_OPERATORS, column, part
from ratoon.platform.formulas.types import Type

LIMIT = number_values.INTEGER_LIMIT


def integer_part(key: str, *, minimum: int | None = None, maximum: int | None = None, writable: bool = True) -> Part:
    """A whole number between the limits."""
    return part(
        key,
        sql=column(BigInteger),
        coerce=number_values.integer(minimum, maximum),
        schema={
            "type": "integer",
            "minimum": -LIMIT if minimum is None else minimum,
            "maximum": LIMIT if maximum is None else maximum,
        },
        formula=Type.NUMBER,
        operators=ORDER_OPERATORS,
        scale=0,
        writable=writable,
    )


class IntegerType(FieldType):
    """A whole number."""

    name = "integer"
    label = "Whole number"
    description = "A number without decimal places."
    icon = "number"
    options = MappingProxyType(
        {
            "min": {"type": "integer", "minimum": -LIMIT, "maximum": LIMIT, "description": "The smallest value."},
            "max": {"type": "integer", "minimum": -LIMIT, "maximum": LIMIT, "description": "The largest value."},
        }
    )

    def parts(self, spec: FieldSpec) -> tuple[Part, ...]:
        return (integer_part(spec.name, minimum=spec.option("min"), maximum=spec.option("max")),)

    def widget(self, spec: FieldSpec) -> str:
        return "integer"

    def show(self, spec: FieldSpec, record: Mapping[str, Any], locale: str, time_zone: str) -> str:
        value = record.get(spec.name)
        return "" if value is None else display.number(value, locale, 0)

    def sample(self, spec: FieldSpec, seed: int) -> Mapping[str, Any]:
        low, high = spec.option("min", 0), spec.option("max")
        if high is not None and "min" not in spec.options:
            low = min(0, high)
        return {spec.name: low + seed % (high - low + 1 if high is not None else 1000)}
