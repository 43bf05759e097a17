"""A database of an older version gets what it lacks and keeps what it has."""

from __future__ import annotations

from sqlalchemy import inspect, text

from ratoon.platform.storage.database import Database
from ratoon.platform.storage.system_schema import create_system_tables


def make_older(database: Database) -> None:
    """As if a version had made it that knew neither whose file it is, nor what was unlinked, nor the digest."""
    with database.write() as conn:
        conn.execute(text("INSERT INTO ratoon_setting (name, value) VALUES ('kept', 'yes')"))
        conn.execute(text("DROP INDEX ix_ratoon_history_record"))
        conn.execute(text("ALTER TABLE ratoon_file DROP COLUMN object"))
        conn.execute(text("DROP TABLE ratoon_unlinked"))
        conn.execute(text("DELETE FROM ratoon_setting WHERE name = 'system_tables'"))


def test_an_older_database_gets_the_tables_columns_and_indexes_it_lacks(database: Database) -> None:
    make_older(database)
    with database.write() as conn:
        create_system_tables(conn)
    with database.read() as conn:
        there = inspect(conn)
        assert "object" in {column["name"] for column in there.get_columns("ratoon_file")}
        assert "ix_ratoon_history_record" in {index["name"] for index in there.get_indexes("ratoon_history")}
        assert there.has_table("ratoon_unlinked")
        assert conn.execute(text("SELECT value FROM ratoon_setting WHERE name = 'kept'")).scalar_one() == "yes"


def test_a_complete_database_is_opened_without_looking_at_every_table(database: Database) -> None:
    with database.write() as conn:
        conn.execute(text("DROP TABLE ratoon_unlinked"))
        create_system_tables(conn)
        assert not inspect(conn).has_table("ratoon_unlinked")
