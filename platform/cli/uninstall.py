"""``ratoon uninstall NAME``: takes a package away; the data of its objects and fields is kept."""

from __future__ import annotations

import click

from ratoon.platform.cli.opening import BY, environment
from ratoon.platform.cli.plans import print_applied, print_plan
from ratoon.platform.cli.printing import print_json
from ratoon.platform.packages import Target
from ratoon.platform.packages.uninstalling import plan_uninstall, uninstall


@click.command()
@click.argument("name")
@click.option("--plan", "only_plan", is_flag=True, help="Only show what would change.")
@click.option("--validate-only", is_flag=True, help="Do everything, then take it back.")
@click.option("--allow-destructive", is_flag=True, help="Also when objects and fields go away (their data is kept).")
@click.option("--message", "-m", default="", help="What the revision is called.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def command(
    name: str, only_plan: bool, validate_only: bool, allow_destructive: bool, message: str, as_json: bool
) -> None:
    """Take the package NAME away. A rollback, or applying it again, brings it back with its data."""
    with environment() as opened:
        target = Target.of(opened)
        if only_plan:
            plan = plan_uninstall(target, name)
            print_json(plan.as_json()) if as_json else print_plan(plan.as_json())
            return
        applied = uninstall(
            target, name, by=BY, message=message, allow_destructive=allow_destructive, validate_only=validate_only
        )
    print_applied(applied, as_json=as_json)
