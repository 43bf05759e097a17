"""Rate limits: how often something may be tried, asked for or called.

The counting is done by ``limits``, the engine of Flask-Limiter, with one fixed window per amount (“10 per minute; 100
per hour”). Flask-Limiter itself hooks into every request, which costs 83 µs; asking its engine where something is to
be counted costs 3 µs, and lets sign-ins be counted only when they are refused.

``memory://`` counts in each server process by itself: with two of them somebody may get twice as far. ``redis://…``
counts for all of them (``pip install 'ratoon[redis]'``); each API call then asks Redis once. Nothing rests on it alone:
guessing one account's password is slowed down by that account, in the database (``accounts.py``). When the storage
cannot be reached, what was to be counted goes through, and the log says so.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any, Literal

from limits import RateLimitItem, parse_many
from limits.errors import ConfigurationError, StorageError
from limits.storage import Storage, storage_from_string
from limits.strategies import FixedWindowRateLimiter

from ratoon.platform.config import Settings
from ratoon.platform.errors import TooMany

Kind = Literal["sign_in", "reset", "reset_from", "api"]
MOST_KEPT = 20_000
"""Counts in a process before those that are over are thrown away."""
LOST = 10.0
"""Seconds for which a storage that cannot be reached is not asked again."""


class InProcess(Storage):
    """Counts in a dictionary. The one that comes with ``limits`` starts a thread for every count, which costs more than
    all the rest."""

    STORAGE_SCHEME = None

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._counts: dict[str, list[float]] = {}
        """Key → count, and when its window ends."""

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Counts ``amount`` more in the window of ``expiry`` seconds; answers how many there are now."""
        now = time.time()
        with self._lock:
            count = self._counts.get(key)
            if count is None or count[1] <= now:
                if len(self._counts) >= MOST_KEPT:
                    lasting = {k: kept for k, kept in self._counts.items() if kept[1] > now}
                    self._counts = lasting if len(lasting) < MOST_KEPT else {}
                count = self._counts[key] = [0, now + expiry]
            count[0] += amount
            return int(count[0])

    def get(self, key: str) -> int:
        """How many there are in the window."""
        count = self._counts.get(key)
        return int(count[0]) if count is not None and count[1] > time.time() else 0

    def get_expiry(self, key: str) -> float:
        """When the window ends."""
        count = self._counts.get(key)
        return count[1] if count is not None else time.time()

    def clear(self, key: str) -> None:
        """Forgets a count."""
        self._counts.pop(key, None)

    def reset(self) -> int | None:
        """Forgets everything."""
        count = len(self._counts)
        self._counts.clear()
        return count

    def check(self) -> bool:
        """A dictionary is always there."""
        return True

    @property
    def base_exceptions(self) -> type[Exception]:
        """What may go wrong: nothing."""
        return ValueError


class RateLimits:
    """The limits of one environment."""

    def __init__(self, storage: str, amounts: Mapping[Kind, str]) -> None:
        """Raises ``ValueError`` for a storage or an amount that is not understood."""
        try:
            counts = InProcess() if storage == "memory://" else storage_from_string(storage, wrap_exceptions=True)
            self._strategy = FixedWindowRateLimiter(counts)
        except ConfigurationError as error:
            raise ValueError(f"RATOON_LIMITS_STORAGE={storage!r}: {error}") from error
        self._amounts: dict[str, tuple[RateLimitItem, ...]] = {}
        for kind, text in amounts.items():
            try:
                self._amounts[kind] = tuple(parse_many(text)) if text.strip() else ()
            except ValueError as error:
                raise ValueError(f"{text!r} is no amount such as “10 per minute; 100 per hour”") from error
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

    def _asked(self, ask: Any, item: RateLimitItem, kind: str, who: str) -> bool:
        if self._lost and time.monotonic() < self._lost:
            return True
        try:
            return bool(ask(item, kind, who))
        except StorageError:
            self._lost = time.monotonic() + LOST
            logging.getLogger("ratoon").exception("rate limits cannot be counted; nothing is limited for a while")
            return True

    def _too_many(self, item: RateLimitItem, kind: str, who: str) -> TooMany:
        try:
            ends = self._strategy.get_window_stats(item, kind, who).reset_time
        except StorageError:
            ends = time.time() + 1
        seconds = max(1, int(ends - time.time()) + 1)
        return TooMany("Too many attempts or calls. Try again in {seconds} seconds.", seconds=seconds)
