"""Messages to users inside the product: added in a transaction, counted by the bell, read by their user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ratoon.platform.config import World
from ratoon.platform.storage.statements import one_of
from ratoon.platform.storage.system import system_tables


@dataclass(frozen=True, slots=True)
class Notification:
    """One message to one user."""

    id: str
    user_id: str
    at: datetime
    title: str
    body: str
    object: str | None
    record: str | None
    key: str | None
    rule: str | None
    read_at: datetime | None
    mailed_at: datetime | None


def notify(
    connection: Connection,
    world: World,
    user: str,
    title: str,
    body: str = "",
    *,
    object: str | None = None,
    record: str | None = None,
    key: str | None = None,
    rule: str | None = None,
) -> str | None:
    """Tells a user something, in the caller's transaction. ``None``: a notification with that key is there already."""
    table = system_tables().tables["ratoon_notification"]
    values = {
        "id": world.new_id(),
        "user_id": user,
        "at": world.clock(),
        "title": title,
        "body": body,
        "object": object,
        "record": record,
        "key": key,
        "rule": rule,
    }
    kind: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    written = kind.insert(table).on_conflict_do_nothing(index_elements=["key"]).returning(table.c.id)
    row = connection.execute(written, values).first()
    return None if row is None else str(row.id)


def unread(connection: Connection, user: str) -> int:
    """How many notifications a user has not read."""
    table = system_tables().tables["ratoon_notification"]
    query = select(func.count()).select_from(table).where(table.c.user_id == user, table.c.read_at.is_(None))
    return int(connection.execute(query).scalar() or 0)


def of_user(connection: Connection, user: str, limit: int = 50, before: str | None = None) -> list[Notification]:
    """A user's notifications, newest first; ``before`` = the last id of the page before."""
    table = system_tables().tables["ratoon_notification"]
    query = select(table).where(table.c.user_id == user).order_by(table.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(table.c.id < before)
    return [Notification(**row) for row in connection.execute(query).mappings()]


def mark_read(connection: Connection, user: str, now: datetime, ids: Sequence[str] | None = None) -> int:
    """Marks a user's notifications as read (``None`` = all); returns how many were unread."""
    table = system_tables().tables["ratoon_notification"]
    change = update(table).where(table.c.user_id == user, table.c.read_at.is_(None)).values(read_at=now)
    if ids is None:
        return connection.execute(change).rowcount
    these = one_of(table.c.id, "ids", connection.dialect.name)
    return connection.execute(change.where(these), {"ids": list(ids)}).rowcount
