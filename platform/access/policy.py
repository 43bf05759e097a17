"""Who may do what with which records and fields: roles, permission sets and sharing of one registry snapshot, compiled.

Rights add up: an actor may do what any of its roles and permission sets allows. An administrator may do everything.
Somebody without a role may do nothing. Everybody with a role may read users and teams, since owners are users.

========== ================================================================================
object     a role lists rights per object (``"*"`` = any other): create, read, edit, delete, view_all, modify_all,
           export
field      a role may narrow fields; a field it does not name follows the object's rights
row        a role may limit the rows of an object by a formula; sharing decides which of them reach the actor
           (``rows.py``)
========== ================================================================================

Every channel asks the same questions: ``require`` (object), ``readable_keys`` / ``editable_keys`` (field) and
``row_filter`` (row; for records behind a lookup ``row_guard``). The first two are worked out once per set of roles, the
last once per actor where no formula depends on the moment or the user.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from sqlalchemy import ColumnElement, FromClause

from ratoon.platform.access.actor import Actor, TokenScope
from ratoon.platform.access.grants import DIRECTORY, Grants
from ratoon.platform.access.rows import Manner, RowAction, Rows, Store
from ratoon.platform.config import Clock, system_clock
from ratoon.platform.errors import Forbidden, NotFound
from ratoon.platform.formulas.tree import MANY
from ratoon.platform.formulas.types import EvalContext
from ratoon.platform.metadata.model import Object, Registry
from ratoon.platform.storage.conditions import Recent

ObjectAction = Literal["create", "read", "edit", "delete", "view_all", "modify_all", "export"]
Rights = tuple[frozenset[str], frozenset[str], TokenScope | None]
ALWAYS_READABLE = frozenset({"id", "version"})
"""Keys that belong to whoever may read the record at all."""
ADMIN_ONLY: Mapping[str, frozenset[str]] = {"user": frozenset({"is_admin", "active", "email", "service"})}
"""Fields that only administrators write, whatever a role says: they decide who gets in."""
KEPT_FILTERS = 5000
Where = tuple[ColumnElement[bool], ...]


class Policy:
    """The access rules of one registry snapshot."""

    def __init__(
        self,
        registry: Registry,
        store: Store,
        *,
        clock: Clock = system_clock,
        organization: Mapping[str, Any] | None = None,
    ) -> None:
        self._registry = registry
        self._store = store
        self.grants = Grants(registry)
        self.rows = Rows(registry, store, self.grants, clock, organization or {})
        self._actions: dict[tuple[Rights, str], frozenset[str]] = {}
        self._keys: dict[tuple[Rights | None, str, str], frozenset[str]] = {}
        self._filters: Recent[tuple[Any, ...], Where] = Recent(KEPT_FILTERS)
        self._stable: dict[str, bool] = {}

    def may(self, actor: Actor, object: str, action: ObjectAction) -> bool:
        """Whether the actor may do this with some records of the object."""
        return actor.admin or action in self._allowed(actor, object)

    def require(self, actor: Actor, object: str, action: ObjectAction) -> None:
        """Raises ``NotFound`` for an object that is not there or with which the actor may do nothing at all,
        ``Forbidden`` for what the actor, or only the token at hand, may not do."""
        if object not in self._registry.objects:
            raise self.unknown(actor, object)
        if not self.may(actor, object, action):
            whole = actor if actor.scope is None else replace(actor, scope=TokenScope())
            if not self._allowed(whole, object):
                raise self.unknown(actor, object)
            raise Forbidden("You may not {action} {object} records.", action=action, object=object)

    def unknown(self, actor: Actor, object: str) -> NotFound:
        """The refusal for a name that is none of the actor's objects, with the nearest that is."""
        near = difflib.get_close_matches(object, [known.name for known in self.objects(actor)], n=1)
        message = "There is no object {object}." + (" Did you mean {near}?" if near else "")
        return NotFound(message, object=object[:60], near=near[0] if near else "")

    def objects(self, actor: Actor, action: ObjectAction = "read") -> tuple[Object, ...]:
        """The objects that the actor may use that way, in the registry's order."""
        return tuple(obj for obj in self._registry if self.may(actor, obj.name, action))

    def readable_keys(self, actor: Actor, object: str) -> frozenset[str]:
        """The keys of a record that the actor may see; empty when the object is closed to the actor."""
        return self._keys_for(actor, object, "read")

    def editable_keys(self, actor: Actor, object: str) -> frozenset[str]:
        """The keys that the actor may write. What only the platform writes is among nobody's."""
        return self._keys_for(actor, object, "edit")

    def keys(self, object: str) -> tuple[str, ...]:
        """Every key of the object's records."""
        return tuple(self._registry[object].parts)

    def table(self, object: str) -> FromClause:
        """The object's table, which conditions are about."""
        return self._store.tables.table(object)

    def reads(self, actor: Actor, object: str, path: str, *, every_row: bool = False) -> bool:
        """Whether the actor may read what a path leads to, and every field on the way; with ``every_row`` also every
        record that it may lead to."""
        if actor.admin or path.startswith("$"):
            return True
        here = object
        *steps, last = path.split(".")
        for step in steps:
            child, many, via = step.partition(MANY)
            if many:
                if via not in self.readable_keys(actor, child):
                    return False
                here = child
                if every_row and self.row_filter(actor, here):
                    return False
                continue
            if step not in self.readable_keys(actor, here):
                return False
            here = self._registry[here].field_of[step].targets[0]
            if every_row and self.row_filter(actor, here):
                return False
        return last in self.readable_keys(actor, here)

    def row_filter(
        self,
        actor: Actor,
        object: str,
        action: RowAction = "read",
        *,
        context: EvalContext | None = None,
        manner: Manner = "known",
    ) -> Where:
        """Conditions over the object's (unaliased) table that every row must meet; empty = all rows.

        ``manner``: how the statement that they are for looks for its rows.
        """
        if actor.admin:
            return ()
        return self._where(actor, object, action, self._store.tables.table(object), "", context, manner)

    def row_guard(self, actor: Actor, object: str, alias: FromClause, name: str) -> Where:
        """Conditions over an alias of the object's table (known by ``name``) under which the actor may read its row."""
        if actor.admin:
            return ()
        return self._where(actor, object, "read", alias, name, None)

    def _where(
        self,
        actor: Actor,
        object: str,
        action: RowAction,
        table: FromClause,
        name: str,
        context: EvalContext | None,
        manner: Manner = "known",
    ) -> Where:
        make = partial(self.rows.condition, actor, object, action, table, manner=manner)
        if not self._is_stable(object):
            found = make(context or self.rows.context(actor))
            return () if found is None else (found,)
        key = (actor.rights, actor.id, actor.email, actor.teams, object, action, name, manner)
        kept = self._filters.get(key)
        if kept is None:
            found = make(context or self.rows.context(actor))
            kept = self._filters.keep(key, () if found is None else (found,))
        return kept

    def _is_stable(self, object: str) -> bool:
        """Whether the object's row rights depend on who asks only by name: no formula uses the moment or ``$user``."""
        known = self._stable.get(object)
        if known is None:
            access = self._registry.access
            roles = (*self._registry.roles.values(), *access.permission_sets.values())
            formulas = [role.rows[object] for role in roles if object in role.rows]
            formulas += [rule.when for rule in access.sharing.get(object, ()) if rule.when is not None]
            obj = self._registry[object]
            above = [*obj.parent.targets] if obj.parent is not None else []
            if object in self.grants.junctions:
                above = [target for key in ("source", "target") for target in obj.fields[key].targets]
            known = not any(formula.volatile for formula in formulas) and all(map(self._is_stable, above))
            self._stable[object] = known
        return known

    def _allowed(self, actor: Actor, object: str) -> frozenset[str]:
        key = (actor.rights, object)
        known = self._actions.get(key)
        if known is not None:
            return known
        allowed: set[str] = set()
        for role in self.grants.of(actor):
            allowed |= self.grants.rights(role, object, actor.scope)
        junction = self.grants.junctions.get(object)
        if junction is not None:
            owner, field = junction
            if "edit" in allowed and field in self._keys_for(actor, owner, "edit"):
                allowed |= {"create", "delete"}
            elif allowed:
                allowed -= {"create", "edit", "delete"}
            if field not in self._keys_for(actor, owner, "read"):
                allowed = set()
        self._actions[key] = frozenset(allowed)
        return self._actions[key]

    def _keys_for(self, actor: Actor, object: str, right: str) -> frozenset[str]:
        rights = None if actor.admin else actor.rights
        known = self._keys.get((rights, object, right))
        if known is not None:
            return known
        obj = self._registry.objects.get(object)
        if obj is None:
            raise NotFound("There is no object called {object}.", object=object)
        closed = ADMIN_ONLY.get(object, frozenset()) if right == "edit" and not actor.admin else frozenset()
        keys: set[str] = set()
        for field in obj.fields.values():
            if field.name in closed or not (actor.admin or self._field_allowed(actor, obj, field.name, right)):
                continue
            keys.update(part.key for part in field.parts if right == "read" or part.writable)
        if right == "read" and (actor.admin or "read" in self._allowed(actor, object)):
            keys |= ALWAYS_READABLE
        self._keys[rights, object, right] = frozenset(keys)
        return self._keys[rights, object, right]

    def _field_allowed(self, actor: Actor, obj: Object, field: str, right: str) -> bool:
        opening = {"read"} if right == "read" else {"edit", "create"}
        for role in self.grants.of(actor):
            if not self.grants.rights(role, obj.name, actor.scope) & opening:
                continue
            named = role.fields.get((obj.name, field))
            if named is None or right in named or (right == "read" and "edit" in named):
                return True
        return False


__all__ = ["ADMIN_ONLY", "ALWAYS_READABLE", "DIRECTORY", "ObjectAction", "Policy", "RowAction"]
