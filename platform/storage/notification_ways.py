"""How people want to be told: per user and kind of notification, in the product and by mail.

What a user did not choose is what an administrator chose for everybody, else ``DEFAULTS``. A choice counts at once,
also for what waits for the next digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from ratoon.platform.storage.system import system_tables

EVERYBODY = "00000000-0000-0000-0000-000000000000"
"""Stands for the user where the choice is everybody's."""
MAILS = ("now", "daily", "weekly", "off")


@dataclass(frozen=True, slots=True)
class Way:
    """How one kind of notification reaches somebody."""

    bell: bool = True
    """Shown in the product."""
    mail: str = "off"
    """``now``, or in the digest of the ``daily`` or ``weekly`` morning, or ``off``."""


DEFAULTS: Mapping[str, Way] = {
    "approval": Way(mail="now"),
    "answer": Way(mail="daily"),
    "assignment": Way(mail="daily"),
    "overdue": Way(mail="daily"),
    "mention": Way(mail="daily"),
    "automation": Way(),
}
"""Kind of notification → how it reaches people when nobody chose."""
KINDS = tuple(DEFAULTS)


def ways(connection: Connection, user: str) -> dict[str, Way]:
    """How each kind reaches this user."""
    return {**standard(connection), **chosen(connection, user)}


def standard(connection: Connection) -> dict[str, Way]:
    """How each kind reaches whoever did not choose."""
    return {**DEFAULTS, **chosen(connection, EVERYBODY)}


def chosen(connection: Connection, user: str) -> dict[str, Way]:
    """What this user (or ``EVERYBODY``) chose."""
    table = system_tables().tables["ratoon_notification_way"]
    rows = connection.execute(select(table.c.kind, table.c.bell, table.c.mail).where(table.c.user_id == user))
    return {row.kind: Way(bool(row.bell), row.mail) for row in rows if row.kind in DEFAULTS}


def choose(connection: Connection, user: str, choices: Mapping[str, Way | None]) -> None:
    """Keeps choices of a user (or ``EVERYBODY``); ``None`` goes back to what everybody has."""
    tables = system_tables().tables
    table, waiting = tables["ratoon_notification_way"], tables["ratoon_notification"]
    for kind, way in choices.items():
        connection.execute(delete(table).where(table.c.user_id == user, table.c.kind == kind))
        if way is not None:
            values = {"user_id": user, "kind": kind, "bell": way.bell, "mail": way.mail}
            connection.execute(insert(table), values)
        if user == EVERYBODY:
            continue
        mail = (way or standard(connection)[kind]).mail
        change = update(waiting).where(
            waiting.c.user_id == user,
            waiting.c.kind == kind,
            waiting.c.mailed_at.is_(None),
            waiting.c.mail.is_not(None),
        )
        connection.execute(change.values(mail=None if mail == "off" else mail))
