"""Values on their way to the driver: many rows at once are written as each would be by itself."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Boolean, Date, Text

from ratoon.platform.formulas.columns import ExactDecimal, Json, UtcDateTime
from ratoon.platform.storage.statements import Statement, encoder, sql_dialect

KINDS = {"n": ExactDecimal(18, 2), "at": UtcDateTime(), "on": Date(), "flag": Boolean(), "j": Json(), "t": Text()}
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
ROWS: list[dict[str, Any]] = [
    {"n": Decimal("1.50"), "at": NOON, "on": date(2026, 11, 28), "flag": True, "j": True, "t": "a"},
    {"n": Decimal("-0.01"), "at": NOON, "on": None, "flag": False, "j": 1, "t": None},
    {"n": None, "at": None, "on": date(1000, 1, 1), "flag": None, "j": {"a": [1]}, "t": "华为"},
    {"n": Decimal("9999999999999999.99"), "at": NOON + timedelta(microseconds=7), "on": None, "flag": True, "j": 1.0,
     "t": ""},
]  # fmt: skip


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], [ROWS[0]] * 3, [ROWS[0], ROWS[1]]])
def test_many_rows_are_written_as_one_by_one(dialect: str, rows: list[dict[str, Any]]) -> None:
    places = [(name, encoder(kind, sql_dialect(dialect))) for name, kind in KINDS.items()]
    statement = Statement("", places)
    many = [list(row) for row in statement.many_params(rows)]
    assert repr(many) == repr([list(statement.params(row)) for row in rows]), "True stays apart from 1 and 1.0"


def test_sqlite_keeps_cents_moments_and_days_in_their_own_form() -> None:
    dialect = sql_dialect("sqlite")
    cents, moment, day = (encoder(kind, dialect) for kind in (ExactDecimal(18, 2), UtcDateTime(), Date()))
    assert cents is not None
    assert moment is not None
    assert day is not None
    assert [cents(Decimal(n)) for n in ("0.10", "-7", "9999999999999999.99")] == [10, -700, 999999999999999999]
    east = datetime(2026, 11, 28, 20, 0, 0, 5, tzinfo=timezone(timedelta(hours=8)))
    assert moment(east) == "2026-11-28T12:00:00.000005Z"
    assert day(date(999, 1, 2)) == "0999-01-02"
