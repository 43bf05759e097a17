"""The types of the formula language, and what a formula may see: scopes and evaluation contexts.

A *row* that a formula is evaluated on is a flat mapping. A field of the record itself is a plain key (``"amount"``);
a path through a lookup is a dotted key (``"account.owner.name"``) that whoever calls ``Formula.evaluate`` has
loaded beforehand (``Formula.paths`` says which). Values are Python values:

========== =====================================
NUMBER     ``decimal.Decimal`` (``int`` is accepted)
TEXT       ``str``
BOOLEAN    ``bool``
DATE       ``datetime.date``
DATETIME   ``datetime.datetime``, aware, UTC
TIME       ``datetime.time``
PICKLIST   ``str`` (the value, not the label)
MULTI      ``tuple[str, ...]`` (values of a multi-select picklist)
REFERENCE  ``str`` (the id of the record pointed at)
GEO        ``tuple[Decimal, Decimal]`` (latitude, longitude)
========== =====================================

A blank is ``None``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, Protocol
from zoneinfo import ZoneInfo

from ratoon.platform.errors import FormulaError

Dialect = Literal["native", "salesforce"]
Blanks = Literal["blank", "zero"]
"""How a blank number counts: stays blank, or is 0. The native default is ``blank``."""


class Type(Enum):
    """The static type of a formula or a part of one."""

    NUMBER = "number"
    TEXT = "text"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"
    TIME = "time"
    PICKLIST = "picklist"
    MULTI = "multipicklist"
    REFERENCE = "reference"
    GEO = "geolocation"
    BLANK = "blank"
    """The type of ``NULL`` alone; fits everywhere."""


@dataclass(frozen=True, slots=True)
class Name:
    """What a name means inside a formula."""

    key: str
    """The key in the row (for a path: its last step)."""
    type: Type
    target: Scope | None = None
    """For a REFERENCE: the scope of the record it points at; ``None`` when it cannot be followed."""
    label: str = ""
    values: tuple[str, ...] | None = None
    """For PICKLIST and MULTI: the values there are."""
    labels: Mapping[str, str] | None = None
    """For PICKLIST: value → label, where they differ."""
    scale: int | None = None
    """For NUMBER: decimal places kept, when known."""
    percent: bool = False
    volatile: bool = False
    """True when the value changes by itself (a formula field that uses TODAY() …)."""
    many: bool = False
    """True for a relationship: the records of another object that point at this one (``target`` is their scope)."""


class Scope(Protocol):
    """The names a formula may use. Names are matched without regard to case.

    A scope may also have ``related(name) -> Name | None`` and ``related_names()``: the relationships that SUM, COUNT
    and their like aggregate over.
    """

    def name(self, name: str) -> Name | None:
        """What ``name`` means here, or ``None``."""

    def names(self) -> Iterable[str]:
        """Every name, for suggestions."""


class RateSource(Protocol):
    """Exchange rates (``money.Rates``, or something that loads them when they are first asked for)."""

    def rate(self, currency: str, day: date) -> Decimal:
        """What one unit of a currency costs in the organisation's on a day. Raises ``FormulaError`` (no_rate)."""

    def as_json(self) -> str:
        """All rates as JSON: currency → list of (first day, rate as text)."""


class NoRates:
    """Nothing is known of any currency."""

    def rate(self, currency: str, day: date) -> Decimal:
        """Always a refusal."""
        raise FormulaError(
            "no_rate", "There is no exchange rate of {currency} for {day}", currency=currency, day=day.isoformat()
        )

    def as_json(self) -> str:
        """No rates."""
        return "{}"


def as_written(text: str) -> str:
    """The text itself: no translation."""
    return text


@dataclass(frozen=True, slots=True)
class EvalContext:
    """What is outside the row: the time, the user, the values before the change."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    time_zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    user: Mapping[str, Any] = field(default_factory=dict)
    """``$user.id``, ``$user.name``, ``$user.email``, ``$user.locale``, ``$user.role``"""
    organization: Mapping[str, Any] = field(default_factory=dict)
    """``$organization.name``, ``$organization.currency``, ``$organization.time_zone``, ``$organization.locale``"""
    source: Mapping[str, Any] = field(default_factory=dict)
    """``$source.x`` of a lookup filter: the record that holds the lookup."""
    old: Mapping[str, Any] | None = None
    """The row before the change; ``None`` for a new record (``ISNEW()`` is then true)."""
    rates: RateSource = field(default_factory=NoRates)
    """What CONVERT and CURRENCYRATE ask."""
    words: Callable[[str], str] = as_written
    """A label in the user's language, for LABEL."""
