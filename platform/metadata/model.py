"""The compiled metadata: one immutable, versioned snapshot of everything admins declared.

``Registry`` and all below it are frozen. A change of metadata builds a new registry and swaps it; whoever holds the old
one keeps a consistent picture. Documents (what admins write) are in ``documents.py``; ``compile.py`` checks them and
turns them into this. What layouts and views, roles, approvals and assignments compile to is in modules of their own
beside it (``*_model.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

from ratoon.platform.errors import Severity
from ratoon.platform.fields.base import FieldSpec, FieldType, Option, Part
from ratoon.platform.formulas import Formula
from ratoon.platform.metadata.access_model import AccessModel
from ratoon.platform.metadata.alias_model import Aliases
from ratoon.platform.metadata.approval_model import Approval
from ratoon.platform.metadata.assignment_model import Assignment
from ratoon.platform.metadata.calendar_model import Calendar
from ratoon.platform.metadata.graph import Graph, build_graph
from ratoon.platform.metadata.matching import DuplicateRule
from ratoon.platform.metadata.pipeline_model import Pipeline
from ratoon.platform.metadata.relations import Relation, relations_of
from ratoon.platform.metadata.scope import ObjectScope
from ratoon.platform.metadata.screen_model import Layout, View
from ratoon.platform.metadata.template_model import Template
from ratoon.platform.metadata.trigger_model import NONE, Triggers

EMPTY: Mapping[str, Any] = MappingProxyType({})
LINK_LABEL = ": "
"""Between the two labels of an object that keeps links: “Campaign: Members”. Each is translated by itself."""
WIDE = Context(prec=60)
"""Wide enough to round anything a formula may answer."""
OnDelete = Literal["restrict", "set_null", "cascade"]


@dataclass(frozen=True)
class Rollup:
    """An aggregate over child records: ``sum`` of ``key`` over the records of ``child`` whose ``via`` points here."""

    child: str
    via: str
    operation: Literal["count", "sum", "min", "max", "avg"]
    key: str | None
    filter: Formula | None


@dataclass(frozen=True)
class Field:
    """A field of an object, ready to use."""

    object: str
    spec: FieldSpec
    type: FieldType
    parts: tuple[Part, ...]
    label: str
    owner: str = "local"
    """The package that declared it."""
    system: bool = False
    """True for id, created_at, owner … that every object has."""
    required: bool = False
    unique: bool = False
    external_id: bool = False
    searchable: bool = False
    track_history: bool = False
    sensitivity: str = "none"
    help: str = ""
    placeholder: str = ""
    default: Formula | None = None
    visible_when: Formula | None = None
    required_when: Formula | None = None
    read_only_when: Formula | None = None
    on_delete: OnDelete | None = None
    """Set for every reference field."""
    lookup_filter: Formula | None = None
    """Evaluated on the target record; ``$source.x`` is the record that holds the lookup."""
    formula: Formula | None = None
    """Set for formula fields. Volatile ones (``formula.volatile``) have no column and are computed when read."""
    in_sql: Formula | None = None
    """Volatile numbers: the formula as the record shows its answer (``fit``), for the database to work out."""
    rollup: Rollup | None = None
    junction: str | None = None
    """many_to_many: the object that holds the links (its ends are ``source`` and ``target``)."""

    @property
    def name(self) -> str:
        """The field's name (= the key of its main part)."""
        return self.spec.name

    @property
    def targets(self) -> tuple[str, ...]:
        """Objects a reference may point at."""
        return self.spec.targets

    @property
    def choices(self) -> tuple[Option, ...]:
        """Values of a picklist."""
        return self.spec.choices

    @property
    def computed(self) -> bool:
        """True when only the platform writes it."""
        return self.type.computed

    @property
    def volatile(self) -> bool:
        """True for a formula field whose value changes by itself."""
        return self.formula is not None and self.formula.volatile

    def fit(self, value: Any) -> Any:
        """A formula's or rollup's answer as the field keeps it: rounded half up to its scale, within its range.

        A percentage is 0.2 in a formula and 20 in a record. Raises ``Invalid`` when the answer does not fit (a number
        with too many digits).
        """
        if value is None:
            return None
        part = self.parts[0]
        if self.formula is not None and self.spec.option("returns") == "percent":
            value = value * 100
        if part.scale is not None:
            value = Decimal(value).quantize(Decimal(1).scaleb(-part.scale), ROUND_HALF_UP, WIDE)
        return part.coerce(value)


