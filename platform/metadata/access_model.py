"""The compiled form of what metadata says about access beside roles: permission sets, the role tree, sharing rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from ratoon.platform.formulas import Formula

if TYPE_CHECKING:
    from ratoon.platform.metadata.model import Role

Level = Literal["read", "edit"]


@dataclass(frozen=True, slots=True)
class Grantee:
    """Whom records are opened to."""

    kind: Literal["role", "role_and_below", "team", "user"]
    name: str
    """Name of the role or team, e-mail address of the user."""


@dataclass(frozen=True, slots=True)
class SharingRule:
    """Opens the records of an object for which ``when`` is true."""

    name: str
    label: str
    object: str
    when: Formula | None
    """``None`` = every record."""
    grantees: tuple[Grantee, ...]
    access: Level
    owner: str = "local"


@dataclass(frozen=True)
class AccessModel:
    """What a registry says about access beside its roles."""

    permission_sets: Mapping[str, Role] = field(default_factory=dict)
    sharing: Mapping[str, tuple[SharingRule, ...]] = field(default_factory=dict)
    """Object → its active sharing rules."""
    parents: Mapping[str, str] = field(default_factory=dict)
    """Role → the role above it."""

    def above(self, role: str) -> tuple[str, ...]:
        """The roles above a role, nearest first."""
        found: dict[str, None] = {}
        here = self.parents.get(role)
        while here is not None and here not in found:
            found[here] = None
            here = self.parents.get(here)
        return tuple(found)

    def below(self, role: str) -> frozenset[str]:
        """The roles below a role, at any depth."""
        return self._below.get(role, frozenset())

    @cached_property
    def _below(self) -> Mapping[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for role in self.parents:
            for above in self.above(role):
                found.setdefault(above, set()).add(role)
        return {role: frozenset(under - {role}) for role, under in found.items()}
