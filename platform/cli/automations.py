"""``ratoon automations``: which there are, which of them run, and their versions.

ratoon automations [--object opportunity]       each with its status and what became of its last runs
ratoon automations activate opportunity.won     a change of the metadata: planned, checked, audited, a revision
ratoon automations draft opportunity.won        never runs by itself; ``ratoon runs try`` shows what it would do
ratoon automations off opportunity.won
ratoon automations versions opportunity.won     its texts, revision by revision: a run names the one that it used
"""

from __future__ import annotations

from typing import cast

import click

from ratoon.platform.cli.opening import BY, environment
from ratoon.platform.cli.plans import print_plan
from ratoon.platform.cli.printing import print_json, table
from ratoon.platform.errors import BadRequest
from ratoon.platform.packages import Target
from ratoon.platform.packages.automation_status import Status, plan_status, set_status


@click.group(invoke_without_command=True)
@click.option("--object", "only", help="Only of this object.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def command(context: click.Context, only: str | None, as_json: bool) -> None:
    """List automations and their versions; make them active, drafts or off."""
    if context.invoked_subcommand is not None:
        return
    from ratoon.platform.jobs.listing import overview

    with environment() as opened:
        found = [line.as_json() for line in overview(opened, only)]
    if as_json:
        print_json(found)
        return
    for line in found:
        runs = ", ".join(f"{count} {state}" for state, count in line["runs"].items())
        click.echo(f"{line['status']:7} {line['automation']:40} {', '.join(line['on'])} ({line['when']})  {runs}")
    if not found:
        click.echo("There are no automations.")


def _named(rule: str) -> tuple[str, str]:
    object, dot, name = rule.partition(".")
    if not dot or not name:
        raise BadRequest("{rule} is no automation: write object.automation.", rule=rule)
    return object, name


def _change(rule: str, status: str, *, only_plan: bool, as_json: bool) -> None:
    object, name = _named(rule)
    wanted = cast(Status, status)
    with environment() as opened:
        target = Target.of(opened)
        if only_plan:
            with target.database.read() as connection:
                plan = plan_status(target, connection, object, name, wanted)
            print_json(plan.as_json()) if as_json else print_plan(plan.as_json())
            return
        applied = set_status(target, object, name, wanted, by=BY)
    if as_json:
        print_json(applied.as_json())
        return
    print_plan(applied.plan.as_json())
    click.secho(f"{rule} is {status} since revision {applied.revision}.", fg="green")


def _changing(name: str, status: str, help: str) -> None:
    @command.command(name, help=help)
    @click.argument("rule")
    @click.option("--plan", "only_plan", is_flag=True, help="Only show what would change.")
    @click.option("--json", "as_json", is_flag=True)
    def change(rule: str, only_plan: bool, as_json: bool) -> None:
        _change(rule, status, only_plan=only_plan, as_json=as_json)


_changing("activate", "active", "Let an automation run from now on.")
_changing("draft", "draft", "Make an automation a draft: it does not run and can be tried.")
_changing("off", "off", "Switch an automation off; what it has begun waits for a repetition.")


@command.command("versions")
@click.argument("rule")
@click.option("--json", "as_json", is_flag=True, help="With the whole documents.")
def versions(rule: str, as_json: bool) -> None:
    """The texts that an automation has had, newest first."""
    from ratoon.platform.jobs.listing import version_json
    from ratoon.platform.jobs.listing import versions as texts

    object, name = _named(rule)
    with environment() as opened, opened.database.read() as connection:
        found = [version_json(version, whole=as_json) for version in texts(connection, object, name)]
    if as_json:
        print_json(found)
        return
    rows = [
        (str(v["revision"]), v["at"][:19].replace("T", " "), v["status"], v["by"] or "platform", v["message"])
        for v in found
    ]
    table(rows, ("revision", "at (UTC)", "status", "by", "message"))
