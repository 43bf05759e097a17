"""The platform's own tables, ``ratoon_*``: everything that is not a record of an object.

================== ================================================================================
ratoon_revision    who changed the metadata, when, with what message
ratoon_document    the metadata documents, each with the revisions from and until which it stood
ratoon_counter     the last number given out per autonumber counter
ratoon_history     old and new value of tracked fields
ratoon_stage       the periods that a record spent in each stage
ratoon_stage_task  tasks of stages that are done, per record (see ``stage_tasks.py``)
ratoon_turn        whose turn it was, per rule of an assignment (see ``turns.py``)
ratoon_unlinked    lookups that a deletion emptied, so that a restore can fill them again
ratoon_idempotency answers already given, by idempotency key
ratoon_file        what is known about an uploaded file (its bytes are in the files folder)
ratoon_match       what duplicate rules compare, one key per rule and record (see ``match_keys.py``)
ratoon_apply       who is changing the metadata right now (see ``apply_table.py``)
ratoon_kept        columns and tables that hold data no metadata names (see ``kept.py``)
ratoon_undo        values that a change of metadata replaced, so that a rollback brings them back
ratoon_setting     values that an installation makes once, such as its secret key
ratoon_search      texts of records for the global search (see ``search.py``)
ratoon_audit       who signed in, changed metadata or rights, took records out (see ``audit.py``)
ratoon_audit_about which packages and components an entry of it is about
================== ================================================================================

The tables of approvals are in ``approval_tables.py``, those behind sign-in in ``account_tables.py``;
``system_schema.py`` makes them all and completes older ones.
"""

from __future__ import annotations

from functools import cache

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text

from ratoon.platform.formulas.columns import Id, Json, UtcDateTime
from ratoon.platform.storage.account_tables import define_account_tables
from ratoon.platform.storage.apply_table import define_apply_table
from ratoon.platform.storage.approval_tables import define_approval_tables
from ratoon.platform.storage.audit import define_audit_tables
from ratoon.platform.storage.bases import base_table
from ratoon.platform.storage.kept import define_kept_table
from ratoon.platform.storage.match_keys import define_match_table
from ratoon.platform.storage.package_settings import package_setting_table
from ratoon.platform.storage.run_tables import define_run_tables
from ratoon.platform.storage.stage_tasks import define_task_table
from ratoon.platform.storage.turn_table import define_turn_table

SERIAL = BigInteger().with_variant(Integer(), "sqlite")


@cache
def system_tables() -> MetaData:
    """The description of every ``ratoon_*`` table but the search index."""
    metadata = MetaData()
    _metadata_tables(metadata)
    base_table(metadata)
    package_setting_table(metadata)
    _record_tables(metadata)
    _service_tables(metadata)
    define_audit_tables(metadata)
    define_run_tables(metadata)
    define_match_table(metadata)
    define_kept_table(metadata)
    define_apply_table(metadata)
    define_task_table(metadata)
    define_turn_table(metadata)
    define_approval_tables(metadata)
    return define_account_tables(metadata)


def _metadata_tables(metadata: MetaData) -> None:
    Table(
        "ratoon_revision",
        metadata,
        Column("revision", Integer, primary_key=True, autoincrement=False),
        Column("at", UtcDateTime, nullable=False),
        Column("by", Text),
        Column("message", Text, nullable=False),
        Column("plan", Json),
    )
    Table(
        "ratoon_document",
        metadata,
        Column("path", String(400), primary_key=True),
        Column("since", Integer, primary_key=True, autoincrement=False),
        Column("until", Integer, index=True),
        Column("package", String(120), nullable=False),
        Column("file", String(260), nullable=False),
        Column("kind", String(40), nullable=False),
        Column("body", Text, nullable=False),
    )


def _record_tables(metadata: MetaData) -> None:
    Table(
        "ratoon_counter",
        metadata,
        Column("name", String(200), primary_key=True),
        Column("value", BigInteger, nullable=False),
    )
    Table(
        "ratoon_history",
        metadata,
        Column("number", SERIAL, primary_key=True),
        Column("object", String(60), nullable=False),
        Column("record", Id, nullable=False),
        Column("event", String(12), nullable=False),
        Column("key", String(120)),
        Column("old", Json),
        Column("new", Json),
        Column("at", UtcDateTime, nullable=False),
        Column("by", Id),
        Column("source", String(40), nullable=False),
        Index("ix_ratoon_history_record", "record", "number"),
        sqlite_autoincrement=True,
    )
    Table(
        "ratoon_stage",
        metadata,
        Column("number", SERIAL, primary_key=True),
        Column("object", String(60), nullable=False),
        Column("record", Id, nullable=False),
        Column("field", String(60), nullable=False),
        Column("pipeline", String(60)),
        Column("stage", String(60)),
        Column("previous", String(60)),
        Column("entered_at", UtcDateTime, nullable=False),
        Column("left_at", UtcDateTime),
        Column("by", Id),
        Index("ix_ratoon_stage_record", "record", "field", "number"),
        sqlite_autoincrement=True,
    )
    Table(
        "ratoon_unlinked",
        metadata,
        Column("deletion_id", Id, primary_key=True),
        Column("object", String(60), primary_key=True),
        Column("record", Id, primary_key=True),
        Column("key", String(120), primary_key=True),
        Column("target", Id, nullable=False),
    )


def _service_tables(metadata: MetaData) -> None:
    Table(
        "ratoon_idempotency",
        metadata,
        Column("actor", String(60), primary_key=True),
        Column("key", String(255), primary_key=True),
        Column("request", String(64), nullable=False),
        Column("status", Integer),
        Column("headers", Json),
        Column("body", LargeBinary),
        Column("at", UtcDateTime, nullable=False, index=True),
    )
    Table(
        "ratoon_file",
        metadata,
        Column("id", Id, primary_key=True),
        Column("name", Text, nullable=False),
        Column("media_type", String(255), nullable=False),
        Column("size", BigInteger, nullable=False),
        Column("sha256", String(64), nullable=False),
        Column("object", String(60)),
        Column("record", Id, index=True),
        Column("at", UtcDateTime, nullable=False),
        Column("by", Id),
    )
    Table(
        "ratoon_setting",
        metadata,
        Column("name", String(120), primary_key=True),
        Column("value", Text, nullable=False),
    )
