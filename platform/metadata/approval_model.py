"""Approval processes as the registry holds them: who is asked in which steps, what is locked, what follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from ratoon.platform.formulas import Formula
from ratoon.platform.metadata.people import Person

if TYPE_CHECKING:
    from ratoon.platform.metadata.model import Action

Outcome = Literal["submitted", "approved", "rejected", "recalled"]
OUTCOMES: tuple[Outcome, ...] = ("submitted", "approved", "rejected", "recalled")


@dataclass(frozen=True)
class ApprovalStep:
    """Who is asked, and how their answers count."""

    name: str
    label: str
    approvers: tuple[Person, ...]
    decide: Literal["first", "all", "quorum"] = "first"
    quorum: int = 1
    when: Formula | None = None
    """The step is left out when this is not true; ``None`` = always asked."""
    reject_to: str | None = None
    """The step that a rejection leads back to; ``None`` = it ends the process."""
    nobody: Literal["refuse", "skip"] = "refuse"
    """What happens when there is no approver."""
    own: bool = False
    """Whether the one who submitted may be an approver."""
    escalate_hours: int | None = None
    escalate_to: tuple[Person, ...] = ()


@dataclass(frozen=True)
class Approval:
    """An approval process of an object."""

    object: str
    name: str
    label: str
    steps: tuple[ApprovalStep, ...]
    when: Formula | None = None
    """Entry criteria; ``None`` = every record may be submitted."""
    message: str = ""
    """What people read when the criteria are not met."""
    lock: bool = True
    """Whether the record cannot be changed while somebody decides."""
    open_fields: frozenset[str] = frozenset()
    """Fields that may be changed nevertheless."""
    approver_fields: frozenset[str] = frozenset()
    """Fields that the approvers of the moment may change."""
    unlocked_roles: frozenset[str] = frozenset()
    admins_unlocked: bool = True
    status_field: str | None = None
    recall: bool = True
    """Whether the one who submitted may take it back."""
    actions: Mapping[Outcome, tuple[Action, ...]] = field(default_factory=lambda: MappingProxyType({}))
    template: str | None = None
    """The template of the mails that ask; ``None`` = the installation's, else the built-in one."""
    order: int = 0
    owner: str = "local"

    def step(self, name: str | None) -> ApprovalStep | None:
        """The step of that name."""
        return next((s for s in self.steps if s.name == name), None)
