"""Who is calling: a bearer token, or the browser session of the screens.

A token costs one indexed select per ``FRESH_SECONDS`` and process; in between the answer is kept, so that a revoked
token works one second longer at most. A browser call that changes something must carry the page's CSRF token in the
header ``X-CSRFToken``; calls with a bearer token need none, since no browser adds one by itself.

Calls are counted here (``access/limits.py``): per token, per user of a browser, and those that are refused per
network address.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from flask import Request, session
from flask_wtf.csrf import validate_csrf
from wtforms import ValidationError

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import Actor
from ratoon.platform.access.keys import FRESH_SECONDS
from ratoon.platform.access.limits import UNBOUNDED, RateLimits
from ratoon.platform.access.who import fingerprint
from ratoon.platform.api.problems import CsrfRefused, Unauthenticated
from ratoon.platform.storage.database import Busy, Database

SESSION_KEY = "_user_id"
"""Where Flask-Login, which the screens use, keeps the secret of the session in the signed cookie."""
USE_NOTED_EVERY = 300.0
"""Seconds between two notes of a token's last use."""
KEPT = 10_000
"""Callers remembered at once."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(slots=True)
class _Known:
    """A caller that was looked up a moment ago."""

    actor: Actor
    until: float
    """When to look again."""
    allowed: int
    """Calls that may be made until then."""
    calls: int = 0
    """Calls made since they were last settled."""


class Callers:
    """Tells the actor behind a request."""

    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        monotonic: Callable[[], float] = time.monotonic,
        limits: RateLimits | None = None,
    ) -> None:
        self._limits = limits
        self._database = database
        self._accounts = accounts
        self._monotonic = monotonic
        self._known: dict[str, _Known] = {}
        self._noted: dict[str, float] = {}

    def actor(self, request: Request) -> Actor:
        """The actor. Raises ``Unauthenticated``, ``TooMany``, or ``CsrfRefused`` for a forged call from a browser."""
        header = request.environ.get("HTTP_AUTHORIZATION")
        if header is None:
            return self._of_session(request)
        kind, _, token = header.partition(" ")
        if kind.lower() != "bearer" or not token:
            raise Unauthenticated("Send the header Authorization: Bearer and a token.")
        key = fingerprint(token.strip())
        known = self._known.get(key)
        now = self._monotonic()
        if known is not None and now < known.until and known.calls < known.allowed:
            known.calls += 1
            return known.actor
        with self._database.read() as conn:
            actor = self._accounts.actor_for_token(conn, token.strip())
        if actor is None:
            self._known.pop(key, None)
            if self._limits is not None:
                self._limits.take("api", f"refused {request.remote_addr}")
            raise Unauthenticated("The token does not work: it is mistyped, revoked, or has run out.")
        self._keep(key, key, actor, now)
        self._note_use(actor, now)
        return actor

    def _of_session(self, request: Request) -> Actor:
        secret = session.get(SESSION_KEY)
        if not isinstance(secret, str):
            raise Unauthenticated("Sign in, or send the header Authorization: Bearer and a token.")
        if request.method not in SAFE_METHODS:
            try:
                validate_csrf(request.headers.get("X-CSRFToken"))
            except ValidationError as error:
                raise CsrfRefused("Reload the page and try again: {reason}", reason=str(error)) from None
        key, now = fingerprint(secret), self._monotonic()
        known = self._known.get(key)
        if known is not None and now < known.until and known.calls < known.allowed:
            known.calls += 1
            return known.actor
        with self._database.read() as conn:
            actor = self._accounts.actor_for_session(conn, secret)
        if actor is None:
            raise Unauthenticated("The session has ended; sign in again.")
        self._keep(key, str(actor.id), actor, now)
        return actor

    def _keep(self, key: str, who: str, actor: Actor, now: float) -> None:
        """Keeps the answer for a moment, and settles this call and those of the last moment. Raises ``TooMany``."""
        before = self._known.get(key)
        if len(self._known) >= KEPT:
            self._known.clear()
        allowed = UNBOUNDED
        if self._limits is not None:
            allowed = self._limits.settle("api", who, before.calls if before is not None else 0)
            if allowed <= 0:
                self._known.pop(key, None)
                raise self._limits.refusal("api", who)
        self._known[key] = _Known(actor, now + FRESH_SECONDS, allowed, calls=1)

    def _note_use(self, actor: Actor, now: float) -> None:
        token = actor.token_id
        if token is None or now < self._noted.get(token, -USE_NOTED_EVERY) + USE_NOTED_EVERY:
            return
        self._noted[token] = now
        with suppress(Busy), self._database.write() as conn:
            self._accounts.note_token_use(conn, token)
