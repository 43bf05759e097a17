"""What is kept for how long. A worker looks every hour (``forget_old``); ``ratoon audit keep`` does it at once.

====================================== ===============================================================================
``RATOON_KEEP_SIGN_INS_DAYS``          attempts to sign in, and the trail ``sign_in``
``RATOON_KEEP_AUDIT_DAYS``             the other trails: setup, access, export, privacy
``RATOON_KEEP_HISTORY_DAYS``           changes of fields
``RATOON_KEEP_NOTIFICATIONS_DAYS``     notifications
``RATOON_KEEP_RUNS_DAYS``              finished runs with what they were given and did; 30
``RATOON_KEEP_DELETED_DAYS``           records in the recycle bin, with their history and files
====================================== ===============================================================================

0 = for ever, which is what all but runs have. Entries of the audit trail are emptied, not dropped, so that the chain
still verifies. A deleted record goes when nothing needs it any more: details before their master. Users never go.
Files that belong to no record go after a day.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ratoon.platform.errors import Conflict
from ratoon.platform.storage import audit, retention
from ratoon.platform.storage.files import forget_files, unattached_before

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ratoon.platform.environment import Environment

EVERY = timedelta(hours=1)
LOOSE_FILES = timedelta(days=1)
DELETED_AT_ONCE = 500
"""Deleted records of one object that one look drops."""
_OTHER_TRAILS: tuple[audit.Trail, ...] = ("setup", "access", "export", "privacy")


def forget_old(environment: Environment, now: datetime) -> dict[str, int]:
    """Drops everything that is too old by the settings; returns how much of what."""
    s = environment.settings
    done: dict[str, int] = {}
    trails = [("sign_in", s.keep_sign_ins_days), *((trail, s.keep_audit_days) for trail in _OTHER_TRAILS)]
    for trail, days in trails:
        if days:
            with environment.database.write() as conn:
                done[f"trail {trail}"] = audit.forget(conn, now, trail, now - timedelta(days=days))
    for name, days, forget in (
        ("sign-ins", s.keep_sign_ins_days, retention.forget_sign_ins),
        ("history", s.keep_history_days, retention.forget_history),
        ("notifications", s.keep_notifications_days, retention.forget_notifications),
    ):
        if days:
            done[name] = _all(environment, forget, now - timedelta(days=days))
    if s.keep_deleted_days:
        done["deleted records"] = _deleted(environment, now - timedelta(days=s.keep_deleted_days))
    with environment.database.read() as conn:
        loose = unattached_before(conn, now - LOOSE_FILES)
    drop_files(environment, loose)
    done["files"] = len(loose)
    return {name: number for name, number in done.items() if number}


def _all(environment: Environment, forget: Callable[[Connection, datetime], int], before: datetime) -> int:
    count = 0
    while True:
        with environment.database.write() as conn:
            dropped = forget(conn, before)
        count += dropped
        if dropped < retention.PIECE:
            return count


def _deleted(environment: Environment, before: datetime) -> int:
    """Drops records from the recycle bin; rounds go on as long as one makes room for another."""
    count, dropped = 0, -1
    while dropped:
        dropped = sum(_deleted_of(environment, name, before) for name in environment.registry.objects if name != "user")
        count += dropped
    return count


def _deleted_of(environment: Environment, object: str, before: datetime) -> int:
    with environment.database.read() as conn:
        store = environment.engine_at(conn).store
        ids = retention.long_deleted(store, conn, object, before, DELETED_AT_ONCE)
    count = 0
    for record in ids:
        with suppress(Conflict):  # something needs it still
            with environment.database.write() as conn:
                files = retention.drop_record(environment.engine_at(conn, writing=True).store, conn, object, record)
            drop_files(environment, files)
            count += 1
    return count


def drop_files(environment: Environment, ids: Sequence[str]) -> None:
    """Removes the bytes of files that belong to no record any more, then what is known about them: a crash in between
    leaves something to find."""
    if not ids:
        return
    for id in ids:
        (environment.settings.files_path / id).unlink(missing_ok=True)
    with environment.database.write() as connection:
        forget_files(connection, ids)
