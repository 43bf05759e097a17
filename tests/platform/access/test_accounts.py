"""Accounts on both databases: passwords, waiting after failures, tokens, sessions, the trail of attempts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Boolean, Column, Connection, MetaData, String, Table, create_engine, insert, select, update

from ratoon.platform.access.accounts import FREE_TRIES, SESSION_LIFE, TOKEN_PREFIX, Accounts, fingerprint
from ratoon.platform.access.passwords import LONGEST, Passwords
from ratoon.platform.config import World
from ratoon.platform.errors import ValidationFailed
from ratoon.platform.formulas.columns import Id, UtcDateTime
from ratoon.platform.storage.account_tables import define_account_tables

SYSTEM = define_account_tables(MetaData())
USERS = Table(
    "user",
    SYSTEM,
    Column("id", Id, primary_key=True),
    Column("name", String(255)),
    Column("email", String(255)),
    Column("active", Boolean),
    Column("is_admin", Boolean),
    Column("locale", String(20)),
    Column("time_zone", String(60)),
    Column("deleted_at", UtcDateTime),
)
GOOD = "correct horse"


@dataclass
class FakeRecords:
    """Stands in for the record service: it puts users into their table."""

    connection: Connection
    world: World

    def create(self, object: str, values: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        assert object == "user"
        rows = [{"id": self.world.new_id(), "locale": "zh-Hans", "time_zone": "Asia/Shanghai", **v} for v in values]
        self.connection.execute(insert(USERS), rows)
        return rows


@pytest.fixture
def conn(database_url: str) -> Iterator[Connection]:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        SYSTEM.create_all(connection)
        yield connection
    engine.dispose()


@pytest.fixture
def accounts(injected: World) -> Accounts:
    """Accounts whose passwords cost next to nothing."""
    return Accounts(injected, Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)))


@pytest.fixture
def ada(accounts: Accounts, conn: Connection, injected: World) -> str:
    """The id of a user with a password and two roles."""
    records = FakeRecords(conn, injected)
    return accounts.create_user(
        records, name="Ada", email="ada@example.com", password=GOOD, roles=["sales", "support", "sales"]
    )


def test_the_right_password_signs_in_whatever_the_case_of_the_address(
    accounts: Accounts, conn: Connection, ada: str
) -> None:
    result = accounts.sign_in(conn, " ADA@Example.com ", GOOD, address="192.0.2.1", agent="test")
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
def test_anything_else_is_refused(
    accounts: Accounts, conn: Connection, ada: str, email: str, password: str, outcome: str
) -> None:
    result = accounts.sign_in(conn, email, password)
    assert (result.outcome, result.actor) == (outcome, None)


def test_every_attempt_leaves_a_trail(accounts: Accounts, conn: Connection, ada: str) -> None:
    accounts.sign_in(conn, "ada@example.com", "wrong", address="192.0.2.1", agent="A" * 1000)
    accounts.sign_in(conn, "nobody@example.com", "wrong")
    trail = SYSTEM.tables["ratoon_sign_in"]
    rows = conn.execute(select(trail.c.email, trail.c.user_id, trail.c.outcome).order_by(trail.c.id)).all()
    assert [tuple(row) for row in rows] == [
        ("ada@example.com", ada, "wrong_password"),
        ("nobody@example.com", None, "unknown_user"),
    ]


def test_many_wrong_passwords_make_the_account_wait_longer_and_longer(
    accounts: Accounts, conn: Connection, ada: str, time: Any
) -> None:
    for _ in range(FREE_TRIES):
        assert accounts.sign_in(conn, "ada@example.com", "wrong").outcome == "wrong_password"
    locked = accounts.sign_in(conn, "ada@example.com", GOOD)
    assert (locked.outcome, locked.wait_seconds) == ("locked", 2)
    time.pass_(seconds=2)
    assert accounts.sign_in(conn, "ada@example.com", "wrong").outcome == "wrong_password"
    assert accounts.sign_in(conn, "ada@example.com", GOOD).wait_seconds == 3
    time.pass_(seconds=3)
    assert accounts.sign_in(conn, "ada@example.com", GOOD).outcome == "ok"
    assert accounts.sign_in(conn, "ada@example.com", "wrong").outcome == "wrong_password"


def test_a_user_who_was_switched_off_cannot_come_in_by_any_door(accounts: Accounts, conn: Connection, ada: str) -> None:
    token, _ = accounts.create_token(conn, ada, label="integration")
    session = accounts.start_session(conn, ada)
    conn.execute(update(USERS).values(active=False))
    assert accounts.sign_in(conn, "ada@example.com", GOOD).outcome == "inactive"
    assert accounts.actor_for_token(conn, token) is None
    assert accounts.actor_for_session(conn, session) is None
    assert accounts.actor_for_user(conn, ada) is None


def test_a_token_acts_for_its_user_until_it_is_revoked(accounts: Accounts, conn: Connection, ada: str) -> None:
    token, info = accounts.create_token(conn, ada, label="integration")
    assert token.startswith(TOKEN_PREFIX)
    actor = accounts.actor_for_token(conn, token)
    assert actor is not None
    assert (actor.id, actor.source, actor.token_id) == (ada, "token", info.id)
    assert actor.roles == {"sales", "support"}
    assert accounts.revoke_token(conn, info.id)
    assert not accounts.revoke_token(conn, info.id)
    assert accounts.actor_for_token(conn, token) is None


def test_a_token_runs_out_at_its_hour(accounts: Accounts, conn: Connection, ada: str, time: Any) -> None:
    token, _ = accounts.create_token(conn, ada, label="short", expires_at=time() + timedelta(hours=1))
    assert accounts.actor_for_token(conn, token) is not None
    time.pass_(hours=1)
    assert accounts.actor_for_token(conn, token) is None


def test_no_secret_is_stored(accounts: Accounts, conn: Connection, ada: str) -> None:
    token, _ = accounts.create_token(conn, ada, label="integration")
    session = accounts.start_session(conn, ada)
    stored = repr([conn.execute(select(table)).all() for table in SYSTEM.sorted_tables])
    assert fingerprint(token) in stored
    for secret in (token, session, GOOD):
        assert secret not in stored


def test_the_last_use_of_a_token_is_shown(accounts: Accounts, conn: Connection, ada: str, time: Any) -> None:
    _, info = accounts.create_token(conn, ada, label="integration")
    time.pass_(days=1)
    accounts.note_token_use(conn, info.id)
    assert [known.last_used_at for known in accounts.tokens_of(conn, ada)] == [time()]


def test_a_session_lasts_until_sign_out_or_its_end(accounts: Accounts, conn: Connection, ada: str, time: Any) -> None:
    first, second = accounts.start_session(conn, ada), accounts.start_session(conn, ada)
    accounts.end_session(conn, first)
    assert accounts.actor_for_session(conn, first) is None
    assert accounts.actor_for_session(conn, second) is not None
    time.now += SESSION_LIFE
    assert accounts.actor_for_session(conn, second) is None


def test_a_new_password_ends_every_session(accounts: Accounts, conn: Connection, ada: str) -> None:
    session = accounts.start_session(conn, ada)
    accounts.set_password(conn, ada, "another one, longer")
    assert accounts.actor_for_session(conn, session) is None
    assert accounts.sign_in(conn, "ada@example.com", GOOD).outcome == "wrong_password"
    assert accounts.sign_in(conn, "ada@example.com", "another one, longer").outcome == "ok"


@pytest.mark.parametrize(
    ("password", "code"),
    [("short", "password_short"), ("x" * (LONGEST + 1), "password_long"), ("Ada@example.com", "password_email")],
)
def test_a_bad_password_is_refused_with_a_reason(
    accounts: Accounts, conn: Connection, ada: str, password: str, code: str
) -> None:
    with pytest.raises(ValidationFailed) as refused:
        accounts.set_password(conn, ada, password, email="ada@example.com")
    assert [problem.code for problem in refused.value.problems] == [code]


def test_roles_are_replaced_as_a_whole(accounts: Accounts, conn: Connection, ada: str) -> None:
    accounts.set_roles(conn, ada, ["manager"])
    assert accounts.roles_of(conn, [ada]) == {ada: ("manager",)}
    accounts.set_roles(conn, ada, [])
    assert accounts.roles_of(conn, [ada]) == {ada: ()}


def test_a_hash_made_with_other_costs_is_made_again_at_the_next_sign_in(
    accounts: Accounts, conn: Connection, ada: str, injected: World
) -> None:
    stronger = Accounts(injected, Passwords(PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)))
    assert stronger.sign_in(conn, "ada@example.com", GOOD).outcome == "ok"
    passwords = SYSTEM.tables["ratoon_password"]
    assert "m=16,t=2" in conn.execute(select(passwords.c.hash)).scalar_one()
    assert accounts.has_users(conn)
