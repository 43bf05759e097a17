"""What lets somebody in without a password: browser sessions and API tokens.

Both are random; only their SHA-256 is stored. ``actor_for_token`` is one indexed select; callers may keep its answer
for up to ``FRESH_SECONDS`` (a revoked token works at most that long).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    MetaData,
    String,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)

from ratoon.platform.access.actor import Actor
from ratoon.platform.access.who import ALIVE, FACTS, USER, actor_of, fingerprint, with_grants
from ratoon.platform.config import World
from ratoon.platform.formulas.columns import UtcDateTime
from ratoon.platform.storage.account_tables import define_account_tables
from ratoon.platform.storage.audit import Happening, by_whom, note

FRESH_SECONDS = 1.0
"""How long an answer of ``actor_for_token`` or ``actor_for_session`` may be kept."""
TOKEN_PREFIX = "rtn_"
SESSION_LIFE = timedelta(days=14)
_TABLES = define_account_tables(MetaData()).tables
_TOKEN = _TABLES["ratoon_token"]
_SESSION = _TABLES["ratoon_session"]


def _by_secret(secrets: Any, *extra: Any, also: Sequence[Any] = ()) -> CompoundSelect[Any]:
    """Facts and grants of the user behind the token or session of a hash that has not run out."""
    now = bindparam("now", type_=UtcDateTime)
    found = (
        select(*FACTS, secrets.c.id.label("secret_id"), *also)
        .where(secrets.c.hash == bindparam("hash", type_=String), ALIVE, *extra)
        .where(or_(secrets.c.expires_at.is_(None), secrets.c.expires_at > now))
    )
    return with_grants(found, secrets.join(USER, USER.c.id == secrets.c.user_id))


_BY_TOKEN = _by_secret(_TOKEN, _TOKEN.c.revoked_at.is_(None), also=(_TOKEN.c.objects, _TOKEN.c.read_only))
_BY_SESSION = _by_secret(_SESSION, _SESSION.c.ended_at.is_(None), USER.c.service.is_not(True))


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """An API token as its owner sees it: everything but the token."""

    id: str
    user_id: str
    label: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    objects: str | None = None
    """Names of the objects it is limited to, separated by commas; ``None`` = all."""
    read_only: bool | None = None


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A browser session as its owner sees it."""

    id: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    address: str
    agent: str


def note_token(
    conn: Connection, at: datetime, action: Literal["token_made", "token_revoked"], info: TokenInfo, by: str | None
) -> None:
    """Keeps in the audit trail that a token was made or revoked by somebody (a user's id, or words such as ``command
    line``), and what it may; not the token."""
    who, said = by_whom(by)
    made: dict[str, Any] = {"for": info.user_id, "label": info.label, **said}
    if action == "token_made":
        ends = None if info.expires_at is None else info.expires_at.isoformat()
        objects = info.objects.split(",") if info.objects else []
        made.update(objects=objects, read_only=bool(info.read_only), expires_at=ends)
    note(conn, at, Happening("access", action, by=who, object="token", subject=info.id, detail=made))


