"""Upgrades that keep local edits.

Who applies a package brings its new version (theirs). What was edited here since the package was applied last (ours) is
found by comparing the documents as they stand with those the package brought (base, kept in ``storage/bases.py``), and
``merging.py`` puts the three together. Without local edits the new version is taken as it is.

``edit=True`` says that the source is a local edit and no new version: its documents replace those that stand, and what
the package brought stays the base.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from ratoon.platform.metadata.documents import Document
from ratoon.platform.packages.differences import ComponentChange, component_changes
from ratoon.platform.packages.environment_settings import Need
from ratoon.platform.packages.merging import Choices, Disagreement, MergeConflict, merge_documents
from ratoon.platform.packages.renames import Journey
from ratoon.platform.packages.sources import Read, completed
from ratoon.platform.storage import revisions
from ratoon.platform.storage.bases import Bases, bases_at, bases_between, packages_documents


@dataclass(frozen=True)
class Manner:
    """How a package is brought in."""

    edit: bool = False
    """A local edit of the package, not a new version of it."""
    discard_edits: bool = False
    """Local edits go; the package stands as its author wrote it."""
    choices: Choices = field(default_factory=Choices)
    settings: Mapping[str, Any] = field(default_factory=dict)
    """``name`` or ``package.name`` → value of settings that the packages ask for."""
    ask: bool = True
    """Required settings that nobody gave are refused; ``False`` when nobody is there to be asked."""


@dataclass(frozen=True)
class Upgrade:
    """What bringing packages in makes of their documents."""

    documents: tuple[Document, ...]
    """As they will stand."""
    bases: Bases
    """The bases of all packages, to be kept with the revision."""
    local: tuple[ComponentChange, ...] = ()
    """Local edits, as they differ from what the packages bring: they stay."""
    settled: tuple[Disagreement, ...] = ()
    """Places that both sides changed, and somebody chose."""
    settings: tuple[Need, ...] = ()
    """Settings that the packages ask for."""

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and the API."""
        return {
            "local_edits": [change.as_json() for change in self.local],
            "settled": [found.as_json() for found in self.settled],
            "settings": [need.as_json() for need in self.settings],
        }


def upgrade(
    connection: Connection, read: Read, present: Sequence[Document], manner: Manner, journey: Journey | None = None
) -> Upgrade:
    """The documents of the packages that were ``read`` put together with the local edits of those ``present``.

    ``journey`` says what is renamed; ``read`` and ``present`` have the new names already. Raises ``MergeConflict`` when
    both changed the same places and ``manner`` does not say which to take.
    """
    names = {document.package for document in read.documents}
    bases = standing_bases(connection)
    if journey is not None:
        bases = journey.renamed_bases(bases)
    others = {place: document for place, document in bases.items() if place[0] not in names}
    ours = [document for document in present if document.package in names]
    base = packages_documents(ours, {place: d for place, d in bases.items() if place[0] in names})
    offered = completed(read, ours if manner.edit else base)
    known = {document.package for document in base}
    if manner.edit:
        edited = {document.package for document in offered if document.package in known}
        brought = [d for d in offered if d.package not in edited] + [d for d in base if d.package in edited]
        kept = bases_between(brought, offered)
        return Upgrade(tuple(offered), {**others, **kept}, component_changes(brought, offered))
    merged = merge_documents(base, base if manner.discard_edits else ours, offered, manner.choices)
    if merged.open:
        raise MergeConflict(merged.open)
    kept = bases_between(offered, merged.documents)
    local = component_changes(offered, merged.documents)
    return Upgrade(merged.documents, {**others, **kept}, local, merged.settled)


def standing_bases(connection: Connection) -> dict[tuple[str, str], Document | None]:
    """The bases of the newest revision."""
    return bases_at(connection, revisions.current_revision(connection))


def local_edits(connection: Connection, package: str | None = None) -> tuple[ComponentChange, ...]:
    """What was edited here since the packages were applied last."""
    standing = revisions.documents_at(connection, revisions.current_revision(connection))
    ours = [d for d in standing if package in (None, d.package)]
    bases = {place: d for place, d in standing_bases(connection).items() if package in (None, place[0])}
    return component_changes(packages_documents(ours, bases), ours)
