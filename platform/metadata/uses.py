"""Where a field is used: every place of the documents that names it, formulas included.

``uses_of(documents, registry, "account", "margin")`` → the files with what stands there: a column of a view, a formula
that reads it through a lookup (``account.margin``) or aggregates it (``SUM(lines.margin)``) …
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas.types import Scope
from ratoon.platform.formulas.write import names_field
from ratoon.platform.metadata.documents import Document
from ratoon.platform.metadata.model import Registry
from ratoon.platform.metadata.places import walk


@dataclass(frozen=True, slots=True)
class Use:
    """One place that names the field."""

    package: str
    file: str
    text: str
    """The formula, or the field as it is named there."""
    formula: bool = False


def uses_of(documents: Iterable[Document], registry: Registry, object: str, field: str) -> tuple[Use, ...]:
    """The places that name a field of an object or one of its keys, without its own declaration."""
    found: dict[Use, None] = {}
    keys = {part.key for part in registry[object].fields[field].parts} | {field}
    for document in documents:
        walk(document, _Visitor(registry, object, keys, document, found))
    return tuple(found)


class _Visitor:
    """Changes nothing and notes what names the field."""

    def __init__(
        self, registry: Registry, owner: str, keys: set[str], document: Document, found: dict[Use, None]
    ) -> None:
        self._registry = registry
        self._owner = owner
        self._keys = keys
        self._document = document
        self._found = found

    def object(self, name: str) -> str:
        """An object's name."""
        return name

    def field(self, object: str, name: str) -> str:
        """A field or key of an object."""
        declared = self._document.kind in ("object", "extension") and name in self._keys
        if object == self._owner and name.lstrip("-") in self._keys and not declared:
            self._note(name)
        return name

    def pipeline(self, object: str, name: str) -> str:
        """A pipeline of an object."""
        return name

    def stage(self, object: str, pipeline: str | None, name: str) -> str:
        """A stage."""
        return name

    def value(self, object: str, field: str, name: str) -> str:
        """A value of a picklist."""
        return name

    def formula(self, object: str, source: str, holder: str | None = None) -> str:
        """A formula over a record of ``object``."""
        scope = self._registry.scopes.get(object)
        if scope is not None:
            if holder is not None and holder in self._registry.scopes:
                scope = scope.with_source(self._registry.scopes[holder])
            try:
                names = any(names_field(source, scope, self._owns, key) for key in self._keys)
            except FormulaError:
                names = False
            if names:
                self._note(source, formula=True)
        return source

    def assigned(self, object: str, field: str, source: str, own: str) -> str:
        """A formula over a record of ``own`` that gives a field its value."""
        self.field(object, field)
        return self.formula(own, source)

    def target(self, object: str, field: str) -> str | None:
        """The one object that a lookup points at."""
        obj = self._registry.objects.get(object)
        known = obj.field_of.get(field) if obj is not None else None
        return known.targets[0] if known is not None and len(known.targets) == 1 else None

    def _owns(self, scope: Scope) -> bool:
        return getattr(scope, "object", None) == self._owner

    def _note(self, text: str, formula: bool = False) -> None:
        self._found[Use(self._document.package, self._document.file, text, formula)] = None
