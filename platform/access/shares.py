"""Manual shares: one record opened to one user, team or role, by somebody who owns it or stands above.

The table ``ratoon_share`` is asked by ``rows.py``. A grantee is ``user:<id>``, ``team:<id>``, ``role:<name>`` or
``below:<name>`` (that role and those below it).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, MetaData, delete, insert, select

from ratoon.platform.storage.account_tables import define_account_tables

GRANTEES = ("user", "team", "role", "below")
_SHARE = define_account_tables(MetaData()).tables["ratoon_share"]


@dataclass(frozen=True, slots=True)
class Share:
    """A record opened to somebody."""

    id: str
    object: str
    record: str
    grantee: str
    access: str
    """``read`` or ``edit``"""
    reason: str
    at: datetime
    by: str | None


def add_share(conn: Connection, share: Share) -> None:
    """Opens a record, or changes how far it is open to that grantee."""
    conn.execute(delete(_SHARE).where(_SHARE.c.record == share.record, _SHARE.c.grantee == share.grantee))
    conn.execute(insert(_SHARE), {name: getattr(share, name) for name in Share.__slots__})


def shares_of(conn: Connection, object: str, record: str) -> list[Share]:
    """The shares of a record, oldest first."""
    found = select(*(_SHARE.c[name] for name in Share.__slots__)).where(
        _SHARE.c.record == record, _SHARE.c.object == object
    )
    return [Share(*row) for row in conn.execute(found.order_by(_SHARE.c.at, _SHARE.c.id))]


def remove_share(conn: Connection, object: str, record: str, id: str) -> bool:
    """Closes a record again; False when there is no such share of it."""
    mine = (_SHARE.c.id == id, _SHARE.c.record == record, _SHARE.c.object == object)
    return conn.execute(delete(_SHARE).where(*mine)).rowcount > 0


def forget_shares(conn: Connection, records: Collection[str]) -> None:
    """Closes records to everybody they were opened to: their owner changed."""
    ids: Sequence[str] = sorted(records)
    for start in range(0, len(ids), 500):
        conn.execute(delete(_SHARE).where(_SHARE.c.record.in_(ids[start : start + 500])))
