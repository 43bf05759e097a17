"""The tables of approvals.

================== ================================================================================
ratoon_approval    one record submitted to one process: where it stands
ratoon_vote        who is asked in which step, and what they answered
ratoon_decision    what happened, in order: submitted, asked, approved, rejected, delegated …
ratoon_delegation  who stands in for whom, and when
================== ================================================================================
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, Text, text

from ratoon.platform.formulas.columns import Id, UtcDateTime


def define_approval_tables(metadata: MetaData) -> MetaData:
    """Adds the tables to the metadata of system tables, and returns it."""
    pending = text("state = 'pending'")
    open_ = text("state = 'open'")
    Table(
        "ratoon_approval",
        metadata,
        Column("id", Id, primary_key=True),
        Column("object", String(60), nullable=False),
        Column("record", Id, nullable=False),
        Column("process", String(60), nullable=False),
        Column("state", String(12), nullable=False, comment="pending, approved, rejected, recalled"),
        Column("step", String(60)),
        Column("round", Integer, nullable=False, comment="counts up whenever a step is asked"),
        Column("submitted_by", Id),
        Column("submitted_at", UtcDateTime, nullable=False),
        Column("finished_at", UtcDateTime),
        Index("ix_ratoon_approval_record", "record", "id"),
        Index("uq_ratoon_approval_pending", "record", unique=True, sqlite_where=pending, postgresql_where=pending),
    )
    Table(
        "ratoon_vote",
        metadata,
        Column("id", Id, primary_key=True),
        Column("approval", Id, nullable=False),
        Column("step", String(60), nullable=False),
        Column("round", Integer, nullable=False),
        Column("user_id", Id, nullable=False),
        Column("instead_of", Id, comment="who would have been asked"),
        Column("state", String(12), nullable=False, comment="open, approved, rejected, closed"),
        Column("asked_at", UtcDateTime, nullable=False),
        Column("decided_at", UtcDateTime),
        Index("ix_ratoon_vote_approval", "approval", "round"),
        Index("ix_ratoon_vote_open", "user_id", "id", sqlite_where=open_, postgresql_where=open_),
    )
    Table(
        "ratoon_decision",
        metadata,
        Column("number", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True),
        Column("approval", Id, nullable=False),
        Column("at", UtcDateTime, nullable=False),
        Column("by", Id),
        Column("event", String(20), nullable=False),
        Column("step", String(60)),
        Column("comment", Text, nullable=False),
        Column("source", String(40), nullable=False),
        Index("ix_ratoon_decision_approval", "approval", "number"),
        sqlite_autoincrement=True,
    )
    Table(
        "ratoon_delegation",
        metadata,
        Column("id", Id, primary_key=True),
        Column("user_id", Id, nullable=False),
        Column("delegate", Id, nullable=False),
        Column("starts_at", UtcDateTime, nullable=False),
        Column("ends_at", UtcDateTime),
        Index("ix_ratoon_delegation_user", "user_id"),
    )
    return metadata
