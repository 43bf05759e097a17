"""percent: an exact number in percent units. ``20`` is 20 %; formulas see 0.2."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ratoon.platform.fields import display
from ratoon.platform.fields.base import FieldSpec, FieldType, Part
from ratoon.platform.fields.decimal import LIMITS, SCALE, decimal_of, decimal_sample


class PercentType(FieldType):
    """A percentage."""

    name = "percent"
    label = "Percent"
    description = "A percentage: 20 means 20 %, and formulas see 0.2."
    icon = "percentage"
    options = MappingProxyType({"scale": SCALE, **LIMITS})

    def parts(self, spec: FieldSpec) -> tuple[Part, ...]:
        return (decimal_of(spec),)

    def widget(self, spec: FieldSpec) -> str:
        return "percent"

    def show(self, spec: FieldSpec, record: Mapping[str, Any], locale: str, time_zone: str) -> str:
        value = record.get(spec.name)
        return "" if value is None else display.percent(value, locale)

    def sample(self, spec: FieldSpec, seed: int) -> Mapping[str, Any]:
        return {spec.name: decimal_sample(spec, seed)}
