"""email: an e-mail address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ratoon.platform.fields import text_values
from ratoon.platform.fields.base import FieldSpec, FieldType, Part
from ratoon.platform.fields.faces import text_part


class EmailType(FieldType):
    """An e-mail address, kept in lower case."""

    name = "email"
    label = "E-mail"
    description = "An e-mail address, kept in lower case."
    icon = "mail"

    def parts(self, spec: FieldSpec) -> tuple[Part, ...]:
        return (text_part(spec.name, 254, coerce=text_values.email(), schema={"format": "email"}),)

    def widget(self, spec: FieldSpec) -> str:
        return "email"

    def sample(self, spec: FieldSpec, seed: int) -> Mapping[str, Any]:
        return {spec.name: f"sample{seed}@example.com"}