@dataclass(frozen=True)
class Rule:
    """A validation rule: refuses (or warns) when ``error_when`` is true."""

    name: str
    error_when: Formula
    message: str
    field: str | None = None
    severity: Severity = "error"
    active: bool = True
    owner: str = "local"


@dataclass(frozen=True)
class Key:
    """Fields that are unique together."""

    name: str
    fields: tuple[str, ...]


@dataclass(frozen=True)
class Action:
    """One thing an automation does; ``kind`` is ``set_fields``, ``create_record``, ``update_related`` or a plugin's."""

    kind: str
    values: Mapping[str, Formula] = field(default_factory=lambda: MappingProxyType({}))
    object: str | None = None
    path: str | None = None
    """update_related: the lookup field to follow, or ``child_object.lookup_field`` for the children."""
    options: Mapping[str, Any] = field(default_factory=lambda: EMPTY)


@dataclass(frozen=True)
class Automation:
    """Trigger, condition, actions."""

    object: str
    name: str
    label: str
    on: tuple[str, ...]
    """created, updated, deleted, restored, stage_entered, stage_left; or one of ``triggers.OTHER``."""
    when: Literal["before", "after", "after_commit"]
    actions: tuple[Action, ...]
    fields: tuple[str, ...] = ()
    """``updated``: run only when one of these changed; empty = any."""
    stages: tuple[str, ...] = ()
    """``stage_entered`` / ``stage_left``: which."""
    condition: Formula | None = None
    order: int = 100
    status: Literal["draft", "active", "off"] = "active"
    """Only active ones run; all of them can be tried."""
    owner: str = "local"
    triggers: Triggers = NONE
    run_as: Literal["platform", "user"] = "platform"
    """after_commit: whose rights hold; ``user`` = whoever caused it."""

    @property
    def full_name(self) -> str:
        """``opportunity.won``."""
        return f"{self.object}.{self.name}"


@dataclass(frozen=True)
class Role:
    """What its users may do: per object a set of rights (what a right implies is in it); per field read/edit/none.

    A permission set is one, too.
    """

    name: str
    label: str
    objects: Mapping[str, frozenset[str]]
    fields: Mapping[tuple[str, str], frozenset[str]]
    rows: Mapping[str, Formula]
    """Per object: only rows where this is true (``owner = $user.id``)."""
    owner: str = "local"


