"""``ratoon history``: the revisions of the metadata, newest first."""

from __future__ import annotations

import click

from ratoon.platform.cli.opening import environment
from ratoon.platform.cli.printing import print_json, table
from ratoon.platform.cli.speaking import tell
from ratoon.platform.packages import Target, history
from ratoon.platform.packages.locking import interrupted


@click.command()
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def command(limit: int, as_json: bool) -> None:
    """List who changed the metadata, when, and what for."""
    with environment() as opened:
        revisions = history(Target.of(opened), limit)
        with opened.database.read() as connection:
            people = opened.accounts.addresses(connection, (one.by for one in revisions if one.by))
        left = interrupted(opened.database)
    if left is not None:
        click.secho(
            tell(
                "A change by {text} was broken off. Nothing of it happened: the metadata is entirely at "
                "revision {revision}.",
                text=left.text,
                revision=revisions[0].revision if revisions else 0,
            ),
            fg="yellow",
            err=True,
        )
    if as_json:
        print_json(
            [
                {
                    "revision": r.revision,
                    "at": r.at.isoformat(),
                    "by": r.by,
                    "email": people.get(r.by or ""),
                    "message": r.message,
                }
                for r in revisions
            ]
        )
        return
    rows = [
        (str(r.revision), f"{r.at:%Y-%m-%d %H:%M:%S}", people.get(r.by or "", r.by) or tell("platform"), r.message)
        for r in revisions
    ]
    table(rows, (tell("revision"), tell("at (UTC)"), tell("by"), tell("message")))
