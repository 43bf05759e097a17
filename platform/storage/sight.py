"""How far it is worth walking a list for somebody: see ``lists.py``."""

from __future__ import annotations

WALKED = (3, 12, 100)
"""Rows that are looked at one after another for each row of a page: first, and on as long as that does not fill it."""
PATIENCE = 100
"""Pages after which it is tried again whether fewer rows will do."""
MAX_READERS = 20_000
"""Lists of somebody's that are remembered."""


class Sight:
    """How far the rows of a list are worth walking for somebody."""

    def __init__(self, like: Sight | None = None) -> None:
        self._first: int = like._first if like is not None else 0
        self._pages = PATIENCE if self._first else 0

    def worth_walking(self) -> tuple[int, ...]:
        """The distances to try, of ``WALKED``."""
        if self._pages:
            self._pages -= 1
            if not self._pages:
                self._first = 0
        return WALKED[self._first :]

    def was_in_vain(self, far: int) -> None:
        """So far is not enough: what is nearer is left out for a while."""
        self._first, self._pages = WALKED.index(far) + 1, PATIENCE
