"""``ratoon user``: the people who sign in. A password is asked for, or read from standard input; never an argument."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from ratoon.platform.cli.opening import BY
from ratoon.platform.cli.opening import environment as environment_of_variables
from ratoon.platform.cli.printing import print_json, table

if TYPE_CHECKING:
    from ratoon.platform.access.accounts import Accounts
    from ratoon.platform.environment import Environment


@contextmanager
def opened() -> Iterator[tuple[Environment, Accounts]]:
    """The environment of the ``RATOON_*`` variables with its accounts; on an empty database it is made first."""
    with environment_of_variables(apply_packages=True) as environment:
        yield environment, environment.accounts


def known_user(accounts: Accounts, connection: Any, email: str) -> str:
    """The id of the user with that address. Raises ``NotFound``."""
    from ratoon.platform.errors import NotFound

    user_id = accounts.user_id(connection, email)
    if user_id is None:
        raise NotFound("There is no user with the address {email}.", email=email)
    return user_id


def known_roles(environment: Environment, roles: tuple[str, ...]) -> tuple[str, ...]:
    """The roles. Raises ``NotFound`` naming those there are for one that is not."""
    from ratoon.platform.errors import NotFound

    there = environment.registry.roles
    for role in roles:
        if role not in there:
            names = ", ".join(sorted(there)) or "none"
            raise NotFound("There is no role {role}. Roles are: {names}.", role=role, names=names)
    return roles


@click.group()
def command() -> None:
    """Add users and list them."""


@command.command("add")
@click.argument("email")
@click.option("--name", help="How the user is shown; the address when absent.")
@click.option("--admin", is_flag=True, help="May do everything.")
@click.option("--role", "roles", multiple=True, help="A role of the metadata; may be given several times.")
@click.option("--no-password", is_flag=True, help="The user has no password yet: `ratoon user invite` gives a link.")
@click.option("--service", is_flag=True, help="A program: it uses API tokens and can never sign in.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def add(
    email: str, name: str | None, admin: bool, roles: tuple[str, ...], no_password: bool, service: bool, as_json: bool
) -> None:
    """Add the user EMAIL. The password is asked for, or is the first line of standard input."""
    from ratoon.platform.access.actor import system_actor

    password = None if no_password or service else _password()
    with opened() as (environment, accounts):
        given = known_roles(environment, roles)
        with environment.write(system_actor("command")) as records:
            user_id = accounts.create_user(
                records, name=name or email, email=email, password=password, admin=admin, roles=given, service=service
            )
    if as_json:
        print_json({"id": user_id, "email": email, "admin": admin, "roles": list(roles), "service": service})
    else:
        click.echo(f"{email} can sign in." if password else f"{email} was added.")


@command.command("invite")
@click.argument("email")
@click.option("--name", help="How the user is shown, when there is none of that address yet.")
@click.option("--role", "roles", multiple=True, help="A role of the metadata; may be given several times.")
def invite(email: str, name: str | None, roles: tuple[str, ...]) -> None:
    """Print a link with which EMAIL chooses a password; the user is added when there is none."""
    from ratoon.platform.access.actor import system_actor

    with opened() as (environment, accounts):
        given = known_roles(environment, roles)
        with environment.write(system_actor("command")) as records:
            if accounts.user_id(records.connection, email) is None:
                accounts.create_user(records, name=name or email, email=email, roles=given)
        click.echo(_link(environment, email, "invite"))


@command.command("reset")
@click.argument("email")
@click.option("--end-tokens", is_flag=True, help="End the user's API tokens at once; else the page of the link asks.")
def reset(email: str, end_tokens: bool) -> None:
    """Print a link with which EMAIL chooses a new password. It works once and for a short time.

    Using it ends every session; its page asks whether the API tokens shall end, too.
    """
    with opened() as (environment, _):
        click.echo(_link(environment, email, "reset", end_tokens=end_tokens))


def _link(environment: Environment, email: str, purpose: Any, *, end_tokens: bool = False) -> str:
    """Makes a link. Raises ``NotFound``, or ``Forbidden`` for a user without a password."""
    from ratoon.platform.access.links import Links
    from ratoon.platform.errors import Forbidden

    links = Links(environment.accounts, environment.world, environment.settings)
    with environment.database.write() as connection:
        known_user(environment.accounts, connection, email)
        guest = links.guest(connection, email=email, purpose=purpose)
        if guest is None:
            raise Forbidden("{email} does not sign in with a password.", email=email)
        return links.make(connection, guest, by=BY, end_tokens=end_tokens)


@command.command("password")
@click.argument("email")
@click.option("--end-tokens", is_flag=True, help="End the user's API tokens, too.")
def password(email: str, end_tokens: bool) -> None:
    """Set a new password for EMAIL and end every session."""
    from ratoon.platform.access.links import end_tokens_of
    from ratoon.platform.storage.audit import Happening, note

    new = _password()
    with opened() as (environment, accounts), environment.database.write() as connection:
        user = known_user(accounts, connection, email)
        accounts.set_password(connection, user, new)
        detail = {"by": BY, **end_tokens_of(accounts, connection, user, end_tokens)}
        changed = Happening("access", "password_changed", object="user", subject=user, detail=detail)
        note(connection, environment.world.clock(), changed)
    click.echo(f"{email} has a new password.")


@command.command("roles")
@click.argument("email")
@click.argument("roles", nargs=-1)
def set_roles(email: str, roles: tuple[str, ...]) -> None:
    """Make ROLES the roles of EMAIL, instead of those it has. Without ROLES it has none."""
    with opened() as (environment, accounts):
        given = known_roles(environment, roles)
        with environment.database.write() as connection:
            accounts.set_roles(connection, known_user(accounts, connection, email), given, by=BY)
    click.echo(f"{email}: {', '.join(given) or 'no role'}.")


@command.command("permission-sets")
@click.argument("email")
@click.argument("names", nargs=-1)
def set_permission_sets(email: str, names: tuple[str, ...]) -> None:
    """Make NAMES the permission sets of EMAIL, instead of those it has. Without NAMES it has none."""
    from ratoon.platform.errors import NotFound

    with opened() as (environment, accounts):
        there = environment.registry.access.permission_sets
        for name in names:
            if name not in there:
                raise NotFound("There is no permission set {name}. There are: {names}.", name=name,
                               names=", ".join(sorted(there)) or "none")  # fmt: skip
        with environment.database.write() as connection:
            accounts.set_permission_sets(connection, known_user(accounts, connection, email), names, by=BY)
    click.echo(f"{email}: {', '.join(names) or 'no permission set'}.")


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def list_users(as_json: bool) -> None:
    """List the users."""
    from ratoon.platform.access.actor import SYSTEM
    from ratoon.platform.records.reading import Query

    users: list[dict[str, Any]] = []
    with opened() as (environment, accounts), environment.read(SYSTEM) as records:
        cursor = None
        while True:
            page = records.list(
                Query(
                    "user",
                    sort=["email"],
                    limit=500,
                    cursor=cursor,
                    fields=["email", "name", "active", "is_admin", "service"],
                )
            )
            roles = accounts.roles_of(records.connection, [user["id"] for user in page.records])
            users += [{**user, "roles": list(roles[user["id"]])} for user in page.records]
            cursor = page.next_cursor
            if cursor is None:
                break
    if as_json:
        keys = ("id", "email", "name", "active", "is_admin", "service", "roles")
        print_json([{key: user[key] for key in keys} for user in users])
        return
    rows = [
        (
            user["email"] or "",
            user["name"] or "",
            "administrator" if user["is_admin"] else ", ".join(user["roles"]),
            ", ".join(
                word for word, is_so in (("service", user["service"]), ("inactive", not user["active"])) if is_so
            ),
        )
        for user in users
    ]
    table(rows, ("e-mail", "name", "roles", ""))


def _password() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")
