"""Pipelines as the registry holds them: ordered stages with gates, moves, tasks, what a stage says of its records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from ratoon.platform.formulas import Formula

if TYPE_CHECKING:
    from ratoon.platform.metadata.calendar_model import Calendar
    from ratoon.platform.metadata.model import Rule

Carried = Literal["probability", "forecast"]


@dataclass(frozen=True)
class Task:
    """Something to do in a stage; a required one must be done before the record goes on."""

    name: str
    label: str
    required: bool = False


@dataclass(frozen=True)
class Advance:
    """An automatic move: the record goes to ``to`` when ``when`` is true."""

    when: Formula
    to: str


@dataclass(frozen=True)
class Stage:
    """A step of a pipeline."""

    name: str
    label: str
    category: Literal["open", "won", "lost"] = "open"
    probability: int | None = None
    forecast: str = ""
    color: str = ""
    required_fields: tuple[str, ...] = ()
    entry: tuple[Rule, ...] = ()
    """Criteria to enter: refuses when ``error_when`` is true."""
    exit: tuple[Rule, ...] = ()
    next: tuple[str, ...] | None = None
    """Stages that may follow; ``None`` = any."""
    next_roles: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    """Stage that may follow → the only roles that may move there; a stage that is not named is open to everybody."""
    checklist: tuple[Task, ...] = ()
    expected_days: int | None = None
    calendar: Calendar | None = None
    """Expected days are working days of this calendar; ``None`` = days."""
    advance: tuple[Advance, ...] = ()
    """Automatic moves, tried in order."""

    def due(self, since: datetime) -> datetime | None:
        """When a record that entered at ``since`` is overdue; ``None`` = never."""
        if self.expected_days is None:
            return None
        if self.calendar is not None:
            return self.calendar.later(since, self.expected_days)
        return since + timedelta(days=self.expected_days)


@dataclass(frozen=True)
class Pipeline:
    """An ordered set of stages for one object's stage field."""

    object: str
    name: str
    label: str
    field: str
    stages: tuple[Stage, ...]
    when: Formula | None = None
    """Chosen for a new record when true (pipelines are tried in ``order``); ``None`` = always fits."""
    order: int = 0
    carry: tuple[tuple[Carried, str], ...] = ()
    """What of the stage is written to which field of the record when it enters the stage."""
    loss_reason: str | None = None
    """The field that says why: required in lost stages."""
    owner: str = "local"

    @cached_property
    def by_name(self) -> Mapping[str, Stage]:
        """Stages by name."""
        return {s.name: s for s in self.stages}

    @cached_property
    def place(self) -> Mapping[str, int]:
        """Stage → its place in the order."""
        return {s.name: i for i, s in enumerate(self.stages)}
