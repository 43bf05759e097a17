"""text: one line of text."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ratoon.platform.fields.base import FieldSpec, FieldType, Part
from ratoon.platform.fields.faces import text_part

DEFAULT_LENGTH = 255
MAX_LENGTH = 500
"""Longer text cannot be indexed on every database: that is what ``textarea`` is for."""


class TextType(FieldType):
    """One line of text."""

    name = "text"
    label = "Text"
    description = "One line of text, up to 500 characters."
    icon = "cursor-text"
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
        return (text_part(spec.name, spec.option("max_length", DEFAULT_LENGTH)),)

    def widget(self, spec: FieldSpec) -> str:
        return "text"

    def sample(self, spec: FieldSpec, seed: int) -> Mapping[str, Any]:
        return {spec.name: f"Sample {seed}"[: spec.option("max_length", DEFAULT_LENGTH)]}
