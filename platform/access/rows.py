"""Which rows of an object an actor reaches, as conditions for the database.

Two questions, and both must be answered with yes:

1. does a role (or permission set) that allows the action reach the row? A role without a row formula reaches all;
2. does the row reach the actor? The object's ``default_access``, ownership, the role tree, sharing rules, manual shares
   and the master record are the *ways* it can. ``view_all`` and ``modify_all`` need none.

======================== ===================== ============================= ====================
``default_access``       read                  edit                          delete and transfer
======================== ===================== ============================= ====================
``read_write``           every row             every row                     every row
``read``                 every row             owned, below, shared to edit  owned, below
``private``              owned, below, shared  owned, below, shared to edit  owned, below
``controlled_by_parent`` master readable       master editable               master editable
======================== ===================== ============================= ====================

*Below* are rows owned by users whose role stands below one of the actor's. Ways without a condition reach every row.
Small tables are asked with EXISTS (``ratoon_user_role``, ``ratoon_share``); formulas become part of the statement.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    FromClause,
    MetaData,
    Select,
    String,
    and_,
    any_,
    exists,
    false,
    literal,
    literal_column,
    or_,
    select,
    union_all,
)

from ratoon.platform.access.actor import Actor
from ratoon.platform.access.grants import DIRECTORY, Grants
from ratoon.platform.config import Clock
from ratoon.platform.formulas import Formula
from ratoon.platform.formulas.sql import Related
from ratoon.platform.formulas.tree import MANY
from ratoon.platform.formulas.types import EvalContext
from ratoon.platform.metadata.access_model import SharingRule
from ratoon.platform.metadata.model import Object, Registry, Role
from ratoon.platform.storage.account_tables import define_account_tables
from ratoon.platform.storage.conditions import ways_of
from ratoon.platform.storage.statements import array_in_text, same_as_one, values_in_text

RowAction = Literal["read", "edit", "delete", "transfer", "create", "export"]
WayKind = Literal["default", "owner", "below", "sharing_rule", "share", "parent", "link"]
Manner = Literal["known", "found", "walked"]
"""How rows are looked for: known by their ids, found among all live ones, or walked, one asked after another."""
_TABLES = define_account_tables(MetaData()).tables
_USER_ROLE = _TABLES["ratoon_user_role"]
_SHARE = _TABLES["ratoon_share"]
_NEEDS: Mapping[str, str] = {"transfer": "edit", "export": "read"}
"""Row action → the right that a role must give for it."""


class Tables(Protocol):
    """The part of storage's tables that row rights need."""

    def table(self, object: str) -> FromClause:
        """The table of an object."""


class Store(Protocol):
    """The part of the record store that row rights need."""

    @property
    def tables(self) -> Tables:
        """The tables of the snapshot."""

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""


@dataclass(frozen=True)
class Way:
    """One way in which rows reach the actor."""

    kind: WayKind
    name: str = ""
    """The sharing rule, the master's object, the default."""
    condition: ColumnElement[bool] | None = None
    """``None`` = every row."""


@dataclass(frozen=True)
class Reach:
    """What one role allows of an action."""

    role: Role
    every: bool
    """True: without any way (view_all, modify_all)."""
    limit: Formula | None


def principals(actor: Actor, registry: Registry) -> tuple[str, ...]:
    """The names under which records are shared with an actor: as a user, with teams, roles, and roles above."""
    found = [f"user:{actor.id}", *sorted(f"team:{id}" for id, _ in actor.teams)]
    for role in sorted(actor.roles):
        found += [f"role:{role}", *(f"below:{above}" for above in (role, *registry.access.above(role)))]
    return tuple(dict.fromkeys(found))


def opens_for(rule: SharingRule, actor: Actor, registry: Registry) -> bool:
    """Whether a sharing rule is meant for the actor."""
    for grantee in rule.grantees:
        match grantee.kind:
            case "role":
                meant = grantee.name in actor.roles
            case "role_and_below":
                meant = any(grantee.name in (role, *registry.access.above(role)) for role in actor.roles)
            case "team":
                meant = any(grantee.name == name for _, name in actor.teams)
            case "user":
                meant = bool(actor.email) and grantee.name == actor.email.lower()
        if meant:
            return True
    return False


def _there(
    key: ColumnElement[Any],
    found: ColumnElement[Any],
    table: FromClause,
    manner: Manner,
    *conditions: ColumnElement[bool],
) -> ColumnElement[bool]:
    """Whether ``key`` is in the column ``found`` of the rows that meet the conditions.

    Rows that are to be found begin there: SQLite would ask an EXISTS of every row of the table. One after another, it
    is asked as a value: PostgreSQL would first collect, for all rows there are, what an EXISTS may find.
    """
    if manner == "found":
        return key.in_(select(found).where(*conditions))
    query = select(literal(1)).where(found == key, *conditions).correlate(table)
    return exists(query) if manner == "known" else query.limit(literal_column("1")).scalar_subquery().is_not(None)


