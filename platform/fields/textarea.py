"""textarea: text of several lines."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ratoon.platform.fields.base import FieldSpec, FieldType, Part
from ratoon.platform.fields.faces import text_part

DEFAULT_LENGTH = 32_000
MAX_LENGTH = 131_072


class TextareaType(FieldType):
    """Text of several lines."""

    name = "textarea"
    label = "Long text"
    description = "Plain text of several lines."
    icon = "align-left"
    options = MappingProxyType(
        {
            "max_length": {
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_LENGTH,
                "default": DEFAULT_LENGTH,
                "description": "The most characters a value may have.",
            }
        }
    )

    def parts(self, spec: FieldSpec) -> tuple[Part, ...]:
        length = spec.option("max_length", DEFAULT_LENGTH)
        operators = ("contains", "blank", "filled")
        return (text_part(spec.name, length, multiline=True, operators=operators, sortable=False),)

    def widget(self, spec: FieldSpec) -> str:
        return "textarea"

    def sample(self, spec: FieldSpec, seed: int) -> Mapping[str, Any]:
        return {spec.name: f"Sample {seed}\nof two lines"[: spec.option("max_length", DEFAULT_LENGTH)].strip()}
