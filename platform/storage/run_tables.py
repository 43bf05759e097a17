"""The tables of work after the commit: runs, their steps, the workers, what date rules have done, notifications.

======================== ==========================================================================================
ratoon_run               one piece of work: what, for which records, when it is due, how it went
ratoon_run_record        the records of a run, with what its condition read of each
ratoon_run_step          what a run has done, per step and record; a row here means: never again
ratoon_worker            worker processes and when each gave its last sign of life
ratoon_due               which record had its date-relative rule run for which date; ``ratoon_timer`` how far it swept
ratoon_notification      messages to users, in the product and by mail
ratoon_notification_way  what a user (or everybody) wants of each kind of them
ratoon_quota             what was granted in the last minute, for limits per minute
======================== ==========================================================================================

A run is written in the transaction that causes it (a rollback leaves nothing) and handed over when it is due.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, String, Table, Text, text

from ratoon.platform.formulas.columns import Id, Json, UtcDateTime


def define_run_tables(metadata: MetaData) -> MetaData:
    """Adds the tables to the metadata of system tables, and returns it."""
    _runs(metadata)
    _timers(metadata)
    Table(
        "ratoon_worker",
        metadata,
        Column("id", String(60), primary_key=True),
        Column("host", String(255), nullable=False),
        Column("pid", Integer, nullable=False),
        Column("started_at", UtcDateTime, nullable=False),
        Column("beat_at", UtcDateTime, nullable=False),
    )
    Table(
        "ratoon_notification",
        metadata,
        Column("id", Id, primary_key=True),
        Column("user_id", Id, nullable=False),
        Column("at", UtcDateTime, nullable=False),
        Column("title", Text, nullable=False),
        Column("body", Text, nullable=False),
        Column("object", String(60)),
        Column("record", Id),
        Column("key", String(255), unique=True, comment="the same key is told once"),
        Column("rule", String(130)),
        Column("read_at", UtcDateTime),
        Column("mailed_at", UtcDateTime, comment="when it went into a mail, or needed none any more"),
        Column("kind", String(20)),
        Column("shown", Boolean, comment="whether the bell shows it; blank = yes"),
        Column("mail", String(8), comment="now, daily or weekly; blank = no mail"),
        Index("ix_ratoon_notification_user", "user_id", "id"),
        Index(
            "ix_ratoon_notification_mail",
            "mail",
            "user_id",
            sqlite_where=text("mail IS NOT NULL AND mailed_at IS NULL"),
            postgresql_where=text("mail IS NOT NULL AND mailed_at IS NULL"),
        ),
        Index(
            "ix_ratoon_notification_unread",
            "user_id",
            sqlite_where=text("read_at IS NULL"),
            postgresql_where=text("read_at IS NULL"),
        ),
    )
    Table(
        "ratoon_quota",
        metadata,
        Column("name", String(255), primary_key=True, comment="mail, call/<host>, job/<kind>"),
        Column("grants", Json, nullable=False, comment="[[milliseconds, how many], …] of the last minute"),
    )
    Table(
        "ratoon_notification_way",
        metadata,
        Column("user_id", Id, primary_key=True, comment="zeros = everybody who did not choose"),
        Column("kind", String(20), primary_key=True),
        Column("bell", Boolean, nullable=False),
        Column("mail", String(8), nullable=False, comment="now daily weekly off"),
    )
    return metadata


def _runs(metadata: MetaData) -> None:
    waiting = text("state = 'waiting'")
    Table(
        "ratoon_run",
        metadata,
        Column("id", Id, primary_key=True),
        Column("name", String(60), nullable=False, comment="the kind of job"),
        Column("key", String(255), unique=True, comment="the same key is enqueued once"),
        Column("state", String(12), nullable=False, comment="waiting queued running done failed cancelled"),
        Column("trigger", String(20), nullable=False),
        Column("rule", String(130), comment="object.automation, or whatever else asked for it"),
        Column("object", String(60)),
        Column("records", Integer, nullable=False, comment="how many"),
        Column("payload", Json),
        Column("due_at", UtcDateTime, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        Column("by", Id),
        Column("started_at", UtcDateTime),
        Column("finished_at", UtcDateTime),
        Column("tries", Integer, nullable=False),
        Column("handed", Integer, nullable=False, comment="how often it was given to the engine"),
        Column("worker", String(60)),
        Column("error_code", String(60)),
        Column("error", Text),
        Column("result", Json),
        Column("parent", Id, comment="the run that this one goes on from"),
        Column("revision", Integer, comment="of the metadata by which it was enqueued, then carried out last"),
        Index("ix_ratoon_run_due", "due_at", sqlite_where=waiting, postgresql_where=waiting),
        Index("ix_ratoon_run_state", "state", "id"),
        Index("ix_ratoon_run_rule", "rule", "id"),
    )
    Table(
        "ratoon_run_record",
        metadata,
        Column("record", Id, primary_key=True),
        Column("run", Id, primary_key=True),
        Column("seen", Json, comment="what the condition read"),
        Index("ix_ratoon_run_record_run", "run"),
    )
    Table(
        "ratoon_run_step",
        metadata,
        Column("run", Id, primary_key=True),
        Column("step", String(80), primary_key=True, comment="place of the action, such as 2 or 3.otherwise.1"),
        Column("record", String(36), primary_key=True, comment="empty = all records of the run at once"),
        Column("state", String(12), nullable=False, comment="done skipped failed; open = failed and to be tried again"),
        Column("kind", String(60), nullable=False),
        Column("at", UtcDateTime, nullable=False),
        Column("tries", Integer, nullable=False),
        Column("ms", BigInteger, nullable=False),
        Column("detail", Json),
        Column("error_code", String(60)),
        Column("error", Text),
    )


def _timers(metadata: MetaData) -> None:
    Table(
        "ratoon_due",
        metadata,
        Column("rule", String(130), primary_key=True),
        Column("record", Id, primary_key=True),
        Column("due_at", UtcDateTime, primary_key=True),
        Column("at", UtcDateTime, nullable=False),
        Index("ix_ratoon_due_rule", "rule", "due_at"),
    )
    Table(
        "ratoon_timer",
        metadata,
        Column("name", String(130), primary_key=True),
        Column("shape", Text, nullable=False, comment="what it was told to do; something else starts anew"),
        Column("last_at", UtcDateTime, nullable=False, comment="everything due until then has been done"),
        Column("next_at", UtcDateTime, comment="when to look again"),
        Column("active", Boolean, nullable=False),
        Column("since_at", UtcDateTime, comment="when the rule began"),
        Index("ix_ratoon_timer_next", "next_at"),
    )
