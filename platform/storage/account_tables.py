"""The tables behind sign-in: passwords, roles of users, API tokens, sessions, and the trail of attempts.

They stand beside the ``user`` object, which is an ordinary object of the built-in package: what everybody may see of
a user is there, what nobody may see is here. Secrets are stored only as hashes.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, MetaData, String, Table

from ratoon.platform.formulas.columns import Id, UtcDateTime


def define_account_tables(metadata: MetaData) -> MetaData:
    """Adds the ``ratoon_*`` tables of accounts to the metadata of system tables, and returns it."""
    Table(
        "ratoon_password",
        metadata,
        Column("user_id", Id, primary_key=True),
        Column("hash", String(255), nullable=False, comment="argon2id, with its parameters"),
        Column("changed_at", UtcDateTime, nullable=False),
        Column("failures", Integer, nullable=False, comment="wrong passwords since the last success"),
        Column("locked_until", UtcDateTime),
    )
    Table(
        "ratoon_user_role",
        metadata,
        Column("user_id", Id, primary_key=True),
        Column("role", String(80), primary_key=True),
    )
    Table(
        "ratoon_token",
        metadata,
        Column("id", Id, primary_key=True),
        Column("user_id", Id, nullable=False),
        Column("hash", String(64), nullable=False, unique=True, comment="SHA-256 of the token"),
        Column("label", String(255), nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        Column("expires_at", UtcDateTime),
        Column("last_used_at", UtcDateTime),
        Column("revoked_at", UtcDateTime),
        Index("ix_ratoon_token_user", "user_id"),
    )
    Table(
        "ratoon_session",
        metadata,
        Column("id", Id, primary_key=True),
        Column("user_id", Id, nullable=False),
        Column("hash", String(64), nullable=False, unique=True, comment="SHA-256 of the session's token"),
        Column("created_at", UtcDateTime, nullable=False),
        Column("seen_at", UtcDateTime, nullable=False),
        Column("expires_at", UtcDateTime, nullable=False),
        Column("ended_at", UtcDateTime),
        Column("address", String(64), nullable=False),
        Column("agent", String(255), nullable=False),
        Index("ix_ratoon_session_user", "user_id"),
    )
    Table(
        "ratoon_sign_in",
        metadata,
        Column("id", Id, primary_key=True),
        Column("at", UtcDateTime, nullable=False),
        Column("email", String(255), nullable=False),
        Column("user_id", Id),
        Column("outcome", String(20), nullable=False, comment="one of access.accounts.Outcome"),
        Column("address", String(64), nullable=False),
        Column("agent", String(255), nullable=False),
        Index("ix_ratoon_sign_in_at", "at"),
    )
    return metadata
