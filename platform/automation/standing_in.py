"""Standing in: who answers for somebody who is away."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ratoon.platform.errors import BadRequest, Forbidden, NotFound
from ratoon.platform.records.service import RecordService
from ratoon.platform.storage import approvals as store
from ratoon.platform.storage import role_members

Row = dict[str, Any]


def own(records: RecordService) -> list[Row]:
    """Who stands in for the actor, newest first."""
    return store.delegations_of(records.connection, records.actor.id) if records.actor.id else []


def stand_in(records: RecordService, delegate: str, starts_at: datetime | None, ends_at: datetime | None) -> Row:
    """Lets ``delegate`` answer for the actor from ``starts_at`` (``None`` = now) until ``ends_at`` (``None`` = until it
    is ended). Raises ``NotFound`` for no active user, ``BadRequest`` for a time that cannot be."""
    user = records.actor.id
    if user is None:
        raise Forbidden("Nobody stands in for the platform.")
    if delegate not in role_members.active(records.connection, [delegate]):
        raise NotFound("There is no active user with id {id}.", id=delegate)
    if delegate == user:
        raise BadRequest("Nobody stands in for themselves.", field="delegate")
    begins = starts_at or records.engine.world.clock()
    if ends_at is not None and ends_at <= begins:
        raise BadRequest("It would end before it begins.", field="ends_at")
    made: Row = {
        "id": records.engine.world.new_id(), "user_id": user, "delegate": delegate, "starts_at": begins,
        "ends_at": ends_at,
    }  # fmt: skip
    store.add_delegation(records.connection, made)
    return made


def end(records: RecordService, id: str) -> None:
    """Ends a delegation of the actor. Raises ``NotFound``."""
    if records.actor.id is None or not store.drop_delegation(records.connection, id, records.actor.id):
        raise NotFound("There is no delegation with id {id}.", id=id)
