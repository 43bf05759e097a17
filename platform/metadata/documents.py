"""Metadata documents: reading a package, and writing one so that a diff reads well.

A package is a folder, or a zip of it, with a ``manifest.json`` and one component per JSON file. Where a component lies
follows from what it is (``place``), so two documents of one package never describe the same component:

    manifest.json                     package
    picklists/industry.json           picklist
    roles/seller.json                 role
    permission_sets/refunds.json      permission_set
    sharing/big_deals.json            sharing
    templates/renewal_due.json        template
    calendars/cn.json                 calendar
    strings/zh-Hans.json              strings
    data/country.json                 data (records that come with the package)
    tests/discharge.json              test
    pet/object.json                   object
    pet/extension.json                extension (adds to the object of another package)
    pet/pipelines/adoption.json       pipeline, and so on for layouts, views, automations,
                                      duplicates

Only ``*.json`` files count; names that begin with ``.`` or ``_`` are not looked at. Reading refuses what no later step
could make sense of (``parsing.py``), and collects all of it.

``canonical`` is the one way a document is written: keys sorted, two spaces, UTF-8, a newline at the end.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ratoon.platform.errors import Finding, MetadataRefused, say
from ratoon.platform.metadata.parsing import MAX_BYTES, parse

MAX_PACKAGE_BYTES = 200_000_000
"""Largest package, unpacked."""
MAX_FILES = 20_000

FOLDERS: Mapping[str, str] = {
    "pipelines": "pipeline",
    "layouts": "layout",
    "views": "view",
    "automations": "automation",
    "duplicates": "duplicate",
    "assignments": "assignment",
}
"""Folder inside an object's folder → kind."""
TOP_FOLDERS: Mapping[str, str] = {
    "picklists": "picklist",
    "roles": "role",
    "permission_sets": "permission_set",
    "sharing": "sharing",
    "templates": "template",
    "calendars": "calendar",
    "approvals": "approval",
    "strings": "strings",
    "data": "data",
    "tests": "test",
}
"""Folder at the top of a package → kind."""
KINDS: tuple[str, ...] = ("package", "object", "extension", *FOLDERS.values(), *TOP_FOLDERS.values())
"""Every kind of document, in the order they are compiled."""
LATER_KINDS: tuple[str, ...] = ("report", "dashboard")
"""Kinds that are designed and not supported by this version."""

SEALS: tuple[str, ...] = ("_checksums.json", "_partial.json", "_signature.json")
"""Files at the top of an export that say something about it and are no documents (see ``packages/sealing.py``)."""


@dataclass(frozen=True, slots=True)
class Document:
    """One component as its author wrote it."""

    file: str
    """Path inside the package, with forward slashes."""
    kind: str
    data: Mapping[str, Any]
    package: str = "local"

    @property
    def component(self) -> tuple[str, str, str]:
        """(kind, object or empty, name): the same in two packages means a conflict."""
        return component_of(self.kind, self.data)


def component_of(kind: str, data: Mapping[str, Any]) -> tuple[str, str, str]:
    """What a document describes: (kind, object or empty, name)."""
    if kind in FOLDERS.values():
        return kind, str(data.get("object", "")), str(data.get("name", ""))
    if kind == "extension":
        return kind, str(data.get("object", "")), ""
    if kind == "strings":
        return kind, "", str(data.get("locale", ""))
    if kind == "data":
        return kind, "", str(data.get("object", ""))
    return kind, "", str(data.get("name", ""))


def place(kind: str, data: Mapping[str, Any]) -> str:
    """The path inside its package at which a document belongs."""
    _, object_name, name = component_of(kind, data)
    if kind == "package":
        return "manifest.json"
    if kind == "object":
        return f"{name}/object.json"
    if kind == "extension":
        return f"{object_name}/extension.json"
    for folder, folder_kind in FOLDERS.items():
        if folder_kind == kind:
            return f"{object_name}/{folder}/{name}.json"
    folder = next(folder for folder, folder_kind in TOP_FOLDERS.items() if folder_kind == kind)
    return f"{folder}/{name}.json"


