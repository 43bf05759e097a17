"""``ratoon rules OBJECT``: asks the validation rules of an object of the records that are there. Changes nothing."""

from __future__ import annotations

import click

from ratoon.platform.cli.opening import environment
from ratoon.platform.cli.printing import print_json
from ratoon.platform.cli.speaking import count, here, tell
from ratoon.platform.packages import Target
from ratoon.platform.packages.rule_checks import RuleOutcome, check_formula, check_rules


@click.command()
@click.argument("object_name", metavar="OBJECT")
@click.option("--rule", help="Only this rule.")
@click.option("--formula", "error_when", help="A formula that is no rule yet: records for which it is true.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def command(object_name: str, rule: str | None, error_when: str | None, as_json: bool) -> None:
    """Show which existing records of OBJECT break its validation rules. Exit status 1 when any does."""
    if rule and error_when:
        raise click.UsageError("--rule and --formula do not go together.")
    with environment() as opened:
        target = Target.of(opened)
        if error_when:
            found = [check_formula(target, object_name, error_when)]
        else:
            found = check_rules(target, object_name, rule)
    if as_json:
        print_json([outcome.as_json() for outcome in found])
    else:
        for outcome in found:
            _show(outcome)
    if any(outcome.count for outcome in found):
        raise SystemExit(1)


def _show(outcome: RuleOutcome) -> None:
    if outcome.count is None:
        click.secho(
            tell("? {rule}: only a save can tell ({error_when})", rule=outcome.rule, error_when=outcome.error_when),
            fg="cyan",
        )
    elif not outcome.count:
        click.secho(tell("✓ {rule}: no record breaks it", rule=outcome.rule), fg="green")
    else:
        broken = here(count(outcome.count, "record breaks it", "records break it"))
        click.secho(f"✗ {outcome.rule} ({outcome.severity}): {broken}", fg="red")
        for sample in outcome.samples:
            value = "" if sample.value is None else f": {sample.value}"
            click.echo(f"    {sample.id} {sample.title}{value}")
