"""What runs have done: one row per run, step and record, written in the transaction that does it.

A row in state ``done`` means: never again. That is what makes a step happen once although its run may be tried again,
taken over from a dead worker, or repeated by an admin after a repair.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from ratoon.platform.storage.system import system_tables

ALL = ""
"""Stands for all records of the run at once."""


@dataclass(frozen=True, slots=True)
class Done:
    """One step of a run for one record (or all)."""

    step: str
    """Place of the action: ``2``, or ``3.otherwise.1`` inside a branch."""
    kind: str
    """The kind of action."""
    state: Literal["done", "failed", "skipped"] = "done"
    """A failed one is left alone until the run is tried again (``runs.again``, ``runs.retry``)."""
    record: str = ALL
    at: datetime | None = None
    ms: int = 0
    """How long it took, milliseconds."""
    tries: int = 1
    detail: Any = None
    error_code: str | None = None
    error: str | None = None


def note(connection: Connection, run: str, steps: Iterable[Done], now: datetime) -> None:
    """Writes steps. One that failed before is overwritten; one that is done stays as it is."""
    table = system_tables().tables["ratoon_run_step"]
    rows = [
        {
            "run": run,
            "step": s.step,
            "record": s.record,
            "state": s.state,
            "kind": s.kind,
            "at": s.at or now,
            "tries": s.tries,
            "ms": s.ms,
            "detail": s.detail,
            "error_code": s.error_code,
            "error": s.error,
        }
        for s in steps
    ]
    if not rows:
        return
    kind: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    written = kind.insert(table)
    new = written.excluded
    written = written.on_conflict_do_update(
        index_elements=["run", "step", "record"],
        set_={
            "state": new.state,
            "at": new.at,
            "tries": table.c.tries + 1,
            "ms": new.ms,
            "detail": new.detail,
            "error_code": new.error_code,
            "error": new.error,
        },
        where=table.c.state != "done",
    )
    connection.execute(written, rows)


def of_run(connection: Connection, run: str, limit: int = 10_000) -> list[Mapping[str, Any]]:
    """The steps of a run in the order they were done."""
    table = system_tables().tables["ratoon_run_step"]
    query = select(table).where(table.c.run == run).order_by(table.c.at, table.c.step, table.c.record).limit(limit)
    return [{str(key): value for key, value in row.items()} for row in connection.execute(query).mappings()]


def over(connection: Connection, run: str, step: str) -> set[str]:
    """Records for which a step needs nothing more (done or skipped); ``ALL`` is among them when it is for all."""
    table = system_tables().tables["ratoon_run_step"]
    ended = table.c.state.in_(("done", "skipped"))
    query = select(table.c.record).where(table.c.run == run, table.c.step == step, ended)
    return set(connection.execute(query).scalars())


def failed(connection: Connection, run: str, step: str) -> dict[str, Mapping[str, Any]]:
    """Records for which a step failed since the run was tried last: record → the row."""
    table = system_tables().tables["ratoon_run_step"]
    query = select(table).where(table.c.run == run, table.c.step == step, table.c.state == "failed")
    return {row["record"]: dict(row) for row in connection.execute(query).mappings()}


OUTGOING = ("send_email", "call_webhook")
"""Kinds of step that leave the product."""


def undelivered(connection: Connection, rule: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
    """Mails and calls that did not go out, of runs that are not tried again by themselves; newest first."""
    steps, run = system_tables().tables["ratoon_run_step"], system_tables().tables["ratoon_run"]
    query = (
        select(
            steps.c.run, run.c.rule, run.c.object, steps.c.step, steps.c.kind, steps.c.record, steps.c.at,
            steps.c.tries, steps.c.error_code, steps.c.error,
        )
        .join(run, run.c.id == steps.c.run)
        .where(run.c.state == "failed", steps.c.state == "failed", steps.c.kind.in_(OUTGOING))
        .order_by(steps.c.at.desc(), steps.c.run, steps.c.record)
        .limit(limit)
    )  # fmt: skip
    if rule is not None:
        query = query.where(run.c.rule == rule)
    return [{str(key): value for key, value in row.items()} for row in connection.execute(query).mappings()]


def detail_of(connection: Connection, run: str, step: str, record: str = ALL) -> Any:
    """What a step that is done kept."""
    table = system_tables().tables["ratoon_run_step"]
    here = table.c.run == run, table.c.step == step, table.c.record == record
    return connection.execute(select(table.c.detail).where(*here)).scalar()


def of_step(connection: Connection, run: str, step: str) -> dict[str, Any]:
    """What one step that is done kept, by record."""
    table = system_tables().tables["ratoon_run_step"]
    here = table.c.run == run, table.c.step == step, table.c.state == "done"
    return {row.record: row.detail for row in connection.execute(select(table.c.record, table.c.detail).where(*here))}
