"""polymorphic: points at a record of one of several objects.

Two parts: ``about`` (the id) and ``about_object`` (the name of the object it is in).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import Text

from ratoon.platform.fields import text_values
from ratoon.platform.fields.base import FieldSpec, FieldType, Part
from ratoon.platform.fields.faces import CHOICE_OPERATORS, column, part, reference_part, sample_id
from ratoon.platform.fields.lookup import ON_DELETE, RELATED_LABEL, RELATED_NAME
from ratoon.platform.formulas.types import Type

SUFFIX = "_object"


class PolymorphicType(FieldType):
    """Points at a record of one of several objects."""

    name = "polymorphic"
    label = "Lookup to several objects"
    description = "Points at a record of one of several objects."
    icon = "arrows-split"
    reference = True
    required_options = ("objects",)
    options = MappingProxyType(
        {
            "objects": {
                "type": "array",
                "items": {"type": "string"},
                "minItems": 1,
                "maxItems": 50,
                "uniqueItems": True,
                "description": "Names of the objects this field may point at.",
            },
            "on_delete": ON_DELETE,
            "related_label": RELATED_LABEL,
            "related_name": RELATED_NAME,
        }
    )

    def parts(self, spec: FieldSpec) -> tuple[Part, ...]:
        targets = frozenset(spec.targets)
        which = part(
            spec.name,
            sql=column(Text),
            coerce=text_values.member(targets, "unknown_object", "objects"),
            schema={"type": "string", "enum": sorted(targets)},
            formula=Type.TEXT,
            operators=CHOICE_OPERATORS,
            suffix=SUFFIX,
            label="Object",
        )
        return reference_part(spec.name), which

    def widget(self, spec: FieldSpec) -> str:
        return "polymorphic"

    def sample(self, spec: FieldSpec, seed: int) -> Mapping[str, Any]:
        if not spec.targets:
            return {}
        return {spec.name: sample_id(seed), spec.name + SUFFIX: spec.targets[seed % len(spec.targets)]}
