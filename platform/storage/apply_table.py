"""``ratoon_apply``: who is changing the metadata right now. At most one row."""

from __future__ import annotations

from functools import cache

from sqlalchemy import Column, Integer, MetaData, String, Table, Text

from ratoon.platform.formulas.columns import UtcDateTime


def define_apply_table(metadata: MetaData) -> Table:
    """Adds the table to the description of the platform's tables."""
    return Table(
        "ratoon_apply",
        metadata,
        Column("name", String(20), primary_key=True),
        Column("by", Text),
        Column("host", String(120), nullable=False),
        Column("pid", Integer, nullable=False),
        Column("since", UtcDateTime, nullable=False),
        Column("revision", Integer, nullable=False),
        Column("what", Text, nullable=False),
    )


@cache
def apply_table() -> Table:
    """The table for statements."""
    return define_apply_table(MetaData())