def _by_ways(table: FromClause, condition: ColumnElement[bool]) -> Select[Any] | CompoundSelect[Any]:
    """The ids of the live rows of a table that meet a condition; of several ways each is asked for by itself, since an
    index serves one of them only."""
    found = [select(table.c.id).where(table.c.deleted_at.is_(None), way) for way in ways_of(condition)]
    return union_all(*found) if len(found) > 1 else found[0]


def _beside_index(column: ColumnElement[str]) -> ColumnElement[str]:
    """The column as an expression that no index has: the index then finds the few rows of a user or a record.

    With the values in the search SQLite would search once per value, and PostgreSQL sort them anew for each row.
    """
    return column.concat(literal_column("''"))


class Rows:
    """Row rights of one registry snapshot."""

    def __init__(
        self, registry: Registry, store: Store, grants: Grants, clock: Clock, organization: Mapping[str, Any]
    ) -> None:
        self._registry = registry
        self._store = store
        self._grants = grants
        self._clock = clock
        self._organization = organization

    def context(self, actor: Actor) -> EvalContext:
        """What row formulas see."""
        return EvalContext(now=self._clock(), time_zone=actor.zone, user=actor.facts, organization=self._organization)

    def condition(
        self,
        actor: Actor,
        object: str,
        action: RowAction,
        table: FromClause,
        context: EvalContext,
        *,
        manner: Manner = "known",
    ) -> ColumnElement[bool] | None:
        """The rows of ``table`` (the object's, or an alias of it) the actor reaches; ``None`` = all of them.

        ``manner`` says how the statement looks for rows: the condition is the same, written so that it costs little.
        """
        if actor.admin:
            return None
        reaches = list(self.reaches(actor, object, action))
        if not reaches:
            return false()
        if any(reach.every and reach.limit is None for reach in reaches):
            return None
        ways = list(self.ways(actor, object, action, table, context, manner=manner))
        every = any(way.condition is None for way in ways)
        shared = None if every else [way.condition for way in ways if way.condition is not None]
        if shared is None and any(reach.limit is None for reach in reaches):
            return None
        parts = [self.limit(object, reach, table, context) for reach in reaches if reach.every or shared is None]
        if shared is not None:
            rest = [reach for reach in reaches if not reach.every]
            if any(reach.limit is None for reach in rest):
                parts += shared
            elif rest:
                limit = or_(*(self.limit(object, reach, table, context) for reach in rest))
                parts += [and_(way, limit) for way in shared]
        return or_(false(), *parts)

    def limit(self, object: str, reach: Reach, table: FromClause, context: EvalContext) -> ColumnElement[bool]:
        """A role's row formula over ``table``; the reach must have one."""
        assert reach.limit is not None
        return self._formula(object, reach.limit, table, context)

    def reaches(self, actor: Actor, object: str, action: RowAction) -> Iterator[Reach]:
        """What the actor's roles allow of an action on an object, each with its limit."""
        needed = _NEEDS.get(action, action)
        every = "view_all" if needed == "read" else "modify_all"
        for role in self._grants.of(actor):
            rights = self._grants.rights(role, object, actor.scope)
            if needed in rights or (needed == "create" and object in self._grants.junctions and "edit" in rights):
                yield Reach(role, every in rights, role.rows.get(object))
            elif object in self._grants.junctions and "edit" in rights and needed in ("delete", "edit"):
                yield Reach(role, every in rights, None)

    def ways(
        self,
        actor: Actor,
        object: str,
        action: RowAction,
        table: FromClause,
        context: EvalContext,
        *,
        manner: Manner = "known",
    ) -> Iterator[Way]:
        """The ways in which rows of an object reach the actor for an action, without regard to roles' limits."""
        junction = self._grants.junctions.get(object)
        if junction is not None:
            yield self._link(actor, object, action, table, context, manner)
            return
        obj = self._registry[object]
        default = obj.default_access
        reading = action in ("read", "export")
        if object in DIRECTORY or default == "read_write" or action == "create" or (default == "read" and reading):
            yield Way("default", default)
        elif default == "controlled_by_parent":
            yield self._parent(actor, obj, action, table, context, manner)
        else:
            yield from self._owned(actor, table, manner)
            if action not in ("delete", "transfer"):
                yield from self._shared(actor, object, reading, table, context, manner)

    def _owned(self, actor: Actor, table: FromClause, manner: Manner) -> Iterator[Way]:
        if actor.id is None:
            return
        yield Way("owner", condition=table.c.owner == actor.id)
        below = sorted(frozenset().union(*(self._registry.access.below(role) for role in actor.roles)))
        if below:
            theirs = self._among(_USER_ROLE.c.role, below, manner)
            if manner == "walked" and self._store.dialect == "postgresql":
                # Of roles that stand in the text PostgreSQL makes a set, once, and keeps its plan.
                theirs = _beside_index(_USER_ROLE.c.role) == any_(array_in_text(below))
            reached = _there(table.c.owner, _USER_ROLE.c.user_id, table, manner, theirs)
            yield Way("below", ", ".join(below), reached)

    def _shared(
        self, actor: Actor, object: str, reading: bool, table: FromClause, context: EvalContext, manner: Manner
    ) -> Iterator[Way]:
        mine = self._among(_SHARE.c.grantee, principals(actor, self._registry), manner)
        asked = [mine] if reading else [mine, _SHARE.c.access == literal("edit", String(4))]
        if manner == "found":
            asked.append(_SHARE.c.object == object)
        yield Way("share", condition=_there(table.c.id, _SHARE.c.record, table, manner, *asked))
        for rule in self._registry.access.sharing.get(object, ()):
            if (reading or rule.access == "edit") and opens_for(rule, actor, self._registry):
                condition = None if rule.when is None else self._formula(object, rule.when, table, context)
                if condition is not None and rule.when is not None and not rule.when.volatile:
                    condition = values_in_text(condition, self._store.dialect)
                yield Way("sharing_rule", rule.name, condition)

    def _among(self, column: ColumnElement[str], values: Sequence[str], manner: Manner) -> ColumnElement[bool]:
        """The column has one of the values, which for rows that are asked one after another are no part of a search."""
        return same_as_one(_beside_index(column) if manner == "walked" else column, values, self._store.dialect)

    def _parent(
        self, actor: Actor, obj: Object, action: str, table: FromClause, context: EvalContext, manner: Manner
    ) -> Way:
        assert obj.parent is not None
        return self._through(actor, obj.parent.name, obj.parent.targets[0], action, table, context, manner)

    def _through(
        self,
        actor: Actor,
        key: str,
        target: str,
        action: str,
        table: FromClause,
        context: EvalContext,
        manner: Manner,
    ) -> Way:
        wanted: RowAction = "read" if action in ("read", "export") else "edit"
        master = self._store.tables.table(target).alias()
        condition = self.condition(actor, target, wanted, master, context, manner=manner)
        if condition is None:
            return Way("parent", target)
        if manner == "found":
            return Way("parent", target, table.c[key].in_(_by_ways(master, condition)))
        return Way("parent", target, _there(table.c[key], master.c.id, table, manner, condition))

    def _link(
        self, actor: Actor, object: str, action: str, table: FromClause, context: EvalContext, manner: Manner
    ) -> Way:
        """A link is there for who reaches both of its ends."""
        source = self._grants.source(object)
        target = self._registry[object].fields["target"].targets[0]
        ends = [
            self._through(actor, "source", source, action, table, context, manner).condition,
            self._through(actor, "target", target, "read", table, context, manner).condition,
        ]
        conditions = [condition for condition in ends if condition is not None]
        return Way("link", source, and_(*conditions) if conditions else None)

    def _formula(self, object: str, formula: Formula, table: FromClause, context: EvalContext) -> ColumnElement[bool]:
        """A formula over ``table``. One that cannot become SQL closes all rows rather than opening them."""
        if formula.sql_refusal is not None:
            return false()
        column, related = partial(self._column, object, table, context), partial(self._related, object, table, context)
        return formula.sql(column, context, self._store.dialect, related)

    def _related(
        self, object: str, table: FromClause, context: EvalContext, relation: str, keys: Iterable[str]
    ) -> Related:
        """The live records behind a relationship (``account.line@bill``), for SUM and its like."""
        before, _, step = relation.rpartition(".")
        child, _, via = step.partition(MANY)
        parent = self._column(object, table, context, before) if before else table.c.id
        rows = self._store.tables.table(child).alias()
        query = select(rows.c.id).where(rows.c[via] == parent, rows.c.deleted_at.is_(None)).correlate(table)
        return Related(query, partial(self._column, child, rows, context))

    def _column(self, object: str, table: FromClause, context: EvalContext, path: str) -> ColumnElement[Any]:
        """The column of a key; a dotted path becomes a scalar subquery through the lookups."""
        key, _, rest = path.partition(".")
        field = self._registry.objects[object].field_of[key]
        formula = field.in_sql or field.formula
        if not rest and key not in table.c and formula is not None:
            inside, related = (
                partial(self._column, object, table, context),
                partial(self._related, object, table, context),
            )
            return formula.sql_value(inside, context, self._store.dialect, related)
        if not rest:
            return table.c[key]
        target = field.targets[0]
        pointed = self._store.tables.table(target).alias()
        found = self._column(target, pointed, context, rest)
        return select(found).where(pointed.c.id == table.c[key]).correlate(table).scalar_subquery()
