"""The link at the end of a mail that stops such mails: signed, for one user and some kinds, without signing in.

Opening it decides nothing (mail scanners open links); the button on the page, or the one that mail programs show for
``List-Unsubscribe``, sends a POST. It does not run out: somebody may find the mail years later.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from ratoon.platform.errors import NotFound
from ratoon.platform.storage.notification_ways import KINDS, Way, choose, ways

TAG = 16


def sign(secret: bytes, user: str, kinds: Sequence[str]) -> str:
    """The text of the link."""
    body = UUID(user).bytes + ",".join(sorted(set(kinds))).encode()
    return base64.urlsafe_b64encode(_tag(secret, body) + body).decode().rstrip("=")


def read(secret: bytes, text: str) -> tuple[str, list[str]]:
    """(user, kinds) of a link. Raises ``NotFound`` for one that was edited."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, UnicodeEncodeError):
        raise NotFound("This link does not work (any more).") from None
    tag, body = raw[:TAG], raw[TAG:]
    if len(body) < 16 or not hmac.compare_digest(tag, _tag(secret, body)):
        raise NotFound("This link does not work (any more).")
    return str(UUID(bytes=body[:16])), [kind for kind in body[16:].decode().split(",") if kind in KINDS]


def stop(connection: Any, user: str, kinds: Sequence[str]) -> None:
    """No mails of these kinds any more; in the product they are shown as before."""
    there = ways(connection, user)
    choose(connection, user, {kind: Way(there[kind].bell, "off") for kind in kinds})


def _tag(secret: bytes, body: bytes) -> bytes:
    return hashlib.blake2b(body, key=secret[:64], digest_size=TAG, person=b"ratoon stopmails").digest()
