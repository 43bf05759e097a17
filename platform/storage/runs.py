"""Runs: pieces of work that are written in one transaction and done after it.

``enqueue`` writes a run inside the caller's transaction; the run is there exactly if the caller's work is. A worker
hands it to the durable engine when it is due (``take_due``), and says how it went (``begin``, ``finish``, ``again``).

A run is ``waiting`` (due now or later) → ``queued`` (the engine has it) → ``running`` → ``done``, ``failed`` or
``cancelled``. A run that is tried again, or that waits in the middle, goes back to ``waiting`` with another ``due_at``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from types import MappingProxyType
from typing import Any, Literal

from sqlalchemy import Connection, String, Table, cast, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ratoon.platform.config import World
from ratoon.platform.storage import quotas
from ratoon.platform.storage.database import executor
from ratoon.platform.storage.statements import Statement, one_of, sql_dialect
from ratoon.platform.storage.system import system_tables
from ratoon.platform.storage.writing import COPY_FROM

State = Literal["waiting", "queued", "running", "done", "failed", "cancelled"]
EMPTY: Mapping[str, int] = MappingProxyType({})
OPEN: tuple[State, ...] = ("waiting", "queued", "running")
"""States in which something will still happen."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it stands."""

    id: str
    name: str
    key: str | None
    state: State
    trigger: str
    rule: str | None
    object: str | None
    records: int
    payload: Mapping[str, Any]
    due_at: datetime
    created_at: datetime
    by: str | None
    started_at: datetime | None
    finished_at: datetime | None
    tries: int
    handed: int
    worker: str | None
    error_code: str | None
    error: str | None
    result: Any
    parent: str | None
    revision: int | None = None
    """The revision of the metadata by which it was enqueued and, once it began, carried out last."""

    @property
    def goes_on(self) -> bool:
        """Whether it is in the middle and only waited: then it keeps the revision that it has."""
        waited = self.started_at is not None and not self.tries
        return self.revision is not None and (waited or bool(self.payload.get("start")))


@dataclass(frozen=True, slots=True)
class About:
    """What a run is about, for the people who look at it."""

    trigger: str = "job"
    """What caused it: ``created``, ``updated`` …, ``date``, ``schedule``, ``button``, ``inbound``, ``job``."""
    rule: str | None = None
    """``object.automation``, or whatever else asked for it."""
    object: str | None = None
    records: Mapping[str, Any] = field(default_factory=dict)
    """Record id → what the condition read of it (JSON values), or ``None``."""
    by: str | None = None
    """The user whose doing caused it."""
    parent: str | None = None
    revision: int | None = None
    """The revision of the metadata that asked for it."""


NOTHING = About()


def _table(name: str = "ratoon_run") -> Table:
    return system_tables().tables[name]


def enqueue(
    connection: Connection,
    world: World,
    name: str,
    payload: Mapping[str, Any],
    *,
    key: str | None = None,
    at: datetime | None = None,
    about: About = NOTHING,
) -> str | None:
    """Writes a run of the job ``name`` in the caller's transaction; returns its id.

    ``payload`` is JSON. ``at`` (aware; default now): not before then, across restarts. ``key`` (at most 255 characters)
    is given out once and for all: when a run with that key exists, in whatever state, nothing is written and the
    answer is ``None``.
    """
    now = world.clock()
    run = world.new_id()
    values = {
        "id": run,
        "name": name,
        "key": key,
        "state": "waiting",
        "trigger": about.trigger,
        "rule": about.rule,
        "object": about.object,
        "records": len(about.records),
        "payload": dict(payload),
        "due_at": at or now,
        "created_at": now,
        "by": about.by,
        "tries": 0,
        "handed": 0,
        "parent": about.parent,
        "revision": about.revision,
    }
    table = _table()
    kind = sqlite if connection.dialect.name == "sqlite" else postgresql
    if key is None:
        connection.execute(insert(table), values)
    else:
        written = kind.insert(table).on_conflict_do_nothing(index_elements=["key"]).returning(table.c.id)
        if connection.execute(written, values).first() is None:
            return None
    if about.records:
        rows = [{"run": run, "record": record, "seen": seen} for record, seen in about.records.items()]
        adding = _adding(connection.dialect.name)
        if len(rows) < COPY_FROM or connection.dialect.name == "sqlite":
            adding.run_many(connection, rows)
        else:
            names = ", ".join(name for name, _ in adding.places)
            with executor(connection).copy(f"COPY ratoon_run_record ({names}) FROM STDIN") as copy:
                for row in adding.many_params(rows):
                    copy.write_row(row)
    return run


@cache
def _adding(dialect: str) -> Statement:
    """Adds records to a run: thousands at a time, so it is compiled once."""
    return Statement.compile(insert(_table("ratoon_run_record")), sql_dialect(dialect))


