"""Settings and secrets that packages ask for: kept apart from the metadata, so that no export has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import Column, Connection, MetaData, String, Table, Text, delete, insert, select

from ratoon.platform.storage.sealed import Sealed


def package_setting_table(metadata: MetaData) -> Table:
    """The table, described in ``metadata``."""
    return Table(
        "ratoon_package_setting",
        metadata,
        Column("package", String(120), primary_key=True),
        Column("name", String(60), primary_key=True),
        Column("value", Text, nullable=False, comment="JSON"),
    )


_TABLE = package_setting_table(MetaData())


def given_settings(conn: Connection) -> dict[tuple[str, str], Any]:
    """(package, setting) → value, of those that somebody gave; a secret comes as ``Sealed``."""
    return {(package, name): _read(orjson.loads(value)) for package, name, value in conn.execute(select(_TABLE))}


def keep_settings(conn: Connection, package: str, values: Mapping[str, Any]) -> None:
    """Keeps the values, ``Sealed`` ones as they are; ``None`` takes one away."""
    for name, value in values.items():
        conn.execute(delete(_TABLE).where(_TABLE.c.package == package, _TABLE.c.name == name))
        if value is not None:
            row = {"package": package, "name": name, "value": orjson.dumps(_written(value)).decode()}
            conn.execute(insert(_TABLE), [row])


def _read(value: Any) -> Any:
    """Settings are plain values; a mapping is a sealed one."""
    return Sealed(value["sealed"]) if isinstance(value, dict) else value


def _written(value: Any) -> Any:
    return {"sealed": value.token} if isinstance(value, Sealed) else value
