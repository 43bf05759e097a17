"""``ratoon promote --to URL``: packages go from this environment to another; its plan is shown first."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ratoon.platform.cli.merging import (
    asked,
    print_conflicts,
    read_json,
    setting_options,
    settings_given,
    write_conflicts,
)
from ratoon.platform.cli.opening import environment
from ratoon.platform.cli.plans import print_plan
from ratoon.platform.cli.printing import print_json
from ratoon.platform.cli.speaking import count, here, language, tell

if TYPE_CHECKING:
    from ratoon.platform.packages.remote import RemoteRefused


@click.command()
@click.option("--to", "url", required=True, help="The address of the other environment: https://…")
@click.option("--token", envvar="RATOON_TOKEN", required=True, help="An administrator's token there (RATOON_TOKEN).")
@click.option("--package", help="Only this package (default: all but the built-in one).")
@click.option("--component", "components", multiple=True, help="Only this and what it needs: object/account …")
@click.option("--sign", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Sign it with this key.")
@click.option("--allow-destructive", is_flag=True, help="Also when something is taken away there.")
@click.option("--allow-violations", is_flag=True, help="Also when records there would break their own rules.")
@click.option("--ours", "prefer", flag_value="ours", help="Where both changed something: keep the edit made there.")
@click.option("--theirs", "prefer", flag_value="theirs", help="Where both changed something: take what is promoted.")
@click.option("--resolve", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A file of resolutions.")
@click.option("--conflicts", type=click.Path(dir_okay=False, path_type=Path), help="Write the conflicts to this file.")
@setting_options
@click.option("--message", "-m", default="", help="What the revision there is called.")
@click.option("--plan", "only_plan", is_flag=True, help="Only show what would change there.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--insecure", is_flag=True, help="Send the token over plain HTTP too.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output; needs --yes or --plan.")
def command(
    url: str,
    token: str,
    package: str | None,
    components: tuple[str, ...],
    sign: Path | None,
    allow_destructive: bool,
    allow_violations: bool,
    prefer: str | None,
    resolve: Path | None,
    conflicts: Path | None,
    given: tuple[str, ...],
    settings_file: Path | None,
    message: str,
    only_plan: bool,
    yes: bool,
    insecure: bool,
    as_json: bool,
) -> None:
    """Take the packages of this environment to the one at URL.

    What is applied there is what the plan showed: when somebody changes the metadata there in between, it is refused.
    """
    from ratoon.platform.packages import Target, export
    from ratoon.platform.packages.remote import Remote, RemoteRefused
    from ratoon.platform.packages.sealing import read_key

    if as_json and not (yes or only_plan):
        raise click.UsageError("--json needs --yes or --plan: nobody can be asked.")
    there = Remote(url, token, insecure=insecure, language=language(os.environ))
    with environment() as opened:
        exported = export(Target.of(opened), package, None, components)
    files = exported.sealed(read_key(sign) if sign is not None else None).files
    settings = settings_given(given, settings_file)
    more = {"resolve": _resolutions(resolve), "settings": settings}
    manner = {"prefer": prefer} if prefer else {}
    try:
        plan = there.plan(files, more, **manner)
        if not as_json:
            print_plan(plan, there=True)
        if only_plan or plan["empty"]:
            print_json(plan) if as_json else None
            return
        missing = [need for need in plan.get("settings", ()) if need["required"] and not need["has_value"]]
        if missing and sys.stdin.isatty():
            more["settings"] = {**settings, **asked(missing)}
        if not yes:
            click.confirm(tell("Apply this to {url}?", url=there.url), abort=True)
        options = manner | _promised(plan, missing) | {"message": message}
        options |= {"allow_violations": "true"} if allow_violations else {}
        options |= {"allow_destructive": "true"} if allow_destructive else {}
        applied = there.apply(files, more, **{name: value for name, value in options.items() if value})
    except RemoteRefused as error:
        _explain(error, conflicts)
        raise
    if as_json:
        print_json(applied)
    else:
        click.secho(tell("The metadata there is at revision {revision}.", revision=applied["revision"]), fg="green")


def _promised(plan: dict[str, Any], missing: list[dict[str, Any]]) -> dict[str, str]:
    """What the change there is held to. A plan that lacked settings is not held to its fingerprint."""
    return {
        "expected_revision": str(plan["revision"]) if plan["revision"] else "",
        "fingerprint": "" if missing else plan["fingerprint"],
    }


def _resolutions(file: Path | None) -> Any:
    """The resolutions in a file: a list, or an object with ``conflicts``."""
    answers = read_json(file) if file is not None else []
    return answers.get("conflicts", []) if isinstance(answers, dict) else answers


def _explain(error: RemoteRefused, file: Path | None) -> None:
    """What the other environment said against it, on stderr; its conflicts into the file that was asked for."""
    problem = error.problem
    found = problem.get("conflicts", ())
    if found:
        print_conflicts(found)
        write_conflicts(found, file)
    for finding in problem.get("findings", ()):
        click.echo(f"  {finding['file']}{finding['pointer']} {finding['message']} [{finding['code']}]", err=True)
    for need in problem.get("settings", ()):
        click.echo(f"  --set {need['package']}.{need['name']}=…  {need['label']}", err=True)
    for test in problem.get("tests", ()):
        differences = here(count(len(test["failures"]), "difference"))
        click.echo(f"  {test['package']}: {test['label']}: {differences}", err=True)
    for reason in (*problem.get("losses", ()), *problem.get("reasons", ())):
        click.echo(f"  {reason}", err=True)