@dataclass(frozen=True)
class Object:
    """An object definition: one table, one set of screens, one API resource."""

    name: str
    label: str
    plural_label: str
    title: str
    """The field that names a record."""
    fields: Mapping[str, Field]
    """Declared fields in order, then the system fields."""
    description: str = ""
    icon: str = "database"
    color: str = "blue"
    owner: str = "local"
    hidden: bool = False
    """Not in the navigation (junctions, line items)."""
    person: bool = False
    """A record is a person: everything about it can be taken out, and it can be erased (``records/persons.py``)."""
    default_access: str = "read_write"
    """What a role's rights reach before sharing: private, read, read_write or controlled_by_parent."""
    rules: tuple[Rule, ...] = ()
    keys: tuple[Key, ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()
    """Declared plus derived column lists, in that order (see ``metadata/indexes.py``)."""
    pipelines: tuple[Pipeline, ...] = ()
    layouts: tuple[Layout, ...] = ()
    views: tuple[View, ...] = ()
    automations: tuple[Automation, ...] = ()
    """Active ones, in the order they run."""
    resting: tuple[Automation, ...] = ()
    """Automations that are drafts or off: they never run and can be tried."""
    approvals: tuple[Approval, ...] = ()
    """Active approval processes, in the order they are offered."""
    assignments: tuple[Assignment, ...] = ()
    """Active assignments, in the order they are asked."""
    duplicates: tuple[DuplicateRule, ...] = ()
    """Active duplicate rules, in the order they are asked."""

    @cached_property
    def parts(self) -> Mapping[str, Part]:
        """Every key of a record, in order."""
        return {p.key: p for f in self.fields.values() for p in f.parts}

    @cached_property
    def field_of(self) -> Mapping[str, Field]:
        """The field that a key belongs to."""
        return {p.key: f for f in self.fields.values() for p in f.parts}

    @cached_property
    def references(self) -> tuple[Field, ...]:
        """Fields that hold the id of a record."""
        return tuple(f for f in self.fields.values() if f.type.reference)

    @cached_property
    def stage_field(self) -> Field | None:
        """The stage field, if the object has one."""
        return next((f for f in self.fields.values() if f.type.name == "stage"), None)

    @cached_property
    def parent(self) -> Field | None:
        """The master_detail field, if it has one."""
        return next((f for f in self.fields.values() if f.type.name == "master_detail"), None)

    def pipeline(self, name: str | None) -> Pipeline | None:
        """The pipeline of that name."""
        return next((p for p in self.pipelines if p.name == name), None)


@dataclass(frozen=True)
class PackageInfo:
    """A package whose documents are part of the registry."""

    name: str
    version: str
    label: str
    requires: Mapping[str, str] = field(default_factory=lambda: EMPTY)


@dataclass(frozen=True)
class Registry:
    """Everything, at one revision."""

    revision: int
    objects: Mapping[str, Object]
    value_sets: Mapping[str, tuple[Option, ...]] = field(default_factory=dict)
    roles: Mapping[str, Role] = field(default_factory=dict)
    access: AccessModel = field(default_factory=AccessModel)
    """Permission sets, the role tree, sharing rules."""
    packages: Mapping[str, PackageInfo] = field(default_factory=dict)
    strings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """locale (``zh-Hans``) → text in the document → its translation, of all packages together."""
    strings_of: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    """The same for each package."""
    templates: Mapping[str, Template] = field(default_factory=dict)
    """Messages with places, by name."""
    calendars: Mapping[str, Calendar] = field(default_factory=dict)
    """Working days and holidays, by name."""
    aliases: Aliases = field(default_factory=Aliases)
    """Earlier names under which the API still answers."""

    def __iter__(self) -> Iterator[Object]:
        return iter(self.objects.values())

    def __getitem__(self, name: str) -> Object:
        return self.objects[name]

    @cached_property
    def children(self) -> Mapping[str, tuple[Field, ...]]:
        """Object → the reference fields of all objects that point at it."""
        found: dict[str, list[Field]] = {name: [] for name in self.objects}
        for obj in self:
            for ref in obj.references:
                for target in ref.targets:
                    found[target].append(ref)
        return {name: tuple(refs) for name, refs in found.items()}

    @cached_property
    def graph(self) -> Graph:
        """Who must be recomputed when a key changes."""
        return build_graph(self)

    @cached_property
    def scopes(self) -> Mapping[str, ObjectScope]:
        """What a formula of each object may name: for filters that come with a request."""
        scopes: dict[str, ObjectScope] = {}
        for obj in self:
            scopes[obj.name] = ObjectScope(
                tuple(obj.fields.values()),
                scopes,
                object=obj.name,
                relations=lambda: self.relations,
                aliases=self.aliases.keys.get(obj.name),
            )
        return scopes

    @cached_property
    def relations(self) -> Mapping[str, Mapping[str, Relation]]:
        """Object → name → the records that point at it, as formulas call them."""
        return relations_of(self)

    def text(self, source: str, locale: str, package: str | None = None) -> str:
        """A label, help text or message in that locale; the text itself when there is no translation.

        ``package`` is the package that wrote the text. Its own translation counts first, then those of the packages
        that belong to it: another package may mean something else by the same word. ``None`` asks all packages.
        """
        if package is None:
            known = self.strings.get(locale, EMPTY)
        elif (found := self._texts.get((package, locale))) is not None:
            known = found
        else:
            known = self._texts[package, locale] = self._texts_for(package, locale)
        if source in known:
            return known[source]
        owner, sign, part = source.partition(LINK_LABEL)
        if sign and owner in known and part in known:
            return f"{known[owner]}{LINK_LABEL}{known[part]}"
        return source

    @cached_property
    def _texts(self) -> dict[tuple[str, str], Mapping[str, str]]:
        """(package, locale) → what its texts are in that locale; filled when asked for."""
        return {}

    def _texts_for(self, package: str, locale: str) -> Mapping[str, str]:
        """Own translations, then the platform's, those of packages it requires, of packages that require it (they may
        bring a language) and of the installation. What the platform and the installation wrote, any package may
        translate.
        """
        info = self.packages.get(package)
        if info is None or package in ("local", "system"):
            return {**self.strings.get(locale, EMPTY), **self.strings_of.get(package, EMPTY).get(locale, EMPTY)}
        order = [package, "system", *info.requires]
        for name in order:
            if name in self.packages:
                order += [n for n in self.packages[name].requires if n not in order]
        order += [p.name for p in self.packages.values() if package in p.requires]
        texts: dict[str, str] = {}
        for name in reversed([*order, "local"]):
            texts.update(self.strings_of.get(name, EMPTY).get(locale, EMPTY))
        return texts
