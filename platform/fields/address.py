"""address: a postal address in five parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ratoon.platform.fields.base import FieldSpec, FieldType, Part
from ratoon.platform.fields.faces import text_part

ADDRESS_PARTS: tuple[tuple[str, str, int, str], ...] = (
    ("_street", "Street", 255, "{number} Main Street"),
    ("_city", "City", 80, "Springfield"),
    ("_state", "State or province", 80, "IL"),
    ("_postal_code", "Postal code", 20, "62701"),
    ("_country", "Country", 80, "United States"),
)
"""(suffix, label, longest value, sample)"""


class AddressType(FieldType):
    """A postal address."""

    name = "address"
    label = "Address"
    description = "A postal address: street, city, state or province, postal code, country."
    icon = "map-pin"

    def parts(self, spec: FieldSpec) -> tuple[Part, ...]:
        return tuple(
            text_part(spec.name, length, multiline=suffix == "_street", suffix=suffix, label=label)
            for suffix, label, length, _ in ADDRESS_PARTS
        )

    def widget(self, spec: FieldSpec) -> str:
        return "address"

    def show(self, spec: FieldSpec, record: Mapping[str, Any], locale: str, time_zone: str) -> str:
        """One line, from the street to the country; in Chinese from the country to the street, unseparated."""
        values = [record.get(spec.name + suffix) for suffix, *_ in ADDRESS_PARTS]
        street, city, state, code, country = (" ".join(str(value).split()) if value else "" for value in values)
        if locale.startswith("zh"):
            return " ".join(piece for piece in (code, country + state + city + street) if piece)
        region = " ".join(piece for piece in (state, code) if piece)
        return ", ".join(piece for piece in (street, city, region, country) if piece)

    def sample(self, spec: FieldSpec, seed: int) -> Mapping[str, Any]:
        return {spec.name + suffix: text.format(number=seed) for suffix, _, _, text in ADDRESS_PARTS}
