"""Which roles and permission sets count for an actor, and what each of them grants on an object."""

from __future__ import annotations

from types import MappingProxyType

from ratoon.platform.access.actor import EVERYTHING, Actor, TokenScope
from ratoon.platform.metadata.model import Registry, Role

DIRECTORY = frozenset({"user", "user_team", "user_team_member"})
"""Objects that everybody with a role may read, since owners and authors are users. ``"*"`` in a role grants no more
than that on them: who may change them may give rights."""
EVERY_OBJECT = "*"
ALL_RIGHTS = frozenset({"create", "read", "edit", "delete", "view_all", "modify_all", "export"})
WRITES = frozenset({"create", "edit", "delete", "modify_all"})
NOTHING: frozenset[str] = frozenset()
_FULL = Role(EVERYTHING, "", MappingProxyType({}), MappingProxyType({}), MappingProxyType({}))


class Grants:
    """The roles and permission sets of one registry snapshot."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.junctions = {
            field.junction: (obj.name, field.name)
            for obj in registry
            for field in obj.fields.values()
            if field.junction is not None
        }
        """The object behind a many-to-many field → the object and field that declare it."""

    def of(self, actor: Actor) -> list[Role]:
        """What gives the actor rights, by name; names nobody declared give none."""
        roles, sets = self._registry.roles, self._registry.access.permission_sets
        found = [roles[name] for name in sorted(actor.roles) if name in roles]
        found += [sets[name] for name in sorted(actor.permission_sets) if name in sets]
        if EVERYTHING in actor.roles and actor.scope is not None:
            found.append(_FULL)
        return found

    def source(self, object: str) -> str:
        """The object whose rights count: links of a many-to-many field follow the object that declares it."""
        found = self.junctions.get(object)
        return object if found is None else found[0]

    def rights(self, role: Role, object: str, scope: TokenScope | None = None) -> frozenset[str]:
        """The rights one role gives on an object, within the limits of a token."""
        source = self.source(object)
        if role is _FULL:
            rights = ALL_RIGHTS
        elif source in role.objects:
            rights = role.objects[source]
        else:
            rights = role.objects.get(EVERY_OBJECT, NOTHING)
            if source in DIRECTORY:
                rights &= {"read"}
        if source in DIRECTORY:
            rights |= {"read"}
        if scope is None:
            return rights
        if scope.objects is not None and source not in scope.objects:
            return NOTHING
        return rights - WRITES if scope.read_only else rights
