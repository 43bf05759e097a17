"""boolean: true or false."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Boolean

from ratoon.platform.fields import display, number_values
from ratoon.platform.fields.base import FieldSpec, FieldType, Part
from ratoon.platform.fields.faces import FLAG_OPERATORS, column, part
from ratoon.platform.formulas.types import Type


def boolean_part(key: str, *, writable: bool = True) -> Part:
    """True or false."""
    return part(
        key,
        sql=column(Boolean),
        coerce=number_values.boolean,
        schema={"type": "boolean"},
        formula=Type.BOOLEAN,
        operators=FLAG_OPERATORS,
        writable=writable,
    )


class BooleanType(FieldType):
    """True or false."""

    name = "boolean"
    label = "Yes or no"
    description = "True or false."
    icon = "toggle-left"

    def parts(self, spec: FieldSpec) -> tuple[Part, ...]:
        return (boolean_part(spec.name),)

    def widget(self, spec: FieldSpec) -> str:
        return "boolean"

    def show(self, spec: FieldSpec, record: Mapping[str, Any], locale: str, time_zone: str) -> str:
        value = record.get(spec.name)
        return "" if value is None else display.yes_no(value, locale)

    def sample(self, spec: FieldSpec, seed: int) -> Mapping[str, Any]:
        return {spec.name: seed % 2 == 0}
