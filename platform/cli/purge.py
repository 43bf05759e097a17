"""``ratoon purge [NAME…]``: drops what removed fields, removed objects and changes of type left. Planned first."""

from __future__ import annotations

import click

from ratoon.platform.cli.opening import BY, environment
from ratoon.platform.cli.printing import print_json
from ratoon.platform.cli.speaking import here, tell
from ratoon.platform.packages import Target
from ratoon.platform.packages.purging import plan_purge, purge


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--plan", "only_plan", is_flag=True, help="Only show what would be lost.")
@click.option("--before", type=int, metavar="REVISION", help="Only what revisions up to this one took out.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output; asks nothing, so it takes --yes.")
def command(names: tuple[str, ...], only_plan: bool, before: int | None, yes: bool, as_json: bool) -> None:
    """Drop for good what was removed: fields (pet.weight) and objects (toy); without a name, everything.

    Lists what would be lost and asks. Afterwards a rollback brings the metadata back, but not this data.
    """
    with environment() as opened:
        target = Target.of(opened)
        plan = plan_purge(target, names, before)
        if as_json:
            print_json(plan.as_json())
        elif not plan.losses:
            click.echo(tell("Nothing is kept that could be purged."))
        else:
            click.secho(tell("Lost for good:"), bold=True)
            for loss in plan.losses:
                click.secho(f"- {here(loss.text)}", fg="red")
        if only_plan or not plan.losses:
            return
        if not yes and (as_json or not click.confirm(tell("Drop all of this?"))):
            raise SystemExit(1)
        purge(target, names, before=before, fingerprint=plan.fingerprint, by=BY)
    if not as_json:
        click.secho(tell("Purged."), fg="green")
