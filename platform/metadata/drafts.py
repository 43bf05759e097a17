"""Objects and fields while they are being compiled: what was declared, by whom and where, before anything is frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ratoon.platform.fields.base import FieldSpec, FieldType, Part
from ratoon.platform.formulas import Formula
from ratoon.platform.metadata.documents import Document
from ratoon.platform.metadata.model import Rollup
from ratoon.platform.metadata.report import Path


@dataclass(slots=True)
class Piece:
    """A part of a document: the data and where it stands."""

    document: Document
    path: Path
    data: Mapping[str, Any]

    def at(self, *steps: str | int) -> Path:
        """The path of something inside this piece."""
        return (*self.path, *steps)


@dataclass(slots=True)
class FieldDraft:
    """A declared field."""

    object: str
    piece: Piece
    spec: FieldSpec
    type: FieldType
    parts: tuple[Part, ...] = ()
    formula: Formula | None = None
    rollup: Rollup | None = None
    junction: str | None = None
    volatile: bool = False
    system: bool = False

    @property
    def name(self) -> str:
        """The field's name."""
        return self.spec.name

    @property
    def data(self) -> Mapping[str, Any]:
        """The declaration."""
        return self.piece.data


@dataclass(slots=True)
class ObjectDraft:
    """A declared object with everything that packages add to it."""

    name: str
    piece: Piece
    declared: list[Piece] = field(default_factory=list)
    """Field declarations, the object's own first, then the extensions'."""
    fields: dict[str, FieldDraft] = field(default_factory=dict)
    """Built fields, system fields last."""
    rules: list[Piece] = field(default_factory=list)
    keys: list[Piece] = field(default_factory=list)
    indexes: list[Piece] = field(default_factory=list)
    components: dict[str, list[Document]] = field(default_factory=dict)
    """Kind → pipelines, layouts, views, automations."""
    junction: bool = False
    """True for the generated object behind a many-to-many field."""
    keys_of: dict[str, FieldDraft] = field(default_factory=dict)
    """Record key → the field it belongs to."""

    @property
    def label(self) -> str:
        """What a person calls one record."""
        return str(self.piece.data["label"])

    @property
    def plural_label(self) -> str:
        """What a person calls several records."""
        return str(self.piece.data.get("plural_label", self.label))

    def components_of(self, kind: str) -> list[Document]:
        """The documents of that kind for this object."""
        return self.components.get(kind, [])


@dataclass(slots=True)
class Drafts:
    """Everything collected from the documents."""

    objects: dict[str, ObjectDraft] = field(default_factory=dict)
    packages: dict[str, Document] = field(default_factory=dict)
    """Manifests, a package after those it requires."""
    value_sets: dict[str, Document] = field(default_factory=dict)
    roles: list[Document] = field(default_factory=list)
    templates: list[Document] = field(default_factory=list)
    calendars: dict[str, Document] = field(default_factory=dict)
    permission_sets: list[Document] = field(default_factory=list)
    sharing: list[Document] = field(default_factory=list)
    strings: list[Document] = field(default_factory=list)
