"""The table of turns: see ``turns.py``."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, MetaData, String, Table

from ratoon.platform.formulas.columns import Id


def define_turn_table(metadata: MetaData) -> Table:
    """Adds ``ratoon_turn`` to the metadata of system tables."""
    return Table(
        "ratoon_turn",
        metadata,
        Column("rule", String(200), primary_key=True),
        Column("user_id", Id, primary_key=True),
        Column("last", BigInteger, nullable=False),
    )
