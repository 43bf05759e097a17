"""Triggers that plugins bring: a plugin says that something happened to records, automations do what follows.

    @hookimpl
    def automation_triggers():
        return [TriggerType("parcel_delivered", "Parcel delivered")]

    fire(records, "parcel_delivered", "order", [order_id])     # in the transaction in which it is known

Automations of ``order`` with ``"on": ["parcel_delivered"]`` then get a run, exactly if the transaction is kept.
"""

from __future__ import annotations

from collections.abc import Sequence

from ratoon.platform.automation.deferring import CHUNK, start
from ratoon.platform.jobs.dates import matching
from ratoon.platform.records.service import RecordService


def fire(records: RecordService, trigger: str, object: str, ids: Sequence[str], *, key: str | None = None) -> list[str]:
    """Starts the active automations of ``object`` that name the trigger, on those records for which their condition is
    true; returns the runs. ``key``: the same happening is counted once, however often it is told.

    Raises ``NotFound`` for an unknown object, ``LoopStopped`` when automations cause one another in a circle.
    """
    started: list[str] = []
    for automation in records.plan(object).object.automations:
        if trigger not in automation.on:
            continue
        for place in range(0, len(ids), CHUNK):
            fits, unclear = matching(records, automation, ids[place : place + CHUNK])
            for drafts, check in ((fits, False), (unclear, True)):
                if drafts:
                    once = f"{trigger}/{key}/{automation.full_name}/{place}/{check}" if key is not None else None
                    started += start(records, automation, trigger, drafts, check=check, key=once)
    return started
