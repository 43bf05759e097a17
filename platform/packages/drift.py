"""How two environments differ: component by component, field by field.

A side is written as

    ``@``                         the environment of the RATOON_* variables, now
    ``@12``                       the same at revision 12
    ``@packages``                 the same as its packages brought it: the difference to ``@`` is the local edits
    ``sqlite:///…``, ``postgresql://…``   another database
    ``https://…``                 another environment, with a token
    anything else                 a folder or zip file with one package or more

The built-in package is left out: it goes with the version of the product. A folder that holds some of the packages
only is compared with those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from ratoon.platform.errors import BadRequest, MetadataRefused, NotFound
from ratoon.platform.metadata.builtin import SYSTEM
from ratoon.platform.metadata.documents import Document
from ratoon.platform.packages.differences import ComponentChange, component_changes
from ratoon.platform.packages.planning import present_documents
from ratoon.platform.packages.remote import Remote
from ratoon.platform.packages.sources import Source, read_sources
from ratoon.platform.packages.upgrades import standing_bases
from ratoon.platform.storage import revisions
from ratoon.platform.storage.bases import packages_documents
from ratoon.platform.storage.database import Database, SchemaMoved


@dataclass(frozen=True)
class Side:
    """One of the two."""

    name: str
    documents: tuple[Document, ...]
    complete: bool = True
    """An environment, with all its packages; ``False``: the packages of a folder or zip file."""


@dataclass(frozen=True)
class Drift:
    """What turns the first side into the second."""

    first: str
    second: str
    packages: tuple[tuple[str, str | None, str | None], ...]
    """(package, version there, version here), where they differ."""
    components: tuple[ComponentChange, ...]

    @property
    def none(self) -> bool:
        """True when the sides are the same."""
        return not self.components

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and the API."""
        return {
            "first": self.first,
            "second": self.second,
            "same": self.none,
            "packages": [{"package": p, "first": a, "second": b} for p, a, b in self.packages],
            "components": [change.as_json() for change in self.components],
        }


def drift(first: Side, second: Side) -> Drift:
    """How the sides differ."""
    one, other = (_comparable(side, against) for side, against in ((first, second), (second, first)))
    versions = [{d.package: str(d.data.get("version")) for d in side if d.kind == "package"} for side in (one, other)]
    names = sorted({*versions[0], *versions[1]})
    packages = [(name, versions[0].get(name), versions[1].get(name)) for name in names]
    return Drift(first.name, second.name, tuple(p for p in packages if p[1] != p[2]), component_changes(one, other))


def read_side(text: str, token: str = "", own: Database | None = None, *, insecure: bool = False) -> Side:
    """The side that ``text`` names; ``own`` is the database that ``@`` stands for.

    Raises ``BadRequest`` for what names no side, ``NotFound`` for a revision that never was, ``MetadataRefused`` for a
    folder or file that cannot be read, and what ``remote`` raises.
    """
    if text.startswith("@"):
        if own is None:
            raise BadRequest("There is no environment here for {text}.", text=text)
        with own.read() as connection:
            return Side(text, tuple(_at(connection, text[1:])))
    if text.startswith(("http://", "https://")):
        return Side(text, _read(Remote(text, token, insecure=insecure).export()))
    if "://" in text:
        _refuse_missing_file(text)
        address = text.rpartition("@")[2] or text
        database = Database.open(text)
        try:
            with database.read() as connection:
                return Side(address, tuple(present_documents(connection)))
        except SchemaMoved:
            raise NotFound("There is no Ratoon in {database}.", database=address) from None
        finally:
            database.dispose()
    if not Path(text).exists():
        raise BadRequest("{text} is no folder, zip file, database, address or @revision.", text=text)
    return Side(text, _read(Path(text)), complete=False)


def _refuse_missing_file(url: str) -> None:
    """SQLite would make the file."""
    scheme, _, file = url.partition(":///")
    if scheme.startswith("sqlite") and file and not file.startswith(":memory:") and not Path(file).exists():
        raise NotFound("There is no file {file}.", file=file)


def _at(connection: Connection, which: str) -> Sequence[Document]:
    if not which:
        return present_documents(connection)
    if which == "packages":
        return packages_documents(present_documents(connection), standing_bases(connection))
    if not which.isdecimal():
        raise BadRequest("@{which} is neither @, @packages nor a revision.", which=which)
    return revisions.documents_at(connection, int(which))


def _read(source: Source) -> tuple[Document, ...]:
    read = read_sources([source])
    if read.findings:
        raise MetadataRefused(read.findings)
    return read.documents


def _comparable(side: Side, other: Side) -> list[Document]:
    wanted = None if other.complete else {document.package for document in other.documents}
    return [d for d in side.documents if d.package != SYSTEM and (wanted is None or d.package in wanted)]
