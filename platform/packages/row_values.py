"""The values that rows get from a change of metadata, row by row, and writing many of them at once.

What a formula or a default says (``fitted``), the currency beside an amount (``beside``), the next numbers
(``numbered``): the same for what is filled beforehand (``ahead.py``) and in the change itself (``backfill.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection

from ratoon.platform.errors import FormulaError, Invalid
from ratoon.platform.fields.autonumber import counter_period
from ratoon.platform.formulas.types import EvalContext
from ratoon.platform.metadata.model import Field, Object
from ratoon.platform.records.plan import ObjectPlan
from ratoon.platform.storage.database import driver
from ratoon.platform.storage.statements import encoder
from ratoon.platform.storage.store import RecordStore

FEW = 20
"""Fewer rows than this are written one by one."""


def write_rows(
    store: RecordStore,
    connection: Connection,
    object_name: str,
    keys: tuple[str, ...],
    rows: Sequence[Mapping[str, Any]],
) -> None:
    """Writes ``keys`` of many rows; on PostgreSQL in one statement, because tables are locked while this goes on."""
    if store.dialect != "postgresql" or len(rows) < FEW:
        store.update(connection, object_name, keys, rows)
        return
    columns, quote = store.tables.table(object_name).c, store.sql_dialect.identifier_preparer.quote
    arrays: list[list[Any]] = [[row["id"] for row in rows]]
    casts = ["%s::uuid[]"]
    for key in keys:
        kind = columns[key].type
        convert = encoder(kind, store.sql_dialect)
        values = [row[key] for row in rows]
        arrays.append([v if v is None or convert is None else convert(v) for v in values])
        casts.append(f"%s::{kind.compile(store.sql_dialect).split(' COLLATE')[0]}[]")
    sets = ", ".join(f"{quote(key)} = d.v{i}" for i, key in enumerate(keys))
    names = ", ".join(["id", *(f"v{i}" for i in range(len(keys)))])
    sql = f"UPDATE {quote(object_name)} AS t SET {sets} FROM unnest({', '.join(casts)}) AS d({names}) WHERE t.id = d.id"
    driver(connection).execute(sql, arrays)


def fit(plan: ObjectPlan, field: Field, value: Any) -> Any:
    try:
        return plan.fit(field.name, value)
    except Invalid:
        return None


def fitted(plan: ObjectPlan, field: Field, row: dict[str, Any], context: EvalContext) -> Any:
    """What a field's formula or default says of a row, as the field keeps it; ``None`` when it cannot say."""
    formula = field.formula or field.default
    if formula is None:
        return None
    try:
        return plan.fit(field.name, formula.evaluate(row, context))
    except (FormulaError, Invalid):
        return None


def beside(field: Field, context: EvalContext) -> dict[str, Any]:
    """What is written beside the default of a field: the currency of an amount."""
    code = field.spec.option("currency") or context.organization.get("currency")
    return {part.key: code for part in field.parts if part.suffix == "_currency" and code}


def numbered(
    store: RecordStore, connection: Connection, obj: Object, field: Field, rows: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[Any, int, Any]]:
    """(row, number, day) for rows without a number yet, in the order in which they were made."""
    pattern = str(field.spec.option("format"))
    ordered = sorted(rows, key=lambda row: str(row["id"]))
    for period, group in groupby(ordered, key=lambda row: counter_period(pattern, _day(row["created_at"]))):
        members = list(group)
        taken = store.next_numbers(connection, f"{obj.name}.{field.name}:{period}", len(members))
        for row, number in zip(members, taken, strict=True):
            yield row, number, _day(row["created_at"])


def fills(field: Field) -> bool:
    """Whether a new field has a value for rows that are there already."""
    if field.type.name == "autonumber":
        return True
    return field.default is not None and field.required and field.parts[0].sql is not None


def _day(moment: Any) -> Any:
    return moment.date() if isinstance(moment, datetime) else moment
