"""People who come from an OpenID Connect provider: which account is theirs.

A provider's word for somebody is the pair (issuer, subject). The first time it is tied to an account: the one with
the e-mail address that the provider has verified, one that its owner links on the account page, or a new one, as the
settings ``RATOON_OIDC_…`` say. From then on the pair alone counts: who takes over an address at the provider, or
changes their own, does not get into somebody else's account. Nobody has two identities of one provider.

What comes of an attempt is a ``SignIn``, as with passwords; a refusal is a value, and everything is in the trail.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Boolean, Connection, MetaData, String, column, delete, insert, select, table, update

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import Actor
from ratoon.platform.config import Settings, World
from ratoon.platform.errors import BadSetting
from ratoon.platform.formulas.columns import Id, UtcDateTime
from ratoon.platform.storage.account_tables import define_account_tables
from ratoon.platform.storage.audit import Happening, note

Refused = Literal["not_linked", "unverified", "no_email", "unknown_user", "inactive", "service", "other_identity"]
_IDENTITY = define_account_tables(MetaData()).tables["ratoon_identity"]
_USER = table(
    "user",
    *(column("id", Id), column("email", String), column("active", Boolean), column("service", Boolean)),
    column("deleted_at", UtcDateTime),
)


@dataclass(frozen=True, slots=True)
class Claims:
    """What a provider says about somebody, after its signature was checked."""

    issuer: str
    subject: str
    email: str = ""
    verified: bool = False
    """Whether the provider says that the address is theirs."""
    name: str = ""
    locale: str | None = None
    groups: tuple[str, ...] = ()
    """What the claim about roles says. One that is missing says that there are none: providers leave it out then."""

    @classmethod
    def of(cls, issuer: str, claims: Mapping[str, Any], roles_claim: str = "") -> Claims:
        """The claims that matter here; what is not of its type counts as not said."""
        said = claims.get("email_verified")
        groups = claims.get(roles_claim) if roles_claim else None
        if isinstance(groups, str):
            groups = [groups]
        locale = claims.get("locale")
        return cls(
            issuer=issuer,
            subject=str(claims["sub"]),
            email=_text(claims.get("email")).lower()[:255],
            verified=said is True or said == "true",
            name=_text(claims.get("name"))[:120],
            locale=locale if isinstance(locale, str) else None,
            groups=tuple(str(group) for group in groups) if isinstance(groups, list | tuple) else (),
        )


@dataclass(frozen=True, slots=True)
class Arrival:
    """What came of coming from a provider: an actor, or why not."""

    refused: Refused | None = None
    actor: Actor | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """A tie between an account and a provider, as its owner sees it."""

    issuer: str
    subject: str
    email: str
    linked_at: datetime
    used_at: datetime | None


class Identities:
    """Identities of users, on the connection of the caller."""

    def __init__(self, accounts: Accounts, world: World, settings: Settings) -> None:
        self._accounts = accounts
        self._world = world
        self._settings = settings

    def arrive(self, records: Any, claims: Claims) -> Arrival:
        """Whose account it is; ties or makes one where the settings allow it. ``records`` acts for the platform.

        Raises ``ValidationFailed`` when somebody else made a user of the same address at the same moment.
        """
        conn: Connection = records.connection
        user = self.user_of(conn, claims)
        if user is None:
            found = self._first_time(records, claims)
            if isinstance(found, Arrival):
                return found
            user = found
            self._tie(conn, user, claims)
        standing = self._standing(conn, user)
        if standing is not None:
            return Arrival(standing)
        mine = (_IDENTITY.c.issuer == claims.issuer, _IDENTITY.c.subject == claims.subject)
        conn.execute(update(_IDENTITY).where(*mine).values(used_at=self._world.clock()))
        self._follow_groups(conn, user, claims)
        return Arrival(actor=self._accounts.actor_for_user(conn, user))

    def user_of(self, conn: Connection, claims: Claims) -> str | None:
        """The user that this identity is tied to."""
        mine = (_IDENTITY.c.issuer == claims.issuer, _IDENTITY.c.subject == claims.subject)
        row = conn.execute(select(_IDENTITY.c.user_id).where(*mine)).first()
        return None if row is None else row.user_id

    def link(self, conn: Connection, user: str, claims: Claims) -> Refused | None:
        """Ties an identity to the account of somebody who is signed in; ``other_identity`` when it or the account is
        tied already."""
        before = self.user_of(conn, claims)
        if before == user:
            return None
        if before is not None or self._tied(conn, user, claims.issuer):
            return "other_identity"
        self._tie(conn, user, claims)
        return None

    def unlink(self, conn: Connection, user: str, issuer: str) -> bool:
        """Unties an account from a provider; False when it was not tied."""
        gone = conn.execute(delete(_IDENTITY).where(_IDENTITY.c.user_id == user, _IDENTITY.c.issuer == issuer))
        if gone.rowcount:
            untied = Happening("access", "identity_unlinked", by=user, object="user", subject=user)
            note(conn, self._world.clock(), untied)
        return gone.rowcount > 0

    def of(self, conn: Connection, user: str) -> list[Identity]:
        """What an account is tied to."""
        wanted = [_IDENTITY.c[name] for name in Identity.__slots__]
        found = select(*wanted).where(_IDENTITY.c.user_id == user).order_by(_IDENTITY.c.linked_at)
        return [Identity(*row) for row in conn.execute(found)]

    def _first_time(self, records: Any, claims: Claims) -> str | Arrival:
        """The user for an identity that was not seen before, or why there is none."""
        conn: Connection = records.connection
        by_email = self._settings.oidc_match == "email"
        if not by_email and not self._settings.oidc_create:
            return Arrival("not_linked")
        if not claims.email:
            return Arrival("no_email")
        if not claims.verified:
            return Arrival("unverified")
        there = conn.execute(
            select(_USER.c.id).where(_USER.c.email == claims.email, _USER.c.deleted_at.is_(None))
        ).first()
        if there is None:
            return self._make(records, claims) if self._settings.oidc_create else Arrival("unknown_user")
        if not by_email:
            return Arrival("not_linked")
        standing = self._standing(conn, there.id)
        if standing is not None:
            return Arrival(standing)
        if self._tied(conn, there.id, claims.issuer):
            return Arrival("other_identity")
        return str(there.id)

    def _make(self, records: Any, claims: Claims) -> str:
        known = records.engine.registry.roles
        roles = [name for name in _words(self._settings.oidc_role) if name in known]
        values: dict[str, Any] = {"locale": claims.locale} if claims.locale in ("en", "zh-Hans", "zh-Hant") else {}
        name = claims.name or claims.email
        return self._accounts.create_user(records, name=name, email=claims.email, roles=roles, **values)

    def _standing(self, conn: Connection, user: str) -> Refused | None:
        """Why a user may not come in; ``None`` = may."""
        row = conn.execute(
            select(_USER.c.active, _USER.c.service, _USER.c.deleted_at).where(_USER.c.id == user)
        ).first()
        if row is None or not row.active or row.deleted_at is not None:
            return "inactive"
        return "service" if row.service else None

    def _tied(self, conn: Connection, user: str, issuer: str) -> bool:
        mine = (_IDENTITY.c.user_id == user, _IDENTITY.c.issuer == issuer)
        return conn.execute(select(_IDENTITY.c.subject).where(*mine)).first() is not None

    def _tie(self, conn: Connection, user: str, claims: Claims) -> None:
        now = self._world.clock()
        row = {"issuer": claims.issuer, "subject": claims.subject, "user_id": user, "email": claims.email}
        conn.execute(insert(_IDENTITY), {**row, "linked_at": now, "used_at": now})
        told = {"issuer": claims.issuer, "provider_subject": claims.subject, "email": claims.email}
        note(conn, now, Happening("access", "identity_linked", by=user, object="user", subject=user, detail=told))

    def _follow_groups(self, conn: Connection, user: str, claims: Claims) -> None:
        """Gives and takes the roles that the settings tie to groups; other roles stay as they are."""
        mapping = role_mapping(self._settings.oidc_roles)
        if not self._settings.oidc_roles_claim or not mapping:
            return
        ruled = {role for roles in mapping.values() for role in roles}
        given = {role for group in claims.groups for role in mapping.get(group, ())}
        (present,) = self._accounts.roles_of(conn, [user]).values()
        self._accounts.set_roles(conn, user, (set(present) - ruled) | given)


def role_mapping(text: str) -> dict[str, tuple[str, ...]]:
    """``a=x, a=y, b=z`` → roles per group. Raises ``BadSetting`` for a part without ``=``."""
    found: dict[str, tuple[str, ...]] = {}
    for part in _words(text):
        group, equals, role = part.rpartition("=")
        if not equals or not group.strip() or not role.strip():
            raise BadSetting("RATOON_OIDC_ROLES: {part} is not group=role.", part=repr(part))
        found[group.strip()] = (*found.get(group.strip(), ()), role.strip())
    return found


def _words(text: str) -> Iterable[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
