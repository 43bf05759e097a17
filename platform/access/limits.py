"""Rate limits: how often something may be tried, asked for or called.

The counting is done by ``limits``, the engine of Flask-Limiter, with one fixed window per amount (“10 per minute; 100
per hour”). Flask-Limiter itself hooks into every request, which costs 83 µs, half as much as reading a record does;
its engine is asked only where something is to be counted, so that right passwords are not.

Calls of the API are counted where they are made and settled about once a second (``settle``): that costs next to
nothing per call, and asks Redis once a second and caller instead of for each call.

``memory://`` counts in each server process by itself: with two of them somebody may get twice as far. ``redis://…``
counts for all of them (``pip install 'ratoon[redis]'``); API calls may then go on for the second until they are
settled. Nothing rests on it alone: guessing one account's password is slowed down by that account, in the database
(``accounts.py``). When the storage cannot be reached or does not answer within a second, what was to be counted goes
through, and the log says so; it is asked again ten seconds later. A Redis that keeps nothing on disk begins to count
anew when it is started anew.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

from limits import RateLimitItem, parse_many
from limits.errors import ConfigurationError, StorageError
from limits.storage import storage_from_string
from limits.strategies import FixedWindowRateLimiter

from ratoon.platform.config import Settings
from ratoon.platform.errors import BadSetting, TooMany

Kind = Literal["sign_in", "reset", "reset_from", "api"]
UNBOUNDED = 2**62
"""How many are allowed where there is no limit."""
WAIT = 1.0
"""Seconds to wait for Redis."""
LOST = 10.0
"""Seconds for which a storage that cannot be reached is not asked again."""


class RateLimits:
    """The limits of one environment."""

    def __init__(self, storage: str, amounts: Mapping[Kind, str], *, wait: float = WAIT, lost: float = LOST) -> None:
        """``wait``: seconds in which Redis must answer; ``lost``: for how long it is left alone when it does not.

        Raises ``BadSetting`` for a storage or an amount that is not understood.
        """
        try:
            waits = {"socket_timeout": wait, "socket_connect_timeout": wait} if "redis" in storage else {}
            counts: Any = storage_from_string(storage, wrap_exceptions=True, **waits)
            self._strategy = FixedWindowRateLimiter(counts)
        except ConfigurationError as error:
            raise BadSetting(
                "RATOON_LIMITS_STORAGE={storage}: {reason}.", storage=repr(storage), reason=str(error)
            ) from error
        self._amounts: dict[str, tuple[RateLimitItem, ...]] = {}
        for kind, text in amounts.items():
            try:
                self._amounts[kind] = tuple(parse_many(text)) if text.strip() else ()
            except ValueError as error:
                message = "RATOON_LIMIT_{kind}={text} is no amount such as “10 per minute; 100 per hour”."
                raise BadSetting(message, kind=kind.upper(), text=repr(text)) from error
        self._pause = lost
        self._lost = 0.0

    @classmethod
    def of(cls, settings: Settings) -> RateLimits:
        """The limits that the settings describe."""
        amounts: dict[Kind, str] = {
            "sign_in": settings.limit_sign_in,
            "reset": settings.limit_reset,
            "reset_from": settings.limit_reset,
            "api": settings.limit_api,
        }
        made = cls(settings.limits_storage, amounts)
        made._amounts["reset_from"] = tuple(
            type(item)(item.amount * 10, item.multiples) for item in made._amounts["reset"]
        )
        return made

    def take(self, kind: Kind, who: str) -> None:
        """Counts one for ``who``. Raises ``TooMany`` when it was one too many."""
        for item in self._amounts[kind]:
            if not self._asked(self._strategy.hit, item, kind, who):
                raise self._too_many(item, kind, who)

    def look(self, kind: Kind, who: str) -> None:
        """Counts nothing. Raises ``TooMany`` when one more would be too many."""
        for item in self._amounts[kind]:
            if not self._asked(self._strategy.test, item, kind, who):
                raise self._too_many(item, kind, who)

    def settle(self, kind: Kind, who: str, made: int) -> int:
        """Counts what ``who`` has made since the last time; answers how many more are allowed for now."""
        left = UNBOUNDED
        for item in self._amounts[kind]:
            if made:
                self._asked(self._strategy.hit, item, kind, who, cost=made)
            left = min(left, self._left(item, kind, who))
        return left

    def refusal(self, kind: Kind, who: str) -> TooMany:
        """What to raise for somebody to whom ``settle`` allows nothing more."""
        spent = min(self._amounts[kind], key=lambda item: self._left(item, kind, who))
        return self._too_many(spent, kind, who)

    def _left(self, item: RateLimitItem, kind: str, who: str) -> int:
        stats = self._ask(lambda: self._strategy.get_window_stats(item, kind, who))
        return int(item.amount if stats is None else stats.remaining)

    def _asked(self, ask: Any, item: RateLimitItem, kind: str, who: str, **more: int) -> bool:
        allowed = self._ask(lambda: ask(item, kind, who, **more))
        return True if allowed is None else bool(allowed)

    def _ask(self, question: Callable[[], Any]) -> Any:
        """What the storage answers; ``None`` when it cannot be reached, and for a while after that."""
        if self._lost and time.monotonic() < self._lost:
            return None
        try:
            answer = question()
        except StorageError:
            self._lost = time.monotonic() + self._pause
            logging.getLogger("ratoon").exception("rate limits cannot be counted; nothing is limited for a while")
            return None
        self._lost = 0.0
        return answer

    def _too_many(self, item: RateLimitItem, kind: str, who: str) -> TooMany:
        stats = self._ask(lambda: self._strategy.get_window_stats(item, kind, who))
        ends = time.time() + 1 if stats is None else stats.reset_time
        seconds = max(1, int(ends - time.time()) + 1)
        return TooMany("Too many attempts or calls. Try again in {seconds} seconds.", seconds=seconds)
