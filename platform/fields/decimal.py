"""decimal: an exact number with decimal places."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from ratoon.platform.fields import display
from ratoon.platform.fields.base import FieldSpec, FieldType, Part
from ratoon.platform.fields.faces import MAX_PRECISION, decimal_part, exact

LIMITS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "min": {"type": ["number", "string"], "description": "The smallest value; write it as text to be exact."},
        "max": {"type": ["number", "string"], "description": "The largest value; write it as text to be exact."},
    }
)
SCALE: Mapping[str, Any] = {
    "type": "integer",
    "minimum": 0,
    "maximum": 10,
    "default": 2,
    "description": "Digits after the decimal point.",
}
PRECISION: Mapping[str, Any] = {
    "type": "integer",
    "minimum": 1,
    "maximum": MAX_PRECISION,
    "default": MAX_PRECISION,
    "description": "Digits in all, those after the decimal point included.",
}


def decimal_of(spec: FieldSpec, *, suffix: str = "", writable: bool = True) -> Part:
    """The number part that the options ``precision``, ``scale``, ``min`` and ``max`` of a field describe."""
    return decimal_part(
        spec.name,
        precision=spec.option("precision", MAX_PRECISION),
        scale=spec.option("scale", 2),
        minimum=spec.option("min"),
        maximum=spec.option("max"),
        suffix=suffix,
        writable=writable,
    )


def decimal_sample(spec: FieldSpec, seed: int) -> str:
    """A number inside the limits of the field, as the API writes it."""
    scale = spec.option("scale", 2)
    one = Decimal(1).scaleb(-scale)
    room = 10 ** min(spec.option("precision", MAX_PRECISION), scale + 3)
    low, high = exact(spec.option("min")), exact(spec.option("max"))
    value = Decimal(seed * 37 % room).scaleb(-scale)
    if low is not None and value < low:
        value = low
    if high is not None and value > high:
        value = high if low is None or low == value else low
    return format(value.quantize(one), "f")


class DecimalType(FieldType):
    """An exact number with decimal places."""

    name = "decimal"
    label = "Number"
    description = "An exact number with decimal places."
    icon = "decimal"
    options = MappingProxyType({"precision": PRECISION, "scale": SCALE, **LIMITS})

    def parts(self, spec: FieldSpec) -> tuple[Part, ...]:
        return (decimal_of(spec),)

    def widget(self, spec: FieldSpec) -> str:
        return "decimal"

    def show(self, spec: FieldSpec, record: Mapping[str, Any], locale: str, time_zone: str) -> str:
        value = record.get(spec.name)
        return "" if value is None else display.number(value, locale, spec.option("scale", 2))

    def sample(self, spec: FieldSpec, seed: int) -> Mapping[str, Any]:
        return {spec.name: decimal_sample(spec, seed)}
