"""Who is acting: a person behind a session or a token, or the platform itself.

An ``Actor`` is a frozen value handed down to every service call; nothing reads it from ambient state. It says who
somebody is; what they may do is the business of ``policy.Policy``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

Source = Literal["session", "token", "command", "link", "system"]
"""How the actor came in: a browser session, an API token, the command line, a link in a mail, the platform itself."""


PERMISSION_SET = "permission_set:"
"""What stands before the name of a permission set where grants of a user are kept."""
EVERYTHING = "*"
"""Stands among the roles of an administrator whose token is limited: every right, within those limits."""


@dataclass(frozen=True, slots=True)
class TokenScope:
    """What an API token is limited to."""

    objects: frozenset[str] | None = None
    """Only these objects; ``None`` = all."""
    read_only: bool = False


@dataclass(frozen=True)
class Actor:
    """Somebody (or the platform) who asks for something."""

    id: str | None
    """Id of the record in the ``user`` object; ``None`` for the platform itself."""
    name: str
    email: str = ""
    admin: bool = False
    """True: may do everything, always."""
    roles: frozenset[str] = frozenset()
    """Names of roles; what they allow adds up. A name without a role in the registry allows nothing."""
    permission_sets: frozenset[str] = frozenset()
    """Names of permission sets: more rights, beside those of the roles."""
    teams: frozenset[tuple[str, str]] = frozenset()
    """(id, name) of the teams the user is in."""
    locale: str = "en"
    time_zone: str = "UTC"
    """IANA name."""
    source: Source = "session"
    token_id: str | None = None
    """Id of the API token that was shown, if ``source`` is ``token``."""
    scope: TokenScope | None = None
    """What the API token is limited to."""

    @cached_property
    def rights(self) -> tuple[frozenset[str], frozenset[str], TokenScope | None]:
        """What object and field rights depend on: the key under which answers about them may be kept."""
        return self.roles, self.permission_sets, self.scope

    @cached_property
    def zone(self) -> ZoneInfo:
        """The time zone, ready for date arithmetic; UTC when nobody knows a zone of that name."""
        try:
            return ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return ZoneInfo("UTC")

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        """What a formula sees as ``$user.x``: id, name, email, locale, role (names joined by ``;``, sorted)."""
        return {
            "id": self.id,
            "name": self.name,
            "email": self.email,
            "locale": self.locale,
            "time_zone": self.time_zone,
            "role": ";".join(sorted(self.roles)) or None,
            "is_admin": self.admin,
        }


def system_actor(source: Source = "system", *, locale: str = "en", time_zone: str = "UTC") -> Actor:
    """The platform itself: applies packages, runs jobs, imports from the command line. May do everything."""
    return Actor(id=None, name="Ratoon", admin=True, locale=locale, time_zone=time_zone, source=source)


SYSTEM = system_actor()
"""The platform with the default locale and time zone."""
