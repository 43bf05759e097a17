"""What happened to a record: changes of tracked fields, and the periods it spent in each stage.

``write_history`` adds one row per changed key, ``write_events`` one row without a key per record for an event as a
whole (created, deleted, restored). ``write_stage_moves`` closes the running period of a record and opens the next.
Values are kept as the API writes them (JSON), so that they can be read after their field has changed its type or is
gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import Any

import orjson
from sqlalchemy import Connection, Integer, insert, select, update

from ratoon.platform.formulas.columns import Id, UtcDateTime
from ratoon.platform.storage.statements import Convert, Row, Statement, encoder, parameter, sql_dialect
from ratoon.platform.storage.system import system_tables

TICKED, UNTICKED = "ticked", "unticked"
"""Events: a task of a stage was done, or was not after all."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One change."""

    object: str
    record: str
    event: str
    """created, updated, deleted or restored; ``TICKED`` or ``UNTICKED``"""
    key: str | None
    """The changed key, or ``stage.task``; ``None`` = the event as a whole."""
    old: Any
    new: Any
    at: datetime
    by: str | None
    source: str
    """Which way it came in: the actor's ``source``."""


@dataclass(frozen=True, slots=True)
class StageMove:
    """A record entered a stage."""

    object: str
    record: str
    field: str
    pipeline: str | None
    stage: str | None
    """``None``: it left the pipeline."""
    previous: str | None
    at: datetime
    by: str | None


_ENTRY = tuple(field.name for field in fields(Entry))
_MOVE = tuple(field.name for field in fields(StageMove))
_entry_values, _move_values = attrgetter(*_ENTRY), attrgetter(*_MOVE)


def write_history(conn: Connection, entries: Sequence[Entry]) -> None:
    """Adds entries in the given order."""
    rows = [dict(zip(_ENTRY, _entry_values(entry), strict=True)) for entry in entries]
    _add_entry(conn.dialect.name).run_many(conn, rows)


def write_events(
    conn: Connection, object: str, event: str, records: Sequence[str], at: datetime, by: str | None, source: str
) -> None:
    """Adds one entry per record of ``object`` for an event as a whole, in one statement for any number of them."""
    _add_events(conn.dialect.name).run(conn, object=object, event=event, records=records, at=at, by=by, source=source)


def read_history(conn: Connection, object: str, record: str, limit: int = 100) -> list[Row]:
    """The changes of a record, newest first. What one save changed is one row: at, by, source, action, and
    ``changes`` {key: [before, after]}."""
    found = _entries_of(conn.dialect.name).rows(conn, object=object, record=record, limit=limit * 20)
    saves: list[Row] = []
    for entry in found:
        same = ("at", "by", "source", "action")
        row = {"at": entry["at"], "by": entry["by"], "source": entry["source"], "action": entry["event"]}
        if not saves or entry["key"] is None or any(saves[-1][name] != row[name] for name in same):
            saves.append({**row, "changes": {}})
        if entry["key"] is not None:
            # Entries come newest first: the oldest "before" and the newest "after" of the save remain.
            newest = saves[-1]["changes"].get(entry["key"], (None, entry["new"]))[1]
            saves[-1]["changes"][entry["key"]] = [entry["old"], newest]
    return saves[:limit]


def write_stage_moves(conn: Connection, moves: Sequence[StageMove]) -> None:
    """Closes the running periods of these records and opens new ones, in the given order."""
    turns: list[list[Row]] = []
    seen: Counter[tuple[str, str]] = Counter()
    for move in moves:
        turn = seen[move.record, move.field]
        seen[move.record, move.field] += 1
        if turn == len(turns):
            turns.append([])
        turns[turn].append(dict(zip(_MOVE, _move_values(move), strict=True)))
    for rows in turns:
        _leave_stage(conn.dialect.name).run_many(conn, rows)
        _enter_stage(conn.dialect.name).run_many(conn, [row for row in rows if row["stage"] is not None])


def read_stage_history(conn: Connection, object: str, record: str, now: datetime) -> list[Row]:
    """The stages a record was in, oldest first: field, pipeline, stage, previous, entered_at, left_at, seconds, by."""
    periods = _stages_of(conn.dialect.name).rows(conn, object=object, record=record)
    for period in periods:
        left = period["left_at"] or now
        period["seconds"] = max(0, int((left - period["entered_at"]).total_seconds()))
    return periods


@cache
def _add_entry(dialect: str) -> Statement:
    table = system_tables().tables["ratoon_history"]
    names = ("object", "record", "event", "key", "old", "new", "at", "by", "source")
    return Statement.compile(
        insert(table).values({name: parameter(name, table.c[name].type) for name in names}), sql_dialect(dialect)
    )


@cache
def _add_events(dialect: str) -> Statement:
    columns = 'INSERT INTO ratoon_history (object, record, event, at, "by", source) '
    encoders: dict[str, Convert | None] = {"at": encoder(UtcDateTime(), sql_dialect(dialect))}
    if dialect == "sqlite":
        sql = columns + "SELECT ?, value, ?, ?, ?, ? FROM json_each(?)"
        encoders["records"] = lambda ids: orjson.dumps(ids).decode()
        order = ("object", "event", "at", "by", "source", "records")
    else:
        sql = columns + "SELECT %s, string_to_table(%s, ',')::uuid, %s, %s::timestamptz, %s::uuid, %s"
        encoders["records"] = ",".join
        order = ("object", "records", "event", "at", "by", "source")
    return Statement(sql, [(name, encoders.get(name)) for name in order])


@cache
def _entries_of(dialect: str) -> Statement:
    table = system_tables().tables["ratoon_history"]
    query = select(table).where(table.c.record == parameter("record", Id()), table.c.object == parameter("object"))
    return Statement.compile(
        query.order_by(table.c.number.desc()).limit(parameter("limit", Integer())), sql_dialect(dialect)
    )


@cache
def _leave_stage(dialect: str) -> Statement:
    table = system_tables().tables["ratoon_stage"]
    running = (
        table.c.record == parameter("record", Id()),
        table.c.field == parameter("field"),
        table.c.left_at.is_(None),
    )
    return Statement.compile(
        update(table).where(*running).values(left_at=parameter("at", UtcDateTime())), sql_dialect(dialect)
    )


@cache
def _enter_stage(dialect: str) -> Statement:
    table = system_tables().tables["ratoon_stage"]
    names = ("object", "record", "field", "pipeline", "stage", "previous", "by")
    values: dict[str, Any] = {name: parameter(name, table.c[name].type) for name in names}
    values["entered_at"] = parameter("at", UtcDateTime())
    return Statement.compile(insert(table).values(values), sql_dialect(dialect))


@cache
def _stages_of(dialect: str) -> Statement:
    table = system_tables().tables["ratoon_stage"]
    names = ("field", "pipeline", "stage", "previous", "entered_at", "left_at", "by")
    query = select(*(table.c[name] for name in names)).where(
        table.c.record == parameter("record", Id()), table.c.object == parameter("object")
    )
    return Statement.compile(query.order_by(table.c.number), sql_dialect(dialect))
