"""``ratoon explain OBJECT EVENT`` and ``ratoon explain access USER OBJECT ID``: what happens, and who may do what, why.

The first shows the order of execution with every rule, automation and hook in place; the second says for one user and
one record which role, rule or share opens or closes it.
"""

from __future__ import annotations

import click

from ratoon.platform.cli.opening import environment
from ratoon.platform.cli.printing import print_json

EVENTS = ("created", "updated", "deleted", "restored")


@click.command(options_metavar="[OPTIONS]")
@click.argument("words", nargs=-1, metavar="OBJECT EVENT | access USER OBJECT ID")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def command(words: tuple[str, ...], as_json: bool) -> None:
    """Show what happens, in order, when a record of OBJECT is created, updated, deleted or restored; or why USER (an
    e-mail address) may or may not do something with a record."""
    if len(words) == 4 and words[0] == "access":
        _access(*words[1:], as_json=as_json)
    elif len(words) == 2 and words[1] in EVENTS:
        _order(*words, as_json=as_json)
    elif len(words) == 2:
        raise click.BadParameter(f"{words[1]!r} is not one of {', '.join(EVENTS)}.", param_hint="EVENT")
    else:
        raise click.UsageError("Say OBJECT EVENT, or: access USER OBJECT ID.")


def _order(object: str, event: str, *, as_json: bool) -> None:
    from ratoon.platform.records.order import explain

    with environment() as opened:
        steps = explain(opened.registry, object, event, opened.reactions)  # type: ignore[arg-type]
    if as_json:
        print_json([step.as_json() for step in steps])
        return
    click.secho(f"{object} {event}", bold=True)
    for step in steps:
        click.secho(f"{step.number:>3}. {step.title}", fg="cyan" if step.parts else None)
        for part in step.parts:
            click.echo(f"       {part.kind} {part.name}" + (f": {part.detail}" if part.detail else ""))


def _access(email: str, object: str, record: str, *, as_json: bool) -> None:
    from ratoon.platform.access.accounts import Accounts
    from ratoon.platform.cli.user import known_user
    from ratoon.platform.errors import NotFound
    from ratoon.platform.records.why_access import why_access

    with environment() as opened, opened.database.read() as connection:
        engine, accounts = opened.engine_at(connection), Accounts(opened.world)
        actor = accounts.actor_for_user(connection, known_user(accounts, connection, email))
        if actor is None:
            raise NotFound("{email} is not active and may do nothing.", email=email)
        if object not in engine.registry.objects:
            raise NotFound("There is no object called {object}.", object=object)
        answers = why_access(engine, connection, actor, object, record)
    if as_json:
        print_json([answer_json(answer) for answer in answers])
        return
    for answer in answers:
        click.secho(f"{answer.action}: {'yes' if answer.allowed else 'no'}", fg="green" if answer.allowed else "red")
        for reason in answer.reasons:
            click.echo(f"  {'+' if reason.grants else '-'} {reason.text()}")


def answer_json(answer: object) -> dict[str, object]:
    """An answer for programs."""
    from ratoon.platform.access.explain import Answer

    assert isinstance(answer, Answer)
    return {
        "action": answer.action,
        "allowed": answer.allowed,
        "reasons": [{"grants": reason.grants, "text": reason.text()} for reason in answer.reasons],
    }
