"""Counts, sums and averages over groups of records.

A measure is ``("count", None)`` or an operation (``sum``, ``min``, ``max``, ``avg``, ``count``) with a key; its name in
the answer is ``count`` or ``sum_amount``. Numbers are exact: an average is the exact sum divided by the count, rounded
half up to the scale of its column (whole numbers: two places).
"""

from __future__ import annotations

import operator as op
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.sql.expression import Select

from ratoon.platform.formulas.columns import ExactDecimal
from ratoon.platform.storage.rollups import AGGREGATES, PRECISE, kept
from ratoon.platform.storage.statements import Row, parameter

Measure = tuple[str, str | None]
"""(operation, key)"""
Having = tuple[str, str, Any]
"""(name of a measure, one of COMPARISONS, value)"""
OPERATIONS = ("count", "sum", "min", "max", "avg")
AVERAGE_SCALE = 2
COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = MappingProxyType(
    {"eq": op.eq, "ne": op.ne, "lt": op.lt, "le": op.le, "gt": op.gt, "ge": op.ge}
)
Columns = Callable[[str], ColumnElement[Any]]


def measure_name(measure: Measure) -> str:
    """``count``, ``sum_amount`` …"""
    operation, key = measure
    return operation if key is None else f"{operation}_{key}"


@dataclass(frozen=True, slots=True)
class Grouping:
    """What to group by and what to measure."""

    group_by: tuple[str, ...]
    measures: tuple[Measure, ...]
    having: tuple[Having, ...] = ()

    def __post_init__(self) -> None:
        names = {measure_name(measure) for measure in self.measures}
        for operation, key in self.measures:
            if operation not in OPERATIONS or (key is None and operation != "count"):
                raise ValueError(f"there is no {operation!r} of {key!r}")
        for name, operator, _ in self.having:
            if name not in names or operator not in COMPARISONS:
                raise ValueError(f"{name!r} {operator!r} is not a comparison of a measure")

    @property
    def shape(self) -> tuple[object, ...]:
        """What the statement's text depends on."""
        return self.group_by, self.measures, tuple((name, operator) for name, operator, _ in self.having)

    @property
    def paths(self) -> tuple[str, ...]:
        """Keys and dotted paths that it reads."""
        return (*self.group_by, *(key for _, key in self.measures if key is not None))

    @property
    def given(self) -> dict[str, Any]:
        """The values that ``having`` compares with, as parameters."""
        return {f"h{at}": value for at, (_, _, value) in enumerate(self.having)}

    def query(self, column: Columns) -> Select[Any]:
        """The statement without its source and conditions."""
        groups = [column(path) for path in self.group_by]
        query = select(
            *(group.label(f"g{at}") for at, group in enumerate(groups)),
            *(_counted(column, measure).label(f"n{at}") for at, measure in enumerate(self.measures)),
            *(_measured(column, measure).label(f"m{at}") for at, measure in enumerate(self.measures)),
        ).group_by(*groups)
        by_name = {measure_name(measure): measure for measure in self.measures}
        for at, (name, operator, _) in enumerate(self.having):
            query = query.having(_compared(column, by_name[name], operator, f"h{at}"))
        return query.order_by(*(group.asc().nulls_last() for group in groups))

    def rows(self, found: Iterable[tuple[Any, ...]], column: Columns) -> list[Row]:
        """What the database answered, as rows: group keys and measure names → values."""
        kinds = [None if key is None else column(key).type for _, key in self.measures]
        first, second = len(self.group_by), len(self.group_by) + len(self.measures)
        rows = []
        for values in found:
            row: Row = dict(zip(self.group_by, values, strict=False))
            for at, measure in enumerate(self.measures):
                number, value = values[first + at], values[second + at]
                row[measure_name(measure)] = _value(measure[0], number, value, kinds[at])
            rows.append(row)
        return rows


def _value(operation: str, number: int, value: Any, kind: Any) -> Any:
    if operation == "count":
        return number
    if operation == "sum":
        return kept(0 if value is None else value, kind)
    if operation != "avg":
        return value
    if not number:
        return None
    scale = kind.scale if isinstance(kind, ExactDecimal) else AVERAGE_SCALE
    return kept(PRECISE.divide(Decimal(value), Decimal(number)), ExactDecimal(18, scale))


def _counted(column: Columns, measure: Measure) -> ColumnElement[Any]:
    return func.count() if measure[1] is None else func.count(column(measure[1]))


def _measured(column: Columns, measure: Measure) -> ColumnElement[Any]:
    operation, key = measure
    if key is None or operation == "count":
        return _counted(column, measure)
    of = column(key)
    measured: ColumnElement[Any] = AGGREGATES[operation](of, type_=of.type)
    return measured


def _compared(column: Columns, measure: Measure, operator: str, name: str) -> ColumnElement[bool]:
    left = _measured(column, measure)
    if measure[0] == "sum":
        left = func.coalesce(left, 0, type_=left.type)
    right: ColumnElement[Any] = parameter(name, left.type)
    if measure[0] == "avg":
        right = right * _counted(column, measure)
    compared: ColumnElement[bool] = COMPARISONS[operator](left, right)
    return compared
