"""Checking packages without touching a database: every problem in one run.

``check_packages`` reads folders or zip files, checks their documents against the schemas, and compiles them together
with what is there already (packages that were applied, or that come with the product). Nothing it is given raises:
whatever is wrong becomes a ``Finding``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from ratoon.platform.errors import Finding, say
from ratoon.platform.fields.base import FieldTypes
from ratoon.platform.formulas import FunctionSet
from ratoon.platform.metadata.builtin import with_system
from ratoon.platform.metadata.carried import check_carried
from ratoon.platform.metadata.compile import assemble
from ratoon.platform.metadata.documents import Document, in_order
from ratoon.platform.metadata.model import Registry
from ratoon.platform.metadata.report import Report
from ratoon.platform.metadata.structure import StructureCheck
from ratoon.platform.packages.renames import Journey
from ratoon.platform.packages.sources import Source, read_sources


@dataclass(frozen=True)
class Language:
    """What metadata may be written in here: field types, formula functions, kinds of action."""

    types: FieldTypes
    functions: FunctionSet | None = None
    actions: frozenset[str] = frozenset()
    """Kinds of action that plugins bring."""
    triggers: frozenset[str] = frozenset()
    """Triggers of automations that plugins bring."""

    @cached_property
    def structure(self) -> StructureCheck:
        """The schema check, whose validators are built once."""
        return StructureCheck(self.types)


@dataclass(frozen=True)
class Checked:
    """The outcome of a check."""

    packages: tuple[str, ...]
    """Names of the packages that were checked."""
    documents: tuple[Document, ...]
    """Their documents as they were written."""
    findings: tuple[Finding, ...]
    registry: Registry | None
    """Everything compiled together; ``None`` when the documents were refused."""

    @property
    def refused(self) -> bool:
        """True when at least one finding is an error."""
        return any(finding.severity == "error" for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and the API."""
        return {
            "packages": list(self.packages),
            "ok": not self.refused,
            "documents": len(self.documents),
            "findings": [asdict(finding) for finding in self.findings],
        }


def check_packages(
    sources: Sequence[Source],
    language: Language,
    present: Sequence[Document] = (),
    offered: Sequence[Document] = (),
) -> Checked:
    """Checks the packages together with the documents that are ``present`` already.

    A present package of the same name is replaced by the one that is checked. Packages that are ``offered`` take no
    part; a hint names the one to require when an object of theirs is mentioned.
    """
    read = read_sources(sources)
    documents = Journey.of(read.documents, present).renamed(read.documents)
    findings = [*read.findings, *_old_names(read.documents, documents)]
    return check_documents(documents, language, present, findings, offered=offered)


def _old_names(given: Sequence[Document], renamed: Sequence[Document]) -> Iterator[Finding]:
    """Documents that use a name which ``renamed_from`` made an old one: a plan takes it, so does a check."""
    hint = say("it is read as the new name; write that one, too")
    for document, after in zip(given, renamed, strict=True):
        if document.data != after.data:
            message = say("It still uses an old name, which renamed_from gave a new one.")
            yield Finding(
                document.file, _first_difference(document.data, after.data), "old_name", message, hint, "info"
            )


def _first_difference(before: Any, after: Any) -> str:
    """The JSON pointer of the first place at which two documents differ."""
    if isinstance(before, Mapping) and isinstance(after, Mapping) and before.keys() == after.keys():
        pairs = [(str(key), before[key], after[key]) for key in before]
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = [(str(at), one, other) for at, (one, other) in enumerate(zip(before, after, strict=True))]
    else:
        return ""
    return next((f"/{key}{_first_difference(one, other)}" for key, one, other in pairs if one != other), "")


def check_documents(
    documents: Sequence[Document],
    language: Language,
    present: Sequence[Document] = (),
    findings: Iterable[Finding] = (),
    revision: int = 0,
    offered: Sequence[Document] = (),
) -> Checked:
    """The same for documents that were read already; ``findings`` are those of reading them."""
    names = tuple(dict.fromkeys(d.package for d in documents))
    report = Report(names[0] if len(names) == 1 else None, findings)
    report.offer(offered)
    others = [d for d in with_system(present) if d.package not in names]
    passed = {(d.package, d.file): d.data for d in present}
    fresh = [d for d in documents if passed.get((d.package, d.file)) != d.data]
    places = {(d.package, d.file) for d in fresh}
    shaped = [*language.structure.check(fresh, report), *(d for d in documents if (d.package, d.file) not in places)]
    registry = assemble(
        [*others, *shaped], language.types, language.functions, revision, report, language.actions, language.triggers
    )
    check_carried(shaped, registry, report)
    refused = bool(report.errors)
    return Checked(names, tuple(in_order(documents)), report.sorted(), None if refused else registry)


def needed(documents: Sequence[Document], offered: Sequence[Document]) -> list[Document]:
    """Those of the ``offered`` packages that ``documents`` require, directly or not."""
    manifests = {d.package: d.data for d in (*offered, *documents) if d.kind == "package"}
    own = {d.package for d in documents}
    wanted: set[str] = set()
    waiting = list(own)
    while waiting:
        requires = manifests.get(waiting.pop(), {}).get("requires", {})
        for name in requires if isinstance(requires, Mapping) else ():
            if name not in wanted and name not in own and name in manifests:
                wanted.add(name)
                waiting.append(name)
    return [d for d in offered if d.package in wanted]
