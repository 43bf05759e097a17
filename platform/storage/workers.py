"""Worker processes: signs of life, and who went silent."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from ratoon.platform.storage.system import system_tables


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker process."""

    id: str
    host: str
    pid: int
    started_at: datetime
    beat_at: datetime
    """Its last sign of life."""


def join(connection: Connection, worker: Worker) -> None:
    """A worker starts."""
    table = system_tables().tables["ratoon_worker"]
    values = {
        "id": worker.id,
        "host": worker.host,
        "pid": worker.pid,
        "started_at": worker.started_at,
        "beat_at": worker.beat_at,
    }
    connection.execute(insert(table), values)


def beat(connection: Connection, worker: str, now: datetime) -> bool:
    """A sign of life. ``False``: the others took this worker for dead meanwhile."""
    table = system_tables().tables["ratoon_worker"]
    return connection.execute(update(table).where(table.c.id == worker).values(beat_at=now)).rowcount > 0


def leave(connection: Connection, workers: Collection[str]) -> list[str]:
    """These workers are gone; returns those that were still listed, so that only one of the others takes over."""
    table = system_tables().tables["ratoon_worker"]
    gone = [
        worker
        for worker in sorted(workers)
        if connection.execute(delete(table).where(table.c.id == worker)).rowcount > 0
    ]
    return gone


def everyone(connection: Connection) -> list[Worker]:
    """All workers that are listed."""
    table = system_tables().tables["ratoon_worker"]
    return [Worker(**row) for row in connection.execute(select(table).order_by(table.c.id)).mappings()]
