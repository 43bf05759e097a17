"""How much of something was done in the last minute, by all processes together: for limits that mail servers and
receivers of calls set.

One row per name keeps when how many were granted in the last sixty seconds. Whoever takes holds the row until its
transaction ends, so that in no sixty seconds more is granted than the limit, however many processes ask. What was
granted and not used (the process died) counts as used.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ratoon.platform.storage.system import system_tables

WINDOW = 60_000
"""Milliseconds."""


def take(connection: Connection, name: str, per_minute: int, now: datetime, wanted: int = 1) -> tuple[int, datetime]:
    """Takes up to ``wanted``; returns how many were granted, and when more will be."""
    table = system_tables().tables["ratoon_quota"]
    kind: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    connection.execute(kind.insert(table).on_conflict_do_nothing(), {"name": name, "grants": []})
    held = select(table.c.grants).where(table.c.name == name).with_for_update()
    kept: Sequence[tuple[int, int]] = connection.execute(held).scalar() or []
    moment = round(now.timestamp() * 1000)
    grants = [(at, count) for at, count in kept if at > moment - WINDOW]
    granted = max(0, min(wanted, per_minute - sum(count for _, count in grants)))
    if granted:
        if grants and grants[-1][0] // 1000 == moment // 1000:
            grants[-1] = (max(moment, grants[-1][0]), grants[-1][1] + granted)
        else:
            grants.append((moment, granted))
        connection.execute(update(table).where(table.c.name == name).values(grants=grants))
    first = grants[0][0] if grants else moment
    return granted, datetime.fromtimestamp((first + WINDOW + 1) / 1000, UTC)
