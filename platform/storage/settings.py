"""Values that an installation makes once and keeps, such as the key that signs cursors and sessions."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from ratoon.platform.storage.database import driver


def setting(conn: Connection, name: str, make: Callable[[], str]) -> str:
    """The kept value of that name; the first call keeps what ``make`` gives. Needs a write transaction."""
    place = "?" if conn.dialect.name == "sqlite" else "%s"
    raw = driver(conn)
    query = f"SELECT value FROM ratoon_setting WHERE name = {place}"
    found = raw.execute(query, (name,)).fetchone()
    if found is None:
        add = f"INSERT INTO ratoon_setting (name, value) VALUES ({place}, {place}) ON CONFLICT (name) DO NOTHING"
        raw.execute(add, (name, make()))
        found = raw.execute(query, (name,)).fetchone()
    value: str = found[0]
    return value


def secret_key(conn: Connection, token: Callable[[], str]) -> str:
    """The installation's signing key, made by ``token`` at first use."""
    return setting(conn, "secret_key", token)
