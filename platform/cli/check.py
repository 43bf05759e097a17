"""``ratoon check PATH…``: every problem of one or more packages in one run. No database is needed or changed."""

from __future__ import annotations

from pathlib import Path

import click

from ratoon.platform.cli.language import offline_language
from ratoon.platform.cli.printing import count, print_findings, print_json
from ratoon.platform.packages.checking import check_packages, needed


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def command(paths: tuple[Path, ...], as_json: bool) -> None:
    """Check the packages at PATHS (folders or zip files) together.

    Packages that they require are taken from the paths given and from those that come with the product.
    """
    language, offered = offline_language()
    from ratoon.platform.metadata.documents import read_documents

    given = [document for path in paths for document in read_documents(path)[0]]
    checked = check_packages(list(paths), language, needed(given, offered), offered)
    if as_json:
        print_json(checked.as_json())
    else:
        print_findings(checked.findings)
        errors = sum(finding.severity == "error" for finding in checked.findings)
        others = len(checked.findings) - errors
        summary = f"{count(errors, 'error')}, {count(others, 'note')}" if checked.findings else "no problems"
        names = ", ".join(checked.packages) or "no package"
        click.secho(f"{names}: {count(len(checked.documents), 'document')}, {summary}.", err=checked.refused)
    if checked.refused:
        raise SystemExit(1)
