"""Assignments as the registry holds them: who gets a record, by rules in order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time
from typing import TYPE_CHECKING, Literal

from ratoon.platform.formulas import Formula
from ratoon.platform.metadata.people import Person

if TYPE_CHECKING:
    from ratoon.platform.metadata.calendar_model import Calendar

Method = Literal["first", "round_robin", "least_loaded"]


@dataclass(frozen=True)
class WorkingHours:
    """When somebody gets records."""

    days: frozenset[int]
    """0 = Monday."""
    begins: time
    ends: time
    """Earlier than ``begins`` = the next day."""
    time_zone: str | None = None
    """``None`` = each user's own."""
    calendar: Calendar | None = None
    """Its free days are free, its working days at the weekend are worked."""


@dataclass(frozen=True)
class AssignmentRule:
    """Which records go to whom."""

    name: str
    people: tuple[Person, ...]
    method: Method = "round_robin"
    condition: Formula | None = None
    capacity: int | None = None
    """Nobody gets a record who has so many; ``None`` = no limit."""
    hours: WorkingHours | None = None


@dataclass(frozen=True)
class Assignment:
    """Rules, tried in order, that fill a user field of an object's records."""

    object: str
    name: str
    label: str
    field: str
    rules: tuple[AssignmentRule, ...]
    on_create: bool = True
    """Asked for every new record that nobody gave a value for the field."""
    load: Formula | None = None
    """The records that count as somebody's load; ``None`` = all."""
    order: int = 0
    owner: str = "local"
