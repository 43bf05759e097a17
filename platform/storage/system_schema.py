"""The platform's own tables in a database: made when they are missing, completed when an older version made them.

A newer version of the platform may bring tables, columns (always ones that may be blank) and indexes; opening a
database adds them and changes nothing else. A digest of what was made is kept in ``ratoon_setting``, so that opening a
database that is complete costs one read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from sqlalchemy import Column, Connection, MetaData, Table, inspect, select
from sqlalchemy.schema import CreateIndex, CreateTable

from ratoon.platform.storage.audit import fill_about
from ratoon.platform.storage.search import create_search_tables
from ratoon.platform.storage.system import system_tables

_DIGEST = "system_tables"


def create_system_tables(connection: Connection, *more: MetaData) -> None:
    """Makes the platform's tables that are missing, and those of ``more`` (other rooms' descriptions), and adds the
    columns and indexes that tables of an older version lack. Removes and changes nothing that is there."""
    described = (system_tables(), *more)
    digest = _digest(connection, described)
    if _made(connection) == digest:
        return
    found_by = inspect(connection).has_table("ratoon_audit_about")
    for metadata in described:
        metadata.create_all(connection)
        for table in metadata.sorted_tables:
            _complete(connection, table)
    if not found_by:
        fill_about(connection)
    create_search_tables(connection)
    settings = system_tables().tables["ratoon_setting"]
    connection.execute(settings.delete().where(settings.c.name == _DIGEST))
    connection.execute(settings.insert(), {"name": _DIGEST, "value": digest})


def _complete(connection: Connection, table: Table) -> None:
    """Adds the columns and indexes of ``table`` that the database's table lacks."""
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    there = inspect(connection)
    columns = {column["name"] for column in there.get_columns(table.name)}
    indexes = {index["name"] for index in there.get_indexes(table.name)}
    operations = Operations(MigrationContext.configure(connection))
    for column in table.columns:
        if column.name not in columns:
            operations.add_column(table.name, Column(column.name, column.type))
    for index in table.indexes:
        if index.name not in indexes:
            connection.execute(CreateIndex(index))


def _made(connection: Connection) -> str | None:
    """The digest kept by the version that last opened this database; ``None`` for an empty or an older one."""
    if not inspect(connection).has_table("ratoon_setting"):
        return None
    settings = system_tables().tables["ratoon_setting"]
    return connection.execute(select(settings.c.value).where(settings.c.name == _DIGEST)).scalar()


def _digest(connection: Connection, described: Iterable[MetaData]) -> str:
    """What would be made, as one value."""
    text = hashlib.sha256()
    for metadata in described:
        for table in metadata.sorted_tables:
            text.update(str(CreateTable(table).compile(dialect=connection.dialect)).encode())
            for index in sorted(table.indexes, key=lambda index: str(index.name)):
                text.update(str(CreateIndex(index).compile(dialect=connection.dialect)).encode())
    return text.hexdigest()
