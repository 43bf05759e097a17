"""What a formula written by somebody may name: the keys that person may read, here and through lookups.

A hidden field is answered like one that is not there: it is not found, and never offered as the nearest name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ratoon.platform.access.actor import Actor
from ratoon.platform.access.policy import Policy
from ratoon.platform.formulas.check import related_name, related_names
from ratoon.platform.formulas.tree import MANY
from ratoon.platform.formulas.types import Name, Scope
from ratoon.platform.metadata.model import Registry


class ReadableScope:
    """The names of one object that an actor may read. Implements ``formulas.types.Scope``."""

    def __init__(self, scope: Scope, object: str, registry: Registry, policy: Policy, actor: Actor) -> None:
        self._scope = scope
        self._object = object
        self._registry = registry
        self._policy = policy
        self._actor = actor

    def name(self, name: str) -> Name | None:
        """What ``name`` means here, or ``None``."""
        found = self._scope.name(name)
        if found is None or found.key.startswith("$"):
            return found
        if found.key not in self._policy.readable_keys(self._actor, self._object):
            return None
        if found.target is None:
            return found
        target = self._registry[self._object].field_of[found.key].targets[0]
        return replace(found, target=ReadableScope(found.target, target, self._registry, self._policy, self._actor))

    def related(self, name: str) -> Name | None:
        """What ``name`` means as a relationship: records of an object that the actor may read, through a lookup that
        the actor may read."""
        found = related_name(self._scope, name)
        if found is None or found.target is None:
            return None
        child, _, via = found.key.partition(MANY)
        if via not in self._policy.readable_keys(self._actor, child) or not self._policy.may(
            self._actor, child, "read"
        ):
            return None
        return replace(found, target=ReadableScope(found.target, child, self._registry, self._policy, self._actor))

    def related_names(self) -> Iterable[str]:
        """The relationships the actor may use, for suggestions."""
        return [name for name in related_names(self._scope) if self.related(name) is not None]

    def names(self) -> Iterable[str]:
        """Every name, for suggestions."""
        return [name for name in self._scope.names() if self.name(name) is not None]
