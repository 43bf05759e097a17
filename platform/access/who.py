"""Reading who somebody is: one select that gives a user with roles, permission sets and teams, and the ``Actor`` of it.

The ``user`` object is read through the few columns that its built-in package promises, so that accounts do not depend
on a registry snapshot.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Boolean,
    CompoundSelect,
    MetaData,
    Select,
    String,
    and_,
    bindparam,
    cast,
    column,
    null,
    select,
    table,
    union_all,
)

from ratoon.platform.access.actor import EVERYTHING, PERMISSION_SET, Actor, Source, TokenScope
from ratoon.platform.formulas.columns import Id, UtcDateTime
from ratoon.platform.storage.account_tables import define_account_tables

_ROLE = define_account_tables(MetaData()).tables["ratoon_user_role"]
USER = table(
    "user",
    column("id", Id),
    column("name", String),
    column("email", String),
    column("active", Boolean),
    column("is_admin", Boolean),
    column("service", Boolean),
    column("locale", String),
    column("time_zone", String),
    column("deleted_at", UtcDateTime),
)
_MEMBER = table("user_team_member", column("team", Id), column("member", Id), column("deleted_at", UtcDateTime))
_TEAM = table("user_team", column("id", Id), column("name", String), column("deleted_at", UtcDateTime))
FACTS = (USER.c.id, USER.c.name, USER.c.email, USER.c.is_admin, USER.c.locale, USER.c.time_zone)
ALIVE = and_(USER.c.active.is_(True), USER.c.deleted_at.is_(None))


def with_grants(found: Select[Any], source: Any) -> CompoundSelect[Any]:
    """``found`` once per role of the user (or once) and once per team: ``grant`` is its name, ``team`` a team's id."""
    nothing = null()
    roles = found.add_columns(_ROLE.c.role.label("grant"), cast(nothing, Id).label("team"))
    roles = roles.select_from(source.outerjoin(_ROLE, _ROLE.c.user_id == USER.c.id))
    teams = found.add_columns(_TEAM.c.name.label("grant"), _TEAM.c.id.label("team"))
    joined = source.join(_MEMBER, and_(_MEMBER.c.member == USER.c.id, _MEMBER.c.deleted_at.is_(None)))
    teams = teams.select_from(joined.join(_TEAM, and_(_TEAM.c.id == _MEMBER.c.team, _TEAM.c.deleted_at.is_(None))))
    return union_all(roles, teams)


BY_ID = with_grants(select(*FACTS).where(USER.c.id == bindparam("id", type_=Id), ALIVE), USER)


def fingerprint(secret: str) -> str:
    """SHA-256 of a token in hexadecimal: what is stored and looked up."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def actor_of(rows: Sequence[Any], source: Source) -> Actor | None:
    """One actor out of one row per role and team."""
    if not rows:
        return None
    first = rows[0]
    grants = {row.grant for row in rows if row.grant is not None and row.team is None}
    sets = {grant for grant in grants if grant.startswith(PERMISSION_SET)}
    admin, roles = bool(first.is_admin), grants - sets
    scope = _scope(first) if source == "token" else None
    if admin and scope is not None:
        admin, roles = False, roles | {EVERYTHING}
    return Actor(
        id=first.id,
        name=first.name or "",
        email=first.email or "",
        admin=admin,
        roles=frozenset(roles),
        permission_sets=frozenset(name.removeprefix(PERMISSION_SET) for name in sets),
        teams=frozenset((row.team, row.grant) for row in rows if row.team is not None),
        locale=first.locale or "en",
        time_zone=first.time_zone or "UTC",
        source=source,
        token_id=first.secret_id if source == "token" else None,
        scope=scope,
    )


def _scope(row: Any) -> TokenScope | None:
    """What a token is limited to; ``None`` = nothing."""
    if row.objects is None and not row.read_only:
        return None
    objects = None if row.objects is None else frozenset(name for name in row.objects.split(",") if name)
    return TokenScope(objects, bool(row.read_only))
