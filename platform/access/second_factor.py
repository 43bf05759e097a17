"""The second factor: six digits from an authenticator app (TOTP, RFC 6238), or one of ten recovery codes.

Setting it up takes two steps: ``begin`` makes a secret, which counts from ``confirm`` on, when the app has shown the
right digits once. A code is good once and for about half a minute on either side; every wrong one counts like a wrong
password. Recovery codes are shown once and kept as hashes.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime

import pyotp
from sqlalchemy import Connection, MetaData, delete, insert, select, update

from ratoon.platform.config import World
from ratoon.platform.storage.account_tables import define_account_tables

RECOVERY_CODES = 10
STEP = 30
"""Seconds."""
_FACTOR = define_account_tables(MetaData()).tables["ratoon_second_factor"]


@dataclass(frozen=True, slots=True)
class Setup:
    """What an authenticator app needs."""

    secret: str
    address: str
    """``otpauth://…``, to be shown as a QR code."""


class SecondFactor:
    """Second factors of users, on the connection of the caller."""

    def __init__(self, world: World, issuer: str) -> None:
        self._world = world
        self._issuer = issuer

    def active(self, conn: Connection, user_id: str) -> bool:
        """Whether the user needs a code to sign in."""
        mine = (_FACTOR.c.user_id == user_id, _FACTOR.c.confirmed_at.is_not(None))
        return conn.execute(select(_FACTOR.c.user_id).where(*mine)).first() is not None

    def begin(self, conn: Connection, user_id: str, email: str) -> Setup:
        """A secret that waits to be confirmed; one that waited before is forgotten, a confirmed one stays in force."""
        found = conn.execute(select(_FACTOR.c.confirmed_at).where(_FACTOR.c.user_id == user_id)).first()
        secret = pyotp.random_base32()
        if found is not None and found.confirmed_at is not None:
            conn.execute(update(_FACTOR).where(_FACTOR.c.user_id == user_id).values(waiting=secret))
        else:
            conn.execute(delete(_FACTOR).where(_FACTOR.c.user_id == user_id))
            row = {"user_id": user_id, "secret": secret, "waiting": secret, "confirmed_at": None, "last_step": 0,
                   "recovery": ""}  # fmt: skip
            conn.execute(insert(_FACTOR), row)
        return Setup(secret, pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=self._issuer))

    def waiting(self, conn: Connection, user_id: str, email: str) -> Setup | None:
        """The secret that waits to be confirmed."""
        found = conn.execute(select(_FACTOR.c.waiting).where(_FACTOR.c.user_id == user_id)).first()
        if found is None or found.waiting is None:
            return None
        address = pyotp.TOTP(found.waiting).provisioning_uri(name=email, issuer_name=self._issuer)
        return Setup(found.waiting, address)

    def confirm(self, conn: Connection, user_id: str, code: str) -> list[str] | None:
        """Makes the waiting secret count; the recovery codes, or ``None`` for a wrong code."""
        found = conn.execute(select(_FACTOR.c.waiting).where(_FACTOR.c.user_id == user_id)).first()
        if found is None or found.waiting is None:
            return None
        step = self._step(found.waiting, code)
        if step is None:
            return None
        codes = [self._world.token()[:12].lower() for _ in range(RECOVERY_CODES)]
        values = {"secret": found.waiting, "waiting": None, "confirmed_at": self._world.clock(), "last_step": step,
                  "recovery": " ".join(_hash(code) for code in codes)}  # fmt: skip
        conn.execute(update(_FACTOR).where(_FACTOR.c.user_id == user_id).values(**values))
        return codes

    def passes(self, conn: Connection, user_id: str, code: str) -> bool:
        """Whether the code is right; it is good once."""
        found = conn.execute(
            select(_FACTOR).where(_FACTOR.c.user_id == user_id, _FACTOR.c.confirmed_at.is_not(None)).with_for_update()
        ).first()
        if found is None:
            return False
        code = code.strip().replace(" ", "").lower()
        step = self._step(found.secret, code)
        if step is not None and step > found.last_step:
            conn.execute(update(_FACTOR).where(_FACTOR.c.user_id == user_id).values(last_step=step))
            return True
        kept = found.recovery.split()
        used = next((known for known in kept if hmac.compare_digest(known, _hash(code))), None)
        if used is None:
            return False
        left = " ".join(known for known in kept if known != used)
        conn.execute(update(_FACTOR).where(_FACTOR.c.user_id == user_id).values(recovery=left))
        return True

    def cancel(self, conn: Connection, user_id: str) -> None:
        """Forgets the secret that waits; a confirmed one stays in force."""
        mine = _FACTOR.c.user_id == user_id
        conn.execute(delete(_FACTOR).where(mine, _FACTOR.c.confirmed_at.is_(None)))
        conn.execute(update(_FACTOR).where(mine).values(waiting=None))

    def drop(self, conn: Connection, user_id: str) -> None:
        """The user signs in with the password alone again."""
        conn.execute(delete(_FACTOR).where(_FACTOR.c.user_id == user_id))

    def _step(self, secret: str, code: str) -> int | None:
        """The time step that the digits belong to: now, or the one before or after."""
        now: datetime = self._world.clock()
        totp = pyotp.TOTP(secret)
        here = int(now.timestamp()) // STEP
        for step in (here, here - 1, here + 1):
            if hmac.compare_digest(totp.generate_otp(step), code.strip().replace(" ", "")):
                return step
        return None


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
