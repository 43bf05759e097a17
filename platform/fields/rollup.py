"""rollup: a count, sum, smallest, largest or average over the records that point here.

A count is a whole number; for the others the metadata compiler puts ``returns`` and ``scale`` of the field that is
rolled up into the options.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ratoon.platform.fields.base import FieldSpec, FieldType, Part
from ratoon.platform.fields.computed import computed_part, show_computed
from ratoon.platform.fields.decimal import SCALE


def returned(spec: FieldSpec) -> str:
    """The type of the result: ``integer`` for a count, else that of the field rolled up."""
    return "integer" if spec.option("operation") == "count" else str(spec.option("returns", "number"))


class RollupType(FieldType):
    """An aggregate over the records that point here."""

    name = "rollup"
    label = "Rollup"
    description = "A count, sum, smallest, largest or average over the records that point at this one."
    icon = "sum"
    computed = True
    required_options = ("of", "via", "operation")
    options = MappingProxyType(
        {
            "of": {"type": "string", "description": "Name of the object whose records are rolled up."},
            "via": {"type": "string", "description": "The field of that object that points here."},
            "operation": {
                "enum": ["count", "sum", "min", "max", "avg"],
                "description": "What to work out. Every one but count needs a field.",
            },
            "field": {"type": "string", "description": "The field of that object that is rolled up."},
            "filter": {
                "type": "string",
                "description": "A formula over those records: only the ones for which it is true count.",
            },
            "scale": SCALE,
        }
    )

    def parts(self, spec: FieldSpec) -> tuple[Part, ...]:
        return (computed_part(spec, returned(spec)),)

    def widget(self, spec: FieldSpec) -> str:
        return "readonly"

    def show(self, spec: FieldSpec, record: Mapping[str, Any], locale: str, time_zone: str) -> str:
        return show_computed(spec, returned(spec), record, locale, time_zone)

    def sample(self, spec: FieldSpec, seed: int) -> Mapping[str, Any]:
        return {}
