"""What saving a record of one object needs, worked out once per registry snapshot.

An ``ObjectPlan`` holds closures and tuples so that a save walks no metadata: which keys may be written and how each is
coerced, which formulas run in which step, which paths have to be loaded for them, which fields are unique,
searchable or
kept in history. ``Plans`` makes a plan the first time an object is used.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

from ratoon.platform.fields.base import Coerce, Dump
from ratoon.platform.formulas import Formula
from ratoon.platform.metadata.model import Field, Key, Object, Registry, Rule

SYSTEM_KEYS = ("id", "created_at", "created_by", "modified_at", "modified_by", "version", "deleted_at")
"""System keys that only the platform writes (``owner`` is a system field too, but people may set it)."""


@dataclass(frozen=True)
class ObjectPlan:
    """Everything that saving and reading one object needs, ready to use."""

    object: Object
    registry: Registry

    @cached_property
    def name(self) -> str:
        """The object's name."""
        return self.object.name

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Keys that have a column, in order."""
        return tuple(key for key, part in self.object.parts.items() if part.sql is not None)

    @cached_property
    def readable(self) -> tuple[str, ...]:
        """Every key a record of a list shows when nothing is said: all but many-to-many values."""
        return tuple(key for key in self.object.parts if key not in self.links)

    @cached_property
    def blank_row(self) -> Mapping[str, None]:
        """A row with every key blank."""
        return dict.fromkeys(self.columns)

    @cached_property
    def coerce(self) -> Mapping[str, Coerce]:
        """Writable keys and how their values are coerced."""
        return {
            key: part.coerce
            for key, part in self.object.parts.items()
            if part.writable and key not in SYSTEM_KEYS and not self.object.field_of[key].computed
        }

    @cached_property
    def dump(self) -> Mapping[str, Dump | None]:
        """How each key is written to JSON."""
        return {key: part.dump for key, part in self.object.parts.items()}

    @cached_property
    def empty_rollups(self) -> Mapping[str, Any]:
        """What the rollups of a record without children say: 0 for counts and sums."""
        return {
            f.parts[0].key: self.fit(f.parts[0].key, Decimal(0))
            for f in self.object.fields.values()
            if f.rollup is not None and f.rollup.operation in ("count", "sum")
        }

    @cached_property
    def links(self) -> Mapping[str, Field]:
        """Many-to-many fields by key."""
        return {f.name: f for f in self.object.fields.values() if f.junction is not None}

    @cached_property
    def defaults(self) -> tuple[tuple[str, Formula], ...]:
        """Fields with a default."""
        return tuple((f.name, f.default) for f in self.object.fields.values() if f.default is not None)

    @cached_property
    def false_unless_given(self) -> tuple[str, ...]:
        """Booleans without a default: a new record has them false, not blank."""
        return tuple(
            f.name
            for f in self.object.fields.values()
            if f.type.name == "boolean" and f.default is None and not f.system
        )

    @cached_property
    def currencies(self) -> tuple[tuple[str, str, str | None], ...]:
        """(amount key, currency key, declared currency) of every currency field."""
        return tuple(
            (f.parts[0].key, f.parts[1].key, f.spec.option("currency"))
            for f in self.object.fields.values()
            if len(f.parts) == 2 and f.parts[1].suffix == "_currency" and not f.computed
        )

    @cached_property
    def autonumbers(self) -> tuple[Field, ...]:
        """Autonumber fields."""
        return tuple(f for f in self.object.fields.values() if f.type.name == "autonumber")

    @cached_property
    def formulas(self) -> tuple[tuple[str, Formula], ...]:
        """Every formula field in the order of computation: stored ones, then those whose value changes by itself."""
        stored = self.registry.graph.formulas.get(self.name, ())
        fields = self.object.fields
        volatile = [f for f in fields.values() if f.formula is not None and f.volatile]
        ordered = [fields[name] for name in stored] + _volatile_order(volatile)
        return tuple((f.name, f.formula) for f in ordered if f.formula is not None)

    @cached_property
    def volatile(self) -> tuple[tuple[str, Formula], ...]:
        """Formula fields that have no column."""
        return tuple((name, f) for name, f in self.formulas if f.volatile)

    @cached_property
    def required(self) -> tuple[Field, ...]:
        """Fields that must always be filled in."""
        return tuple(
            f for f in self.object.fields.values() if f.required and not f.system and not f.computed and not f.junction
        )

    @cached_property
    def conditional(self) -> tuple[Field, ...]:
        """Fields with ``visible_when``, ``required_when`` or ``read_only_when``."""
        return tuple(f for f in self.object.fields.values() if f.visible_when or f.required_when or f.read_only_when)

    @cached_property
    def unique(self) -> tuple[Field, ...]:
        """Fields whose value only one live record may have."""
        return tuple(f for f in self.object.fields.values() if (f.unique or f.external_id) and not f.system)

    @cached_property
    def keys(self) -> tuple[Key, ...]:
        """Fields that are unique together."""
        return self.object.keys

    @cached_property
    def references(self) -> tuple[Field, ...]:
        """Fields that hold the id of a record, those that people write."""
        return tuple(f for f in self.object.references if f.name not in SYSTEM_KEYS)

    @cached_property
    def picklists(self) -> tuple[Field, ...]:
        """Fields of which a known value may still be refused: an inactive or a dependent one."""
        fields = self.object.fields.values()
        return tuple(f for f in fields if any(not o.active or o.parents is not None for o in f.choices))

    @cached_property
    def hierarchies(self) -> tuple[Field, ...]:
        """Self lookups that must not form a circle."""
        return tuple(f for f in self.object.fields.values() if f.type.name == "hierarchy")

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """Active validation rules."""
        return tuple(rule for rule in self.object.rules if rule.active)

    @cached_property
    def searchable(self) -> tuple[str, ...]:
        """Keys whose text global search finds; the title is always among them."""
        keys = [p.key for f in self.object.fields.values() if f.searchable for p in f.parts if p.sql is not None]
        title = self.object.title
        return tuple(dict.fromkeys([title, *keys])) if keys or not self.object.hidden else ()

    @cached_property
    def tracked(self) -> frozenset[str]:
        """Keys whose changes go into the field history."""
        return frozenset(p.key for f in self.object.fields.values() if f.track_history for p in f.parts)

    @cached_property
    def rule_paths(self) -> frozenset[str]:
        """Dotted paths that formulas, rules, conditions and stage gates of this object read."""
        return dotted(
            [
                *(f for _, f in self.formulas),
                *(r.error_when for r in self.rules),
                *(c for f in self.conditional for c in (f.visible_when, f.required_when, f.read_only_when) if c),
                *(r.error_when for p in self.object.pipelines for s in p.stages for r in (*s.entry, *s.exit)),
                *(d.condition for d in self.object.duplicates if d.condition),
            ]
        )

    @cached_property
    def reads_others(self) -> bool:
        """True when a stored formula reads through a lookup: what it reads must not change before the commit."""
        return any("." in path for _, f in self.formulas if not f.volatile for path in f.paths)

    @cached_property
    def rolled_up(self) -> Mapping[str, frozenset[str]]:
        """Lookup → the keys of this object that rollups and sums of the record it points at depend on."""
        found: dict[str, set[str]] = {}
        formulas = dict(self.formulas)
        for over in self.registry.graph.over.get(self.name, ()):
            assert over.edge.via is not None
            via = over.edge.via[1]
            keys = found.setdefault(via, {via})
            ahead = list(over.keys)
            while ahead:
                key = ahead.pop().partition(".")[0]
                if key not in keys:
                    keys.add(key)
                    ahead += formulas[key].paths if key in formulas else ()
        return {via: frozenset(keys) for via, keys in found.items()}

    @cached_property
    def early_paths(self) -> frozenset[str]:
        """Dotted paths that defaults, pipeline choice and before-save automations read."""
        before = [a for a in self.object.automations if a.when == "before"]
        return dotted(
            [
                *(f for _, f in self.defaults),
                *(p.when for p in self.object.pipelines if p.when),
                *(a.condition for a in before if a.condition),
                *(f for a in before for action in a.actions for f in action.values.values()),
                *(
                    f
                    for a in self.object.assignments
                    for r in a.rules
                    for f in (r.condition, *(p.formula for p in r.people))
                    if f
                ),
            ]
        )

    def fit(self, key: str, value: Any) -> Any:
        """A formula's or rollup's answer as its field keeps it. Raises ``Invalid`` when it does not fit."""
        return self.object.field_of[key].fit(value)

    @cached_property
    def _percent_fields(self) -> frozenset[str]:
        return frozenset(f.name for f in self.object.fields.values() if f.type.name == "percent")

    def given_by_formula(self, key: str, value: Any) -> Any:
        """What a default or an automation worked out, as a caller would write it: a percentage of 0.2 as 20."""
        return value * 100 if value is not None and key in self._percent_fields else value

    def unknown_key(self, key: str, editable: frozenset[str] | None = None) -> str | None:
        """The key nearest to a wrong one that may be written (``None`` = all), for the error message."""
        known = [k for k in (*self.coerce, *self.links) if editable is None or k in editable]
        near = difflib.get_close_matches(key, known, n=1)
        return near[0] if near else None


def dotted(formulas: Iterable[Formula]) -> frozenset[str]:
    """The paths through lookups that these formulas read (``$source.x`` is none)."""
    return frozenset(path for f in formulas for path in f.paths if "." in path and not path.startswith("$"))


def _volatile_order(fields: list[Field]) -> list[Field]:
    """Volatile formula fields, each after those it reads."""
    left = {f.name: f for f in fields}
    ordered: list[Field] = []
    while left:
        ready = [f for f in left.values() if f.formula is None or not (f.formula.paths & left.keys() - {f.name})]
        for f in ready or list(left.values()):
            ordered.append(left.pop(f.name))
    return ordered


class Plans:
    """The plans of one registry snapshot."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._made: dict[str, ObjectPlan] = {}

    def __getitem__(self, name: str) -> ObjectPlan:
        plan = self._made.get(name)
        if plan is None:
            plan = self._made[name] = ObjectPlan(self._registry.objects[name], self._registry)
        return plan

    def __contains__(self, name: object) -> bool:
        return name in self._registry.objects

    def nearest(self, name: str, among: Iterable[str] | None = None) -> str | None:
        """The object name nearest to a wrong one, of those (``None`` = all)."""
        near = difflib.get_close_matches(name, list(self._registry.objects if among is None else among), n=1)
        return near[0] if near else None