class Keys:
    """Sessions and tokens, on the connection of the caller."""

    def __init__(self, world: World) -> None:
        self._world = world

    # browser sessions

    def start_session(self, conn: Connection, user_id: str, *, address: str = "", agent: str = "") -> str:
        """Opens a session and returns its secret, which belongs into a signed, http-only cookie."""
        secret, now = self._world.token(), self._world.clock()
        conn.execute(
            insert(_SESSION),
            {
                "id": self._world.new_id(),
                "user_id": user_id,
                "hash": fingerprint(secret),
                "created_at": now,
                "seen_at": now,
                "expires_at": now + SESSION_LIFE,
                "ended_at": None,
                "address": address[:64],
                "agent": agent[:255],
            },
        )
        return secret

    def actor_for_session(self, conn: Connection, secret: str) -> Actor | None:
        """Who is behind a session; ``None`` when it ended, ran out or never was."""
        given = {"hash": fingerprint(secret), "now": self._world.clock()}
        return actor_of(conn.execute(_BY_SESSION, given).all(), "session")

    def end_session(self, conn: Connection, secret: str) -> None:
        """Signs out: the session's secret is worth nothing afterwards."""
        self._end(conn, "signed_out", _SESSION.c.hash == fingerprint(secret))

    def sessions_of(self, conn: Connection, user_id: str) -> list[SessionInfo]:
        """Where a user is signed in, newest first."""
        wanted = [_SESSION.c[name] for name in SessionInfo.__slots__]
        running = (_SESSION.c.ended_at.is_(None), _SESSION.c.expires_at > self._world.clock())
        found = select(*wanted).where(_SESSION.c.user_id == user_id, *running).order_by(_SESSION.c.id.desc())
        return [SessionInfo(*row) for row in conn.execute(found)]

    def session_id(self, conn: Connection, hashed: str) -> str | None:
        """The id of the session whose secret has that fingerprint."""
        row = conn.execute(select(_SESSION.c.id).where(_SESSION.c.hash == hashed)).first()
        return None if row is None else row.id

    def end_session_of(self, conn: Connection, user_id: str, session_id: str) -> bool:
        """Ends a session of a user; False when there is none of that id."""
        return self._end(conn, "session_ended", _SESSION.c.id == session_id, _SESSION.c.user_id == user_id)

    def _end(self, conn: Connection, action: str, *which: ColumnElement[bool]) -> bool:
        """Ends the session that fits, if it runs, and notes it with where it was opened."""
        now = self._world.clock()
        ending = update(_SESSION).where(*which, _SESSION.c.ended_at.is_(None)).values(ended_at=now)
        row = conn.execute(ending.returning(_SESSION.c.user_id, _SESSION.c.address, _SESSION.c.agent)).first()
        if row is None:
            return False
        told = {"address": row.address, "agent": row.agent}
        note(conn, now, Happening("sign_in", action, by=row.user_id, subject=str(row.user_id), detail=told))
        return True

    # API tokens

    def create_token(
        self,
        conn: Connection,
        user_id: str,
        *,
        label: str,
        expires_at: datetime | None = None,
        objects: Iterable[str] | None = None,
        read_only: bool = False,
    ) -> tuple[str, TokenInfo]:
        """Makes an API token for a user: the token (shown once, never stored) and what is known of it later.

        It may be limited to some objects and to reading; a limited token of an administrator changes no metadata.
        """
        token, now = TOKEN_PREFIX + self._world.token(), self._world.clock()
        only = None if objects is None else ",".join(sorted(set(objects)))
        info = TokenInfo(self._world.new_id(), user_id, label[:255], now, expires_at, None, None, only, read_only)
        conn.execute(
            insert(_TOKEN),
            {
                "id": info.id,
                "user_id": user_id,
                "hash": fingerprint(token),
                "label": info.label,
                "created_at": now,
                "expires_at": expires_at,
                "last_used_at": None,
                "revoked_at": None,
                "objects": info.objects,
                "read_only": info.read_only,
            },
        )
        return token, info

    def tokens_of(self, conn: Connection, user_id: str) -> list[TokenInfo]:
        """The tokens of a user, newest first, revoked ones too."""
        wanted = [_TOKEN.c[name] for name in TokenInfo.__slots__]
        statement = select(*wanted).where(_TOKEN.c.user_id == user_id).order_by(_TOKEN.c.id.desc())
        return [TokenInfo(*row) for row in conn.execute(statement)]

    def token_info(self, conn: Connection, token_id: str) -> TokenInfo:
        """A token that is there, working or not."""
        wanted = [_TOKEN.c[name] for name in TokenInfo.__slots__]
        return TokenInfo(*conn.execute(select(*wanted).where(_TOKEN.c.id == token_id)).one())

    def tokens_called(self, conn: Connection, token_ids: Iterable[str]) -> dict[str, tuple[str, str]]:
        """What tokens are for and whose they are: id → (label, user), revoked ones too."""
        wanted = select(_TOKEN.c.id, _TOKEN.c.label, _TOKEN.c.user_id).where(_TOKEN.c.id.in_(list(token_ids)))
        return {row.id: (row.label, row.user_id) for row in conn.execute(wanted)}

    def revoke_token(self, conn: Connection, token_id: str) -> bool:
        """Ends a token; False when there is none of that id that still works."""
        changed = conn.execute(
            update(_TOKEN)
            .where(_TOKEN.c.id == token_id, _TOKEN.c.revoked_at.is_(None))
            .values(revoked_at=self._world.clock())
        )
        return changed.rowcount > 0

    def working_tokens(self, conn: Connection, user_id: str) -> int:
        """How many tokens of a user work."""
        now = self._world.clock()
        running = or_(_TOKEN.c.expires_at.is_(None), _TOKEN.c.expires_at > now)
        mine = (_TOKEN.c.user_id == user_id, _TOKEN.c.revoked_at.is_(None), running)
        return conn.execute(select(func.count()).select_from(_TOKEN).where(*mine)).scalar_one()

    def revoke_tokens_of(self, conn: Connection, user_id: str) -> int:
        """Ends every token of a user; returns how many worked."""
        working = self.working_tokens(conn, user_id)
        mine = (_TOKEN.c.user_id == user_id, _TOKEN.c.revoked_at.is_(None))
        conn.execute(update(_TOKEN).where(*mine).values(revoked_at=self._world.clock()))
        return working

    def actor_for_token(self, conn: Connection, token: str) -> Actor | None:
        """Who is behind an API token; ``None`` when it was revoked, ran out or never was."""
        given = {"hash": fingerprint(token), "now": self._world.clock()}
        return actor_of(conn.execute(_BY_TOKEN, given).all(), "token")

    def note_token_use(self, conn: Connection, token_id: str) -> None:
        """Writes down that a token was used just now. Callers throttle it: once in minutes is enough."""
        conn.execute(update(_TOKEN).where(_TOKEN.c.id == token_id).values(last_used_at=self._world.clock()))
