"""``ratoon apply PATH``: makes a package part of the database's metadata, in one transaction."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from ratoon.platform.cli.merging import (
    asked,
    manner,
    merge_options,
    setting_options,
    settings_given,
    write_conflicts,
)
from ratoon.platform.cli.opening import BY, environment
from ratoon.platform.cli.plan_files import progress_bar, read_fingerprint, tell_waiting
from ratoon.platform.cli.plans import print_outcome, print_plan
from ratoon.platform.cli.printing import print_findings, print_json
from ratoon.platform.cli.speaking import count, tell
from ratoon.platform.packages import Applied, Conditions, SettingsMissing, Target, apply_package
from ratoon.platform.packages.merging import MergeConflict
from ratoon.platform.packages.upgrades import Manner


@click.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--validate-only", is_flag=True, help="Do everything, then take it back.")
@click.option(
    "--allow-destructive", is_flag=True, help="Also when fields or objects are removed or values may be lost."
)
@click.option("--allow-violations", is_flag=True, help="Also when records are left that break their own rules.")
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file of ratoon plan --out: refused when anything else would happen.",
)
@click.option("--message", "-m", default="", help="What the revision is called.")
@click.option("--expect", type=int, help="The revision you planned on; refused when it is another one by now.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
@setting_options
@merge_options
def command(
    path: Path,
    validate_only: bool,
    allow_destructive: bool,
    allow_violations: bool,
    plan_file: Path | None,
    message: str,
    expect: int | None,
    as_json: bool,
    edit: bool,
    discard_edits: bool,
    prefer: str | None,
    resolve: Path | None,
    conflicts: Path | None,
    given: tuple[str, ...],
    settings_file: Path | None,
) -> None:
    """Apply the package at PATH (a folder or zip file). Running servers notice by themselves."""
    fingerprint = read_fingerprint(plan_file)
    with environment(apply_packages=not validate_only) as opened, progress_bar(shown=not as_json) as progress:
        apply = partial(
            apply_package,
            Target.of(opened),
            path,
            by=BY,
            message=message,
            allow_destructive=allow_destructive,
            validate_only=validate_only,
            expected_revision=expect,
            conditions=Conditions(
                allow_violations=allow_violations, fingerprint=fingerprint, progress=progress, on_wait=tell_waiting
            ),
        )
        said = manner(edit, discard_edits, prefer, resolve)
        applied = _apply(apply, replace(said, settings=settings_given(given, settings_file)), conflicts)
    if as_json:
        print_json(applied.as_json())
    else:
        _print(applied)


def _apply(apply: Callable[..., Applied], said: Manner, conflicts: Path | None) -> Applied:
    """Applies, with conflicts into the file that was asked for, and asks for missing settings where somebody is there
    to be asked."""
    try:
        return apply(manner=said)
    except MergeConflict as error:
        write_conflicts([found.as_json() for found in error.disagreements], conflicts)
        raise
    except SettingsMissing as error:
        if not sys.stdin.isatty():
            raise
        answers = asked([need.as_json() for need in error.missing])
        return apply(manner=replace(said, settings={**said.settings, **answers}))


def _print(applied: Applied) -> None:
    print_findings(applied.plan.findings)
    print_plan(applied.plan.as_json())
    if applied.values:
        click.echo(tell("{values} values of existing records filled in.", values=applied.values))
    if applied.records:
        click.echo(tell("{records} records of the package made or changed.", records=applied.records))
    if applied.tests:
        click.echo(tell("{count} of packages passed.", count=count(len(applied.tests), "test")))
    print_outcome(applied)
