"""picklist: one of a set of values.

The values are the field's own or a shared value set's, resolved into ``FieldSpec.choices``. ``coerce`` accepts every
known value, inactive ones included: an old record keeps its value. That nobody *newly* chooses an inactive value
(``inactive_values``), and that a dependent value goes with the controlling one (``Option.parents``), the record
service checks, because only it knows the record before and after.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import Text

from ratoon.platform.fields.base import Coerce, FieldSpec, FieldType, Part
from ratoon.platform.fields.faces import CHOICE_OPERATORS, column, part
from ratoon.platform.fields.refusals import refuse, short
from ratoon.platform.formulas.types import Type

VALUE_PATTERN = r"^[^;\s\x00-\x1f]([^;\x00-\x1f]{0,78}[^;\s\x00-\x1f])?$"
"""What a value may look like: no semicolon (multi-select values are joined by it), no outer spaces."""
VALUES: Mapping[str, Any] = {
    "type": "array",
    "minItems": 1,
    "maxItems": 1000,
    "description": "The values to choose from, in the order they are shown.",
    "items": {
        "type": "object",
        "required": ["value"],
        "additionalProperties": False,
        "description": "One choice.",
        "properties": {
            "value": {
                "type": "string",
                "pattern": VALUE_PATTERN,
                "description": "What is stored and what formulas and the API use. Keep it stable.",
            },
            "label": {"type": "string", "description": "What people read. Default: the value."},
            "color": {"type": "string", "description": "A colour name, such as green, for boards and badges."},
            "active": {
                "type": "boolean",
                "default": True,
                "description": "False keeps the value on old records and offers it no longer.",
            },
            "for": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Dependent picklist: the controlling values this one goes with. Default: all.",
            },
            "renamed_from": {
                "type": ["string", "array"],
                "items": {"type": "string"},
                "description": "The earlier form of the value, or several. Records, history and formulas follow.",
            },
            "replaces": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Values that are gone: records that have them get this one.",
            },
        },
    },
}
CHOICE_OPTIONS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "values": VALUES,
        "value_set": {"type": "string", "description": "Name of a shared value set (picklists/<name>.json)."},
        "depends_on": {
            "type": "string",
            "description": "The picklist field of the same object that decides which values are offered.",
        },
    }
)


def choice(spec: FieldSpec) -> Coerce:
    """One of the field's values, inactive ones included."""
    known = {option.value: option.value for option in spec.choices}
    listed = ", ".join(option.value for option in spec.choices if option.active)
    listed = short(listed) if len(listed) > 200 else listed

    def coerce(value: Any) -> str | None:
        if type(value) is str:
            found = known.get(value)
            if found is not None:
                return found
            value = value.strip()
            if not value:
                return None
            if value in known:
                return known[value]
        elif value is None:
            return None
        raise refuse("unknown_choice", value=short(value), choices=listed)

    return coerce


def inactive_values(spec: FieldSpec) -> frozenset[str]:
    """Values that old records keep and nobody may newly choose."""
    return frozenset(option.value for option in spec.choices if not option.active)


def choice_label(spec: FieldSpec, value: str) -> str:
    """What people read for a value; the value itself when it is no longer known."""
    return next((option.label for option in spec.choices if option.value == value), value)


class PicklistType(FieldType):
    """One of a set of values."""

    name = "picklist"
    label = "Picklist"
    description = "One value out of a list, its own or a shared one; may depend on another picklist."
    icon = "list"
    options = CHOICE_OPTIONS

    def parts(self, spec: FieldSpec) -> tuple[Part, ...]:
        return (
            part(
                spec.name,
                sql=column(Text),
                coerce=choice(spec),
                schema={"type": "string", "enum": [option.value for option in spec.choices]},
                formula=Type.PICKLIST,
                operators=CHOICE_OPERATORS,
            ),
        )

    def widget(self, spec: FieldSpec) -> str:
        return "picklist"

    def show(self, spec: FieldSpec, record: Mapping[str, Any], locale: str, time_zone: str) -> str:
        value = record.get(spec.name)
        return "" if value is None else choice_label(spec, value)

    def sample(self, spec: FieldSpec, seed: int) -> Mapping[str, Any]:
        active = [option.value for option in spec.choices if option.active]
        return {spec.name: active[seed % len(active)]} if active else {}
