"""Where the checks of metadata put what they find.

One ``Report`` accompanies a set of documents through reading, schema checks and compilation, so that an admin sees
every problem of a package in one run. It also remembers the names of parts that were refused (``suspect``), so that one
mistake is told once and not again at every place that mentions the refused name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ratoon.platform.errors import Finding, FormulaError, Hint, Severity, Text, say
from ratoon.platform.metadata.documents import Document
from ratoon.platform.metadata.parsing import escape

Path = tuple[str | int, ...]
"""Where in a document: the steps of its JSON pointer."""

_WORD = re.compile(r"\$?\w+")


def pointer(path: Path) -> str:
    """The JSON pointer of a path."""
    return "".join("/" + escape(step) for step in path)


class Report:
    """Findings about the documents of one package, or of several when ``package`` is ``None``."""

    def __init__(self, package: str | None = None, findings: Iterable[Finding] = ()) -> None:
        self.package = package
        self.findings: list[Finding] = list(findings)
        self._suspects: set[str] = set()
        self._elsewhere: dict[str, tuple[str, str]] = {}

    @property
    def errors(self) -> list[Finding]:
        """Findings that refuse the documents (the others are warnings and notes)."""
        return [f for f in self.findings if f.severity == "error"]

    def file(self, document: Document) -> str:
        """The document's file, with its package in front when that is not the one being checked."""
        if self.package is None or document.package == self.package:
            return document.file
        return f"{document.package}:{document.file}"

    def add(
        self,
        document: Document,
        path: Path,
        code: str,
        message: Text,
        hint: Hint = "",
        severity: Severity = "error",
    ) -> None:
        """One more finding."""
        finding = Finding(self.file(document), pointer(path), code, message, hint, severity)
        if finding not in self.findings[-50:]:
            self.findings.append(finding)

    def suspect(self, *names: str) -> None:
        """Remembers names that were declared and refused."""
        self._suspects.update(names)

    def suspected(self, name: str) -> bool:
        """True when something of that name was declared and refused, so that its absence needs no second finding."""
        return name in self._suspects

    def offer(self, documents: Iterable[Document]) -> None:
        """Remembers the objects of packages that are known and not taken part in, to name them in hints."""
        offered = list(documents)
        versions = {d.package: str(d.data.get("version", "0")) for d in offered if d.kind == "package"}
        for document in offered:
            if document.kind == "object":
                package = document.package
                self._elsewhere[str(document.data.get("name"))] = package, versions.get(package, "0")

    def elsewhere(self, name: str) -> Hint:
        """How to come by an object of a known package that is not required; empty for any other name."""
        if name not in self._elsewhere:
            return ""
        package, version = self._elsewhere[name]
        return say(
            '{name} belongs to the package {package}: add "requires": {"{package}": ">={version}"}',
            name=name,
            package=package,
            version=version,
        )

    def formula(self, document: Document, path: Path, source: str, error: FormulaError) -> None:
        """A formula that does not compile, with the place in it."""
        if error.position is not None and (word := _WORD.match(source, error.position)) and self.suspected(word[0]):
            return
        self.add(document, path, f"formula_{error.error_code}", located(source, error))

    def sorted(self) -> tuple[Finding, ...]:
        """The findings by file, in the order of the document."""
        return tuple(sorted(self.findings, key=lambda f: (f.file, f.severity != "error", _natural(f.pointer))))


def located(source: str, error: FormulaError) -> Text:
    """The error's text; when its position is known, with the line of the formula and a caret under the place."""
    if error.position is None:
        return error.said
    position = min(max(error.position, 0), len(source))
    start = source.rfind("\n", 0, position) + 1
    end = source.find("\n", position)
    line = source[start : end if end >= 0 else len(source)]
    column = position - start
    cut = max(0, column - 60)
    shown = line[cut : cut + 100].replace("\t", " ")
    return say(
        "{error} (character {position})\n    {line}\n    {mark}",
        error=error.said,
        position=position + 1,
        line=shown,
        mark=" " * (column - cut) + "^",
    )


def _natural(text: str) -> Sequence[tuple[int, str]]:
    return [(int(step), "") if step.isdigit() else (-1, step) for step in text.split("/")]
