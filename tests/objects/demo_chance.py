"""Chance that falls the same way every time, and what all demo records have in common."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, TypeVar

T = TypeVar("T")
Record = dict[str, Any]
WORKDAYS = (1, 3)
"""Tuesday and Thursday: the demo people work on these days, so that the loader can write in batches."""
SUNDAY = 6
"""Weekday of the usual anchor, 2026-11-01."""


def workday(day: float) -> int:
    """The last working day up to ``day``."""
    found = int(day // 1)
    while (found + SUNDAY) % 7 not in WORKDAYS:
        found -= 1
    return found


def record(key: str, day: int, values: Record, changes: list[Record] | None = None) -> Record:
    """A record of a demo file."""
    made: Record = {"key": key, "day": day, "values": values}
    if changes:
        made["changes"] = changes
    return made


class Chance:
    """One seeded generator. Only ``Random.random`` is used: its sequence is the same in every version of Python."""

    def __init__(self, seed: int) -> None:
        self.share = random.Random(seed).random

    def pick(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[int(self.share() * len(items))]

    def between(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return low + int(self.share() * (high - low + 1))

    def chance(self, share: float) -> bool:
        """True in that share of cases."""
        return self.share() < share
