"""Who may do what with which records and fields: the roles of one registry snapshot, compiled.

Rights add up: an actor may do what any of its roles allows. An administrator may do everything. Somebody without a
role may do nothing. Everybody with a role may read ``user`` records, since owners and authors are users.

========== ================================================================================
object     a role lists actions per object (``"*"`` = any other): create, read, edit, delete
field      a role may narrow fields; a field it does not name follows the object's rights
row        a role may limit the rows of an object by a formula, which becomes SQL here
========== ================================================================================

Every channel asks the same three questions: ``require`` (object), ``readable_keys`` / ``editable_keys`` (field) and
``row_filter`` (row). Answers depend on the actor's roles only, except row filters, which may use ``$user``; the first
two are computed once per set of roles.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, Protocol

from sqlalchemy import ColumnElement, FromClause, false, or_, select

from ratoon.platform.access.actor import Actor
from ratoon.platform.config import Clock, system_clock
from ratoon.platform.errors import Forbidden, NotFound
from ratoon.platform.formulas import Formula
from ratoon.platform.formulas.types import EvalContext
from ratoon.platform.metadata.model import Object, Registry, Role

ObjectAction = Literal["create", "read", "edit", "delete"]
DIRECTORY = "user"
"""The object that everybody with a role may read."""
EVERY_OBJECT = "*"
ALWAYS_READABLE = frozenset({"id", "version"})
"""Keys that belong to whoever may read the record at all."""


class Tables(Protocol):
    """The part of storage's tables that row filters need."""

    def table(self, object: str) -> FromClause:
        """The table of an object."""


class Store(Protocol):
    """The part of the record store that row filters need."""

    @property
    def tables(self) -> Tables:
        """The tables of the snapshot."""

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""


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
        self._clock = clock
        self._organization = organization or {}
        self._junctions = {
            field.junction: obj.name for obj in registry for field in obj.fields.values() if field.junction is not None
        }
        self._actions: dict[tuple[frozenset[str], str], frozenset[str]] = {}
        self._keys: dict[tuple[frozenset[str] | None, str, str], frozenset[str]] = {}

    def may(self, actor: Actor, object: str, action: ObjectAction) -> bool:
        """Whether the actor may do this with some records of the object."""
        return actor.admin or action in self._allowed(actor.roles, object)

    def require(self, actor: Actor, object: str, action: ObjectAction) -> None:
        """Raises ``NotFound`` for an object that is not there, ``Forbidden`` for what the actor may not do."""
        if object not in self._registry.objects:
            raise NotFound("There is no object called {object}.", object=object)
        if not self.may(actor, object, action):
            raise Forbidden("You may not {action} {object} records.", action=action, object=object)

    def objects(self, actor: Actor, action: ObjectAction = "read") -> tuple[Object, ...]:
        """The objects that the actor may use that way, in the registry's order."""
        return tuple(obj for obj in self._registry if self.may(actor, obj.name, action))

    def readable_keys(self, actor: Actor, object: str) -> frozenset[str]:
        """The keys of a record that the actor may see; empty when the object is closed to the actor."""
        return self._keys_for(None if actor.admin else actor.roles, object, "read")

    def editable_keys(self, actor: Actor, object: str) -> frozenset[str]:
        """The keys that the actor may write. What only the platform writes is among nobody's."""
        return self._keys_for(None if actor.admin else actor.roles, object, "edit")

    def row_filter(
        self, actor: Actor, object: str, action: ObjectAction = "read", *, context: EvalContext | None = None
    ) -> tuple[ColumnElement[bool], ...]:
        """Conditions over the object's (unaliased) table that every row must meet; empty = all rows."""
        if actor.admin:
            return ()
        limits: list[Formula] = []
        name = self._source(object)
        for role in self._roles(actor.roles):
            if action not in self._granted(role, object):
                continue
            limit = role.rows.get(name)
            if limit is None:
                return ()
            limits.append(limit)
        if not limits:
            return () if self.may(actor, object, action) else (false(),)
        if name != object:
            return ()
        context = context or self._context(actor)
        return (or_(*(self._condition(object, limit, context) for limit in limits)),)

    def _roles(self, names: frozenset[str]) -> list[Role]:
        return [self._registry.roles[name] for name in sorted(names) if name in self._registry.roles]

    def _source(self, object: str) -> str:
        """The object whose rights count: links of a many-to-many field follow the object that declares it."""
        return self._junctions.get(object, object)

    def _granted(self, role: Role, object: str) -> frozenset[str]:
        """The actions one role allows; ``"*"`` in a role stands for every object it does not name."""
        source = self._source(object)
        actions = role.objects.get(source, role.objects.get(EVERY_OBJECT, frozenset()))
        return actions | {"read"} if object == DIRECTORY else actions

    def _allowed(self, names: frozenset[str], object: str) -> frozenset[str]:
        known = self._actions.get((names, object))
        if known is not None:
            return known
        source = self._source(object)
        allowed: set[str] = set()
        for role in self._roles(names):
            allowed |= self._granted(role, object)
        if source != object and "edit" in allowed:
            allowed |= {"create", "delete"}
        self._actions[names, object] = frozenset(allowed)
        return self._actions[names, object]

    def _keys_for(self, names: frozenset[str] | None, object: str, right: str) -> frozenset[str]:
        known = self._keys.get((names, object, right))
        if known is not None:
            return known
        obj = self._registry.objects.get(object)
        if obj is None:
            raise NotFound("There is no object called {object}.", object=object)
        keys: set[str] = set()
        for field in obj.fields.values():
            if names is not None and not self._field_allowed(names, obj, field.name, right):
                continue
            keys.update(part.key for part in field.parts if right == "read" or part.writable)
        if right == "read" and (names is None or "read" in self._allowed(names, object)):
            keys |= ALWAYS_READABLE
        self._keys[names, object, right] = frozenset(keys)
        return self._keys[names, object, right]

    def _field_allowed(self, names: frozenset[str], obj: Object, field: str, right: str) -> bool:
        opening = {"read"} if right == "read" else {"edit", "create"}
        for role in self._roles(names):
            if not self._granted(role, obj.name) & opening:
                continue
            named = role.fields.get((obj.name, field))
            if named is None or right in named or (right == "read" and "edit" in named):
                return True
        return False

    def _context(self, actor: Actor) -> EvalContext:
        return EvalContext(now=self._clock(), time_zone=actor.zone, user=actor.facts, organization=self._organization)

    def _condition(self, object: str, limit: Formula, context: EvalContext) -> ColumnElement[bool]:
        if limit.sql_refusal is not None:
            return false()
        table = self._store.tables.table(object)
        return limit.sql(partial(self._column, object, table, context), context, self._store.dialect)

    def _column(self, object: str, table: FromClause, context: EvalContext, path: str) -> ColumnElement[Any]:
        """The column of a key; a dotted path becomes a scalar subquery through the lookups."""
        key, _, rest = path.partition(".")
        field = self._registry.objects[object].field_of[key]
        if not rest and key not in table.c and field.formula is not None:
            return field.formula.sql(partial(self._column, object, table, context), context, self._store.dialect)
        if not rest:
            return table.c[key]
        target = field.targets[0]
        pointed = self._store.tables.table(target).alias()
        inner = self._column(target, pointed, context, rest)
        return select(inner).where(pointed.c.id == table.c[key]).correlate(table).scalar_subquery()