def canonical(data: Any) -> str:
    """The text of a document: keys sorted, two-space indent, UTF-8 not escaped, newline at the end."""
    return json.dumps(data, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_package(source: Path | str | bytes) -> list[Document]:
    """The documents of a folder, a zip file or the bytes of one; raises ``MetadataRefused`` with every problem."""
    documents, findings = read_documents(source)
    if findings:
        raise MetadataRefused(findings)
    return documents


def read_documents(source: Path | str | bytes) -> tuple[list[Document], list[Finding]]:
    """What can be read of a folder, a zip file or the bytes of one, and everything that cannot."""
    files, fallback, findings = package_files(source)
    if findings and not files:
        return [], findings
    documents, more = documents_from_files(files, fallback)
    return documents, findings + more


def package_files(source: Path | str | bytes) -> tuple[dict[str, bytes], str, list[Finding]]:
    """The files of a folder, a zip file or the bytes of one, with the seals of an export; the name to go by when the
    manifest says none; and what cannot be read."""
    if isinstance(source, bytes):
        return _read_zip(source, "package.zip", "local")
    path = Path(source)
    if path.is_dir():
        files, findings = _folder_files(path)
        return files, path.resolve().name, findings
    if path.is_file():
        return _read_zip(path.read_bytes(), path.name, path.stem)
    return {}, str(source), [Finding(str(source), "", "no_package", say("There is no such folder or zip file."))]


def documents_from_files(files: Mapping[str, bytes], fallback: str = "local") -> tuple[list[Document], list[Finding]]:
    """Documents out of file contents by path; ``fallback`` names the package when the manifest does not."""
    findings: list[Finding] = []
    files = {file: content for file, content in files.items() if not _set_aside(PurePosixPath(file))}
    inside = [] if "manifest.json" in files else _packages_below(files)
    if inside:
        shown = ", ".join(inside[:10])
        more = say(" and {count} more", count=len(inside) - 10) if len(inside) > 10 else ""
        message = say("This folder is no package; it contains {shown}{more}.", shown=shown, more=more)
        return [], [
            Finding(
                "manifest.json",
                "",
                "no_manifest",
                message,
                say("name a package, for example …/{inside}", inside=inside[0]),
            )
        ]
    parsed: dict[str, Mapping[str, Any]] = {}
    for file in sorted(files):
        data = parse(file, files[file], findings)
        if data is not None:
            parsed[file] = data
    manifest = parsed.get("manifest.json", {})
    if "manifest.json" not in files:
        findings.append(
            Finding(
                "manifest.json",
                "",
                "no_manifest",
                say("A package needs a manifest.json beside its folders."),
                say('for example {"kind": "package", "name": "clinic", "version": "1.0.0", "label": "Clinic"}'),
            )
        )
    name = manifest.get("name")
    package = name if isinstance(name, str) and name else fallback
    documents = []
    for file, data in parsed.items():
        kind = data.get("kind")
        documents.append(Document(file, kind if isinstance(kind, str) else "", data, package))
    return documents, findings


def _packages_below(files: Mapping[str, bytes]) -> list[str]:
    """The folders that hold a package's manifest."""
    manifests = sorted(file for file in files if file.endswith("/manifest.json"))
    read = ((file, parse(file, files[file], [])) for file in manifests)
    return [file.removesuffix("/manifest.json") for file, data in read if data and data.get("kind") == "package"]


def in_order(documents: Sequence[Document]) -> list[Document]:
    """The documents by package and path: the order in which they are stored and exported."""
    return sorted(documents, key=lambda d: (d.package, d.file))


def _wanted(path: PurePosixPath) -> bool:
    if str(path) in SEALS:
        return True
    return path.suffix == ".json" and not _set_aside(path)


def _set_aside(path: PurePosixPath) -> bool:
    """Whether a file is no document of the package: seals, schemas for the editor, demo data."""
    return any(step.startswith((".", "_")) for step in path.parts)


def _folder_files(root: Path) -> tuple[dict[str, bytes], list[Finding]]:
    files: dict[str, bytes] = {}
    findings: list[Finding] = []
    total = 0
    for path in sorted(root.rglob("*.json")):
        inside = PurePosixPath(path.relative_to(root).as_posix())
        if not _wanted(inside) or not path.is_file():
            continue
        size = path.stat().st_size
        total += size
        if len(files) >= MAX_FILES or total > MAX_PACKAGE_BYTES:
            findings.append(_package_too_large(str(inside)))
            break
        if size > MAX_BYTES:
            findings.append(
                Finding(
                    str(inside),
                    "",
                    "too_large",
                    say(
                        "The document has {count} bytes; at most {max_bytes} are read.",
                        count=f"{size:,}",
                        max_bytes=f"{MAX_BYTES:,}",
                    ),
                )
            )
            continue
        files[str(inside)] = path.read_bytes()
    return files, findings


def _package_too_large(file: str) -> Finding:
    return Finding(
        file,
        "",
        "too_large",
        say(
            "A package has at most {max_files} documents and {max_package_bytes} bytes.",
            max_files=f"{MAX_FILES:,}",
            max_package_bytes=f"{MAX_PACKAGE_BYTES:,}",
        ),
    )


def _read_zip(content: bytes, shown: str, fallback: str) -> tuple[dict[str, bytes], str, list[Finding]]:
    findings: list[Finding] = []
    files: dict[str, bytes] = {}
    total = 0
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = [i for i in archive.infolist() if not i.is_dir() and _wanted(PurePosixPath(i.filename))]
            for info in infos:
                total += info.file_size
                if len(files) >= MAX_FILES or total > MAX_PACKAGE_BYTES:
                    findings.append(_package_too_large(info.filename))
                    break
                with archive.open(info) as member:
                    files[info.filename] = member.read(MAX_BYTES + 1)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        message = say("This is neither a folder nor a readable zip file: {error}.", error=error)
        return {}, fallback, [Finding(shown, "", "not_a_package", message)]
    manifests = sorted(
        (name for name in files if PurePosixPath(name).name == "manifest.json"), key=lambda n: n.count("/")
    )
    highest = [name for name in manifests if name.count("/") == manifests[0].count("/")]
    prefix = highest[0][: -len("manifest.json")] if len(highest) == 1 and not set(SEALS) & set(files) else ""
    inside = {name[len(prefix) :]: data for name, data in files.items() if name.startswith(prefix)}
    return inside, fallback, findings
