"""``ratoon audit``: look at the audit trail, check that nobody touched it, forget what is old."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import fields
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from ratoon.platform.cli.opening import environment
from ratoon.platform.cli.printing import print_json, table

if TYPE_CHECKING:
    from ratoon.platform.storage.audit import Entry

KEPT_TRAILS = ("sign_in", "setup", "access", "export", "privacy")
WORDS = {
    "changed": "was changed",
    "out_of_chain": "does not follow the entry before it",
    "missing": "is missing",
    "emptied": "was emptied without a note",
    "head": "is not followed by the hash you know: the end was cut off or everything was written anew",
}


@click.group()
def command() -> None:
    """Who signed in, changed metadata or rights, took records out; and that nobody touched these notes."""


@command.command("verify")
@click.option("--head", help="The newest hash as you noted it earlier; it must still be in the chain.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def verify_trail(head: str | None, as_json: bool) -> None:
    """Check the whole chain. Exit status 1 when something does not fit."""
    from ratoon.platform.storage.audit import verify

    with environment() as opened, opened.database.read() as connection:
        verdict = verify(connection, head)
    if as_json:
        flaws = [{"number": flaw.number, "reason": flaw.reason} for flaw in verdict.flaws]
        print_json({"entries": verdict.entries, "head": verdict.head, "flaws": flaws})
    else:
        for flaw in verdict.flaws:
            click.secho(f"entry {flaw.number} {WORDS[flaw.reason]}", fg="red", err=True)
        if not verdict.flaws:
            click.echo(f"{verdict.entries} entries, all as they were written. Newest hash: {verdict.head}")
    if verdict.flaws:
        sys.exit(1)


@command.command("list")
@click.option("--trail", type=click.Choice([*KEPT_TRAILS, "audit"]), help="Only this trail.")
@click.option("--subject", help="Only what happened to this: a record's id, an address, a package.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--before", type=int, help="Go on before the entry with this number.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def list_entries(trail: str | None, subject: str | None, limit: int, before: int | None, as_json: bool) -> None:
    """List entries, newest first."""
    from ratoon.platform.storage.audit import entries

    with environment() as opened, opened.database.read() as connection:
        found = entries(connection, trail=trail, subject=subject, limit=limit, before=before)
        people = opened.accounts.addresses(connection, (entry.by for entry in found if entry.by))
    if as_json:
        shown = [{field.name: getattr(entry, field.name) for field in fields(entry)} for entry in found]
        print_json([{**one, "email": people.get(one["by"])} for one in shown])
        return
    shown_trail = () if trail else ("trail",)  # not the same word in every line
    rows = [
        (str(e.number), f"{e.at:%Y-%m-%d %H:%M}", *(e.trail for _ in shown_trail), e.action, e.object, e.subject,
         _by(e, people), _which(e))
        for e in found
    ]  # fmt: skip
    table(rows, ("no.", "at (UTC)", *shown_trail, "action", "object", "subject", "by", "packages"))


def _by(entry: Entry, people: Mapping[str, str]) -> str:
    """The address of the user; else what the entry says of who it was (``command line``)."""
    if entry.by:
        return people.get(entry.by, entry.by)
    return str((entry.detail or {}).get("by") or "")


def _which(entry: Entry) -> str:
    """The packages that an entry of the trail ``setup`` is about, with their versions."""
    packages = (entry.detail or {}).get("packages") or ()
    versions = packages if isinstance(packages, Mapping) else dict.fromkeys(packages)
    return ", ".join(f"{name} {version}" if version else str(name) for name, version in versions.items())


@command.command("forget")
@click.argument("trail", type=click.Choice(KEPT_TRAILS))
@click.option("--days", type=click.IntRange(1), required=True, help="Keep so many days.")
def forget_old(trail: str, days: int) -> None:
    """Empty the entries of TRAIL that are older than so many days. The chain stays whole and tells of it."""
    from ratoon.platform.storage.audit import forget

    with environment() as opened, opened.database.write() as connection:
        now = opened.world.clock()
        count = forget(connection, now, trail, now - timedelta(days=days))  # type: ignore[arg-type]
    click.echo(f"{count} entries forgotten.")


@command.command("keep")
def keep() -> None:
    """Drop at once what RATOON_KEEP_..._DAYS says is too old: trails, history, notifications, deleted records."""
    from ratoon.platform.jobs.keeping import forget_old

    with environment() as opened:
        done = forget_old(opened, opened.world.clock())
    for name, number in done.items():
        click.echo(f"{number} {name} dropped.")
    if not done:
        click.echo("Nothing is too old.")