def reschedule(connection: Connection, key: str, at: datetime) -> bool:
    """Moves a run that still waits to another time. ``False``: no run with that key waits."""
    table = _table()
    waiting = table.c.key == key, table.c.state == "waiting"
    return connection.execute(update(table).where(*waiting).values(due_at=at)).rowcount > 0


def cancel(connection: Connection, world: World, *, key: str | None = None, run: str | None = None) -> bool:
    """Cancels a run that is not finished, by key or id. One that runs at this moment ends after its current step."""
    table = _table()
    this = table.c.key == key if run is None else table.c.id == run
    values = {"state": "cancelled", "finished_at": world.clock()}
    return connection.execute(update(table).where(this, table.c.state.in_(OPEN)).values(values)).rowcount > 0


def load(connection: Connection, run: str) -> Run | None:
    """A run by id."""
    row = connection.execute(select(_table()).where(_table().c.id == run)).mappings().first()
    return None if row is None else Run(**{**row, "payload": row["payload"] or {}})


@dataclass(frozen=True, slots=True)
class Taken:
    """Runs that were due."""

    handed: tuple[tuple[str, int], ...]
    """Those to hand over: (id, how often it was handed over, this time included)."""
    looked_at: int
    """How many were due; those that a limit holds back have another due time now."""


