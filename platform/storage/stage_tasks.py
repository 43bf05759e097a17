"""Ticks on the checklists of stages: which task of which stage is done on which record, by whom and when."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import Column, Connection, MetaData, String, Table, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from ratoon.platform.formulas.columns import Id, UtcDateTime
from ratoon.platform.storage.statements import Row, Statement, one_of, sql_dialect


@dataclass(frozen=True, slots=True)
class Tick:
    """One task that is done."""

    object: str
    record: str
    pipeline: str
    stage: str
    task: str


def define_task_table(metadata: MetaData) -> Table:
    """Adds ``ratoon_stage_task`` to the metadata of system tables."""
    return Table(
        "ratoon_stage_task",
        metadata,
        Column("record", Id, primary_key=True),
        Column("pipeline", String(60), primary_key=True),
        Column("stage", String(60), primary_key=True),
        Column("task", String(60), primary_key=True),
        Column("object", String(60), nullable=False),
        Column("at", UtcDateTime, nullable=False),
        Column("by", Id),
    )


_TASK = define_task_table(MetaData())


def done(conn: Connection, records: Collection[str]) -> list[Row]:
    """What is done on these records: record, pipeline, stage, task, at, by."""
    return _done(conn.dialect.name).rows(conn, records=list(records)) if records else []


def tick(conn: Connection, task: Tick, at: datetime, by: str | None) -> bool:
    """Marks a task as done; false when it was already."""
    kind = sqlite if conn.dialect.name == "sqlite" else postgresql
    values = {
        "object": task.object, "record": task.record, "pipeline": task.pipeline, "stage": task.stage,
        "task": task.task, "at": at, "by": by,
    }  # fmt: skip
    return conn.execute(kind.insert(_TASK).on_conflict_do_nothing().returning(_TASK.c.task), values).first() is not None


def untick(conn: Connection, task: Tick) -> bool:
    """Takes the mark away; false when there was none."""
    c = _TASK.c
    mine = (c.record == task.record, c.pipeline == task.pipeline, c.stage == task.stage, c.task == task.task)
    return conn.execute(delete(_TASK).where(*mine)).rowcount > 0


@cache
def _done(dialect: str) -> Statement:
    columns = (_TASK.c[name] for name in ("record", "pipeline", "stage", "task", "at", "by"))
    query = select(*columns).where(one_of(_TASK.c.record, "records", dialect))
    return Statement.compile(query.order_by(_TASK.c.record, _TASK.c.at, _TASK.c.task), sql_dialect(dialect))
