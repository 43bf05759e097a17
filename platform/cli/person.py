"""``ratoon person``: everything about a person in one file, and erasing a person. Erasing is planned first."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import click

from ratoon.platform.cli.opening import environment
from ratoon.platform.cli.printing import print_json

if TYPE_CHECKING:
    from ratoon.platform.records.persons import Erasure

WORDS = {
    "history": "entries of its history",
    "undo": "values kept for a rollback",
    "kept_columns": "columns of removed fields",
    "runs": "runs that worked on it",
    "notifications": "notifications about it",
    "answers": "answers kept for repeated calls",
    "named_elsewhere": "notes of the platform that name the person",
    "audit": "entries of the audit trail that name the person",
}


@click.group()
def command() -> None:
    """Take out everything about a person; erase a person with references kept."""


@command.command("export")
@click.argument("object")
@click.argument("id", type=click.UUID)
@click.argument("dest", type=click.Path(dir_okay=False, path_type=Path))
def export(object: str, id: UUID, dest: Path) -> None:
    """Write everything about the person into DEST: a .zip with the files, or one .json."""
    from ratoon.platform.access.actor import SYSTEM
    from ratoon.platform.records.persons import Persons, archive

    with environment() as opened:
        with opened.write(SYSTEM) as records:
            found = Persons(records).everything(object, str(id))
        if dest.suffix == ".zip":
            dest.write_bytes(archive(found, opened.settings.files_path))
        else:
            dest.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    click.echo(f"Written to {dest}.")


@command.command("erase")
@click.argument("object")
@click.argument("id", type=click.UUID)
@click.option("--plan", "only_plan", is_flag=True, help="Only show what would go and what stays.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output; asks nothing, so it takes --yes.")
def erase(object: str, id: UUID, only_plan: bool, yes: bool, as_json: bool) -> None:
    """Erase the person for good: its personal values go everywhere, the record and what points at it stay.

    Shows what would go and what stays, and asks. There is no way back.
    """
    from ratoon.platform.access.actor import SYSTEM
    from ratoon.platform.jobs.keeping import drop_files
    from ratoon.platform.records.persons import Persons

    with environment() as opened:
        with opened.read(SYSTEM) as records:
            plan = Persons(records).plan(object, str(id))
        if as_json:
            print_json(asdict(plan))
        else:
            _print(plan)
        if only_plan:
            return
        if not yes and (as_json or not click.confirm("Erase this person for good?")):
            raise SystemExit(1)
        gone = opened.transact(SYSTEM, lambda records: Persons(records).erase(object, str(id), plan.fingerprint))
        drop_files(opened, gone)
    if not as_json:
        click.secho("Erased.", fg="green")


def _print(plan: Erasure) -> None:
    click.secho("Goes for good:", bold=True)
    click.echo(f"- the values of {', '.join(plan.fields) or 'no field'}")
    for name in plan.files:
        click.echo(f"- the file {name}")
    for kind, number in plan.traces.items():
        click.echo(f"- {number} {WORDS[kind]}")
    click.secho("Stays:", bold=True)
    click.echo("- the record, as nobody's")
    for place, number in plan.kept.items():
        click.echo(f"- {number} records that point at it by {place}")
    for place, number in plan.mentions.items():
        click.secho(f"- {number} texts in {place} that name the person: read them", fg="yellow")
