"""Whose turn it is: the number of the last turn that each user had, per rule.

``take`` locks the assignment's counter until the transaction ends, so that turns are given out one transaction after
the other, and nobody counts the same load twice.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, MetaData, select
from sqlalchemy.dialects import postgresql, sqlite

from ratoon.platform.storage.store import RecordStore
from ratoon.platform.storage.turn_table import define_turn_table

_TURN = define_turn_table(MetaData())


def take(store: RecordStore, conn: Connection, assignment: str, count: int) -> range:
    """The numbers of the next ``count`` turns; whoever asks next waits for this transaction."""
    return store.next_numbers(conn, f"turn:{assignment}"[:200], count)


def last(conn: Connection, rule: str, users: Collection[str]) -> dict[str, int]:
    """The number of the last turn of each user who had one."""
    if not users:
        return {}
    query = select(_TURN.c.user_id, _TURN.c.last).where(_TURN.c.rule == rule, _TURN.c.user_id.in_(list(users)))
    return {row[0]: row[1] for row in conn.execute(query)}


def keep(conn: Connection, rule: str, turns: Mapping[str, int]) -> None:
    """Writes the turns that were had."""
    if not turns:
        return
    rows = [{"rule": rule, "user_id": user, "last": number} for user, number in turns.items()]
    if conn.dialect.name == "sqlite":
        made = sqlite.insert(_TURN)
        conn.execute(
            made.on_conflict_do_update(index_elements=["rule", "user_id"], set_={"last": made.excluded.last}), rows
        )
    else:
        other = postgresql.insert(_TURN)
        conn.execute(
            other.on_conflict_do_update(index_elements=["rule", "user_id"], set_={"last": other.excluded.last}), rows
        )
