"""Why somebody may or may not do something with one record: every role, rule and share that was asked, in words.

    for answer in explain(engine.policy, engine.store, connection, actor, "deal", id):
        print(answer.action, answer.allowed, [reason.text() for reason in answer.reasons])

The answers come from the very conditions that lists are filtered by, each asked alone of the one record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection

from ratoon.platform.access.actor import Actor
from ratoon.platform.access.policy import Policy
from ratoon.platform.access.rows import RowAction, Way
from ratoon.platform.errors import Problem, Translate

ACTIONS: tuple[RowAction, ...] = ("read", "edit", "delete", "transfer", "export")


class Store(Protocol):
    """The part of the record store that explaining needs."""

    def visible(
        self, conn: Connection, object: str, ids: Sequence[str], where: Sequence[ColumnElement[Any]]
    ) -> set[str]:
        """Which of these live records meet the conditions."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that was asked, and what it says to the question."""

    grants: bool
    said: Problem
    """A message template with its values."""

    def text(self, translate: Translate | None = None) -> str:
        """The reason in words."""
        return self.said.text(translate) if translate is not None else self.said.text()


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether the actor may do something with the record, and why."""

    action: str
    allowed: bool
    reasons: tuple[Reason, ...]


def explain(
    policy: Policy, store: Store, conn: Connection, actor: Actor, object: str, record: str
) -> tuple[Answer, ...]:
    """The answer for every action. A record that is not there is answered as out of reach."""
    asked = _Asked(policy, store, conn, actor, object, record)
    return tuple(asked.answer(action) for action in ACTIONS)


def fields_of(policy: Policy, actor: Actor, object: str) -> Mapping[str, Sequence[str]]:
    """``hidden`` and ``read_only`` keys of an object for the actor."""
    readable, editable = policy.readable_keys(actor, object), policy.editable_keys(actor, object)
    keys = policy.keys(object)
    return {
        "hidden": [key for key in keys if key not in readable],
        "read_only": [key for key in keys if key in readable and key not in editable],
    }


def _reason(grants: bool, message: str, **params: object) -> Reason:
    return Reason(grants, Problem("access", message, params=params))


class _Asked:
    def __init__(self, policy: Policy, store: Store, conn: Connection, actor: Actor, object: str, record: str) -> None:
        self._policy = policy
        self._store = store
        self._conn = conn
        self._actor = actor
        self._object = object
        self._record = record

    def answer(self, action: RowAction) -> Answer:
        if self._actor.admin:
            there = self._meets()
            said = _reason(True, "{name} is an administrator and may do everything.", name=self._actor.name)
            return Answer(action, there, (said,) if there else (said, self._gone()))
        reasons = tuple(self._reasons(action))
        return Answer(action, self._allowed(action), reasons)

    def _allowed(self, action: RowAction) -> bool:
        if action == "export" and not self._policy.may(self._actor, self._object, "export"):
            return False
        return self._meets(*self._policy.row_filter(self._actor, self._object, action))

    def _meets(self, *where: ColumnElement[Any]) -> bool:
        return self._record in self._store.visible(self._conn, self._object, [self._record], where)

    def _gone(self) -> Reason:
        return _reason(False, "There is no such record, or it is deleted.")

    def _reasons(self, action: RowAction) -> Iterator[Reason]:
        if not self._meets():
            yield self._gone()
            return
        rows, actor, object = self._policy.rows, self._actor, self._object
        reaches = list(rows.reaches(actor, object, action))
        if action == "export" and not self._policy.may(actor, object, "export"):
            yield _reason(False, "No role of {name} has the right export for {object}.", name=actor.name, object=object)
            return
        if not reaches:
            yield _reason(
                False, "No role or permission set of {name} allows to {action} {object} records.", name=actor.name,
                action=action, object=object,
            )  # fmt: skip
            return
        context, table = rows.context(actor), self._policy.table(object)
        for reach in reaches:
            told = {"role": reach.role.label, "action": action, "object": object}
            if reach.limit is None:
                yield _reason(True, "{role} allows to {action} {object} records.", **told)
            else:
                told["formula"] = reach.limit.source
                if self._meets(rows.limit(object, reach, table, context)):
                    yield _reason(
                        True, "{role} allows to {action} {object} records where {formula}; it is one.", **told
                    )
                else:
                    yield _reason(
                        False, "{role} allows to {action} {object} records where {formula}; it is none.", **told
                    )
            if reach.every:
                yield _reason(True, "{role} reaches every record, whoever owns it.", **told)
        for way in rows.ways(actor, object, action, table, context):
            yield self._way(way)

    def _way(self, way: Way) -> Reason:
        holds = way.condition is None or self._meets(way.condition)
        name, object = self._actor.name, self._object
        match way.kind:
            case "default":
                message = {"object": object, "default": way.name}
                return _reason(
                    True, "{object} records are open to everybody whose role allows it ({default}).", **message
                )
            case "owner" if holds:
                return _reason(True, "{name} owns the record.", name=name)
            case "owner":
                return _reason(False, "{name} does not own the record.", name=name)
            case "below" if holds:
                return _reason(True, "The owner has a role below one of {name} ({roles}).", name=name, roles=way.name)
            case "below":
                return _reason(False, "The owner has no role below one of {name} ({roles}).", name=name, roles=way.name)
            case "sharing_rule" if holds:
                return _reason(True, "The sharing rule {rule} opens it.", rule=way.name)
            case "sharing_rule":
                return _reason(False, "The sharing rule {rule} does not open it.", rule=way.name)
            case "share" if holds:
                return _reason(True, "It was shared with {name}, a team or a role.", name=name)
            case "share":
                return _reason(False, "Nobody shared it with {name}.", name=name)
            case "parent" if holds:
                return _reason(True, "Its master ({object}) lets {name} through.", name=name, object=way.name)
            case "parent":
                return _reason(False, "Its master ({object}) does not let {name} through.", name=name, object=way.name)
            case _ if holds:
                return _reason(True, "Both ends of the link are there for {name}.", name=name)
            case _:
                return _reason(False, "Not both ends of the link are there for {name}.", name=name)
