"""Where packages come from: a folder, a zip file, the bytes of one, or file contents by path.

One source may hold several packages, each in a folder of its own, when it is an export (``ratoon export`` writes
nothing beside those folders, or seals, see ``sealing.py``) or a zip file. An export of picked components is *partial*:
its documents are put beside those of their packages that stand, instead of replacing all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ratoon.platform.errors import Finding
from ratoon.platform.metadata.documents import SEALS, Document, documents_from_files, package_files
from ratoon.platform.packages.sealing import PARTIAL, Trust, broken_seals

Source = Path | str | bytes | Mapping[str, bytes]
"""A folder, a zip file, the bytes of one, or file contents by path."""


@dataclass(frozen=True)
class Read:
    """What sources hold."""

    documents: tuple[Document, ...]
    findings: tuple[Finding, ...]
    """What cannot be read, and seals that do not hold."""
    partial: frozenset[str] = frozenset()
    """Packages of which only some components were given."""


def read_sources(sources: Sequence[Source], trust: Trust | None = None) -> Read:
    """What can be read of the packages, and everything that cannot; ``trust`` = whose signatures count."""
    documents: list[Document] = []
    findings: list[Finding] = []
    partial: set[str] = set()
    for source in sources:
        read = _read(source, trust or Trust())
        prefix = f"{source}/" if len(sources) > 1 and isinstance(source, (str, Path)) else ""
        findings += [Finding(prefix + f.file, f.pointer, f.code, f.message, f.hint) for f in read.findings]
        documents += read.documents
        partial |= read.partial
    return Read(tuple(documents), tuple(findings), frozenset(partial))


def completed(read: Read, present: Sequence[Document]) -> list[Document]:
    """The documents, with those of partial packages put among the ones that stand already.

    The manifest of a package that stands is kept: some components of a version do not make it that version.
    """
    known = {d.package for d in present if d.kind == "package"}
    beside = read.partial & known
    given = [d for d in read.documents if not (d.package in beside and d.kind == "package")]
    places = {(d.package, d.file) for d in given}
    return [*given, *(d for d in present if d.package in beside and (d.package, d.file) not in places)]


def _read(source: Source, trust: Trust) -> Read:
    if isinstance(source, Mapping):
        files, fallback = dict(source), "local"
        findings: list[Finding] = []
    else:
        files, fallback, findings = package_files(source)
        if findings and not files:
            return Read((), tuple(findings))
    findings += broken_seals(files, trust)
    documents: list[Document] = []
    for inside, name in _packages(files, fallback, isinstance(source, bytes) or _is_zip(source)):
        read, problems = documents_from_files(inside, name)
        documents += read
        findings += problems
    partial = {d.package for d in documents} if PARTIAL in files else set()
    return Read(tuple(documents), tuple(findings), frozenset(partial))


def _packages(files: Mapping[str, bytes], fallback: str, zipped: bool) -> list[tuple[dict[str, bytes], str]]:
    """The files of each package, with the name to go by."""
    plain = {path: content for path, content in files.items() if path not in SEALS}
    folders = sorted({path.split("/")[0] for path in plain if path.count("/") == 1 and path.endswith("/manifest.json")})
    nothing_else = all(path.split("/")[0] in folders for path in plain)
    several = folders and "manifest.json" not in plain and (zipped or len(plain) < len(files) or nothing_else)
    if not several:
        return [(plain, fallback)]
    apart = [
        ({path.removeprefix(f"{name}/"): c for path, c in plain.items() if path.startswith(f"{name}/")}, name)
        for name in folders
    ]
    rest = {path: content for path, content in plain.items() if path.split("/")[0] not in folders}
    return [*apart, (rest, fallback)] if rest else apart


def _is_zip(source: Source) -> bool:
    return isinstance(source, (str, Path)) and Path(source).is_file()
