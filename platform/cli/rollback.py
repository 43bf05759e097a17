"""``ratoon rollback REVISION``: the metadata of an earlier revision becomes the metadata again, as a new revision."""

from __future__ import annotations

import click

from ratoon.platform.cli.opening import BY, environment
from ratoon.platform.cli.plan_files import progress_bar, tell_waiting
from ratoon.platform.cli.plans import print_applied, print_plan
from ratoon.platform.cli.printing import print_json
from ratoon.platform.packages import Conditions, Target, plan_rollback, rollback


@click.command()
@click.argument("revision", type=int)
@click.option("--plan", "only_plan", is_flag=True, help="Only show what would change.")
@click.option("--validate-only", is_flag=True, help="Do everything, then take it back.")
@click.option("--allow-destructive", is_flag=True, help="Also when fields or objects go away (their data is kept).")
@click.option("--allow-violations", is_flag=True, help="Also when records are left that break their own rules.")
@click.option("--message", "-m", default="", help="What the new revision is called.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def command(
    revision: int,
    only_plan: bool,
    validate_only: bool,
    allow_destructive: bool,
    allow_violations: bool,
    message: str,
    as_json: bool,
) -> None:
    """Bring the metadata of REVISION back. Fields and objects that return find their data again."""
    with environment() as opened, progress_bar(shown=not as_json) as progress:
        target = Target.of(opened)
        if only_plan:
            plan = plan_rollback(target, revision)
            print_json(plan.as_json()) if as_json else print_plan(plan.as_json())
            return
        applied = rollback(
            target,
            revision,
            by=BY,
            message=message,
            allow_destructive=allow_destructive,
            validate_only=validate_only,
            conditions=Conditions(allow_violations=allow_violations, progress=progress, on_wait=tell_waiting),
        )
    print_applied(applied, as_json=as_json)
