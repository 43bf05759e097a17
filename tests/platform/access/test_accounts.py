"""Accounts on both databases: passwords, waiting after failures, tokens, sessions, the trail of attempts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Boolean, Column, Connection, Executable, MetaData, String, Table, insert, select, update

from ratoon.platform.access.accounts import FREE_TRIES, Accounts, SignIn
from ratoon.platform.access.actor import Actor, system_actor
from ratoon.platform.access.keys import SESSION_LIFE, TOKEN_PREFIX
from ratoon.platform.access.passwords import LONGEST, Passwords
from ratoon.platform.access.who import fingerprint
from ratoon.platform.config import World
from ratoon.platform.errors import ValidationFailed
from ratoon.platform.formulas.columns import Id, UtcDateTime
from ratoon.platform.storage.account_tables import define_account_tables
from ratoon.platform.storage.audit import define_audit_tables
from ratoon.platform.storage.database import Database

SYSTEM = define_account_tables(MetaData())
USERS = Table(
    "user",
    SYSTEM,
    Column("id", Id, primary_key=True),
    Column("name", String(255)),
    Column("email", String(255)),
    Column("active", Boolean),
    Column("is_admin", Boolean),
    Column("service", Boolean),
    Column("locale", String(20)),
    Column("time_zone", String(60)),
    Column("deleted_at", UtcDateTime),
)
TEAMS = Table("user_team", SYSTEM, Column("id", Id, primary_key=True), Column("name", String(120)),
              Column("deleted_at", UtcDateTime))  # fmt: skip
MEMBERS = Table("user_team_member", SYSTEM, Column("team", Id), Column("member", Id), Column("deleted_at", UtcDateTime))
define_audit_tables(SYSTEM)
GOOD = "correct horse"


@dataclass
class FakeRecords:
    """Stands in for the record service: it puts users into their table."""

    connection: Connection
    world: World
    actor: Actor = field(default_factory=system_actor)

    def create(self, object: str, values: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        assert object == "user"
        rows = [{"id": self.world.new_id(), "locale": "zh-Hans", "time_zone": "Asia/Shanghai", **v} for v in values]
        self.connection.execute(insert(USERS), rows)
        return rows


class Desk:
    """Accounts on one database, each call in a transaction of its own."""

    def __init__(self, database: Database, accounts: Accounts) -> None:
        self.database = database
        self.accounts = accounts

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            with self.database.write() as connection:
                return getattr(self.accounts, name)(connection, *arguments, **named)

        return call

    def sign_in(self, email: str, password: str, **named: Any) -> SignIn:
        return self.accounts.sign_in(self.database, email, password, **named)

    def execute(self, statement: Executable) -> Sequence[Any]:
        with self.database.write() as connection:
            result = connection.execute(statement)
            return result.all() if result.returns_rows else ()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database.open(database_url)
    with opened.write() as connection:
        SYSTEM.create_all(connection)
    yield opened
    opened.dispose()


@pytest.fixture
def desk(database: Database, accounts: Accounts) -> Desk:
    return Desk(database, accounts)


@pytest.fixture
def accounts(injected: World) -> Accounts:
    """Accounts whose passwords cost next to nothing."""
    return Accounts(injected, Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)))


@pytest.fixture
def ada(desk: Desk, injected: World) -> str:
    """The id of a user with a password and two roles."""
    with desk.database.write() as connection:
        records = FakeRecords(connection, injected)
        return desk.accounts.create_user(
            records, name="Ada", email="ada@example.com", password=GOOD, roles=["sales", "support", "sales"]
        )


def test_the_right_password_signs_in_whatever_the_case_of_the_address(desk: Desk, ada: str) -> None:
    result = desk.sign_in(" ADA@Example.com ", GOOD, address="192.0.2.1", agent="test")
    assert result.outcome == "ok"
    actor = result.actor
    assert actor is not None
    assert (actor.id, actor.name, actor.admin, actor.locale) == (ada, "Ada", False, "zh-Hans")
    assert actor.roles == {"sales", "support"}
    assert actor.zone.key == "Asia/Shanghai"


@pytest.mark.parametrize(
    ("email", "password", "outcome"),
    [
        ("ada@example.com", "wrong", "wrong_password"),
        ("nobody@example.com", GOOD, "unknown_user"),
        ("' OR 1=1 --", GOOD, "unknown_user"),
        ("nobody\0@example.com", GOOD, "unknown_user"),
        ("ada@example.com", "x" * 100_000, "wrong_password"),
    ],
)
def test_anything_else_is_refused(desk: Desk, ada: str, email: str, password: str, outcome: str) -> None:
    result = desk.sign_in(email, password)
    assert (result.outcome, result.actor) == (outcome, None)


def test_every_attempt_leaves_a_trail(desk: Desk, ada: str) -> None:
    desk.sign_in("ada@example.com", "wrong", address="192.0.2.1", agent="A" * 1000)
    desk.sign_in("nobody@example.com", "wrong")
    trail = SYSTEM.tables["ratoon_sign_in"]
    rows = desk.execute(select(trail.c.email, trail.c.user_id, trail.c.outcome).order_by(trail.c.id))
    assert [tuple(row) for row in rows] == [
        ("ada@example.com", ada, "wrong_password"),
        ("nobody@example.com", None, "unknown_user"),
    ]


def test_many_wrong_passwords_make_the_account_wait_longer_and_longer(desk: Desk, ada: str, time: Any) -> None:
    for _ in range(FREE_TRIES):
        assert desk.sign_in("ada@example.com", "wrong").outcome == "wrong_password"
    locked = desk.sign_in("ada@example.com", GOOD)
    assert (locked.outcome, locked.wait_seconds) == ("locked", 2)
    time.pass_(seconds=2)
    assert desk.sign_in("ada@example.com", "wrong").outcome == "wrong_password"
    assert desk.sign_in("ada@example.com", GOOD).wait_seconds == 3
    time.pass_(seconds=3)
    assert desk.sign_in("ada@example.com", GOOD).outcome == "ok"
    assert desk.sign_in("ada@example.com", "wrong").outcome == "wrong_password"


def test_a_user_who_was_switched_off_cannot_come_in_by_any_door(desk: Desk, ada: str) -> None:
    token, _ = desk.create_token(ada, label="integration")
    session = desk.start_session(ada)
    desk.execute(update(USERS).values(active=False))
    assert desk.sign_in("ada@example.com", GOOD).outcome == "inactive"
    assert desk.actor_for_token(token) is None
    assert desk.actor_for_session(session) is None
    assert desk.actor_for_user(ada) is None


def test_a_token_acts_for_its_user_until_it_is_revoked(desk: Desk, ada: str) -> None:
    token, info = desk.create_token(ada, label="integration")
    assert token.startswith(TOKEN_PREFIX)
    actor = desk.actor_for_token(token)
    assert actor is not None
    assert (actor.id, actor.source, actor.token_id) == (ada, "token", info.id)
    assert actor.roles == {"sales", "support"}
    assert desk.revoke_token(info.id)
    assert not desk.revoke_token(info.id)
    assert desk.actor_for_token(token) is None


def test_a_token_runs_out_at_its_hour(desk: Desk, ada: str, time: Any) -> None:
    token, _ = desk.create_token(ada, label="short", expires_at=time() + timedelta(hours=1))
    assert desk.actor_for_token(token) is not None
    time.pass_(hours=1)
    assert desk.actor_for_token(token) is None


def test_no_secret_is_stored(desk: Desk, ada: str) -> None:
    token, _ = desk.create_token(ada, label="integration")
    session = desk.start_session(ada)
    stored = repr([desk.execute(select(table)) for table in SYSTEM.sorted_tables])
    assert fingerprint(token) in stored
    for secret in (token, session, GOOD):
        assert secret not in stored


def test_the_last_use_of_a_token_is_shown(desk: Desk, ada: str, time: Any) -> None:
    _, info = desk.create_token(ada, label="integration")
    time.pass_(days=1)
    desk.note_token_use(info.id)
    assert [known.last_used_at for known in desk.tokens_of(ada)] == [time()]


def test_a_session_lasts_until_sign_out_or_its_end(desk: Desk, ada: str, time: Any) -> None:
    first, second = desk.start_session(ada), desk.start_session(ada)
    desk.end_session(first)
    assert desk.actor_for_session(first) is None
    assert desk.actor_for_session(second) is not None
    time.now += SESSION_LIFE
    assert desk.actor_for_session(second) is None


def test_a_new_password_ends_every_session(desk: Desk, ada: str) -> None:
    session = desk.start_session(ada)
    desk.set_password(ada, "another one, longer")
    assert desk.actor_for_session(session) is None
    assert desk.sign_in("ada@example.com", GOOD).outcome == "wrong_password"
    assert desk.sign_in("ada@example.com", "another one, longer").outcome == "ok"


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("short", "password_short"),
        ("x" * (LONGEST + 1), "password_long"),
        ("Ada@example.com", "password_personal"),
        ("password123", "password_guessable"),
    ],
)
def test_a_bad_password_is_refused_with_a_reason(desk: Desk, ada: str, password: str, code: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        desk.set_password(ada, password)
    assert [problem.code for problem in refused.value.problems] == [code]


def test_roles_are_replaced_as_a_whole(desk: Desk, ada: str) -> None:
    desk.set_roles(ada, ["manager"])
    assert desk.roles_of([ada]) == {ada: ("manager",)}
    desk.set_roles(ada, [])
    assert desk.roles_of([ada]) == {ada: ()}


def test_a_hash_made_with_other_costs_is_made_again_at_the_next_sign_in(desk: Desk, ada: str, injected: World) -> None:
    stronger = Accounts(injected, Passwords(PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)))
    assert stronger.sign_in(desk.database, "ada@example.com", GOOD).outcome == "ok"
    passwords = SYSTEM.tables["ratoon_password"]
    assert "m=16,t=2" in desk.execute(select(passwords.c.hash))[0][0]
    assert desk.has_users()


def test_guesses_at_the_same_time_all_count(desk: Desk, ada: str) -> None:
    start = threading.Barrier(FREE_TRIES)

    def guess() -> None:
        start.wait()
        desk.sign_in("ada@example.com", "wrong")

    threads = [threading.Thread(target=guess) for _ in range(FREE_TRIES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert desk.sign_in("ada@example.com", GOOD).outcome == "locked"
