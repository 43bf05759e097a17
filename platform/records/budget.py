"""What automations may use within one transaction: records they write, seconds they take.

A rule that changes all children of all parents of a large import, or a plugin that takes very long, would hold the
locks of its transaction for as long. The budget is the operator's (``RATOON_AUTOMATION_ROWS``,
``RATOON_AUTOMATION_SECONDS``); the error names it, the rules it was spent by and the record they stood at, and
nothing of the transaction is kept.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ratoon.platform.errors import BudgetSpent

if TYPE_CHECKING:
    from ratoon.platform.records.engine import Limits


class Budget:
    """What the automations of one transaction have used."""

    __slots__ = ("_began", "_limits", "_rows")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._rows = 0
        self._began: float | None = None

    def begin(self, rules: Sequence[str], record: str) -> None:
        """Called before an automation runs; the time counts from the first one on. Raises ``BudgetSpent``."""
        if self._began is None:
            self._began = time.monotonic()
        elif time.monotonic() - self._began > self._limits.automation_seconds:
            raise BudgetSpent(
                "Automations took longer than {seconds} seconds in one transaction: {cycle}, at {record}. "
                "Nothing was saved.",
                cycle=rules,
                record=record,
                seconds=f"{self._limits.automation_seconds:g}",
            )

    def wrote(self, rules: Sequence[str], record: str) -> None:
        """Called for every record that an automation wrote. Raises ``BudgetSpent``."""
        self._rows += 1
        if self._rows > self._limits.automation_rows:
            raise BudgetSpent(
                "Automations changed more than {rows} records in one transaction: {cycle}, at {record}. "
                "Nothing was saved.",
                cycle=rules,
                record=record,
                rows=self._limits.automation_rows,
            )
        if not self._rows % 1000:
            self.begin(rules, record)
