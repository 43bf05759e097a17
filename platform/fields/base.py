"""What a field type is: one module per type, with all its faces.

A *field* is what an admin declares (``{"name": "amount", "type": "currency", ...}``). Its type expands it into one or
more *parts*: the flat keys that a record really has. A text field has one part, ``name``; a currency field has two,
``amount`` and ``amount_currency``; an address has ``billing_street``, ``billing_city`` …; a many-to-many field has a
part without a column. Records, the API, formulas and tables all speak of parts, so every face of a type is a face of
its parts:

column (``sql``), coercion (``coerce``), API (``json_schema``, ``marshmallow``, ``dump``), widget (``widget``),
filter operators (``operators``), formula type (``formula``), and how a person reads it (``show``).

``FieldTypes`` is the list of types of one environment: the built-in ones and those that plugins bring. Nothing in the
product lists types anywhere else, and the tests are generated over it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar

import marshmallow as ma
from sqlalchemy.types import TypeEngine

from ratoon.platform.formulas.types import Type

Coerce = Callable[[Any], Any]
"""A value from JSON, a form or an import → the Python value, or ``None`` for blank. Raises ``errors.Invalid``."""
Dump = Callable[[Any], Any]
"""The Python value (never ``None``) → what orjson writes."""


@dataclass(frozen=True, slots=True)
class Option:
    """One choice of a picklist."""

    value: str
    label: str
    color: str = ""
    active: bool = True
    parents: frozenset[str] | None = None
    """Dependent picklists: the controlling values it goes with; ``None`` = all."""


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """A declared field, checked against the schema, before its formulas are compiled."""

    name: str
    type: str
    label: str
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Every keyword of the document beyond name, type and label, as written."""
    choices: tuple[Option, ...] = ()
    """The resolved values of a picklist (its own or the shared value set's)."""
    targets: tuple[str, ...] = ()
    """Objects that a reference may point at."""

    def option(self, name: str, default: Any = None) -> Any:
        """The declared option, or the default."""
        return self.options.get(name, default)


@dataclass(frozen=True, slots=True)
class Part:
    """One flat key of a record."""

    key: str
    sql: TypeEngine[Any] | None
    """Column type; ``None`` = no column (many-to-many, volatile formula)."""
    coerce: Coerce
    dump: Dump | None
    """``None`` = the Python value is written as it is."""
    formula: Type | None
    """Type inside formulas; ``None`` = not usable there (json, secret, file …)."""
    json_schema: Mapping[str, Any]
    """JSON Schema 2020-12 of a non-blank value as the API writes it."""
    marshmallow: Callable[[], ma.fields.Field[Any]]
    operators: tuple[str, ...]
    """Filter operators that make sense, in the order a filter builder offers them: names out of OPERATORS."""
    suffix: str = ""
    """What the key adds to the field's name (``_currency``)."""
    scale: int | None = None
    writable: bool = True
    """False for what the platform computes (formula, rollup, autonumber)."""
    sortable: bool = True
    label: str = ""
    """Label of this part beside the field's (``Currency``, ``Street``); empty for the main part."""


OPERATORS: Mapping[str, str] = MappingProxyType(
    {
        "eq": "is",
        "ne": "is not",
        "lt": "is less than",
        "le": "is at most",
        "gt": "is greater than",
        "ge": "is at least",
        "contains": "contains",
        "starts": "starts with",
        "in": "is one of",
        "includes": "includes",
        "blank": "is blank",
        "filled": "is filled in",
    }
)
"""Every filter operator and how a person reads it. A filter builder turns each into a formula."""


class FieldType(ABC):
    """One field type. Stateless; everything about a declared field comes in as a ``FieldSpec``."""

    name: ClassVar[str]
    label: ClassVar[str]
    """What an admin reads when choosing a type."""
    description: ClassVar[str]
    icon: ClassVar[str] = "forms"
    """A Tabler icon name."""
    options: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType({})
    """Keywords this type takes beyond the common ones: name → JSON Schema with ``description``."""
    required_options: ClassVar[tuple[str, ...]] = ()
    computed: ClassVar[bool] = False
    """True for formula, rollup and autonumber: nobody writes it."""
    reference: ClassVar[bool] = False
    """True when the value is the id of a record."""
    internal: ClassVar[bool] = False
    """True for what only the platform declares (the id field); documents may not name it."""

    @abstractmethod
    def parts(self, spec: FieldSpec) -> tuple[Part, ...]:
        """The flat keys this field adds to a record; the first is the main one."""

    @abstractmethod
    def widget(self, spec: FieldSpec) -> str:
        """Name of the form widget: ``ui/templates/widgets/<name>.html`` or one that a plugin brings."""

    def show(self, spec: FieldSpec, record: Mapping[str, Any], locale: str, time_zone: str) -> str:
        """The value of this field in ``record`` as a person reads it in that locale; empty for blank."""
        value = record.get(spec.name)
        return "" if value is None else str(value)

    @abstractmethod
    def sample(self, spec: FieldSpec, seed: int) -> Mapping[str, Any]:
        """Valid values for this field's writable parts, as API input (tests and examples are made from it)."""


class FieldTypes:
    """The field types of one environment, by name."""

    def __init__(self, types: Iterable[FieldType]) -> None:
        self._types: dict[str, FieldType] = {}
        for kind in types:
            self.add(kind)

    def add(self, kind: FieldType) -> None:
        """Adds a type; a second one of the same name raises ``ValueError``."""
        if kind.name in self._types:
            raise ValueError(f"two field types are called {kind.name!r}")
        self._types[kind.name] = kind

    def __getitem__(self, name: str) -> FieldType:
        return self._types[name]

    def __contains__(self, name: object) -> bool:
        return name in self._types

    def __iter__(self) -> Iterator[FieldType]:
        return iter(self._types.values())

    def names(self) -> tuple[str, ...]:
        """Every type name, built-in ones first."""
        return tuple(self._types)

    def declarable(self) -> tuple[str, ...]:
        """The names a metadata document may use: all but the internal ones."""
        return tuple(kind.name for kind in self if not kind.internal)
