"""Why somebody may or may not do something with one record: the rights of ``access/explain.py``, and then the locks of
approvals that take some of them back while a request waits.

    for answer in why_access(engine, connection, actor, "deal", id):
        print(answer.action, answer.allowed, [reason.text() for reason in answer.reasons])
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ratoon.platform.access.actor import Actor
from ratoon.platform.access.explain import Answer, Reason, explain
from ratoon.platform.errors import Problem
from ratoon.platform.metadata.model import Object
from ratoon.platform.records.engine import Engine
from ratoon.platform.records.locks import is_free, process_of
from ratoon.platform.storage import approvals

if TYPE_CHECKING:
    from sqlalchemy import Connection

LOCKED = ("edit", "delete", "transfer")


def why_access(engine: Engine, conn: Connection, actor: Actor, object: str, record: str) -> tuple[Answer, ...]:
    """The answer for every action. A record that is not there is answered as out of reach."""
    answers = explain(engine.policy, engine.store, conn, actor, object, record)
    reason = _lock(engine.registry[object], conn, actor, record)
    if reason is None:
        return answers
    partly = bool(reason.said.params["fields"])
    return tuple(
        replace(answer, allowed=answer.action == "edit" and partly, reasons=(*answer.reasons, reason))
        if answer.allowed and answer.action in LOCKED
        else answer
        for answer in answers
    )


def _lock(obj: Object, conn: Connection, actor: Actor, record: str) -> Reason | None:
    """What a request that waits takes back from the actor."""
    request = approvals.pending(conn, [record]).get(record) if any(a.lock for a in obj.approvals) else None
    process = process_of(obj, request["process"]) if request is not None else None
    if process is None or not process.lock or is_free(actor, process):
        return None
    open_fields = [obj.field_of[key].label for key in sorted(process.open_fields) if key in obj.field_of]
    params = {"label": process.label, "fields": ", ".join(open_fields)}
    if open_fields:
        said = Problem("locked", "It waits for approval ({label}); only {fields} can be changed now.", params=params)
    else:
        said = Problem("locked", "It waits for approval ({label}) and is locked meanwhile.", params=params)
    return Reason(False, said)
