"""``ratoon token``: API tokens. A token is printed once, when it is made; only its hash is kept."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import click

from ratoon.platform.cli.opening import BY
from ratoon.platform.cli.printing import print_json, table
from ratoon.platform.cli.user import known_user, opened


@click.group()
def command() -> None:
    """Make API tokens, list and revoke them."""


@command.command("create")
@click.argument("email")
@click.option("--label", default="", help="What it is for.")
@click.option("--days", type=click.IntRange(1, 3650), help="It runs out after so many days; without, never.")
@click.option("--object", "objects", multiple=True, help="Only this object; may be given several times.")
@click.option("--read-only", is_flag=True, help="It changes nothing.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def create(email: str, label: str, days: int | None, objects: tuple[str, ...], read_only: bool, as_json: bool) -> None:
    """Make a token that acts for the user EMAIL. It is shown only now."""
    from ratoon.platform.access.keys import note_token

    with opened() as (environment, accounts), environment.database.write() as connection:
        user_id = known_user(accounts, connection, email)
        expires = None if days is None else environment.world.clock() + timedelta(days=days)
        token, info = accounts.create_token(
            connection,
            user_id,
            label=label or "command line",
            expires_at=expires,
            objects=objects or None,
            read_only=read_only,
        )
        note_token(connection, environment.world.clock(), "token_made", info, BY)
    if as_json:
        print_json({"id": info.id, "token": token, "label": info.label, "expires_at": info.expires_at})
    else:
        click.echo(token)


@command.command("list")
@click.argument("email")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def list_tokens(email: str, as_json: bool) -> None:
    """List the tokens of EMAIL, newest first."""
    with opened() as (environment, accounts), environment.database.read() as connection:
        found = accounts.tokens_of(connection, known_user(accounts, connection, email))
    if as_json:
        keys = ("id", "label", "created_at", "expires_at", "last_used_at", "revoked_at", "objects", "read_only")
        print_json([{key: getattr(token, key) for key in keys} for token in found])
        return
    rows = [
        (
            token.id,
            token.label,
            _day(token.created_at),
            _day(token.last_used_at),
            f"revoked {_day(token.revoked_at)}" if token.revoked_at else _day(token.expires_at),
        )
        for token in found
    ]
    table(rows, ("id", "label", "made", "last used", "ends"))


@command.command("revoke")
@click.argument("id", type=click.UUID)
def revoke(id: UUID) -> None:
    """End the token with that ID."""
    from ratoon.platform.access.keys import note_token
    from ratoon.platform.errors import NotFound

    with opened() as (environment, accounts), environment.database.write() as connection:
        if not accounts.revoke_token(connection, str(id)):
            raise NotFound("There is no working token with the id {id}.", id=id)
        info = accounts.token_info(connection, str(id))
        note_token(connection, environment.world.clock(), "token_revoked", info, BY)
    click.echo("The token does not work any more.")


def _day(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"
