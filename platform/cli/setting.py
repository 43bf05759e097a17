"""``ratoon setting``: what packages ask for in this environment. Secrets are asked for and never shown."""

from __future__ import annotations

import sys

import click

from ratoon.platform.cli.opening import BY, environment
from ratoon.platform.cli.printing import print_json, table
from ratoon.platform.cli.speaking import count, tell
from ratoon.platform.errors import say


@click.group()
def command() -> None:
    """Show and give settings that packages ask for."""


@command.command("list")
@click.argument("package", required=False)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def list_settings(package: str | None, as_json: bool) -> None:
    """List the settings of PACKAGE, or of all packages."""
    from ratoon.platform.packages.environment_settings import needs
    from ratoon.platform.packages.planning import present_documents

    with environment() as opened, opened.database.read() as connection:
        found = [n for n in needs(connection, present_documents(connection), {}) if package in (None, n.package)]
    if as_json:
        print_json([need.as_json() for need in found])
        return
    rows = []
    for need in found:
        shown = "" if need.value is None else tell("(secret)") if need.secret else str(need.value)
        rows.append((f"{need.package}.{need.name}", shown or (tell("missing") if need.required else ""), need.label))
    table(rows, (tell("setting"), tell("value"), tell("what it is")))


@command.command("set")
@click.argument("package")
@click.argument("name")
@click.argument("value", required=False)
@click.option("--clear", is_flag=True, help="Take the value away.")
def set_setting(package: str, name: str, value: str | None, clear: bool) -> None:
    """Give the setting NAME of PACKAGE. Without VALUE it is asked for, or is the first line of standard input."""
    from ratoon.platform.packages.environment_settings import change_settings
    from ratoon.platform.packages.planning import present_documents

    if value is None and not clear:
        asked = sys.stdin.isatty()
        value = str(click.prompt(name, hide_input=True)) if asked else sys.stdin.readline().rstrip("\r\n")
    with environment() as opened, opened.database.write() as connection:
        documents = present_documents(connection)
        values = {f"{package}.{name}": None if clear else value}
        change_settings(connection, opened.world.clock(), documents, package, values, BY)
    click.echo(
        tell(
            "{package}.{name} was {what}.", package=package, name=name, what=say("taken away") if clear else say("kept")
        )
    )


@command.command("reseal")
def reseal_settings() -> None:
    """Encrypt all secrets with the present RATOON_SECRET_KEY; RATOON_OLD_SECRET_KEYS are still read."""
    from ratoon.platform.packages.environment_settings import reseal

    with environment() as opened, opened.database.write() as connection:
        done = reseal(connection)
    click.echo(tell("{count} encrypted with the present key.", count=count(done, "secret")))