def take_due(connection: Connection, now: datetime, limit: int, per_minute: Mapping[str, int] = EMPTY) -> Taken:
    """Takes runs that are due, oldest first, and marks them queued.

    ``per_minute`` says for kinds of jobs how many may begin in any minute: what is over it waits until there is room.
    Two workers never take the same one: on PostgreSQL rows another one holds are left out, SQLite has one writer.
    """
    table = _table()
    due = (
        select(table.c.id, table.c.handed, table.c.name)
        .where(table.c.state == "waiting", table.c.due_at <= now)
        .order_by(table.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = connection.execute(due).all()
    late: set[str] = set()
    for name in sorted({row.name for row in found} & per_minute.keys()):
        asking = [row.id for row in found if row.name == name]
        granted, at = quotas.take(connection, f"job/{name}", per_minute[name], now, len(asking))
        if granted < len(asking):
            late.update(asking[granted:])
            these = one_of(table.c.id, "ids", connection.dialect.name)
            connection.execute(update(table).where(these).values(due_at=at), {"ids": asking[granted:]})
    taken = [(row.id, row.handed + 1) for row in found if row.id not in late]
    if taken:
        these = one_of(table.c.id, "ids", connection.dialect.name)
        change = update(table).where(these).values(state="queued", handed=table.c.handed + 1)
        connection.execute(change, {"ids": [run for run, _ in taken]})
    return Taken(tuple(taken), len(found))


def any_due(connection: Connection, now: datetime) -> bool:
    """Whether something is due: one look at an index."""
    table = _table()
    found = connection.execute(select(table.c.id).where(table.c.state == "waiting", table.c.due_at <= now).limit(1))
    return found.first() is not None


def begin(
    connection: Connection, run: str, handed: int, worker: str, now: datetime, revision: int | None = None
) -> Run | None:
    """Marks a run as running. ``None``: it is finished or cancelled, or was handed over again since.

    ``revision`` is that of the metadata: the run keeps it, but one that only waited keeps the one it began with.
    """
    table = _table()
    before = load(connection, run)
    if before is None:
        return None
    mine = table.c.id == run, table.c.handed == handed, table.c.state.in_(("queued", "running"))
    values = {"state": "running", "worker": worker, "started_at": now, "tries": table.c.tries + 1}
    if not before.goes_on:
        values["revision"] = revision
    if connection.execute(update(table).where(*mine).values(values)).rowcount == 0:
        return None
    return load(connection, run)


def finish(
    connection: Connection,
    run: str,
    state: Literal["done", "failed"],
    now: datetime,
    *,
    result: Any = None,
    error: tuple[str, str] | None = None,
) -> None:
    """Says how a run ended. ``error`` is (code, words). A run cancelled meanwhile stays cancelled."""
    table = _table()
    code, words = error or (None, None)
    values = {"state": state, "finished_at": now, "result": result, "error_code": code, "error": words}
    connection.execute(update(table).where(table.c.id == run, table.c.state == "running").values(values))


def again(
    connection: Connection,
    run: str,
    at: datetime,
    *,
    error: tuple[str, str] | None = None,
    payload: Mapping[str, Any] | None = None,
    fresh: bool = False,
) -> None:
    """Sends a running run back to wait until ``at``, to try again what failed; ``fresh``: it only goes on later, which
    is no try, and what failed stays so until then."""
    table = _table()
    code, words = error or (None, None)
    values: dict[str, Any] = {"state": "waiting", "due_at": at, "error_code": code, "error": words}
    if payload is not None:
        values["payload"] = dict(payload)
    if fresh:
        values["tries"] = 0
    else:
        _open_again(connection, run)
    connection.execute(update(table).where(table.c.id == run, table.c.state == "running").values(values))


def _open_again(connection: Connection, run: str) -> None:
    """What failed is to be tried again."""
    steps = _table("ratoon_run_step")
    connection.execute(update(steps).where(steps.c.run == run, steps.c.state == "failed").values(state="open"))


def retry(connection: Connection, run: str, now: datetime) -> bool:
    """Lets a failed or cancelled run go on where it stopped, by the metadata of then. ``False``: it is neither."""
    table = _table()
    ended = table.c.id == run, table.c.state.in_(("failed", "cancelled"))
    values = {"state": "waiting", "due_at": now, "tries": 0, "finished_at": None, "revision": None}
    _open_again(connection, run)
    return connection.execute(update(table).where(*ended).values(values)).rowcount > 0


def retry_failed(connection: Connection, now: datetime, rule: str | None = None) -> int:
    """Lets all failed runs, or those of one automation, go on where they stopped; returns how many."""
    table = _table()
    query = select(table.c.id).where(table.c.state == "failed")
    if rule is not None:
        query = query.where(table.c.rule == rule)
    return sum(retry(connection, run, now) for run in list(connection.execute(query).scalars()))


def records_of(connection: Connection, run: str) -> dict[str, Any]:
    """The records of a run, with what its condition read of each."""
    table = _table("ratoon_run_record")
    found = connection.execute(select(table.c.record, table.c.seen).where(table.c.run == run).order_by(table.c.record))
    return {row.record: row.seen for row in found}


def first_records(connection: Connection, wanted: Collection[str]) -> dict[str, str]:
    """Run → the first of its records."""
    table = _table("ratoon_run_record")
    query = (
        select(table.c.run, func.min(cast(table.c.record, String))).where(table.c.run.in_(wanted)).group_by(table.c.run)
    )
    return {row[0]: row[1] for row in connection.execute(query)} if wanted else {}


def forget_before(connection: Connection, at: datetime, limit: int = 1000) -> list[tuple[str, int]]:
    """Drops runs that ended well before ``at``, with their records and steps; returns (id, how often handed over)."""
    table = _table()
    ended = table.c.state.in_(("done", "cancelled")), table.c.finished_at < at
    gone = [
        (row.id, row.handed)
        for row in connection.execute(select(table.c.id, table.c.handed).where(*ended).limit(limit))
    ]
    ids: Sequence[str] = [run for run, _ in gone]
    if ids:
        for name, column in (("ratoon_run_step", "run"), ("ratoon_run_record", "run"), ("ratoon_run", "id")):
            part = _table(name)
            connection.execute(delete(part).where(one_of(part.c[column], "ids", connection.dialect.name)), {"ids": ids})
    return gone


def abandoned(connection: Connection, alive: Collection[str], before: datetime, now: datetime) -> list[str]:
    """Runs that workers which are not ``alive`` began before ``before`` wait again, due now. Returns their ids."""
    table = _table()
    lost = table.c.state == "running", table.c.started_at < before, table.c.worker.not_in(sorted(alive))
    change = update(table).where(*lost).values(state="waiting", due_at=now).returning(table.c.id)
    return list(connection.execute(change).scalars())


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which runs somebody wants to see; ``None`` = any."""

    state: str | None = None
    rule: str | None = None
    object: str | None = None
    record: str | None = None
    before: str | None = None
    """The last id of the page before."""
    limit: int = 50


def find(connection: Connection, wanted: Wanted) -> list[Run]:
    """Runs, newest first."""
    table, parts = _table(), _table("ratoon_run_record")
    query = select(table).order_by(table.c.id.desc()).limit(wanted.limit)
    for column, value in ((table.c.state, wanted.state), (table.c.rule, wanted.rule), (table.c.object, wanted.object)):
        if value is not None:
            query = query.where(column == value)
    if wanted.record is not None:
        query = query.where(table.c.id.in_(select(parts.c.run).where(parts.c.record == wanted.record)))
    if wanted.before is not None:
        query = query.where(table.c.id < wanted.before)
    return [Run(**{**row, "payload": row["payload"] or {}}) for row in connection.execute(query).mappings()]


def unfinished(connection: Connection) -> dict[str, dict[str, int]]:
    """Rule → state → how many of its runs wait, run or failed."""
    table = _table()
    query = (
        select(table.c.rule, table.c.state, func.count())
        .where(table.c.state.in_((*OPEN, "failed")), table.c.rule.is_not(None))
        .group_by(table.c.rule, table.c.state)
    )
    found: dict[str, dict[str, int]] = {}
    for rule, state, count in connection.execute(query):
        found.setdefault(rule, {})[state] = count
    return found


def counts(connection: Connection) -> dict[str, int]:
    """How many runs there are in each state."""
    table = _table()
    rows = connection.execute(select(table.c.state, func.count()).group_by(table.c.state))
    return {row[0]: row[1] for row in rows}
