"""richtext: formatted text, stored as sanitised HTML that is safe to show."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ratoon.platform.fields import display, text_values
from ratoon.platform.fields.base import FieldSpec, FieldType, Part
from ratoon.platform.fields.faces import text_part

DEFAULT_LENGTH = 32_000
MAX_LENGTH = 131_072


class RichtextType(FieldType):
    """Formatted text; whatever could run, load or restyle the page is removed when it is saved."""

    name = "richtext"
    label = "Rich text"
    description = "Formatted text: headings, lists, links, images. It is cleaned of scripts and styles when saved."
    icon = "text-wrap"
    options = MappingProxyType(
        {
            "max_length": {
                "type": "integer",
                "minimum": 100,
                "maximum": MAX_LENGTH,
                "default": DEFAULT_LENGTH,
                "description": "The most characters a value may have, markup included.",
            }
        }
    )

    def parts(self, spec: FieldSpec) -> tuple[Part, ...]:
        length = spec.option("max_length", DEFAULT_LENGTH)
        return (
            text_part(
                spec.name,
                length,
                coerce=text_values.richtext(length),
                schema={"contentMediaType": "text/html"},
                operators=("contains", "blank", "filled"),
                sortable=False,
            ),
        )

    def widget(self, spec: FieldSpec) -> str:
        return "richtext"

    def show(self, spec: FieldSpec, record: Mapping[str, Any], locale: str, time_zone: str) -> str:
        value = record.get(spec.name)
        return "" if value is None else display.without_markup(value)

    def sample(self, spec: FieldSpec, seed: int) -> Mapping[str, Any]:
        return {spec.name: f"<p>Sample <strong>{seed}</strong></p>"}
