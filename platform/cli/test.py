"""``ratoon test PATH…``: runs the tests that packages carry, in a database of their own that is thrown away."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ratoon.platform.cli.printing import print_findings, print_json
from ratoon.platform.cli.speaking import count, here, tell

if TYPE_CHECKING:
    from ratoon.platform.errors import Finding
    from ratoon.platform.packages.declared_tests import Outcome


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--name", "names", multiple=True, help="Only the test of this name; may be given several times.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def command(paths: tuple[Path, ...], names: tuple[str, ...], as_json: bool) -> None:
    """Run the tests of the packages at PATHS (folders or zip files).

    Packages that they require are taken from the paths given and from those that come with the product. Your database
    is not touched.
    """
    with tempfile.TemporaryDirectory(prefix="ratoon-test-") as folder:
        findings, outcomes = _run(list(paths), Path(folder))
    chosen = [outcome for outcome in outcomes if not names or outcome.name in names]
    if unknown := set(names) - {outcome.name for outcome in outcomes}:
        raise click.UsageError(f"There is no test {', '.join(sorted(unknown))}.")
    if as_json:
        print_json({"passed": all(o.passed for o in chosen), "tests": [outcome.as_json() for outcome in chosen]})
    else:
        print_findings(findings)
        print_outcomes(chosen)
    if not all(outcome.passed for outcome in chosen):
        raise SystemExit(1)


def _run(paths: list[Path], folder: Path) -> tuple[Sequence[Finding], list[Outcome]]:
    """Applies the packages to a new database in ``folder`` and runs their tests."""
    from ratoon.platform.app import open_environment
    from ratoon.platform.config import Settings
    from ratoon.platform.errors import MetadataRefused
    from ratoon.platform.metadata.documents import read_package
    from ratoon.platform.packages import Target, apply_documents, bootstrap
    from ratoon.platform.packages.checking import needed
    from ratoon.platform.packages.declared_tests import run_tests
    from ratoon.platform.packages.sources import read_sources
    from ratoon.platform.plugins import load_plugins

    read = read_sources(paths)
    if read.findings:
        raise MetadataRefused(read.findings)
    plugins = load_plugins()
    settings = Settings(database_url=f"sqlite:///{folder / 'test.db'}", files_dir=str(folder / "files"))
    environment = open_environment(settings, plugins=plugins, apply_packages=False)
    try:
        bootstrap(environment, [])
        offered = [document for package in plugins.packages() for document in read_package(package)]
        documents = [*needed(read.documents, offered), *read.documents]
        applied = apply_documents(Target.of(environment), documents)
        with environment.database.write() as connection:
            engine = environment.engine_at(connection, writing=True)
            return applied.plan.findings, run_tests(engine, connection, read.documents)
    finally:
        environment.close()


def print_outcomes(outcomes: list[Outcome]) -> None:
    """Every test on a line, the differences of those that failed, and the sum."""
    for outcome in outcomes:
        mark, colour = (tell("passed"), "green") if outcome.passed else (tell("FAILED"), "red")
        click.echo(f"{click.style(mark, fg=colour)} {outcome.package}: {outcome.label}")
        for failure in outcome.failures:
            place = tell("step {step}", step=failure.step) if failure.step else tell("given")
            click.echo(f"    {place}, {here(failure.what)}")
            click.secho(f"      - {here(failure.expected)}", fg="green")
            click.secho(f"      + {here(failure.actual)}", fg="red")
    failed = sum(not outcome.passed for outcome in outcomes)
    click.echo(
        tell("{count}, {failed} failed.", count=count(len(outcomes), "test"), failed=failed)
        if outcomes
        else tell("There are no tests.")
    )
