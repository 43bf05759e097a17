"""Rollup fields: aggregates over child records, computed by the database and exact on both.

Sums and counts are exact in SQL (decimals are NUMERIC on PostgreSQL and scaled integers on SQLite). An average is the
exact sum divided by the count in decimal arithmetic, rounded half up to the field's scale, so both databases give the
same digits. A blank counts as nothing: the sum of no numbers is 0, their minimum, maximum and average are blank.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import ROUND_HALF_UP, Context, Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Integer, func, select
from sqlalchemy.sql.expression import Select
from sqlalchemy.types import TypeEngine

from ratoon.platform.formulas.columns import ExactDecimal
from ratoon.platform.formulas.types import EvalContext
from ratoon.platform.metadata.model import Field, Rollup
from ratoon.platform.storage.conditions import Condition
from ratoon.platform.storage.statements import one_of

if TYPE_CHECKING:
    from ratoon.platform.storage.store import RecordStore

PRECISE = Context(prec=60, rounding=ROUND_HALF_UP)
AGGREGATES: Mapping[str, Any] = MappingProxyType({"sum": func.sum, "avg": func.sum, "min": func.min, "max": func.max})
"""Operation → SQL function; an average is asked for as a sum beside a count."""


class Rollups:
    """The aggregates of one registry snapshot."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    def values(
        self, conn: Connection, field: Field, parent_ids: Collection[str], context: EvalContext
    ) -> dict[str, Any]:
        """Parent id → value, for every given parent."""
        rollup = field.rollup
        if rollup is None:
            raise ValueError(f"{field.object}.{field.name} is no rollup")
        if not parent_ids:
            return {}
        conditions: tuple[Condition, ...] = ()
        if rollup.filter is not None:
            conditions = (self._store.condition(rollup.child, rollup.filter, context),)
        statement, bound = self._store.shapes.get(
            ("rollup", field.object, field.name), conditions, lambda: self._query(rollup, conditions)
        )
        values = dict.fromkeys(parent_ids, finished(rollup.operation, None, 0, field))
        for parent, value, number in statement.tuples(conn, ids=parent_ids, **bound):
            values[parent] = finished(rollup.operation, value, number, field)
        return values

    def _query(self, rollup: Rollup, conditions: tuple[Condition, ...]) -> Select[Any]:
        store = self._store
        table = store.tables.table(rollup.child)
        parent = table.c[rollup.via]
        if rollup.operation == "count" or rollup.key is None:
            value: ColumnElement[Any] = func.count()
            number: ColumnElement[Any] = func.count()
        else:
            column = table.c[rollup.key]
            number = func.count(column)
            value = AGGREGATES[rollup.operation](column, type_=column.type)
        source = store.paths.joined(rollup.child, rollup.filter.paths if rollup.filter is not None else ())
        return (
            select(parent, value.label("value"), number.label("number"))
            .select_from(source)
            .where(one_of(parent, "ids", store.dialect), table.c.deleted_at.is_(None), *(c.element for c in conditions))
            .group_by(parent)
        )


def finished(operation: str, value: Any, number: int, field: Field) -> Any:
    """The field's value from what the database aggregated."""
    if operation == "count":
        return number
    if operation == "sum" and value is None:
        value = 0
    if operation == "avg":
        value = None if not number else PRECISE.divide(Decimal(value), Decimal(number))
    return kept(value, field.parts[0].sql)


def kept(value: Any, kind: TypeEngine[Any] | None) -> Any:
    """A number as a column of this type keeps it (half up); anything else as it is."""
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        if isinstance(kind, Integer):
            return int(Decimal(value).quantize(Decimal(1), context=PRECISE))
        if isinstance(kind, ExactDecimal):
            return Decimal(value).quantize(Decimal(1).scaleb(-kind.scale), context=PRECISE)
    return value
