"""Exchange rates out of the records of ``exchange_rate``, loaded when a formula first asks for one.

The object belongs to the built-in package; an environment whose metadata lacks it knows no rates.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from ratoon.platform.formulas.money import Rates

if TYPE_CHECKING:
    from ratoon.platform.storage.store import RecordStore

OBJECT = "exchange_rate"


class StoredRates:
    """The rates there are on one connection; implements ``formulas.types.RateSource``."""

    def __init__(self, store: RecordStore, connection: Connection, home: str) -> None:
        self._store = store
        self._connection = connection
        self._home = home
        self._loaded: Rates | None = None

    def rate(self, currency: str, day: date) -> Decimal:
        """What one unit of a currency costs in the organisation's on a day. Raises ``FormulaError`` (no_rate)."""
        return self._rates().rate(currency, day)

    def as_json(self) -> str:
        """All rates as JSON."""
        return self._rates().as_json()

    def _rates(self) -> Rates:
        if self._loaded is None:
            self._loaded = Rates.of(self._home, self._rows())
        return self._loaded

    def _rows(self) -> list[tuple[str, date, Decimal]]:
        if OBJECT not in self._store.registry.objects:
            return []

        def build() -> object:
            columns = self._store.tables.table(OBJECT).c
            return select(columns.currency, columns.starts_on, columns.rate).where(columns.deleted_at.is_(None))

        found = self._store.statement(("rates",), build).tuples(self._connection)
        return [(currency, day, rate) for currency, day, rate in found if currency and day and rate]
