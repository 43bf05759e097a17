"""Requests for approval as one actor sees them: where they stand, who is asked, what the actor may answer.

``Requests`` is bound to a record service (one transaction, one actor) and changes nothing; ``approvals.py`` does. What
somebody may not see of a record is not told about its requests either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ratoon.platform.access.actor import Actor
from ratoon.platform.errors import Forbidden, FormulaError, NotFound, Problem, ValidationFailed
from ratoon.platform.formulas import Formula
from ratoon.platform.metadata.approval_model import Approval, ApprovalStep
from ratoon.platform.metadata.model import Object
from ratoon.platform.records.locks import process_of
from ratoon.platform.records.plan import dotted
from ratoon.platform.records.reading import context_of
from ratoon.platform.records.service import RecordService
from ratoon.platform.records.veil import reason
from ratoon.platform.storage import approvals as store

Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A request with what belongs to it."""

    request: Row
    object: Object
    process: Approval

    @property
    def step(self) -> ApprovalStep | None:
        return self.process.step(self.request["step"])


class Requests:
    """The requests of one environment, as one actor may see them within one transaction."""

    def __init__(self, records: RecordService) -> None:
        self._records = records
        self._conn = records.connection
        self._now = records.engine.world.clock()

    @property
    def _actor(self) -> Actor:
        return self._records.initiator

    def offered(self, object: str, record: Mapping[str, Any]) -> list[Approval]:
        """The processes that the actor may submit this record to now."""
        obj = self._records.plan(object).object
        if not obj.approvals or not self._records.engine.policy.may(self._actor, object, "edit"):
            return []
        if store.pending(self._conn, [record["id"]]):
            return []
        row = self._row(obj, record["id"], [p.when for p in obj.approvals if p.when])
        return [p for p in obj.approvals if row is not None and self._meets(obj, p, row)]

    def pending(self, object: str, record: str) -> Row | None:
        """Where the pending request of a record stands, with who is asked; ``None`` = there is none."""
        found = store.pending(self._conn, [record]).get(record)
        return None if found is None else self.tell(found["id"])

    def tell(self, id: str) -> Row:
        """One request: its facts, the votes of the present round, what happened. Raises ``NotFound``."""
        request = store.request(self._conn, id)
        if request is None:
            raise no_approval(id)
        self._require_record(request)
        process = process_of(self._records.plan(request["object"]).object, request["process"])
        step = process.step(request["step"]) if process is not None else None
        mine = self._mine(request) if request["state"] == "pending" else None
        return {
            **request,
            "label": process.label if process is not None else request["process"],
            "step_label": step.label if step is not None else request["step"],
            "votes": store.votes_of(self._conn, id, request["round"]),
            "decisions": store.decisions(self._conn, [id]),
            "may_decide": mine is not None,
            "may_recall": self._may_recall(request, process),
        }

    def history(self, object: str, record: str) -> list[Row]:
        """Every request of a record, newest first, each with what happened."""
        self._records.get(object, record, fields=["id"])
        return [self.tell(request["id"]) for request in store.requests_of(self._conn, record)]

    def mine(self) -> list[Row]:
        """The questions that the actor is asked, or may answer for somebody who is away; oldest first."""
        if self._actor.id is None:
            return []
        users = [self._actor.id, *store.stands_in_for(self._conn, self._actor.id, self._now)]
        objects = self._records.engine.registry.objects
        votes = [v for v in store.open_votes(self._conn, users) if v["request_object"] in objects]
        titles = {
            name: self._records.titles(name, {v["request_record"] for v in votes if v["request_object"] == name})
            for name in {v["request_object"] for v in votes}
        }
        found = []
        for vote in votes:
            process = process_of(self._records.plan(vote["request_object"]).object, vote["request_process"])
            step = process.step(vote["step"]) if process is not None else None
            title = titles[vote["request_object"]].get(vote["request_record"])
            if step is not None and process is not None and title is not None:
                found.append({**vote, "label": process.label, "step_label": step.label, "title": title})
        return found

    def _require_record(self, request: Row) -> None:
        """A request about a record that the actor may not see is answered like one that is not there."""
        try:
            self._records.get(request["object"], request["record"], fields=["id"])
        except (NotFound, Forbidden):
            raise no_approval(request["id"]) from None

    def _mine(self, request: Row) -> Row | None:
        """The open question that the actor may answer: an own one first."""
        user = self._actor.id
        if user is None:
            return None
        still = [v for v in store.votes_of(self._conn, request["id"], request["round"]) if v["state"] == "open"]
        own = next((v for v in still if v["user_id"] == user), None)
        if own is not None or not still:
            return own
        others = set(store.stands_in_for(self._conn, user, self._now))
        return next((v for v in still if v["user_id"] in others and user != request["submitted_by"]), None)

    def _may_recall(self, request: Row, process: Approval | None) -> bool:
        if request["state"] != "pending":
            return False
        own = request["submitted_by"] is not None and request["submitted_by"] == self._actor.id
        return self._actor.admin or (own and (process is None or process.recall))

    def _meets(self, obj: Object, process: Approval, row: Row) -> bool:
        return process.when is None or self._true(obj, process.when, row)

    def _true(self, obj: Object, formula: Formula, row: Row) -> bool:
        try:
            return formula.evaluate(row, self._context()) is True
        except FormulaError as error:
            message = "The criteria could not be worked out: {reason}"
            words = {"reason": reason(self._records, obj.name, formula, error)}
            raise ValidationFailed([Problem("formula_failed", message, None, words)]) from error

    def _context(self) -> Any:
        return context_of(self._records)

    def _row(self, obj: Object, record: str, formulas: Sequence[Any]) -> Row | None:
        paths = dotted(formulas)
        engine = self._records.engine
        rows = engine.store.load(self._conn, obj.name, [record], paths=paths, context=self._context())
        row = rows.get(record)
        for key, formula in engine.plans[obj.name].volatile if row is not None else ():
            assert row is not None
            try:
                row[key] = engine.plans[obj.name].fit(key, formula.evaluate(row, self._context()))
            except FormulaError:
                row[key] = None
        return row


def no_approval(id: str) -> NotFound:
    """The refusal of a request that is not there, or that nobody may know of."""
    return NotFound("There is no approval with id {id}.", id=id)
