"""``ratoon lint PATH…``: what a package may do and will be sorry for, with a mend. Exit status 1 = something."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from ratoon.platform.cli.check import checked_together, linted
from ratoon.platform.cli.printing import print_findings, print_json
from ratoon.platform.cli.speaking import count, tell


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--fix", is_flag=True, help="Mend what can be mended without asking (folders only).")
@click.option("--database", is_flag=True, help="Together with the packages applied in the database of RATOON_*.")
@click.option("--ignore", "ignored", multiple=True, help="Do not tell findings of this code.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def command(paths: tuple[Path, ...], fix: bool, database: bool, ignored: tuple[str, ...], as_json: bool) -> None:
    """Look for fields that nothing uses, rules that never or always fire, lists without an index, texts without a
    translation, and names that will collide, in the packages at PATHS."""
    from ratoon.platform.errors import MetadataRefused

    checked = checked_together(list(paths), database=database)
    if checked.refused:
        raise MetadataRefused([finding for finding in checked.findings if finding.severity == "error"])
    mended = [file for path in paths if fix and path.is_dir() for file in _mend(path)]
    if mended:
        checked = checked_together(list(paths), database=database)
    contents = {}
    for path in paths:
        contents.update(_contents(path))
    found = [finding for finding in linted(checked, contents) if finding.code not in ignored]
    if as_json:
        print_json({"mended": mended, "findings": [asdict(finding) for finding in found]})
    else:
        print_findings(found)
        for file in mended:
            click.echo(tell("mended {file}", file=file))
        click.echo(tell("{count}.", count=count(len(found), "finding")) if found else tell("Nothing to say."))
    if found:
        raise SystemExit(1)


def _contents(path: Path) -> dict[str, dict[str, bytes]]:
    """Package → its files as they are written."""
    from ratoon.platform.metadata.documents import SEALS, documents_from_files, package_files

    files, fallback, _ = package_files(path)
    documents, _ = documents_from_files(files, fallback)
    name = documents[0].package if documents else fallback
    return {name: {file: content for file, content in files.items() if file not in SEALS}}


def _mend(path: Path) -> list[str]:
    """Writes the documents of a folder as they should be; returns the files that changed."""
    from ratoon.platform.metadata.documents import read_package
    from ratoon.platform.metadata.lint import mended

    changed = []
    for file, content in mended(read_package(path)).items():
        place = path / file
        if place.read_bytes() != content:
            place.write_bytes(content)
            changed.append(str(place))
    return changed
