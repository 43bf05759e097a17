"""Changing the type of a column that has data.

A decimal that gets another scale, or a whole number that becomes a decimal, is converted in place by one statement. Any
other change reads every row: the old value as the API shows it goes through the new field's coercion, and what does not
fit becomes blank. The old column stays in the table under the name ``<key>__<hash>``, so nothing is lost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Connection, Integer, MetaData, Table, inspect, select
from sqlalchemy.types import TypeEngine

from ratoon.platform.errors import Invalid
from ratoon.platform.fields.base import Part
from ratoon.platform.formulas.columns import ExactDecimal, Id
from ratoon.platform.metadata.model import Object
from ratoon.platform.storage.statements import Statement, encoder, sql_dialect

if TYPE_CHECKING:
    from alembic.operations import Operations

BATCH = 5000
"""Rows converted at a time."""


@dataclass(frozen=True, slots=True)
class Rescale:
    """A conversion that SQL does by itself."""

    statements: tuple[str, ...]
    loses: bool
    """True when digits are rounded away."""


def rescale_column(
    table: str, key: str, was: TypeEngine[Any], becomes: TypeEngine[Any], dialect: str
) -> Rescale | None:
    """How to convert in place; ``None`` when each row has to be looked at."""
    if not isinstance(becomes, ExactDecimal) or not isinstance(was, (ExactDecimal, Integer)):
        return None
    before = was.scale if isinstance(was, ExactDecimal) else 0
    quote = sql_dialect(dialect).identifier_preparer.quote
    name, column = quote(table), quote(key)
    more = becomes.scale - before
    fewer_digits = isinstance(was, ExactDecimal) and becomes.precision - becomes.scale < was.precision - was.scale
    loses = more < 0 or fewer_digits
    if dialect == "postgresql":
        kind = f"NUMERIC({becomes.precision}, {becomes.scale})"
        return Rescale((f"ALTER TABLE {name} ALTER COLUMN {column} TYPE {kind}",), loses)
    if more >= 0:
        value = f"{column} * {10**more}"
    else:
        unit = 10**-more
        value = f"({column} + CASE WHEN {column} < 0 THEN -{unit // 2} ELSE {unit // 2} END) / {unit}"
    return Rescale((f"UPDATE {name} SET {column} = {value} WHERE {column} IS NOT NULL",) if more else (), loses)


def convert_column(
    operations: Operations,
    connection: Connection,
    old: Object,
    new: Object,
    key: str,
    add: Callable[[], None],
    keeps: bool,
) -> None:
    """Puts the old column aside, adds the new one and, if it ``keeps`` values, fills it with what converts."""
    before, after = old.parts[key], new.parts[key]
    if before.sql is None or after.sql is None:
        return
    aside = _free_name(connection, new.name, key)
    operations.alter_column(new.name, key, new_column_name=aside)
    add()
    if not keeps:
        return
    source = Table(new.name, MetaData(), Column("id", Id()), Column(aside, before.sql))
    dialect = sql_dialect(connection.dialect.name)
    read = Statement.compile(select(source.c.id, source.c[aside]).where(source.c[aside].is_not(None)), dialect)
    quote, place = dialect.identifier_preparer.quote, "?" if dialect.name == "sqlite" else "%s"
    write = Statement(
        f"UPDATE {quote(new.name)} SET {quote(key)} = {place} WHERE id = {place}",
        [("value", encoder(after.sql, dialect)), ("id", None)],
    )
    rows = read.tuples(connection)
    for start in range(0, len(rows), BATCH):
        pairs = ((record, converted(before, after, value)) for record, value in rows[start : start + BATCH])
        write.run_many(connection, [{"id": record, "value": value} for record, value in pairs if value is not None])


def converted(before: Part, after: Part, value: Any) -> Any:
    """The value as the new part takes it; ``None`` when it does not."""
    shown = before.dump(value) if before.dump is not None else value
    for attempt in (shown, str(shown)):
        try:
            return after.coerce(attempt)
        except Invalid:
            continue
    return None


def _free_name(connection: Connection, table: str, key: str) -> str:
    there = {column["name"] for column in inspect(connection).get_columns(table)}
    for number in range(len(there) + 1):
        digest = hashlib.sha256(f"{table}.{key}.{number}".encode()).hexdigest()[:6]
        name = f"{key[:52]}__{digest}"
        if name not in there:
            return name
    raise AssertionError("every name is taken")
