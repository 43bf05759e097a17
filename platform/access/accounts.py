"""Accounts: passwords, sign-in, roles of users; with the sessions and tokens of ``keys.py``.

``Accounts`` is stateless: its methods take the connection of the caller's transaction and do not commit. The exception
is ``sign_in``, which has transactions of its own: an attempt must be kept whatever comes of it, since the count of
failures and the trail depend on it. A refused sign-in is a value (``SignIn``), not an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, Protocol

from sqlalchemy import (
    Connection,
    MetaData,
    String,
    bindparam,
    delete,
    func,
    insert,
    not_,
    select,
    update,
)

from ratoon.platform.access.actor import PERMISSION_SET, Actor, Source
from ratoon.platform.access.keys import Keys
from ratoon.platform.access.passwords import Passwords, refused
from ratoon.platform.access.who import ALIVE, BY_ID, USER, actor_of, fingerprint
from ratoon.platform.config import World
from ratoon.platform.storage.account_tables import define_account_tables
from ratoon.platform.storage.audit import Happening, by_whom, note
from ratoon.platform.storage.database import Database

FREE_TRIES = 5
"""Wrong passwords before an account waits; each further one doubles the wait."""
LONGEST_WAIT = timedelta(minutes=15)

Outcome = Literal[
    "ok", "wrong_password", "unknown_user", "no_password", "inactive", "locked", "service", "password_off"
]

_TABLES = define_account_tables(MetaData()).tables
_PASSWORD = _TABLES["ratoon_password"]
_FACTOR = _TABLES["ratoon_second_factor"]
_BEFORE = _TABLES["ratoon_password_before"]
_LINK = _TABLES["ratoon_password_link"]
_ROLE = _TABLES["ratoon_user_role"]
_SESSION = _TABLES["ratoon_session"]
_TRAIL = _TABLES["ratoon_sign_in"]
_IS_SET = _ROLE.c.role.startswith(PERMISSION_SET, autoescape=True)
_AT_ONCE = 500
"""Ids in one question to the database."""
_ID_LENGTH = 36
_BY_EMAIL = (
    select(
        *(USER.c.id, USER.c.is_admin, USER.c.service, ALIVE.label("alive")),
        *(_PASSWORD.c.hash, _PASSWORD.c.failures, _PASSWORD.c.locked_until),
    )
    .select_from(USER.outerjoin(_PASSWORD, _PASSWORD.c.user_id == USER.c.id))
    .where(USER.c.email == bindparam("email", type_=String), USER.c.deleted_at.is_(None))
)


class Records(Protocol):
    """The part of the record service that making a user needs."""

    @property
    def connection(self) -> Any:
        """The connection of the unit of work."""

    @property
    def actor(self) -> Actor:
        """Who is asking."""

    def create(self, object: str, values: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Makes records."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """What came of an attempt to sign in. Only ``ok`` has an actor."""

    outcome: Outcome
    actor: Actor | None = None
    wait_seconds: int = 0
    """With ``locked``: how long until the next attempt counts."""


class Accounts(Keys):
    """Everything about accounts, on the connection of the caller."""

    def __init__(self, world: World, passwords: Passwords | None = None) -> None:
        super().__init__(world)
        self._passwords = passwords or Passwords()

    @property
    def passwords(self) -> Passwords:
        """How passwords are kept and which are good enough."""
        return self._passwords

    # users

    def create_user(
        self,
        records: Records,
        *,
        name: str,
        email: str,
        password: str | None = None,
        admin: bool = False,
        roles: Iterable[str] = (),
        **values: Any,
    ) -> str:
        """Makes a user through the record service, with a password and roles; returns the id.

        ``values`` are further fields of the user object. Raises ``ValidationFailed`` for a bad address or password.
        """
        hashed = None
        if password is not None:
            if values.get("service"):
                raise refused("service_user", "A service user has no password: it uses API tokens.")
            self._passwords.check(password, (name, email))
            hashed = self._passwords.hash(password)
        given = {"name": name, "email": email, "is_admin": admin, "active": True, **values}
        user_id: str = records.create("user", [given])[0]["id"]
        if hashed is not None:
            self._store_password(records.connection, user_id, hashed)
        by = "command line" if records.actor.source == "command" else records.actor.id
        self.set_roles(records.connection, user_id, roles, by=by)
        return user_id

    def set_password(self, conn: Connection, user_id: str, password: str, *, another: bool = False) -> None:
        """Sets a password, forgets failures, ends every session and every link for a new password.

        ``another``: it must differ from the present one, whatever the policy says. Raises ``ValidationFailed`` for one
        that is not good enough or was used before, and for a service user.
        """
        user = conn.execute(select(USER.c.name, USER.c.email, USER.c.service).where(USER.c.id == user_id)).first()
        if user is not None and user.service:
            raise refused("service_user", "A service user has no password: it uses API tokens.")
        self._passwords.check(password, () if user is None else (user.name or "", user.email or ""))
        self._refuse_former(conn, user_id, password, another)
        self._store_password(conn, user_id, self._passwords.hash(password))
        now = self._world.clock()
        running = (_SESSION.c.user_id == user_id, _SESSION.c.ended_at.is_(None))
        conn.execute(update(_SESSION).where(*running).values(ended_at=now))
        conn.execute(update(_LINK).where(_LINK.c.user_id == user_id, _LINK.c.ended_at.is_(None)).values(ended_at=now))

    def _refuse_former(self, conn: Connection, user_id: str, password: str, another: bool) -> None:
        """Raises ``ValidationFailed`` for one of the last passwords; keeps the present one's hash for the next time."""
        count = max(self._passwords.policy.history, int(another))
        mine = _BEFORE.c.user_id == user_id
        if count <= 0:
            conn.execute(delete(_BEFORE).where(mine))
            return
        present = self.password_hash(conn, user_id)
        former = conn.execute(select(_BEFORE.c.id, _BEFORE.c.hash).where(mine).order_by(_BEFORE.c.id.desc())).all()
        known = [*([present] if present else []), *(row.hash for row in former)][:count]
        if any(self._passwords.matches(stored, password) for stored in known):
            raise refused("password_used", "This password was used before. Take another one.")
        keep = self._passwords.policy.history - 1
        for row in former[max(keep - 1, 0) :]:
            conn.execute(delete(_BEFORE).where(_BEFORE.c.id == row.id))
        if present and keep > 0:
            conn.execute(insert(_BEFORE), {"id": self._world.new_id(), "user_id": user_id, "hash": present})

    def require_new_password(self, conn: Connection, user_id: str) -> None:
        """The user chooses a new password at the next sign-in, before anything else."""
        conn.execute(update(_PASSWORD).where(_PASSWORD.c.user_id == user_id).values(must_change=True))

    def password_due(self, conn: Connection, user_id: str) -> Literal["", "first", "old"]:
        """Whether a new password is due, and why: it was given by somebody else, or it is too old."""
        mine = _PASSWORD.c.user_id == user_id
        found = conn.execute(select(_PASSWORD.c.must_change, _PASSWORD.c.changed_at).where(mine)).first()
        if found is None:
            return ""
        if found.must_change:
            return "first"
        life = self._passwords.policy.life
        return "old" if life is not None and found.changed_at + life <= self._world.clock() else ""

    def password_mark(self, conn: Connection, user_id: str) -> str:
        """Another text after every change of the password, that says nothing about it."""
        return fingerprint(self.password_hash(conn, user_id) or "")[:16]

    def set_roles(self, conn: Connection, user_id: str, roles: Iterable[str], *, by: str | None = None) -> None:
        """Makes these the roles of a user, instead of those it had; ``by`` is who says so: a user's id, or words."""
        self._replace_grants(conn, user_id, not_(_IS_SET), roles, by)

    def set_permission_sets(
        self, conn: Connection, user_id: str, names: Iterable[str], *, by: str | None = None
    ) -> None:
        """Makes these the permission sets of a user, instead of those it had."""
        self._replace_grants(conn, user_id, _IS_SET, [PERMISSION_SET + name for name in names], by)

    def _replace_grants(self, conn: Connection, user_id: str, which: Any, names: Iterable[str], by: str | None) -> None:
        mine = (_ROLE.c.user_id == user_id, which)
        before = sorted(conn.execute(select(_ROLE.c.role).where(*mine)).scalars())
        after = sorted(set(names))
        if before == after:
            return
        conn.execute(delete(_ROLE).where(*mine))
        if after:
            conn.execute(insert(_ROLE), [{"user_id": user_id, "role": name} for name in after])
        who, said = by_whom(by)
        told = {"before": before, "after": after, **said}
        granted = Happening("access", "granted", by=who, object="user", subject=user_id, detail=told)
        note(conn, self._world.clock(), granted)

    def roles_of(self, conn: Connection, user_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """The roles of users, sorted by name."""
        return self._grants_of(conn, user_ids, not_(_IS_SET))

    def users_per_role(self, conn: Connection) -> dict[str, int]:
        """How many users have each role."""
        counted = select(_ROLE.c.role, func.count()).where(not_(_IS_SET)).group_by(_ROLE.c.role)
        return {row[0]: row[1] for row in conn.execute(counted)}

    def permission_sets_of(self, conn: Connection, user_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """The permission sets of users, sorted by name."""
        found = self._grants_of(conn, user_ids, _IS_SET)
        return {user: tuple(name.removeprefix(PERMISSION_SET) for name in names) for user, names in found.items()}

    def _grants_of(self, conn: Connection, user_ids: Sequence[str], which: Any) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {user_id: [] for user_id in user_ids}
        query = select(_ROLE.c.user_id, _ROLE.c.role).where(_ROLE.c.user_id.in_(user_ids), which)
        for user_id, role in conn.execute(query.order_by(_ROLE.c.role)):
            found[user_id].append(role)
        return {user_id: tuple(roles) for user_id, roles in found.items()}

    def user_id(self, conn: Connection, email: str) -> str | None:
        """The id of the live user with that address (upper and lower case are the same)."""
        row = conn.execute(_BY_EMAIL, {"email": email.strip().lower()}).first()
        return None if row is None else row.id

    def once_user_id(self, conn: Connection, email: str) -> str | None:
        """The id of the user with that address, also of one who is deleted: what they did is still to be found."""
        mine = USER.c.email == email.strip().lower()
        found = select(USER.c.id).where(mine).order_by(USER.c.deleted_at.is_(None).desc(), USER.c.id.desc())
        return conn.execute(found.limit(1)).scalar()

    def addresses(self, conn: Connection, user_ids: Iterable[str]) -> dict[str, str]:
        """The addresses of those of the ids that are users, gone ones too; what is no id is passed over."""
        ids = sorted(one for one in set(user_ids) if len(one) == _ID_LENGTH)
        found: dict[str, str] = {}
        for start in range(0, len(ids), _AT_ONCE):
            rows = conn.execute(select(USER.c.id, USER.c.email).where(USER.c.id.in_(ids[start : start + _AT_ONCE])))
            found.update((str(row.id), str(row.email)) for row in rows if row.email)
        return found

    def actor_for_user(self, conn: Connection, user_id: str, source: Source = "session") -> Actor | None:
        """The actor a user is; ``None`` if there is no such active user."""
        return actor_of(conn.execute(BY_ID, {"id": user_id}).all(), source)

    def has_users(self, conn: Connection) -> bool:
        """Whether anybody could sign in."""
        return conn.execute(select(_PASSWORD.c.user_id).limit(1)).first() is not None

    def with_password(self, conn: Connection, user_ids: Sequence[str]) -> frozenset[str]:
        """Those of the users who have a password."""
        found = select(_PASSWORD.c.user_id).where(_PASSWORD.c.user_id.in_(user_ids))
        return frozenset(conn.execute(found).scalars())

    # signing in

    def sign_in(self, database: Database, email: str, password: str, *, address: str = "", agent: str = "") -> SignIn:
        """Checks a password. Leaves a trail and counts failures, in a transaction of its own.

        The slow part, verifying the hash, runs outside of any transaction, so that nobody waits for it.
        """
        email = email.replace("\0", "").strip().lower()[:255]
        with database.read() as conn:
            row = conn.execute(_BY_EMAIL, {"email": email}).first()
        stored = None if row is None else row.hash
        verified = stored if stored is not None and self._passwords.matches(stored, password) else None
        if stored is None:
            self._passwords.waste(password)
        anew = self._passwords.hash(password) if verified and self._passwords.outdated(verified) else None
        with database.write() as conn:
            row = conn.execute(_BY_EMAIL, {"email": email}).first()
            result = self._judge(conn, row, verified)
            if anew is not None and row is not None and result.outcome == "ok":
                conn.execute(update(_PASSWORD).where(_PASSWORD.c.user_id == row.id).values(hash=anew))
            user_id = row.id if row is not None else None
            asked = result.outcome == "ok" and user_id is not None and self._asks_for_code(conn, user_id)
            outcome = "code_asked" if asked else result.outcome
            self.note_attempt(conn, outcome, email=email, user_id=user_id, address=address, agent=agent)
        return result

    def _asks_for_code(self, conn: Connection, user_id: str) -> bool:
        """Whether the right password is only the first half of signing in."""
        on = (_FACTOR.c.user_id == user_id, _FACTOR.c.confirmed_at.is_not(None))
        return conn.execute(select(_FACTOR.c.user_id).where(*on)).first() is not None

    def note_attempt(
        self, conn: Connection, outcome: str, *, email: str, user_id: str | None, address: str = "", agent: str = ""
    ) -> None:
        """Keeps an attempt to sign in: ``ok`` or why it was refused, in the list of attempts and the audit trail."""
        now = self._world.clock()
        origin = {"address": address[:64], "agent": agent[:255]}
        row = {"id": self._world.new_id(), "at": now, "email": email[:255], "user_id": user_id, "outcome": outcome[:20]}
        conn.execute(insert(_TRAIL), {**row, **origin})
        action = (
            "code_asked" if outcome == "code_asked" else "signed_in" if outcome in ("ok", "provider") else "refused"
        )
        told = {"outcome": outcome, **origin}
        note(conn, now, Happening("sign_in", action, by=user_id, subject=email, detail=told))

    def password_hash(self, conn: Connection, user_id: str) -> str | None:
        """The stored hash of a user's password."""
        row = conn.execute(select(_PASSWORD.c.hash).where(_PASSWORD.c.user_id == user_id)).first()
        return None if row is None else row.hash

    def count_wrong_code(self, conn: Connection, user_id: str) -> None:
        """A wrong second factor counts like a wrong password: after some, the account waits."""
        self._count_failure(conn, user_id)

    def locked_for(self, conn: Connection, user_id: str) -> int:
        """Seconds until the account may be tried again; 0 = now."""
        found = conn.execute(select(_PASSWORD.c.locked_until).where(_PASSWORD.c.user_id == user_id)).first()
        if found is None or found.locked_until is None:
            return 0
        return max(0, int((found.locked_until - self._world.clock()).total_seconds()))

    def _judge(self, conn: Connection, row: Any | None, verified: str | None) -> SignIn:
        """What the attempt comes to; ``verified`` is the stored hash that the password was found to fit."""
        now = self._world.clock()
        if row is None or row.hash is None:
            return SignIn("unknown_user" if row is None else "no_password")
        if row.locked_until is not None and row.locked_until > now:
            return SignIn("locked", wait_seconds=int((row.locked_until - now).total_seconds()) + 1)
        if row.hash != verified:
            self._count_failure(conn, row.id)
            return SignIn("wrong_password")
        if not row.alive:
            return SignIn("inactive")
        if row.service:
            return SignIn("service")
        if self._passwords.policy.only_admins and not row.is_admin:
            return SignIn("password_off")
        if row.failures:
            mine = _PASSWORD.c.user_id == row.id
            conn.execute(update(_PASSWORD).where(mine).values(failures=0, locked_until=None))
        return SignIn("ok", self.actor_for_user(conn, row.id))

    def _count_failure(self, conn: Connection, user_id: str) -> None:
        mine = _PASSWORD.c.user_id == user_id
        more = update(_PASSWORD).where(mine).values(failures=_PASSWORD.c.failures + 1).returning(_PASSWORD.c.failures)
        extra = conn.execute(more).scalar_one() - FREE_TRIES
        if extra >= 0:
            wait = min(timedelta(seconds=2 ** min(extra, 20)), LONGEST_WAIT)
            conn.execute(update(_PASSWORD).where(mine).values(locked_until=self._world.clock() + wait))

    def _store_password(self, conn: Connection, user_id: str, hashed: str) -> None:
        now = self._world.clock()
        values = {"hash": hashed, "changed_at": now, "failures": 0, "locked_until": None, "must_change": None}
        changed = conn.execute(update(_PASSWORD).where(_PASSWORD.c.user_id == user_id).values(**values))
        if changed.rowcount == 0:
            conn.execute(insert(_PASSWORD), {"user_id": user_id, **values})
