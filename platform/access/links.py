"""Links with which somebody chooses a password: after forgetting it (``reset``), or as a new user (``invite``).

A link carries 256 random bits; only their SHA-256 is kept, with an end. It is used up by choosing a password, which
also ends every other link and every session of that user; looking at it changes nothing, since mail scanners look.
Several links of one user may be open at once, so that nobody shuts a person out by asking again and again.

There is no link for service users, for inactive ones, and for those who may not sign in with a password.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy import Boolean, Connection, MetaData, String, and_, column, delete, insert, select, table, update

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.who import fingerprint
from ratoon.platform.config import Settings, World
from ratoon.platform.errors import NotFound
from ratoon.platform.formulas.columns import Id, UtcDateTime
from ratoon.platform.storage.account_tables import define_account_tables
from ratoon.platform.storage.audit import Happening, by_whom, note

Purpose = Literal["reset", "invite"]
KEPT = timedelta(days=30)
"""Ended links are kept for so long."""
_LINK = define_account_tables(MetaData()).tables["ratoon_password_link"]
_USER = table(
    "user",
    *(column("id", Id), column("name", String), column("email", String), column("locale", String)),
    *(column("active", Boolean), column("is_admin", Boolean), column("service", Boolean)),
    column("deleted_at", UtcDateTime),
)


@dataclass(frozen=True, slots=True)
class Guest:
    """Who a link is for."""

    user_id: str
    name: str
    email: str
    locale: str | None
    purpose: Purpose


def end_tokens_of(accounts: Accounts, conn: Connection, user: str, end: bool) -> dict[str, int]:
    """Ends the API tokens of a user, or leaves them; what the audit trail says of it, nothing when there are none."""
    there = accounts.working_tokens(conn, user)
    if not there:
        return {}
    if not end:
        return {"tokens_kept": there}
    return {"tokens_ended": accounts.revoke_tokens_of(conn, user)}


class Links:
    """Links for passwords, on the connection of the caller."""

    def __init__(self, accounts: Accounts, world: World, settings: Settings) -> None:
        self._accounts = accounts
        self._world = world
        self._settings = settings

    def guest(
        self, conn: Connection, *, email: str = "", user_id: str = "", purpose: Purpose = "reset"
    ) -> Guest | None:
        """The user of that address or id, when there may be a link for them."""
        which = _USER.c.id == user_id if user_id else _USER.c.email == email.strip().lower()
        wanted = (_USER.c.id, _USER.c.name, _USER.c.email, _USER.c.locale)
        row = conn.execute(select(*wanted).where(which, *self._may())).first()
        return None if row is None else Guest(row.id, row.name or "", row.email or "", row.locale, purpose)

    def make(self, conn: Connection, guest: Guest, *, by: str | None = None, end_tokens: bool = False) -> str:
        """Makes a link and notes it in the audit trail; returns its address. ``by``: a user's id, or words for others.

        ``end_tokens`` ends the user's API tokens at once: somebody else may have them.
        """
        now, secret = self._world.clock(), self._world.token()
        who, said = by_whom(by)
        life = timedelta(days=self._settings.invite_days)
        if guest.purpose == "reset":
            life = timedelta(minutes=self._settings.reset_minutes)
        conn.execute(delete(_LINK).where(_LINK.c.expires_at < now - KEPT))
        conn.execute(
            insert(_LINK),
            {
                "id": self._world.new_id(),
                "user_id": guest.user_id,
                "hash": fingerprint(secret),
                "purpose": guest.purpose,
                "created_at": now,
                "expires_at": now + life,
                "ended_at": None,
                "by": who,
            },
        )
        made: dict[str, Any] = {"purpose": guest.purpose, "for": guest.user_id, **said}
        if end_tokens:
            made["tokens_ended"] = self._accounts.revoke_tokens_of(conn, guest.user_id)
        note(conn, now, Happening("sign_in", "link_made", by=who, object="user", subject=guest.email, detail=made))
        return f"{self._settings.address}/sign-in/link/{secret}"

    def follow(self, conn: Connection, secret: str) -> Guest:
        """Who a link is for. Raises ``NotFound`` for one that does not work (any more)."""
        found = (
            select(_USER.c.id, _USER.c.name, _USER.c.email, _USER.c.locale, _LINK.c.purpose)
            .select_from(_LINK.join(_USER, _USER.c.id == _LINK.c.user_id))
            .where(*self._open(secret), *self._may())
        )
        row = conn.execute(found).first()
        if row is None:
            raise NotFound("This link does not work (any more).")
        return Guest(row.id, row.name or "", row.email or "", row.locale, row.purpose)

    def use(
        self,
        conn: Connection,
        secret: str,
        password: str,
        *,
        end_tokens: bool = True,
        address: str = "",
        agent: str = "",
    ) -> Guest:
        """Sets the password, ends the link, every session and, unless told otherwise, the API tokens.

        Raises ``NotFound``, or ``ValidationFailed`` for a bad password: then the link goes on working.
        """
        guest = self.follow(conn, secret)
        now = self._world.clock()
        taken = conn.execute(update(_LINK).where(*self._open(secret)).values(ended_at=now))
        if taken.rowcount == 0:
            raise NotFound("This link does not work (any more).")
        self._accounts.set_password(conn, guest.user_id, password)
        told: dict[str, Any] = {"purpose": guest.purpose, "address": address[:64], "agent": agent[:255]}
        told.update(end_tokens_of(self._accounts, conn, guest.user_id, end_tokens))
        done = Happening("sign_in", "password_set", by=guest.user_id, object="user", subject=guest.email, detail=told)
        note(conn, now, done)
        return guest

    def note_asked(self, conn: Connection, email: str, *, address: str = "", agent: str = "") -> None:
        """Keeps in the audit trail that somebody asked for a new password; the same for every address."""
        told = {"address": address[:64], "agent": agent[:255]}
        note(conn, self._world.clock(), Happening("sign_in", "reset_asked", subject=email, detail=told))

    def _open(self, secret: str) -> tuple[Any, ...]:
        now = self._world.clock()
        return (_LINK.c.hash == fingerprint(secret), _LINK.c.ended_at.is_(None), _LINK.c.expires_at > now)

    def _may(self) -> tuple[Any, ...]:
        """Conditions on the user: somebody who may sign in with a password."""
        alive = and_(_USER.c.active.is_(True), _USER.c.deleted_at.is_(None), _USER.c.service.is_not(True))
        if self._settings.password_sign_in == "admins":
            return alive, _USER.c.is_admin.is_(True)
        return (alive,)
