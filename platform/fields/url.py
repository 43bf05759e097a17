"""url: a web address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ratoon.platform.fields import text_values
from ratoon.platform.fields.base import FieldSpec, FieldType, Part
from ratoon.platform.fields.faces import text_part


class UrlType(FieldType):
    """A web address; addresses that would run code are refused."""

    name = "url"
    label = "Web address"
    description = "A web address; addresses that would run code are refused."
    icon = "link"

    def parts(self, spec: FieldSpec) -> tuple[Part, ...]:
        return (text_part(spec.name, 2000, coerce=text_values.url(), schema={"format": "iri"}),)

    def widget(self, spec: FieldSpec) -> str:
        return "url"

    def sample(self, spec: FieldSpec, seed: int) -> Mapping[str, Any]:
        return {spec.name: f"https://example.com/{seed}"}
