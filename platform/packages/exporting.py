"""Exporting: the applied documents as files, always the same bytes for the same metadata.

A package goes to the top of the destination; several packages go into a folder each. A destination that ends in
``.zip`` becomes a zip file (entries sorted, no times) with checksums, anything else a folder, which has them when it is
asked for. The built-in package is only written when it is asked for.

Components can be picked (``object/account``, ``view/account.open``, ``role/vet``, ``picklist/species``): they come with
what they mention in their own packages, and are marked as a part, so that applying them leaves the rest of the package
where it is.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratoon.platform.errors import Conflict, NotFound
from ratoon.platform.metadata.builtin import SYSTEM
from ratoon.platform.metadata.documents import SEALS, Document, canonical, in_order
from ratoon.platform.packages.picking import pick
from ratoon.platform.packages.planning import present_documents
from ratoon.platform.packages.sealing import CHECKSUMS, PARTIAL, SIGNATURE, checksums, sign
from ratoon.platform.packages.target import Target
from ratoon.platform.storage import revisions

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time of every zip entry: the earliest there is."""
_UNIX = 3
"""What every zip entry says it was made on, wherever it was."""


@dataclass(frozen=True)
class Export:
    """What an export consists of."""

    packages: tuple[str, ...]
    files: Mapping[str, bytes]
    """Content by path."""

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"packages": list(self.packages), "files": list(self.files)}

    def sealed(self, key: Ed25519PrivateKey | None = None) -> Export:
        """The export with checksums, signed when a key is given."""
        plain = {path: content for path, content in self.files.items() if path not in (CHECKSUMS, SIGNATURE)}
        seals = {CHECKSUMS: checksums(plain)}
        if key is not None:
            seals[SIGNATURE] = sign(seals[CHECKSUMS], key)
        return replace(self, files=dict(sorted({**plain, **seals}.items())))

    def as_zip(self) -> bytes:
        """The bytes of a zip file."""
        made = io.BytesIO()
        complete = self if CHECKSUMS in self.files else self.sealed()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in complete.files.items():
                entry = zipfile.ZipInfo(name, _EPOCH)
                entry.create_system = _UNIX
                archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
        return made.getvalue()

    def write(self, destination: Path, *, overwrite: bool = False) -> None:
        """Writes a zip file or a folder.

        Raises ``Conflict`` when something is there, unless ``overwrite``: documents that are not part of the export are
        then removed from the folder, other files stay.
        """
        if destination.exists() and not overwrite and not (destination.is_dir() and not any(destination.iterdir())):
            raise Conflict("{path} exists already.", path=str(destination))
        if destination.suffix == ".zip":
            destination.parent.mkdir(parents=True, exist_ok=True)
            destination.write_bytes(self.as_zip())
            return
        for name, content in self.files.items():
            file = destination / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        for file in destination.rglob("*.json"):
            inside = file.relative_to(destination)
            hidden = any(step.startswith((".", "_")) for step in inside.parts) and inside.as_posix() not in SEALS
            if not hidden and inside.as_posix() not in self.files:
                file.unlink()


def export(
    target: Target, package: str | None = None, revision: int | None = None, components: Sequence[str] = ()
) -> Export:
    """The documents of one package, of all but the built-in one, or the picked components; now or at a revision.

    Raises ``NotFound`` for a package or component that is not there.
    """
    with target.database.read() as connection:
        documents = present_documents(connection) if revision is None else revisions.documents_at(connection, revision)
    return export_documents(documents, package, components)


def export_documents(
    documents: Sequence[Document], package: str | None = None, components: Sequence[str] = ()
) -> Export:
    """The same for documents at hand."""
    names = sorted({d.package for d in documents})
    if package is not None and package not in names:
        raise NotFound("There is no package {package}; there are: {names}.", package=package, names=", ".join(names))
    chosen = [d for d in in_order(documents) if d.package == package or (package is None and d.package != SYSTEM)]
    if components:
        chosen = pick(chosen, components)
    flat = package is not None or (bool(components) and len({d.package for d in chosen}) == 1)
    files = {(d.file if flat else f"{d.package}/{d.file}"): canonical(d.data).encode() for d in chosen}
    if components:
        files[PARTIAL] = canonical({"kind": "partial", "components": sorted(components)}).encode()
    return Export(tuple(dict.fromkeys(d.package for d in chosen)), dict(sorted(files.items())))
