"""Relationships: what a formula calls the records that point at a record (``SUM(lines.amount)``).

Every reference field is a relationship of the object it points at. It has the names

1. ``related_name``, where the field declares one; for the links of a many-to-many field that field's name;
2. the name of the object that holds the field (``invoice_line``), and for every reference ``invoice_line_by_invoice``;
3. the title of the related list as an identifier (``related_label``, else the plural label: ``Lines`` → ``lines``);
4. the plural of the object's name (``invoice_lines``).

A name of a higher rank wins; where two relationships of one rank claim a name, neither has it. ``created_by`` and
``modified_by`` are no relationships, and ``owner`` only has the long name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from ratoon.platform.fields.base import FieldSpec, FieldType

STAMPS = frozenset({"created_by", "modified_by"})


class RelatedField(Protocol):
    """What of a field makes a relationship."""

    @property
    def spec(self) -> FieldSpec:
        """The declaration."""

    @property
    def type(self) -> FieldType:
        """Its type."""

    @property
    def system(self) -> bool:
        """True for a field that every object has."""

    @property
    def junction(self) -> str | None:
        """many_to_many: the object that holds the links."""


class RelatedObject(Protocol):
    """What of an object makes relationships."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def plural_label(self) -> str:
        """What a person calls several records."""

    @property
    def fields(self) -> Mapping[str, RelatedField]:
        """Its fields."""


@dataclass(frozen=True, slots=True)
class Relation:
    """The records of ``child`` whose lookup ``via`` points here."""

    child: str
    via: str

    @property
    def key(self) -> str:
        """The step in the key of a formula."""
        return f"{self.child}@{self.via}"


def relations_of(objects: Iterable[RelatedObject]) -> dict[str, dict[str, Relation]]:
    """Object → name → relationship."""
    claims: dict[str, dict[str, dict[int, set[Relation]]]] = {}
    links = {field.junction: field.spec.name for obj in objects for field in obj.fields.values() if field.junction}
    for obj in objects:
        for target, rank, name, relation in _claims(obj, links.get(obj.name)):
            claims.setdefault(target, {}).setdefault(name, {}).setdefault(rank, set()).add(relation)
    found: dict[str, dict[str, Relation]] = {}
    for target, names in claims.items():
        known = found.setdefault(target, {})
        for name, ranks in names.items():
            best = ranks[min(ranks)]
            if len(best) == 1:
                known[name] = next(iter(best))
    return found


def _claims(obj: RelatedObject, link: str | None) -> Iterator[tuple[str, int, str, Relation]]:
    """(object pointed at, rank, name, relationship) for every name that the references of an object claim."""
    for field in obj.fields.values():
        via = field.spec.name
        if not field.type.reference or via in STAMPS:
            continue
        relation = Relation(obj.name, via)
        for target in field.spec.targets:
            yield target, 2, f"{obj.name}_by_{via}", relation
            if field.system:
                continue
            declared = field.spec.option("related_name")
            if declared:
                yield target, 1, str(declared), relation
            if link is not None and via == "source":
                yield target, 1, link, relation
            yield target, 2, obj.name, relation
            label = field.spec.option("related_label") or obj.plural_label
            yield target, 3, identifier(str(label)), relation
            yield target, 4, plural(obj.name), relation


def identifier(label: str) -> str:
    """A label as a name: ``Order lines`` → ``order_lines``."""
    return re.sub(r"\W+", "_", label.strip().lower()).strip("_")


def plural(name: str) -> str:
    """The English plural of an object's name: ``company`` → ``companies``."""
    if name.endswith("y") and name[-2:-1] not in ("a", "e", "i", "o", "u"):
        return f"{name[:-1]}ies"
    return f"{name}es" if name.endswith(("s", "x", "ch", "sh")) else f"{name}s"
