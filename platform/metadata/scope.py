"""What a formula of an object may name: the object's keys, and paths through its lookups.

``ObjectScope`` implements ``formulas.types.Scope`` over the fields of one object. A reference with a single target can
be followed (``account.owner.name``); a polymorphic one cannot. In a lookup filter ``$source`` is the record that holds
the lookup. ``registry.scopes`` has the scope of every object of a snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from ratoon.platform.fields.base import FieldSpec, Part
from ratoon.platform.formulas.types import Name, Type
from ratoon.platform.metadata.relations import Relation


class ScopedField(Protocol):
    """What a scope needs to know of a field."""

    @property
    def spec(self) -> FieldSpec:
        """The declaration."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """Its flat keys."""

    @property
    def volatile(self) -> bool:
        """True when its value changes by itself."""


class ObjectScope:
    """The names of one object. ``scopes`` gives the scopes that its references lead to; it may be filled later.

    ``relations`` gives the relationships of every object when they are first asked for; ``aliases`` are earlier names
    of keys, which a filter may still use.
    """

    def __init__(
        self,
        fields: Iterable[ScopedField],
        scopes: Mapping[str, ObjectScope],
        source: ObjectScope | None = None,
        *,
        object: str = "",
        relations: Callable[[], Mapping[str, Mapping[str, Relation]]] = dict,
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        self._aliases = aliases or {}
        self.object = object
        """The object's name."""
        self._relations = relations
        self._fields = fields
        self._scopes = scopes
        self._source = source
        self._parts: dict[str, tuple[ScopedField, Part]] | None = None
        self._made: dict[str, Name] = {}

    def name(self, name: str) -> Name | None:
        """What ``name`` means here, or ``None``."""
        key = name.lower()
        found = self._made.get(key)
        if found is None:
            if key == "$source" and self._source is not None:
                found = Name("$source", Type.REFERENCE, target=self._source)
            elif key in self._known():
                field, part = self._known()[key]
                found = self._name_of(field, part)
            else:
                return None
            self._made[key] = found
        return found

    def names(self) -> Iterable[str]:
        """Every name, for suggestions."""
        return [*self._known(), "$source"] if self._source is not None else list(self._known())

    def with_source(self, source: ObjectScope) -> ObjectScope:
        """The same names plus ``$source``, the record that holds the lookup."""
        return ObjectScope(
            self._fields, self._scopes, source, object=self.object, relations=self._relations, aliases=self._aliases
        )

    def related(self, name: str) -> Name | None:
        """What ``name`` means as a relationship: the records that point here."""
        relation = self._relations().get(self.object, {}).get(name.lower())
        if relation is None or relation.child not in self._scopes:
            return None
        return Name(relation.key, Type.REFERENCE, self._scopes[relation.child], many=True)

    def related_names(self) -> Iterable[str]:
        """The names of the relationships; of several of one relationship the shortest."""
        shortest: dict[Relation, str] = {}
        for name, relation in self._relations().get(self.object, {}).items():
            if len(name) < len(shortest.get(relation, name + "_")):
                shortest[relation] = name
        return shortest.values()

    def refresh(self) -> None:
        """Looks at the fields again: what they say about themselves changed."""
        self._parts = None
        self._made = {}

    def _known(self) -> dict[str, tuple[ScopedField, Part]]:
        if self._parts is None:
            known = {p.key: (field, p) for field in self._fields for p in field.parts if p.formula is not None}
            known.update({old: known[new] for old, new in self._aliases.items() if new in known and old not in known})
            self._parts = known
        return self._parts

    def _name_of(self, field: ScopedField, part: Part) -> Name:
        spec, kind = field.spec, part.formula
        assert kind is not None
        main = part is field.parts[0]
        values = None
        if main and kind in {Type.PICKLIST, Type.MULTI}:
            values = tuple(option.value for option in spec.choices)
        target = None
        if main and kind is Type.REFERENCE and len(spec.targets) == 1:
            target = self._scopes.get(spec.targets[0])
        return Name(
            key=part.key,
            type=kind,
            target=target,
            label=f"{spec.label} {part.label}".strip() if not main else spec.label,
            values=values,
            labels={o.value: o.label for o in spec.choices if o.label != o.value} if kind is Type.PICKLIST else None,
            scale=part.scale,
            percent=main and "percent" in {spec.type, spec.option("returns")},
            volatile=field.volatile,
        )
