"""Limits per minute for what leaves the product: mails, and calls to one host. Whoever is over the limit waits.

    allow_mail(environment)          # before each mail; raises Throttled, which says when to try again
    allow_call(environment, url)

A job may let ``Throttled`` through: its run waits until then and begins again, which costs it no try and loses nothing
(what it has done is marked). The counts are kept in the database and hold for all workers together.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ratoon.platform.errors import RatoonError
from ratoon.platform.storage import quotas

if TYPE_CHECKING:
    from ratoon.platform.environment import Environment

MAIL = "mail"


class Throttled(RatoonError):
    """As much as a limit allows was done in this minute; ``at``: when there is room again."""

    code = "throttled"

    def __init__(self, message: str, *, at: datetime, **params: object) -> None:
        super().__init__(message, **params)
        self.at = at


def allow_mail(environment: Environment) -> None:
    """Counts one mail. Raises ``Throttled``."""
    limit = environment.settings.mails_per_minute
    if limit:
        message = "{limit} mails were sent within a minute, as RATOON_MAILS_PER_MINUTE allows; the rest waits."
        _allow(environment, MAIL, limit, message)


def allow_call(environment: Environment, url: str) -> None:
    """Counts one call to the host of this address. Raises ``Throttled``."""
    limit = environment.settings.calls_per_minute
    if limit:
        host = urlsplit(url).netloc.rpartition("@")[2].lower()
        message = "{host} was called {limit} times within a minute, as RATOON_CALLS_PER_MINUTE allows; the rest waits."
        _allow(environment, f"call/{host}"[:255], limit, message, host=host)


def _allow(environment: Environment, name: str, limit: int, message: str, **params: object) -> None:
    with environment.database.write() as connection:
        granted, at = quotas.take(connection, name, limit, environment.world.clock())
    if not granted:
        raise Throttled(message, at=at, limit=limit, **params)
