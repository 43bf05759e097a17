"""Since when records are in their stages and when they are overdue, for rows that do not say so (yet, or any more).

``complete_stage_columns`` is for a database of an older version, whose tables lack these columns; ``refresh_due`` is
for a pipeline whose expected days were changed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, inspect, select

from ratoon.platform.fields.stage import DUE, SINCE, SUFFIX
from ratoon.platform.metadata.model import Object, Registry
from ratoon.platform.metadata.pipeline_model import Stage
from ratoon.platform.storage.store import RecordStore
from ratoon.platform.storage.system import system_tables
from ratoon.platform.storage.tables import Tables

GROUP = 1000
_DONE = "stage_columns"


def complete_stage_columns(connection: Connection, registry: Callable[[], Registry], dialect: str) -> list[str]:
    """Adds the columns that tables of staged objects lack, and fills them; returns the objects that lacked some.

    Looks once per database: that it was done is kept in ``ratoon_setting``, and tables made since have the columns.
    """
    settings = system_tables().tables["ratoon_setting"]
    if connection.execute(select(settings.c.name).where(settings.c.name == _DONE)).first() is not None:
        return []
    connection.execute(settings.insert(), {"name": _DONE, "value": "1"})
    return _complete(connection, registry(), dialect)


def _complete(connection: Connection, registry: Registry, dialect: str) -> list[str]:
    tables = Tables(registry, dialect)
    mended = []
    for obj in registry:
        field = obj.stage_field
        if field is None or not inspect(connection).has_table(obj.name):
            continue
        there = {column["name"] for column in inspect(connection).get_columns(obj.name)}
        missing = [c for c in tables.columns(obj) if c.name in (field.name + SINCE, field.name + DUE)]
        missing = [c for c in missing if c.name not in there]
        if missing:
            _add(connection, obj.name, missing)
            store = RecordStore(registry, tables, dialect)
            stages = {(p.name, s.name): s for p in obj.pipelines for s in p.stages}
            _fill(connection, store, obj, stages, since=True)
            mended.append(obj.name)
    return mended


def refresh_due(connection: Connection, store: RecordStore, obj: Object, old: Object | None) -> int:
    """Works out anew when records are overdue in stages whose expected days changed; returns how many records."""
    before = {(p.name, s.name): (s.expected_days, s.calendar) for p in old.pipelines for s in p.stages} if old else {}
    changed = {
        (p.name, s.name): s
        for p in obj.pipelines
        for s in p.stages
        if (p.name, s.name) in before and before[p.name, s.name] != (s.expected_days, s.calendar)
    }
    return _fill(connection, store, obj, changed, since=False) if changed and obj.stage_field is not None else 0


def _add(connection: Connection, table: str, columns: Collection[Any]) -> None:
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    operations = Operations(MigrationContext.configure(connection))
    for column in columns:
        operations.add_column(table, column)


def _fill(
    connection: Connection, store: RecordStore, obj: Object, stages: dict[tuple[str, str], Stage], *, since: bool
) -> int:
    field = obj.stage_field
    assert field is not None
    keys = (field.name + SINCE, field.name + DUE)
    written = 0
    for ids in _in_stages(connection, store, obj, {name for _, name in stages}):
        rows = store.load(connection, obj.name, ids, deleted=True)
        entered = _entered(connection, field.name, ids) if since else {}
        changes = []
        for record, row in rows.items():
            stage = stages.get((row[field.name + SUFFIX], row[field.name]))
            at: datetime | None = entered.get(record, row["modified_at"]) if since else row[keys[0]]
            if stage is not None and at is not None:
                changes.append({"id": record, keys[0]: at, keys[1]: stage.due(at)})
        store.update(connection, obj.name, keys, changes)
        written += len(changes)
    return written


def _in_stages(connection: Connection, store: RecordStore, obj: Object, names: set[str]) -> Iterator[list[str]]:
    table = store.tables.table(obj.name)
    assert obj.stage_field is not None
    query = select(table.c.id).where(table.c[obj.stage_field.name].in_(sorted(names))).order_by(table.c.id)
    ids = [row[0] for row in connection.execute(query)]
    for at in range(0, len(ids), GROUP):
        yield ids[at : at + GROUP]


def _entered(connection: Connection, field: str, ids: list[str]) -> dict[str, datetime]:
    stays = system_tables().tables["ratoon_stage"]
    query = select(stays.c.record, stays.c.entered_at).where(
        stays.c.record.in_(ids), stays.c.field == field, stays.c.left_at.is_(None)
    )
    return {row[0]: row[1] for row in connection.execute(query)}
