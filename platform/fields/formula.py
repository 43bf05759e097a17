"""formula: a value worked out from the record and the records it points at.

It is stored when it only depends on data, and computed at reading when it also depends on the time or the user (the
metadata compiler then sets the option ``volatile``). A percent formula returns a fraction, 0.2 for 20 %, like every
formula; the part keeps percent units.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ratoon.platform.fields.base import FieldSpec, FieldType, Part
from ratoon.platform.fields.computed import computed_part, show_computed
from ratoon.platform.fields.decimal import SCALE


class FormulaType(FieldType):
    """A value worked out from the record and the records it points at."""

    name = "formula"
    label = "Formula"
    description = "A value worked out from this record and the records it points at."
    icon = "math-function"
    computed = True
    required_options = ("formula", "returns")
    options = MappingProxyType(
        {
            "formula": {"type": "string", "maxLength": 20_000, "description": "The formula."},
            "returns": {
                "enum": ["number", "decimal", "currency", "percent", "text", "boolean", "date", "datetime", "time"],
                "description": "The type of the result.",
            },
            "scale": SCALE,
            "currency": {
                "type": "string",
                "pattern": "^[A-Z]{3}$",
                "description": "Returns currency: the currency the result is shown in.",
            },
            "blanks": {
                "enum": ["blank", "zero"],
                "default": "blank",
                "description": "How a blank number counts: it stays blank, or it is 0.",
            },
        }
    )

    def parts(self, spec: FieldSpec) -> tuple[Part, ...]:
        return (computed_part(spec, spec.option("returns", "text")),)

    def widget(self, spec: FieldSpec) -> str:
        return "readonly"

    def show(self, spec: FieldSpec, record: Mapping[str, Any], locale: str, time_zone: str) -> str:
        return show_computed(spec, spec.option("returns", "text"), record, locale, time_zone)

    def sample(self, spec: FieldSpec, seed: int) -> Mapping[str, Any]:
        return {}
