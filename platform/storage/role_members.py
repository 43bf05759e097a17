"""Who has a role: the active users behind the name of a role."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Boolean, Connection, String, column, select, table

from ratoon.platform.formulas.columns import Id, UtcDateTime

_ROLE = table("ratoon_user_role", column("user_id", Id()), column("role", String()))
_USER = table(
    "user",
    column("id", Id()),
    column("email", String()),
    column("active", Boolean()),
    column("is_admin", Boolean()),
    column("deleted_at", UtcDateTime()),
)
_LIVE = (_USER.c.active.is_(True), _USER.c.deleted_at.is_(None))


def members(conn: Connection, roles: Collection[str]) -> list[str]:
    """The active users who have one of these roles, in the order in which they were made."""
    if not roles:
        return []
    query = select(_USER.c.id).join(_ROLE, _ROLE.c.user_id == _USER.c.id).where(_ROLE.c.role.in_(list(roles)), *_LIVE)
    return list(conn.execute(query.distinct().order_by(_USER.c.id)).scalars())


def active(conn: Connection, users: Collection[str]) -> set[str]:
    """Which of these users are active."""
    if not users:
        return set()
    return set(conn.execute(select(_USER.c.id).where(_USER.c.id.in_(list(users)), *_LIVE)).scalars())


def by_email(conn: Connection, addresses: Collection[str]) -> dict[str, str]:
    """The active users with these addresses: address in lower case → id."""
    wanted = [a.lower() for a in addresses]
    if not wanted:
        return {}
    query = select(_USER.c.email, _USER.c.id).where(*_LIVE)
    found = {str(row[0]).lower(): row[1] for row in conn.execute(query.where(_USER.c.email.in_([*addresses, *wanted])))}
    return {a: found[a] for a in wanted if a in found}
