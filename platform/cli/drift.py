"""``ratoon drift A B``: how two environments differ. Exit status 1 = they do."""

from __future__ import annotations

import click

from ratoon.platform.cli.opening import environment
from ratoon.platform.cli.plans import print_components
from ratoon.platform.cli.printing import print_json
from ratoon.platform.cli.speaking import count, tell


@click.command()
@click.argument("first")
@click.argument("second")
@click.option("--token", envvar="RATOON_TOKEN", default="", help="An administrator's token, for an https:// side.")
@click.option("--token-of-first", default="", help="The same for FIRST, when both sides are addresses.")
@click.option("--insecure", is_flag=True, help="Send the token over plain HTTP too.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def command(first: str, second: str, token: str, token_of_first: str, insecure: bool, as_json: bool) -> None:
    """Say what turns FIRST into SECOND.

    Each is a folder or zip file, a database (sqlite:///…, postgresql://…), an address (https://…), or @ for the
    environment of the RATOON_* variables: @12 is its revision 12, @packages what its packages brought before anybody
    edited them here.
    """
    from ratoon.platform.packages.drift import drift, read_side

    if first.startswith("@") or second.startswith("@"):
        with environment() as opened:
            sides = [
                read_side(text, secret, opened.database, insecure=insecure)
                for text, secret in ((first, token_of_first or token), (second, token))
            ]
    else:
        sides = [
            read_side(text, secret, insecure=insecure)
            for text, secret in ((first, token_of_first or token), (second, token))
        ]
    found = drift(*sides)
    if as_json:
        print_json(found.as_json())
    else:
        missing = tell("not there")
        for package, was, now in found.packages:
            click.secho(f"{package}: {was or missing} → {now or missing}", bold=True)
        print_components(found.as_json()["components"])
        click.echo(
            tell("{count}.", count=count(len(found.components), "difference"))
            if found.components
            else tell("They are the same.")
        )
    if not found.none:
        raise SystemExit(1)
