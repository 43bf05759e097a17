"""``ratoon plan PATH``: what applying a package would change. Nothing is changed."""

from __future__ import annotations

from pathlib import Path

import click

from ratoon.platform.cli.merging import manner, merge_options, write_conflicts
from ratoon.platform.cli.opening import environment
from ratoon.platform.cli.plan_files import write_plan
from ratoon.platform.cli.plans import print_plan
from ratoon.platform.cli.printing import print_findings, print_json
from ratoon.platform.packages import Target, plan_package
from ratoon.platform.packages.merging import MergeConflict


@click.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
@click.option("--sql", is_flag=True, help="Show the SQL too.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the plan to a file for apply --plan."
)
@merge_options
def command(
    path: Path,
    as_json: bool,
    sql: bool,
    out: Path | None,
    edit: bool,
    discard_edits: bool,
    prefer: str | None,
    resolve: Path | None,
    conflicts: Path | None,
) -> None:
    """Show what applying the package at PATH (a folder or zip file) would change."""
    with environment() as opened:
        try:
            plan = plan_package(Target.of(opened), path, manner(edit, discard_edits, prefer, resolve))
        except MergeConflict as error:
            write_conflicts([found.as_json() for found in error.disagreements], conflicts)
            raise
    if out is not None:
        write_plan(out, plan)
    if as_json:
        print_json(plan.as_json())
    else:
        print_findings(plan.findings)
        print_plan(plan.as_json())
        if sql:
            for change in plan.schema:
                click.echo(change.sql)
    if plan.refusals or plan.violations:
        raise SystemExit(1)
