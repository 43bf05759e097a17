"""Renames on the way from one set of documents to the next: which there are, and what stands under the new names.

``Journey.of(offered, present)`` reads what the offered documents declare; ``Journey.back(connection, revision)`` is the
way back that a rollback goes, from what each revision since remembers. Everything else (differences, DDL, impact) is
worked out from ``standing``, the documents of now under the names of then, and so knows nothing of renames.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from ratoon.platform.metadata.documents import Document
from ratoon.platform.metadata.moves import Move, Standing, backwards, declared, moves_from_json, pending
from ratoon.platform.metadata.renaming import Renamer
from ratoon.platform.packages.differences import ComponentChange
from ratoon.platform.storage import revisions
from ratoon.platform.storage.bases import Bases


@dataclass(frozen=True)
class Journey:
    """The names that change."""

    moves: tuple[Move, ...]
    """What the database still has to go through, in order."""
    aliases: tuple[Move, ...]
    """Everything that is declared: names that documents may still use."""
    present: tuple[Document, ...]

    @classmethod
    def of(cls, offered: Sequence[Document], present: Sequence[Document]) -> Journey:
        """What offered documents declare."""
        names = {document.package for document in offered}
        after = [*offered, *(d for d in present if d.package not in names)]
        aliases = _free(declared(after), offered)
        return cls(pending(aliases, present), aliases, tuple(present))

    @classmethod
    def back(cls, connection: Connection, since: int, present: Sequence[Document]) -> Journey:
        """The way back to an earlier revision."""
        moves: list[Move] = []
        for plan in revisions.plans_after(connection, since):
            moves += backwards(moves_from_json(plan.get("moves", ())))
        return cls(tuple(moves), (), tuple(present))

    @property
    def standing(self) -> list[Document]:
        """The documents as they stand, under the new names."""
        return carried(self.present, self.moves)

    def renamed(self, documents: Sequence[Document]) -> list[Document]:
        """Documents that may still use old names, with the new ones."""
        if not self.aliases:
            return list(documents)
        renamer = Renamer([*self.standing, *documents], self.aliases)
        return [renamer.document(document) for document in documents]

    def renamed_bases(self, bases: Bases) -> dict[tuple[str, str], Document | None]:
        """What packages brought, under the new names."""
        if not self.moves:
            return dict(bases)
        made: dict[tuple[str, str], Document | None] = {}
        known = [document for document in bases.values() if document is not None]
        moved = dict(zip(map(_place, known), carried(known, self.moves, self.present), strict=True))
        files = dict(zip(map(_place, self.present), map(_place, self.standing), strict=True))
        for place in bases:
            document = moved.get(place)
            made[_place(document) if document is not None else files.get(place, place)] = document
        return made

    def components(self, after: Iterable[Document]) -> tuple[ComponentChange, ...]:
        """The renames as changes of components."""
        owners = {_object(d): d for d in after if d.kind in {"object", "picklist"}}
        found = []
        for move in self.moves:
            document = owners.get(move.object or (move.field[1:] if move.field else move.new))
            package, file = (document.package, document.file) if document is not None else ("", "")
            found.append(ComponentChange("renamed", move.kind, move.name, package, file))
        return tuple(found)


def _free(moves: Sequence[Move], offered: Sequence[Document]) -> tuple[Move, ...]:
    """Without those whose old name is in use still: the check says so."""
    known = Standing(offered)
    return tuple(move for move in moves if not known.still(move))


def carried(documents: Sequence[Document], moves: Sequence[Move], beside: Sequence[Document] = ()) -> list[Document]:
    """The documents after all moves, one after the other; ``beside`` are documents that say what refers to what."""
    made, around = list(documents), list(beside)
    for move in moves:
        if move.merges:
            continue
        renamer = Renamer([*around, *made], [move])
        made = [renamer.document(_without(document, move)) for document in made]
        around = [renamer.document(_without(document, move)) for document in around]
    return made


def _without(document: Document, move: Move) -> Document:
    """The document without a field that has the name by now: on the way back the old one takes it again."""
    own = document.data.get("name" if document.kind == "object" else "object")
    if move.kind != "field" or document.kind not in {"object", "extension"} or own != move.object:
        return document
    fields: Sequence[Mapping[str, object]] = document.data.get("fields", ())
    names = {item.get("name") for item in fields}
    if not {move.old, move.new} <= names:
        return document
    left = [item for item in fields if item.get("name") != move.new]
    return replace(document, data={**document.data, "fields": left})


def _place(document: Document) -> tuple[str, str]:
    return document.package, document.file


def _object(document: Document) -> str:
    return str(document.data.get("name"))
