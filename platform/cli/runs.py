"""``ratoon runs``: what automations did after the commit; repeat and cancel; why, and what would happen.

ratoon runs                                     the newest runs
ratoon runs --state failed --rule opportunity.won
ratoon runs show RUN                            one run with its steps
ratoon runs retry RUN · ratoon runs cancel RUN
ratoon runs undelivered                         mails and calls that did not go out and are not tried again
ratoon runs retry --failed [--rule R]           all that failed, after the repair
ratoon runs why opportunity ID                  which automations would run on it, and what decides
ratoon runs try opportunity won ID              what it would do; nothing is kept and nothing goes out
ratoon runs preview contract_ending ID          what a message template says with a record (--locale zh-Hans)
ratoon runs webhook-secret                      what signs outgoing calls
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import click
import orjson

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.app import open_environment
from ratoon.platform.config import Settings
from ratoon.platform.environment import Environment
from ratoon.platform.errors import BadRequest, Conflict, NotFound
from ratoon.platform.storage import runs, steps
from ratoon.platform.storage.runs import Run, Wanted


@contextmanager
def opened() -> Iterator[Environment]:
    """The environment that the settings describe."""
    environment = open_environment(Settings.from_environ(os.environ), apply_packages=False)
    try:
        yield environment
    finally:
        environment.close()


def _json(value: Any) -> None:
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode())


@click.group(invoke_without_command=True)
@click.option("--state", help="waiting, queued, running, done, failed or cancelled.")
@click.option("--rule", help="Only of this automation: object.automation.")
@click.option("--limit", type=int, default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def command(context: click.Context, state: str | None, rule: str | None, limit: int, as_json: bool) -> None:
    """Show what automations did after the commit; repeat, cancel, explain, try."""
    if context.invoked_subcommand is not None:
        return
    with opened() as environment, environment.database.read() as connection:
        found = runs.find(connection, Wanted(state=state, rule=rule, limit=limit))
    if as_json:
        _json([asdict(run) for run in found])
        return
    for run in found:
        click.echo(_line(run))
    if not found:
        click.echo("There are no such runs.")


def _line(run: Run) -> str:
    about = f"{run.rule or run.name} ({run.trigger}, {run.records} record(s), {run.tries} tries)"
    return f"{run.id}  {run.state:9}  {run.created_at:%Y-%m-%d %H:%M:%S}  {about}" + (
        f"\n    {run.error}" if run.error else ""
    )


def _found(connection: Any, id: str) -> Run:
    if len(id) != 36:
        raise BadRequest("{id} is no id of a run.", id=id)
    run = runs.load(connection, id)
    if run is None:
        raise NotFound("There is no {object} with id {id}.", object="run", id=id)
    return run


@command.command("show")
@click.argument("run")
@click.option("--json", "as_json", is_flag=True)
def show(run: str, as_json: bool) -> None:
    """One run with its records and steps."""
    with opened() as environment, environment.database.read() as connection:
        found = _found(connection, run)
        done, seen = steps.of_run(connection, run), runs.records_of(connection, run)
    if as_json:
        _json({**asdict(found), "steps": done, "seen": seen})
        return
    click.echo(_line(found))
    for step in done:
        words = step["error"] or (orjson.dumps(step["detail"]).decode() if step["detail"] is not None else "")
        click.echo(f"  {step['step']:12} {step['kind']:14} {step['state']:8} {step['record'] or 'all':36} {words}")


@command.command("retry")
@click.argument("run", required=False)
@click.option("--failed", is_flag=True, help="All runs that failed.")
@click.option("--rule", help="With --failed: only of this automation.")
def retry(run: str | None, failed: bool, rule: str | None) -> None:
    """Let a run that failed or was cancelled go on where it stopped; or all that failed."""
    if (run is None) != failed or (rule and not failed):
        raise click.UsageError("name a run, or say --failed")
    with opened() as environment, environment.database.write() as connection:
        if run is None:
            count = runs.retry_failed(connection, environment.world.clock(), rule)
            click.echo(f"{count} run(s) wait for a worker.")
            return
        found = _found(connection, run)
        if not runs.retry(connection, run, environment.world.clock()):
            message = "The run is {state}: only one that failed or was cancelled can be repeated."
            raise Conflict(message, state=found.state)
    click.echo("The run waits for a worker.")


@command.command("undelivered")
@click.option("--rule", help="Only of this automation: object.automation.")
@click.option("--limit", type=int, default=100, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def undelivered(rule: str | None, limit: int, as_json: bool) -> None:
    """Mails and calls that did not go out and are not tried again by themselves."""
    with opened() as environment, environment.database.read() as connection:
        found = steps.undelivered(connection, rule, limit)
    if as_json:
        _json(found)
        return
    for row in found:
        click.echo(f"{row['at']:%Y-%m-%d %H:%M}  {row['kind']:12} {row['rule']}  {row['object']} {row['record']}")
        click.echo(f"    run {row['run']}, {row['tries']} tries: {row['error']}")
    if not found:
        click.echo("Everything went out.")


@command.command("cancel")
@click.argument("run")
def cancel(run: str) -> None:
    """Cancel a run that is not finished."""
    with opened() as environment, environment.database.write() as connection:
        found = _found(connection, run)
        if not runs.cancel(connection, environment.world, run=run):
            raise Conflict("The run is {state} already.", state=found.state)
    click.echo("The run is cancelled.")


@command.command("why")
@click.argument("object")
@click.argument("record")
def why(object: str, record: str) -> None:
    """Which automations would run on a record, and the part of the condition that decides."""
    from ratoon.platform.jobs.looking import why as reasons

    with opened() as environment, environment.read(SYSTEM) as records:
        for reason in reasons(records, object, record):
            answer = {True: "yes", False: "no", None: "depends on the change"}[reason.fits]
            click.echo(f"{reason.automation.name} ({', '.join(reason.automation.on)}): {answer}")
            if reason.sentence:
                click.echo(f"    {reason.sentence}")


@command.command("try")
@click.argument("object")
@click.argument("automation")
@click.argument("record")
def try_out(object: str, automation: str, record: str) -> None:
    """What an automation would do to a record. Nothing is kept and nothing goes out."""
    from ratoon.platform.jobs.looking import try_out as tried

    with opened() as environment:
        _json(tried(environment, environment.actions, object, automation, record).as_json())


@command.command("preview")
@click.argument("template")
@click.argument("record", required=False)
@click.option("--locale", help="en, zh-Hans …; default: the installation's.")
def preview_command(template: str, record: str | None, locale: str | None) -> None:
    """Show what a message template says with a record."""
    from ratoon.platform.automation.rendering import TemplateFailed
    from ratoon.platform.jobs.previewing import preview

    with opened() as environment, environment.read(SYSTEM) as records:
        try:
            made = preview(environment, records, template, record, locale or environment.settings.default_locale)
        except (NotFound, TemplateFailed) as failed:
            raise click.ClickException(failed.text()) from failed
    for part, text in made.items():
        click.echo(f"-- {part}\n{text}")


@command.command("webhook-secret")
def secret() -> None:
    """What signs outgoing calls: receivers check Ratoon-Signature with it."""
    from ratoon.platform.automation.hands import webhook_secret

    with opened() as environment:
        click.echo(webhook_secret(environment).decode())
