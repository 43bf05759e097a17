"""Messages to users: added in a transaction, counted by the bell, read by their user, taken along by mails.

Where a message appears follows from its kind and what its user wants of that kind (``notification_ways.py``): in the
bell, in a mail of its own, in the digest of a morning, or nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ratoon.platform.config import World
from ratoon.platform.storage.notification_ways import Way, ways
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
    kind: str | None = None
    """One of ``notification_ways.KINDS``."""
    shown: bool | None = None
    mail: str | None = None


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
    kind: str = "automation",
    way: Way | None = None,
) -> str | None:
    """Tells a user something, in the caller's transaction. ``None``: a notification with that key is there already.

    ``way`` = how this kind reaches the user, where the caller knows; otherwise it is looked up.
    """
    table = system_tables().tables["ratoon_notification"]
    way = way or ways(connection, user)[kind]
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
        "kind": kind,
        "shown": way.bell,
        "mail": None if way.mail == "off" else way.mail,
    }
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    written = dialect.insert(table).on_conflict_do_nothing(index_elements=["key"]).returning(table.c.id)
    row = connection.execute(written, values).first()
    return None if row is None else str(row.id)


def unread(connection: Connection, user: str) -> int:
    """How many notifications a user has not read."""
    table = system_tables().tables["ratoon_notification"]
    query = select(func.count()).select_from(table).where(table.c.user_id == user, table.c.read_at.is_(None), _shown())
    return int(connection.execute(query).scalar() or 0)


def of_user(
    connection: Connection, user: str, limit: int = 50, before: str | None = None, *, unread_only: bool = False
) -> list[Notification]:
    """A user's notifications, newest first; ``before`` = the last id of the page before."""
    table = system_tables().tables["ratoon_notification"]
    query = select(table).where(table.c.user_id == user, _shown()).order_by(table.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(table.c.id < before)
    if unread_only:
        query = query.where(table.c.read_at.is_(None))
    return [Notification(**row) for row in connection.execute(query).mappings()]


def mark_read(connection: Connection, user: str, now: datetime, ids: Sequence[str] | None = None) -> int:
    """Marks a user's notifications as read (``None`` = all); returns how many were unread."""
    table = system_tables().tables["ratoon_notification"]
    change = update(table).where(table.c.user_id == user, table.c.read_at.is_(None)).values(read_at=now)
    if ids is None:
        return connection.execute(change).rowcount
    these = one_of(table.c.id, "ids", connection.dialect.name)
    return connection.execute(change.where(these), {"ids": list(ids)}).rowcount


def settle(connection: Connection, keys: Sequence[str], now: datetime) -> None:
    """Marks the notifications with these keys as read, whoever they are for: nothing is to do about them any more."""
    table = system_tables().tables["ratoon_notification"]
    change = update(table).where(table.c.read_at.is_(None)).values(read_at=now)
    connection.execute(change.where(one_of(table.c.key, "keys", connection.dialect.name)), {"keys": list(keys)})


def mark_unread(connection: Connection, user: str, id: str) -> bool:
    """Marks one of a user's notifications as not read; whether there is such a one."""
    table = system_tables().tables["ratoon_notification"]
    change = update(table).where(table.c.user_id == user, table.c.id == id).values(read_at=None)
    return connection.execute(change).rowcount > 0


def waiting_mails(connection: Connection, since: datetime) -> list[tuple[str, str, datetime]]:
    """(user, ``now``/``daily``/``weekly``, time of the oldest) of everything that waits for a mail."""
    table = system_tables().tables["ratoon_notification"]
    query = (
        select(table.c.user_id, table.c.mail, func.min(table.c.at))
        .where(table.c.mail.is_not(None), table.c.mailed_at.is_(None), table.c.at >= since)
        .group_by(table.c.user_id, table.c.mail)
        .order_by(table.c.user_id, table.c.mail)
    )
    return [(row[0], row[1], row[2]) for row in connection.execute(query)]


def claim_mails(connection: Connection, user: str, mail: str, until: datetime, now: datetime) -> list[str]:
    """Takes what waits for this mail of a user and came before ``until``; nobody else gets it. Oldest first."""
    table = system_tables().tables["ratoon_notification"]
    change = (
        update(table)
        .where(table.c.user_id == user, table.c.mail == mail, table.c.mailed_at.is_(None), table.c.at < until)
        .values(mailed_at=now)
        .returning(table.c.id)
    )
    return sorted(str(row.id) for row in connection.execute(change))


def by_id(connection: Connection, user: str, ids: Sequence[str]) -> list[Notification]:
    """These notifications of a user, oldest first."""
    table = system_tables().tables["ratoon_notification"]
    these = one_of(table.c.id, "ids", connection.dialect.name)
    query = select(table).where(table.c.user_id == user, these).order_by(table.c.id)
    return [Notification(**row) for row in connection.execute(query, {"ids": list(ids)}).mappings()]


def _shown() -> ColumnElement[bool]:
    table = system_tables().tables["ratoon_notification"]
    return or_(table.c.shown.is_(None), table.c.shown.is_(True))
