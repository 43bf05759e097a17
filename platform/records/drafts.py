"""A draft: one record on its way through the order of execution."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from ratoon.platform.errors import Problem
from ratoon.platform.records.engine import Event


@dataclass(frozen=True, slots=True)
class Change:
    """What a caller wants changed on one record. ``version`` is the one the caller saw; ``None`` = whatever stands."""

    id: str
    values: Mapping[str, Any]
    version: int | None = None


@dataclass(slots=True)
class Draft:
    """One record of a save."""

    index: int
    id: str
    old: dict[str, Any] | None
    """The row before; ``None`` for a new record."""
    row: dict[str, Any]
    """The row as it will be written, plus dotted keys (``account.name``) that formulas read."""
    given: Set[str]
    """Keys the caller gave."""
    links: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Many-to-many values the caller gave."""
    problems: list[Problem] = field(default_factory=list)

    @property
    def event(self) -> Event:
        """``created`` or ``updated``."""
        return "created" if self.old is None else "updated"

    @property
    def wrong_keys(self) -> frozenset[str]:
        """Keys with a value that was refused, or none: what else asks for them need not say so again. What is answered
        as no field of the object is none of them: whether it really is one must make no difference."""
        wrong = (p.field for p in self.problems if p.severity == "error" and p.code != "unknown_field")
        return frozenset(key for key in wrong if key is not None)

    def value_changed(self, key: str) -> bool:
        """Whether the value of ``key`` differs from what was stored."""
        return self.row.get(key) != (None if self.old is None else self.old.get(key))

    def changed(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Columns that differ from what was stored."""
        row, old = self.row, self.old
        if old is None:
            return tuple(columns)
        return tuple(key for key in columns if row[key] != old[key])

    def refuse(
        self,
        code: str,
        message: str,
        key: str | None = None,
        /,
        *,
        rule: str | None = None,
        about: Collection[str] = (),
        **params: Any,
    ) -> None:
        """Adds a problem of this record; ``about`` are the other fields that the message tells something of."""
        if rule is not None:
            params["rule"] = rule
        self.problems.append(Problem(code, message, field=key, params=params, index=self.index, rule=rule, about=about))
