"""Now and then a worker tells the database how large its tables have become (``storage/statistics.py``)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ratoon.platform.storage.statistics import refresh

if TYPE_CHECKING:
    from ratoon.platform.environment import Environment

EVERY = timedelta(minutes=5)


class Measuring:
    """The timer of one worker."""

    def __init__(self) -> None:
        self._looked: datetime | None = None

    def __call__(self, environment: Environment, now: datetime) -> None:
        if self._looked is None or not self._looked <= now < self._looked + EVERY:
            self._looked = now
            refresh(environment.database)
