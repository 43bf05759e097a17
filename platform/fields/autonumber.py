"""autonumber: a number the platform gives each new record, such as ``INV-2026-0042``.

A format is text with places in braces: ``{YYYY}``, ``{YY}``, ``{MM}``, ``{DD}`` for the date, and exactly one run of
zeros, ``{0000}``, for the counter, at least that wide. The counter starts again at 1 whenever the date part of the
number changes: ``INV-{YYYY}-{0000}`` counts per year, ``C{00000}`` for ever.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from ratoon.platform.fields.base import FieldSpec, FieldType, Part
from ratoon.platform.fields.faces import text_part

_PLACE = re.compile(r"\{([^{}]*)\}")
_COUNTER = re.compile(r"0{1,12}")
MAX_LENGTH = 80
FORMAT_PATTERN = (
    r"^[^{}]{0,40}(\{(YYYY|YY|MM|DD)\}[^{}]{0,20})*\{0{1,12}\}[^{}]{0,20}(\{(YYYY|YY|MM|DD)\}[^{}]{0,20})*$"
)
_DATE_PLACES: Mapping[str, str] = MappingProxyType({"YYYY": "{:%Y}", "YY": "{:%y}", "MM": "{:%m}", "DD": "{:%d}"})


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """A parsed format."""

    pieces: tuple[tuple[str, str], ...]
    """(literal text, place after it); the last place is empty."""

    @staticmethod
    @lru_cache(maxsize=512)
    def parse(source: str) -> NumberFormat:
        """Reads a format; raises ``ValueError`` that says what is wrong with it."""
        pieces, start, counters = [], 0, 0
        for found in _PLACE.finditer(source):
            place = found.group(1)
            if _COUNTER.fullmatch(place):
                counters += 1
            elif place not in _DATE_PLACES:
                raise ValueError(f"{{{place}}} is not a place; there are {{YYYY}}, {{YY}}, {{MM}}, {{DD}} and {{0000}}")
            pieces.append((source[start : found.start()], place))
            start = found.end()
        pieces.append((source[start:], ""))
        if any(c in "{}" for text, _ in pieces for c in text):
            raise ValueError("a brace is not closed")
        if counters != 1:
            raise ValueError("a format needs exactly one counter, such as {0000}")
        if len(source) > MAX_LENGTH - 20:
            raise ValueError(f"a format has at most {MAX_LENGTH - 20} characters")
        return NumberFormat(tuple(pieces))

    def render(self, number: int, day: date) -> str:
        """The text of that number, given out on that day."""
        written = []
        for text, place in self.pieces:
            written.append(text)
            if place:
                date_place = _DATE_PLACES.get(place)
                written.append(date_place.format(day) if date_place else f"{number:0{len(place)}d}")
        return "".join(written)

    def period(self, day: date) -> str:
        """The part of the counter's name that changes when counting starts again: ``2026-11``, or empty."""
        return "-".join(_DATE_PLACES[place].format(day) for _, place in self.pieces if place in _DATE_PLACES)


def render(source: str, number: int, day: date) -> str:
    """The text of that number in the format ``source``, given out on that day."""
    return NumberFormat.parse(source).render(number, day)


def counter_period(source: str, day: date) -> str:
    """What changes when counting starts again: ``2026`` for ``INV-{YYYY}-{0000}``, empty when it never does."""
    return NumberFormat.parse(source).period(day)


class AutonumberType(FieldType):
    """A number the platform gives each new record."""

    name = "autonumber"
    label = "Automatic number"
    description = "A number each new record gets by itself, such as INV-2026-0042."
    icon = "hash"
    computed = True
    required_options = ("format",)
    options = MappingProxyType(
        {
            "format": {
                "type": "string",
                "pattern": FORMAT_PATTERN,
                "examples": ["INV-{YYYY}-{0000}"],
                "description": "Text with {YYYY}, {YY}, {MM}, {DD} and one counter such as {0000}. "
                "Counting starts again when the date part changes.",
            }
        }
    )

    def parts(self, spec: FieldSpec) -> tuple[Part, ...]:
        return (text_part(spec.name, MAX_LENGTH, writable=False),)

    def widget(self, spec: FieldSpec) -> str:
        return "readonly"

    def sample(self, spec: FieldSpec, seed: int) -> Mapping[str, Any]:
        return {}
