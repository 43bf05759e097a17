"""A second way into the same database, for the durable engine of ``platform/jobs``, which brings its own SQL.

It begins its transactions in its own way, so it does not share the pool of ``Database``; the database is the same.
"""

from __future__ import annotations

import sqlite3

from sqlalchemy import Engine, create_engine, event

from ratoon.platform.storage.database import BUSY_TIMEOUT, Database

POOL_SIZE = 5


def engine_for_jobs(database: Database, threads: int) -> Engine:
    """A SQLAlchemy engine for ``threads`` threads of the durable engine. The caller disposes of it."""
    url = database.engine.url
    size = POOL_SIZE + threads
    if database.dialect == "postgresql":
        arguments = {"options": "-c timezone=UTC", "application_name": "ratoon-jobs"}
        return create_engine(url, pool_size=size, max_overflow=size, pool_pre_ping=True, connect_args=arguments)
    engine = create_engine(
        url,
        pool_size=size,
        max_overflow=size,
        connect_args={"timeout": BUSY_TIMEOUT, "isolation_level": "IMMEDIATE", "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, record: object) -> None:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT * 1000}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")

    return engine
