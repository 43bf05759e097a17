"""``ratoon check PATH…``: every problem of one or more packages in one run. Nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ratoon.platform.cli.language import offline_language
from ratoon.platform.cli.printing import print_findings, print_json
from ratoon.platform.cli.speaking import count, tell
from ratoon.platform.errors import say
from ratoon.platform.packages.checking import Checked, Language, check_packages, needed

if TYPE_CHECKING:
    from ratoon.platform.errors import Finding
    from ratoon.platform.metadata.documents import Document


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--database", is_flag=True, help="Together with the packages applied in the database of RATOON_*.")
@click.option("--no-lint", is_flag=True, help="Errors and warnings only, without what ratoon lint says.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def command(paths: tuple[Path, ...], database: bool, no_lint: bool, as_json: bool) -> None:
    """Check the packages at PATHS (folders or zip files) together.

    Packages that they require are taken from the paths given, from those that come with the product and, with
    --database, from those that were applied.
    """
    checked = checked_together(list(paths), database=database)
    findings: Sequence[Finding] = checked.findings
    if not no_lint:
        from ratoon.platform.metadata.lint import worth_telling

        findings = [*findings, *worth_telling(linted(checked))]
    if as_json:
        print_json({**checked.as_json(), "findings": [asdict(finding) for finding in findings]})
    else:
        print_findings(findings)
        errors = sum(finding.severity == "error" for finding in findings)
        others = len(findings) - errors
        summary = say("{errors}, {others}", errors=count(errors, "error"), others=count(others, "note"))
        line = tell(
            "{names}: {count}, {summary}.",
            names=", ".join(checked.packages) or say("no package"),
            count=count(len(checked.documents), "document"),
            summary=summary if findings else say("no problems"),
        )
        click.secho(line, err=checked.refused)
    if checked.refused:
        raise SystemExit(1)


def checked_together(paths: list[Path], *, database: bool = False) -> Checked:
    """The packages checked with those they require."""
    language, offered = offline_language()
    present: list[Document] = []
    if database:
        language, present = _applied(language)
    from ratoon.platform.metadata.documents import read_documents

    given = [document for path in paths for document in read_documents(path)[0]]
    names = {document.package for document in present}
    also = [document for document in offered if document.package not in names]
    return check_packages(paths, language, [*present, *needed(given, also)], also)


def linted(checked: Checked, contents: dict[str, dict[str, bytes]] | None = None) -> list[Finding]:
    """What lint says about each of the packages; nothing about packages that are refused."""
    from ratoon.platform.errors import Finding
    from ratoon.platform.metadata.lint import lint

    if checked.registry is None:
        return []
    found: list[Finding] = []
    for package in checked.packages:
        documents = [document for document in checked.documents if document.package == package]
        prefix = f"{package}:" if len(checked.packages) > 1 else ""
        for one in lint(documents, checked.registry, (contents or {}).get(package)):
            found.append(Finding(prefix + one.file, one.pointer, one.code, one.message, one.hint, one.severity))
    return found


def _applied(language: Language) -> tuple[Language, list[Document]]:
    from ratoon.platform.cli.opening import environment
    from ratoon.platform.packages import Target
    from ratoon.platform.packages.planning import present_documents

    with environment() as opened, opened.database.read() as connection:
        return Target.of(opened).language, present_documents(connection)
