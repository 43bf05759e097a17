"""What starts an automation beside a save, as the registry holds it; and the kinds of triggers that plugins bring."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ratoon.platform.formulas import Formula


SAVES = ("created", "updated", "deleted", "restored", "stage_entered", "stage_left")
"""Triggers of a save."""
OTHER = ("date", "schedule", "button", "inbound")
"""Triggers beside those of a save; each has a key of the same name that says more."""


NAME = 20
"""Characters of a trigger's name."""


@dataclass(frozen=True, slots=True)
class TriggerType:
    """A trigger that a plugin brings, and fires with ``fire``. Raises ``ValueError`` for a name that cannot be one."""

    name: str
    """What ``"on"`` says in the automation document."""
    label: str
    """English; it is translated like every other text."""
    description: str = ""

    def __post_init__(self) -> None:
        taken = self.name in SAVES or self.name in OTHER
        if taken or len(self.name) > NAME or not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            raise ValueError(f"{self.name!r} cannot be the name of a trigger")


@dataclass(frozen=True, slots=True)
class DateTrigger:
    """``days`` before (negative) or after ``field``, at ``at`` in the zone."""

    field: str
    days: tuple[int, ...]
    at: time = time(0, 0)
    time_zone: str | None = None
    """``None`` = the installation's."""
    zone_path: str | None = None
    """A field, also through lookups, that names the zone per record; ``time_zone`` where it is blank."""
    working_days: bool = False
    """A day that is not worked moves to the last working day before it."""
    calendar: str | None = None
    """Says which days are worked; ``None`` = Monday to Friday."""
    calendar_source: str | None = None
    """A formula that names the calendar per record; ``calendar`` where it is blank or names none."""
    catch_up_days: int = 7
    """How long after its date a record that was missed (nobody worked, the date moved to the past) still counts."""
    calendar_formula: Formula | None = dataclasses.field(default=None, repr=False, compare=False)
    """``calendar_source``, compiled."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A cron expression in a time zone."""

    cron: str
    time_zone: str | None = None


@dataclass(frozen=True, slots=True)
class Button:
    """A button on the record page."""

    label: str
    confirm: str = ""
    """Asked before it runs; empty = not asked."""
    visible_when: Formula | None = None


@dataclass(frozen=True, slots=True)
class Inbound:
    """A call from outside: its JSON becomes a record, which the automation then runs on."""

    mapping: Mapping[str, str]
    """Record key → path in the JSON (``customer.name``, ``items.0.id``)."""
    key: str | None = None
    """External id by which an existing record is found; ``None`` = always a new one."""


@dataclass(frozen=True, slots=True)
class Triggers:
    """What starts one automation beside saves."""

    date: DateTrigger | None = None
    schedule: Schedule | None = None
    button: Button | None = None
    inbound: Inbound | None = None


NONE = Triggers()
Status = Literal["draft", "active", "off"]
