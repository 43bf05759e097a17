"""phone: a phone number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ratoon.platform.fields import text_values
from ratoon.platform.fields.base import FieldSpec, FieldType, Part
from ratoon.platform.fields.faces import text_part


class PhoneType(FieldType):
    """A phone number, as people write it."""

    name = "phone"
    label = "Phone"
    description = "A phone number, as people write it."
    icon = "phone"

    def parts(self, spec: FieldSpec) -> tuple[Part, ...]:
        return (text_part(spec.name, 40, coerce=text_values.phone()),)

    def widget(self, spec: FieldSpec) -> str:
        return "phone"

    def sample(self, spec: FieldSpec, seed: int) -> Mapping[str, Any]:
        return {spec.name: f"+1 415 555 {seed % 10_000:04d}"}
