"""What makes records the same, kept ready to be looked up: one short key per duplicate rule and record.

The records room works keys out (``metadata/matching.py``) and writes them with the record, in the same transaction.
``same`` finds who has a key: one statement for any number of keys, served by one index whatever the rule compares.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, ColumnElement, Connection, Index, MetaData, String, Table, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.expression import Select

from ratoon.platform.formulas.columns import Id
from ratoon.platform.storage.statements import Statement, one_of, parameter, sql_dialect

if TYPE_CHECKING:
    from ratoon.platform.storage.store import RecordStore

NAMED = 6
"""How many records of one key are found: enough to name some beside the one that asks."""


def define_match_table(metadata: MetaData) -> Table:
    """Adds ``ratoon_match`` to the metadata of system tables."""
    return Table(
        "ratoon_match",
        metadata,
        Column("object", String(60), primary_key=True),
        Column("rule", String(60), primary_key=True),
        Column("record", Id, primary_key=True),
        Column("key", String(64), nullable=False),
        Index("ix_ratoon_match_key", "object", "rule", "key", "record"),
        Index("ix_ratoon_match_record", "record"),
    )


_MATCH = define_match_table(MetaData())


def same(
    store: RecordStore,
    conn: Connection,
    object: str,
    rule: str,
    keys: Collection[str],
    where: Sequence[ColumnElement[Any]],
) -> dict[str, list[str]]:
    """Live records that have these keys and meet ``where``: key → at most ``NAMED`` ids, newest first."""
    if not keys:
        return {}
    conditions = [store.shapes.condition(element) for element in where]

    def build() -> Select[Any]:
        records = store.tables.table(object)
        place = func.row_number().over(partition_by=_MATCH.c.key, order_by=_MATCH.c.record.desc())
        found = (
            select(_MATCH.c.key, _MATCH.c.record, place.label("place"))
            .join(records, records.c.id == _MATCH.c.record)
            .where(_MATCH.c.object == parameter("object"), _MATCH.c.rule == parameter("rule"))
            .where(one_of(_MATCH.c.key, "keys", store.dialect), records.c.deleted_at.is_(None), *where)
            .subquery()
        )
        return select(found.c.key, found.c.record).where(found.c.place <= NAMED).order_by(found.c.key, found.c.place)

    statement, values = store.shapes.get(("same", object), conditions, build)
    answer: dict[str, list[str]] = {}
    for key, record in statement.tuples(conn, object=object, rule=rule, keys=list(keys), **values):
        answer.setdefault(key, []).append(record)
    return answer


def keep(conn: Connection, object: str, rule: str, keys: Mapping[str, str | None]) -> None:
    """Writes the keys of records (record → key); ``None`` takes the record's key away."""
    rows = [{"object": object, "rule": rule, "record": r, "key": k} for r, k in keys.items() if k is not None]
    _keep(conn.dialect.name).run_many(conn, rows)
    gone = [record for record, key in keys.items() if key is None]
    if gone:
        _drop(conn.dialect.name).run(conn, object=object, rule=rule, records=gone)


def forget_rule(conn: Connection, object: str, rule: str) -> None:
    """Drops every key of a rule."""
    conn.execute(delete(_MATCH).where(_MATCH.c.object == object, _MATCH.c.rule == rule))


@cache
def _keep(dialect: str) -> Statement:
    values = {column.name: parameter(column.name, column.type) for column in _MATCH.c}
    primary = ["object", "rule", "record"]
    if dialect == "sqlite":
        made = sqlite.insert(_MATCH).values(values)
        return Statement.compile(
            made.on_conflict_do_update(index_elements=primary, set_={"key": made.excluded.key}), sql_dialect(dialect)
        )
    other = postgresql.insert(_MATCH).values(values)
    return Statement.compile(
        other.on_conflict_do_update(index_elements=primary, set_={"key": other.excluded.key}), sql_dialect(dialect)
    )


@cache
def _drop(dialect: str) -> Statement:
    query = delete(_MATCH).where(_MATCH.c.object == parameter("object"), _MATCH.c.rule == parameter("rule"))
    return Statement.compile(query.where(one_of(_MATCH.c.record, "records", dialect)), sql_dialect(dialect))
