"""``ratoon audit``: look at the audit trail, check that nobody touched it, forget what is old."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import fields
from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from ratoon.platform.cli.opening import environment
from ratoon.platform.cli.printing import print_json
from ratoon.platform.cli.speaking import labels, tell

if TYPE_CHECKING:
    from ratoon.platform.access.actor import Actor
    from ratoon.platform.environment import Environment
    from ratoon.platform.records.audit_words import Told

KEPT_TRAILS = ("sign_in", "setup", "access", "export", "privacy")
TRAILS = (*KEPT_TRAILS, "audit")
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
@click.option("--trail", type=click.Choice(TRAILS), help="Only this trail.")
@click.option("--by", help="Who did it: an address, or `platform` for commands and nobody known.")
@click.option("--action", help="What was done: signed_in, exported, applied …")
@click.option("--object", help="Only what happened to records of this object.")
@click.option("--record", help="Only what happened to the record with this id.")
@click.option("--subject", help="What it happened to, word for word: an address, a package, an id.")
@click.option("--package", help="Only changes of this package.")
@click.option("--component", help="Only changes of this part of a package: account/object.json.")
@click.option("--from", "since", help="From this day or moment on: 2026-11-21, 2026-11-21T08:00.")
@click.option("--until", help="Up to the end of this day, or before this moment.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--before", type=click.IntRange(1), help="Go on behind the entry with this number.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def list_entries(limit: int, before: int | None, as_json: bool, since: str | None, **given: str | None) -> None:
    """List entries, newest first, with what happened in words. Days are meant in RATOON_DEFAULT_TIME_ZONE."""
    from ratoon.platform.records.audit_asked import asked
    from ratoon.platform.records.audit_facts import ACTION_NAMES
    from ratoon.platform.records.audit_words import Words
    from ratoon.platform.storage.audit_search import find

    filters = {name: value for name, value in {**given, "from": since}.items() if value}
    with environment() as opened, opened.read(_reader(opened)) as records:
        conn, registry, accounts = records.connection, records.engine.registry, opened.accounts
        zone = records.actor.zone
        found = find(conn, asked(conn, accounts, registry, ACTION_NAMES, filters, zone), after=before, limit=limit)
        people = accounts.addresses(conn, (entry.by for entry in found if entry.by))
        words = Words(records, accounts, labels(registry)).of(found)
    if as_json:
        print_json([_as_json(told, people) for told in words])
        return
    for told in words:
        _print(told, people, zone)
    if not words:
        click.echo(tell("No entry is so."), err=True)


def _reader(opened: Environment) -> Actor:
    from ratoon.platform.access.actor import system_actor

    return system_actor("command", time_zone=opened.settings.default_time_zone)


def _as_json(told: Told, people: Mapping[str, str]) -> dict[str, object]:
    """An entry as it is kept, with the address of who did it and the same in words."""
    kept = {field.name: getattr(told.entry, field.name) for field in fields(told.entry)}
    words = {"what": told.what, "who": told.who.text, "kind": told.kind, "subject": told.subject.text}
    return {
        **kept,
        "email": people.get(told.entry.by or ""),
        "words": {**words, "details": [detail.text for detail in told.details]},
    }


def _print(told: Told, people: Mapping[str, str], zone: ZoneInfo) -> None:
    """Two or more lines: when, what, to what, who; then what it says."""
    entry = told.entry
    number = f"#{entry.number}"
    what = " ".join(word for word in (told.kind, told.subject.text) if word)
    address = people.get(entry.by or "", "")
    who = f"{told.who.text} <{address}>" if address and address != told.who.text else told.who.text
    click.echo(click.style(f"{number:<7}", fg="blue") + f"{entry.at.astimezone(zone):%Y-%m-%d %H:%M:%S}  ", nl=False)
    click.echo(click.style(told.what, bold=True) + (f": {what}" if what else "") + f"  ({who})")
    if entry.detail is None:
        click.echo(" " * 9 + tell("forgotten"))
    for detail in told.details:
        click.echo(textwrap.fill(detail.text, _columns(), initial_indent=" " * 9, subsequent_indent=" " * 11))


def _columns() -> int:
    return max(60, shutil.get_terminal_size((120, 24)).columns)


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
