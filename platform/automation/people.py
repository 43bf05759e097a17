"""Finding the users that a list of people in metadata means for one record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas.types import EvalContext
from ratoon.platform.metadata.people import Person
from ratoon.platform.records.service import RecordService
from ratoon.platform.storage import role_members


def find(records: RecordService, people: Sequence[Person], row: Mapping[str, Any], context: EvalContext) -> list[str]:
    """The active users, each once, in the order of the list. ``row`` carries the dotted paths that formulas read."""
    found: dict[str, None] = {}
    for person in people:
        found.update(dict.fromkeys(_users(records, person, row, context)))
    there = role_members.active(records.connection, list(found))
    return [user for user in found if user in there]


def readers(records: RecordService, object: str, record: str, users: Sequence[str]) -> list[str]:
    """Those of the users who may read the record, in the same order."""
    engine, accounts = records.engine, Accounts(records.engine.world)
    found = []
    for user in users:
        actor = accounts.actor_for_user(records.connection, user)
        if actor is None or not engine.policy.may(actor, object, "read"):
            continue
        where = engine.policy.row_filter(actor, object, "read")
        if not where or record in engine.store.visible(records.connection, object, [record], where):
            found.append(user)
    return found


def _users(records: RecordService, person: Person, row: Mapping[str, Any], context: EvalContext) -> list[str]:
    connection = records.connection
    if person.kind == "role":
        return role_members.members(connection, [person.name])
    if person.kind == "user":
        return list(role_members.by_email(connection, [person.name]).values())
    try:
        value = person.formula.evaluate(row, context) if person.formula is not None else None
    except FormulaError:
        return []
    if not value:
        return []
    user = str(value)
    if not _is_id(user):
        return list(role_members.by_email(connection, [user]).values())
    if person.kind == "manager_of":
        above = records.engine.store.load(connection, "user", [user]).get(user, {}).get("manager")
        return [above] if above else []
    return [user]


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
