"""``ratoon user`` and ``ratoon token``, as an operator types them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.cli import cli
from ratoon.platform.cli.token import command as token
from ratoon.platform.cli.user import command as user
from ratoon.platform.config import Settings
from ratoon.platform.errors import BadSetting, Forbidden, NotFound, ValidationFailed
from ratoon.platform.storage.database import Database

MISSING = "01900000-0000-7000-8000-00000000ffff"


class Terminal:
    """Runs commands on one database."""

    def __init__(self, url: str) -> None:
        self._runner = CliRunner(env={"RATOON_DATABASE_URL": url})

    def run(self, group: Any, *words: str, typed: str = "") -> str:
        """The output of a command that must succeed."""
        result = self._runner.invoke(group, list(words), input=typed, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    def refused(self, group: Any, *words: str, typed: str = "") -> BaseException:
        """Why a command was refused."""
        result = self._runner.invoke(group, list(words), input=typed)
        assert result.exception is not None
        return result.exception


def test_users_and_tokens_from_first_to_last(database_url: str) -> None:
    terminal = Terminal(database_url)
    made = json.loads(terminal.run(user, "add", "ada@example.com", "--admin", "--json", typed="correct horse\n"))
    terminal.run(user, "add", "bob@example.com", "--name", "Bob", "--no-password")
    listed = json.loads(terminal.run(user, "list", "--json"))
    assert [(u["email"], u["name"], u["is_admin"]) for u in listed] == [
        ("ada@example.com", "ada@example.com", True),
        ("bob@example.com", "Bob", False),
    ]
    assert "administrator" in terminal.run(user, "list")

    secret = terminal.run(token, "create", "ada@example.com", "--label", "test").strip()
    short = json.loads(terminal.run(token, "create", "ada@example.com", "--days", "30", "--json"))
    assert short["token"].startswith("rtn_")
    assert short["expires_at"]
    terminal.run(token, "revoke", short["id"])
    assert "revoked" in terminal.run(token, "list", "ada@example.com")
    assert secret not in terminal.run(token, "list", "ada@example.com", "--json")
    terminal.run(user, "password", "ada@example.com", typed="something else\n")

    from ratoon.platform.config import World

    database, accounts = Database.open(database_url), Accounts(World())
    with database.write() as connection:
        actor = accounts.actor_for_token(connection, secret)
        assert actor is not None
        assert (actor.id, actor.admin) == (made["id"], True)
        assert accounts.actor_for_token(connection, short["token"]) is None
    assert accounts.sign_in(database, "ada@example.com", "correct horse").outcome == "wrong_password"
    assert accounts.sign_in(database, "ada@example.com", "something else").outcome == "ok"
    assert accounts.sign_in(database, "bob@example.com", "").outcome == "no_password"
    database.dispose()

    assert isinstance(terminal.refused(user, "add", "ada@example.com", typed="correct horse\n"), ValidationFailed)
    assert isinstance(terminal.refused(user, "add", "eve@example.com", typed="short\n"), ValidationFailed)
    assert isinstance(terminal.refused(user, "roles", "bob@example.com", "no_such_role"), NotFound)
    assert isinstance(terminal.refused(token, "create", "nobody@example.com"), NotFound)
    assert isinstance(terminal.refused(token, "revoke", MISSING), NotFound)
    assert len(json.loads(terminal.run(user, "list", "--json"))) == 2


@pytest.mark.parametrize("words", [["user"], ["token"], ["token", "revoke", "no-uuid"], ["user", "add"]])
def test_a_wrong_call_ends_with_status_2(words: list[str]) -> None:
    assert CliRunner().invoke(cli, words).exit_code == 2


def test_links_for_passwords_and_service_users(database_url: str) -> None:
    terminal = Terminal(database_url)
    invited = terminal.run(user, "invite", "lin@example.com", "--name", "Lin").strip()
    assert invited.startswith("http://127.0.0.1:8000/sign-in/link/")
    assert terminal.run(user, "reset", "lin@example.com").strip() != invited
    terminal.run(user, "add", "sync@example.com", "--service")
    assert "service" in terminal.run(user, "list")
    assert terminal.run(token, "create", "sync@example.com").startswith("rtn_")
    assert isinstance(terminal.refused(user, "reset", "sync@example.com"), Forbidden)
    assert isinstance(terminal.refused(user, "password", "sync@example.com", typed="correct horse\n"), ValidationFailed)
    assert isinstance(terminal.refused(user, "reset", "nobody@example.com"), NotFound)


def test_a_setting_that_cannot_work_is_named() -> None:
    for name, value in (("RATOON_PORT", "many"), ("RATOON_PASSWORD_SIGN_IN", "nobody"), ("RATOON_OIDC_MATCH", "name")):
        with pytest.raises(BadSetting, match=f"{name}='{value}' is"):
            Settings.from_environ({name: value})
