"""The tables behind sign-in and sharing: passwords, roles of users, API tokens, sessions, attempts, manual shares.

They stand beside the ``user`` object, which is an ordinary object of the built-in package: what everybody may see of
a user is there, what nobody may see is here. Secrets are stored only as hashes.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, String, Table, Text

from ratoon.platform.formulas.columns import Id, UtcDateTime


def define_account_tables(metadata: MetaData) -> MetaData:
    """Adds the ``ratoon_*`` tables of accounts to the metadata of system tables, and returns it."""
    _passwords(metadata)
    _other_proofs(metadata)
    _ways_in(metadata)
    _rights(metadata)
    return metadata


def _passwords(metadata: MetaData) -> None:
    """Passwords, those of before, and links that ask for a new one."""
    Table(
        "ratoon_password",
        metadata,
        Column("user_id", Id, primary_key=True),
        Column("hash", String(255), nullable=False, comment="argon2id, with its parameters"),
        Column("changed_at", UtcDateTime, nullable=False),
        Column("failures", Integer, nullable=False, comment="wrong passwords since the last success"),
        Column("locked_until", UtcDateTime),
        Column("must_change", Boolean, comment="a new one is asked for at the next sign-in"),
    )
    Table(
        "ratoon_password_before",
        metadata,
        Column("id", Id, primary_key=True),
        Column("user_id", Id, nullable=False),
        Column("hash", String(255), nullable=False, comment="a former password; kept only where the settings ask"),
        Index("ix_ratoon_password_before_user", "user_id", "id"),
    )
    Table(
        "ratoon_password_link",
        metadata,
        Column("id", Id, primary_key=True),
        Column("user_id", Id, nullable=False),
        Column("hash", String(64), nullable=False, unique=True, comment="SHA-256 of what the link carries"),
        Column("purpose", String(10), nullable=False, comment="reset or invite"),
        Column("created_at", UtcDateTime, nullable=False),
        Column("expires_at", UtcDateTime, nullable=False),
        Column("ended_at", UtcDateTime, comment="used, or overtaken by one that was used"),
        Column("by", Id, comment="the administrator who made it; blank = asked for on the sign-in page"),
        Index("ix_ratoon_password_link_user", "user_id"),
    )


def _other_proofs(metadata: MetaData) -> None:
    """What proves who somebody is beside or instead of a password."""
    Table(
        "ratoon_identity",
        metadata,
        Column("issuer", String(255), primary_key=True, comment="an OpenID Connect provider"),
        Column("subject", String(255), primary_key=True, comment="who somebody is there, for ever"),
        Column("user_id", Id, nullable=False),
        Column("email", String(255), nullable=False, comment="what the provider said when they were linked"),
        Column("linked_at", UtcDateTime, nullable=False),
        Column("used_at", UtcDateTime),
        Index("ix_ratoon_identity_user", "user_id"),
    )
    Table(
        "ratoon_second_factor",
        metadata,
        Column("user_id", Id, primary_key=True),
        Column("secret", String(64), nullable=False),
        Column("waiting", String(64), comment="a secret that is not confirmed yet"),
        Column("confirmed_at", UtcDateTime),
        Column("last_step", BigInteger, nullable=False, comment="the time step whose code was used last"),
        Column("recovery", Text, nullable=False, comment="SHA-256 of the recovery codes that are left"),
    )


def _ways_in(metadata: MetaData) -> None:
    """API tokens, sessions, and every attempt to sign in."""
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
        Column("objects", Text, comment="names separated by commas; blank = all"),
        Column("read_only", Boolean),
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


def _rights(metadata: MetaData) -> None:
    """Roles and permission sets of users, and records shared by hand."""
    Table(
        "ratoon_user_role",
        metadata,
        Column("user_id", Id, primary_key=True),
        Column("role", String(80), primary_key=True, comment="a role, or permission_set:<name>"),
        Index("ix_ratoon_user_role_role", "role", "user_id"),
    )
    Table(
        "ratoon_share",
        metadata,
        Column("id", Id, primary_key=True),
        Column("object", String(60), nullable=False),
        Column("record", Id, nullable=False),
        Column("grantee", String(320), nullable=False, comment="user:<id>, team:<id>, role:<name>, below:<name>"),
        Column("access", String(4), nullable=False, comment="read or edit"),
        Column("reason", String(255), nullable=False),
        Column("at", UtcDateTime, nullable=False),
        Column("by", Id),
        Index("ix_ratoon_share_record", "record", "grantee", unique=True),
        Index("ix_ratoon_share_grantee", "grantee", "object"),
    )
