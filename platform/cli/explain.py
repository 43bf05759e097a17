"""``ratoon explain OBJECT EVENT``: the order of execution, with every rule, automation and hook in place."""

from __future__ import annotations

import click

from ratoon.platform.cli.opening import environment
from ratoon.platform.cli.printing import print_json


@click.command()
@click.argument("object")
@click.argument("event", type=click.Choice(["created", "updated", "deleted", "restored"]))
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def command(object: str, event: str, as_json: bool) -> None:
    """Show what happens, in order, when a record of OBJECT is created, updated, deleted or restored."""
    from ratoon.platform.records.order import explain

    with environment() as opened:
        steps = explain(opened.registry, object, event, opened.reactions)  # type: ignore[arg-type]
    if as_json:
        print_json([step.as_json() for step in steps])
        return
    click.secho(f"{object} {event}", bold=True)
    for step in steps:
        click.secho(f"{step.number:>3}. {step.title}", fg="cyan" if step.parts else None)
        for part in step.parts:
            click.echo(f"       {part.kind} {part.name}" + (f": {part.detail}" if part.detail else ""))
