"""geolocation: a place on the earth, as latitude and longitude in degrees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ratoon.platform.fields import display
from ratoon.platform.fields.base import FieldSpec, FieldType, Part
from ratoon.platform.fields.faces import decimal_part

PLACES = 6
"""Decimal places of a degree: about 0.1 m."""


class GeolocationType(FieldType):
    """A place on the earth."""

    name = "geolocation"
    label = "Geolocation"
    description = "A place on the earth: latitude and longitude in degrees."
    icon = "world-pin"

    def parts(self, spec: FieldSpec) -> tuple[Part, ...]:
        return tuple(
            decimal_part(
                spec.name,
                precision=PLACES + 3,
                scale=PLACES,
                minimum=-limit,
                maximum=limit,
                suffix="_" + axis.lower(),
                label=axis,
            )
            for axis, limit in (("Latitude", 90), ("Longitude", 180))
        )

    def widget(self, spec: FieldSpec) -> str:
        return "geolocation"

    def show(self, spec: FieldSpec, record: Mapping[str, Any], locale: str, time_zone: str) -> str:
        pair = [record.get(spec.name + suffix) for suffix in ("_latitude", "_longitude")]
        return ", ".join(display.number(value, locale, PLACES) for value in pair if value is not None)

    def sample(self, spec: FieldSpec, seed: int) -> Mapping[str, Any]:
        return {
            spec.name + "_latitude": f"{seed * 7 % 90}.250000",
            spec.name + "_longitude": f"{seed * 11 % 180}.500000",
        }
