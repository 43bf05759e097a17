"""Answers already given, by idempotency key: the same call sent again gets the same answer and does nothing.

``begin`` is called first in the transaction that does the work. A second call with the same key waits for the first
transaction and then finds its answer. ``finish`` keeps the answer in the same transaction, so an answer is there
exactly if the work is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ratoon.platform.errors import Conflict
from ratoon.platform.storage.system import system_tables


class KeyReused(Conflict):
    """The idempotency key was used for a different call."""

    code = "idempotency_key_reused"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it was given."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def begin(conn: Connection, actor: str, key: str, request: str, at: datetime) -> Answer | None:
    """``None``: the key is new and now belongs to this call. Otherwise the answer that was given.

    ``request`` is a digest of method, path and body; raises ``KeyReused`` when it differs from the first call's.
    """
    table = system_tables().tables["ratoon_idempotency"]
    values = {"actor": actor, "key": key, "request": request, "at": at}
    kind = sqlite if conn.dialect.name == "sqlite" else postgresql
    if conn.execute(kind.insert(table).on_conflict_do_nothing().returning(table.c.key), values).first() is not None:
        return None
    mine = table.c.actor == actor, table.c.key == key
    row: Any = conn.execute(select(table).where(*mine)).one()
    if row.request != request:
        raise KeyReused("The key {key} was used for another call.", key=key)
    if row.status is None:
        return None
    return Answer(row.status, row.headers or {}, row.body or b"")


def finish(conn: Connection, actor: str, key: str, answer: Answer) -> None:
    """Keeps the answer for the next call with this key."""
    table = system_tables().tables["ratoon_idempotency"]
    mine = table.c.actor == actor, table.c.key == key
    values = {"status": answer.status, "headers": dict(answer.headers), "body": answer.body}
    conn.execute(update(table).where(*mine).values(values))


def forget_before(conn: Connection, at: datetime) -> int:
    """Drops answers older than ``at``; returns how many."""
    table = system_tables().tables["ratoon_idempotency"]
    return conn.execute(delete(table).where(table.c.at < at)).rowcount
