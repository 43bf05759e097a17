"""Approvals: a record is submitted, people are asked step by step, and something follows from their answers.

``Approvals`` is bound to a record service (one transaction, one actor); it never commits. Every change of the record
that the process makes (its status field, its actions) goes through the whole order of execution, for the platform.
What it only looks at is in ``approval_requests.py``, what people are told in ``approval_telling.py``.

    approvals = approvals_of(records)
    approvals.submit("opportunity", id, comment="20 % for three years")
    for question in approvals.mine(): approvals.decide(question["id"], approve=True)

Who is away is not asked: whoever stands in is, and who was asked before going away may be answered for. Two decisions
at once wait for each other; a question is answered once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from ratoon.platform.automation import people
from ratoon.platform.automation.actions import ActionRun, Actions, ActionType
from ratoon.platform.automation.approval_requests import Case, Requests, Row, no_approval
from ratoon.platform.automation.approval_telling import ApprovalTelling
from ratoon.platform.errors import Conflict, Forbidden, NotFound, Problem, ValidationFailed
from ratoon.platform.metadata.approval_model import Approval, ApprovalStep, Outcome
from ratoon.platform.metadata.model import Automation, Object
from ratoon.platform.metadata.people import Person
from ratoon.platform.records.drafts import Change, Draft
from ratoon.platform.records.locks import process_of
from ratoon.platform.records.service import RecordService
from ratoon.platform.storage import approvals as store
from ratoon.platform.storage import role_members
from ratoon.platform.storage.runs import About, enqueue

ESCALATE = "escalate approval"
"""The kind of job that asks more people when nobody answered in time."""


class Approvals(Requests):
    """The approvals of one environment, as one actor may use them within one transaction."""

    def __init__(self, records: RecordService, actions: Actions) -> None:
        super().__init__(records)
        self._actions = actions

    @property
    def _telling(self) -> ApprovalTelling:
        return ApprovalTelling(self._records, self._actor, self._now)

    # -- doing -------------------------------------------------------------------------------------------------------

    def submit(self, object: str, record: str, process: str | None = None, comment: str = "") -> Row:
        """Submits a record to a process (``None`` = the first that takes it). Raises ``Conflict`` when one is pending,
        ``ValidationFailed`` when no process takes it or there is nobody to ask."""
        records, obj = self._records, self._records.plan(object).object
        records.engine.policy.require(records.actor, object, "edit")
        records.editable_rows(records.plan(object), [record], "edit")
        if store.pending(self._conn, [record]):
            raise Conflict("It waits for approval already.")
        chosen = self._choose(obj, record, process)
        request: Row = {
            "id": records.engine.world.new_id(), "object": object, "record": record, "process": chosen.name,
            "state": "pending", "step": None, "round": 0, "submitted_by": self._actor.id, "submitted_at": self._now,
            "finished_at": None,
        }  # fmt: skip
        store.add_request(self._conn, request)
        case = Case(request, obj, chosen)
        self._note(case, "submitted", comment)
        self._follow(case, "submitted", "pending")
        self._enter(case, 0)
        return self.tell(request["id"])

    def decide(self, id: str, *, approve: bool, comment: str = "") -> Row:
        """Answers a request. Raises ``Forbidden`` for who is not asked, ``Conflict`` for what is decided already."""
        case = self._case(id)
        vote = self._mine(case.request)
        if vote is None:
            if not self._actor.admin:
                raise Forbidden("You are not asked for this approval.")
            self._note(case, "overruled", "")
        else:
            by = self._actor.id if vote["user_id"] != self._actor.id else None
            store.decide(self._conn, vote["id"], "approved" if approve else "rejected", self._now, by)
        self._note(case, "approved" if approve else "rejected", comment)
        votes = self._answered(id, case.request["round"])
        verdict = approve if vote is None else _verdict(case.step, votes)
        if verdict is True:
            self._close(id, case.request["round"])
            self._enter(case, case.process.steps.index(case.step) + 1 if case.step else 0)
        elif verdict is False:
            self._close(id, case.request["round"])
            self._reject(case)
        if case.request["state"] != "pending":
            self._telling.answer(case, comment)
        return self.tell(id)

    def recall(self, id: str, comment: str = "") -> Row:
        """Takes a request back. Raises ``Forbidden`` for who may not."""
        request = self._pending(id)
        obj = self._records.plan(request["object"]).object
        process = process_of(obj, request["process"])
        if not self._may_recall(request, process):
            raise Forbidden("You may not take this approval back.")
        self._close(id, request["round"])
        case = Case(request, obj, process or Approval(obj.name, request["process"], request["process"], ()))
        self._note(case, "recalled", comment)
        self._finish(case, "recalled")
        return self.tell(id)

    def delegate(self, id: str, to: str, comment: str = "") -> Row:
        """Lets somebody else answer instead of the actor. Raises ``Forbidden``, ``NotFound`` for no active user."""
        case = self._case(id)
        vote = self._mine(case.request)
        if vote is None:
            raise Forbidden("You are not asked for this approval.")
        if to not in role_members.active(self._conn, [to]):
            raise NotFound("There is no active user with id {id}.", id=to)
        if any(v["user_id"] == to for v in store.votes_of(self._conn, id, case.request["round"])):
            raise Conflict("This user is asked already.")
        store.hand_over(self._conn, vote["id"], to, vote["user_id"])
        self._telling.settle([vote])
        self._note(case, "delegated", comment)
        if case.step is not None:
            self._telling.asked(case, case.step, [{**vote, "user_id": to}])
        return self.tell(id)

    def escalate(self, id: str, round: int) -> bool:
        """Asks more people when the step of that round is still open; whether it did. For the job of that name."""
        request = store.request(self._conn, id, lock=True)
        if request is None or request["state"] != "pending" or request["round"] != round:
            return False
        case = self._case(id)
        step = case.step
        if step is None:
            return False
        known = {v["user_id"] for v in store.votes_of(self._conn, id, round)}
        more = [u for u in self._people(case, step.escalate_to) if u not in known]
        self._ask(case, step, more)
        self._note(case, "escalated", "")
        return bool(more)

    def _close(self, id: str, round: int) -> None:
        """Asks nobody any more in that round."""
        store.close_votes(self._conn, id, self._now)
        self._answered(id, round)

    def _answered(self, id: str, round: int) -> list[Row]:
        """The votes of a round; who need not answer any more has nothing unread about it."""
        votes = store.votes_of(self._conn, id, round)
        self._telling.settle(vote for vote in votes if vote["state"] != "open")
        return votes

    # -- the course of a request ---------------------------------------------------------------------------------------

    def _choose(self, obj: Object, record: str, name: str | None) -> Approval:
        if name is not None and process_of(obj, name) is None:
            raise NotFound("{object} has no approval process {name}.", object=obj.name, name=name)
        wanted = [p for p in obj.approvals if name in (None, p.name)]
        row = self._row(obj, record, [p.when for p in wanted if p.when])
        for process in wanted:
            if row is not None and self._meets(obj, process, row):
                return process
        message = "No approval process takes this record as it is."
        message = next((p.message for p in wanted if p.message), message)
        raise ValidationFailed([Problem("not_for_approval", message, index=0, rule=name)])

    def _enter(self, case: Case, place: int) -> None:
        """Asks the next step that applies; after the last one the record is approved."""
        for step in case.process.steps[place:]:
            if not self._applies(case, step):
                self._note(case, "skipped", "", step)
                continue
            asked = self._people(case, step.approvers)
            if not step.own:
                asked = [u for u in asked if u != case.request["submitted_by"]]
            readers = people.readers(self._records, case.object.name, case.request["record"], asked)
            if not readers:
                if step.nobody == "skip":
                    self._note(case, "skipped", "", step)
                    continue
                message = "There is nobody to ask in step {stage}."
                if asked:
                    message = "Nobody who would be asked in step {stage} may read this record."
                raise ValidationFailed([Problem("no_approver", message, None, {"stage": step.label}, index=0)])
            case.request.update(step=step.name, round=case.request["round"] + 1)
            store.change_request(self._conn, case.request["id"], step=step.name, round=case.request["round"])
            self._ask(case, step, readers)
            if step.escalate_hours is not None:
                self._set_timer(case, step.escalate_hours)
            return
        self._finish(case, "approved")

    def _ask(self, case: Case, step: ApprovalStep, users: Sequence[str]) -> None:
        instead = store.delegate_of(self._conn, users, self._now)
        there = role_members.active(self._conn, list(instead.values()))
        rows: dict[str, Row] = {}
        for user in users:
            asked = instead.get(user, user) if instead.get(user, user) in there or user not in instead else user
            rows.setdefault(
                asked,
                {
                    "id": self._records.engine.world.new_id(), "approval": case.request["id"], "step": step.name,
                    "round": case.request["round"], "user_id": asked, "instead_of": user if asked != user else None,
                    "state": "open", "asked_at": self._now, "decided_at": None,
                },
            )  # fmt: skip
        store.add_votes(self._conn, list(rows.values()))
        self._telling.asked(case, step, list(rows.values()))

    def _set_timer(self, case: Case, hours: int) -> None:
        request = case.request
        about = About(
            trigger="date", rule=f"{case.object.name}.{case.process.name}", object=case.object.name,
            records={request["record"]: None}, by=self._actor.id,
        )  # fmt: skip
        payload = {"approval": request["id"], "round": request["round"]}
        key = f"{ESCALATE}/{request['id']}/{request['round']}"
        at = self._now + timedelta(hours=hours)
        enqueue(self._conn, self._records.engine.world, ESCALATE, payload, key=key, at=at, about=about)

    def _reject(self, case: Case) -> None:
        back = case.process.step(case.step.reject_to) if case.step is not None and case.step.reject_to else None
        if back is None:
            self._finish(case, "rejected")
        else:
            self._note(case, "sent back", "", back)
            self._enter(case, case.process.steps.index(back))

    def _finish(self, case: Case, state: Outcome) -> None:
        case.request.update(state=state, finished_at=self._now)
        store.change_request(self._conn, case.request["id"], state=state, finished_at=self._now)
        self._note(case, f"finished: {state}"[:20], "")
        self._follow(case, state, state)

    def _follow(self, case: Case, outcome: Outcome, status: str) -> None:
        """The status field and the actions of an outcome."""
        process, record = case.process, case.request["record"]
        actions = process.actions.get(outcome, ())
        if process.status_field is None and not actions:
            return
        name = f"{case.object.name}.{process.name}"
        with self._records.platform(name, case.object.name, record) as nested:
            if process.status_field is not None:
                nested.update(case.object.name, [Change(record, {process.status_field: status})])
            formulas = [f for action in actions for f in action.values.values()]
            for action in actions:
                row = self._row(case.object, record, formulas)
                if row is None:
                    return
                rule = Automation(case.object.name, process.name, process.label, (), "after", actions)
                draft, context = Draft(0, record, row, row, frozenset()), nested.saving.context()
                self._actions[action.kind](ActionRun(nested, case.object, rule, action, [draft], [context]))

    def _case(self, id: str) -> Case:
        request = self._pending(id)
        obj = self._records.plan(request["object"]).object
        process = process_of(obj, request["process"])
        if process is None:
            raise Conflict("The approval process {name} is not there any more; take the request back.",
                           name=request["process"])  # fmt: skip
        return Case(request, obj, process)

    def _pending(self, id: str) -> Row:
        request = store.request(self._conn, id, lock=True)
        if request is None or request["object"] not in self._records.engine.registry.objects:
            raise no_approval(id)
        self._require_record(request)
        if request["state"] != "pending":
            raise Conflict("This is decided already ({state}).", state=request["state"])
        return request

    def _applies(self, case: Case, step: ApprovalStep) -> bool:
        if step.when is None:
            return True
        row = self._row(case.object, case.request["record"], [step.when])
        return row is not None and self._true(case.object, step.when, row)

    def _people(self, case: Case, wanted: Sequence[Person]) -> list[str]:
        row = self._row(case.object, case.request["record"], [p.formula for p in wanted if p.formula])
        return [] if row is None else people.find(self._records, wanted, row, self._context())

    def _note(self, case: Case, event: str, comment: str, step: ApprovalStep | None = None) -> None:
        actor = self._actor
        store.note(
            self._conn, approval=case.request["id"], at=self._now, by=actor.id, event=event,
            step=step.name if step is not None else case.request["step"], comment=comment[:4000], source=actor.source,
        )  # fmt: skip


def submit_action(actions: Actions) -> ActionType:
    """The action ``submit_for_approval``: ``{"options": {"approval": "discount"}}``; without it the first that fits.

    A record that waits already, or that no process takes, is left alone.
    """

    def perform(run: ActionRun) -> None:
        approvals = Approvals(run.records, actions)
        waiting = store.pending(run.records.connection, [d.id for d in run.drafts])
        for draft in run.drafts:
            if draft.id in waiting:
                continue
            try:
                approvals.submit(run.object.name, draft.id, run.action.options.get("approval"))
            except ValidationFailed as refused:
                if any(p.code != "not_for_approval" for p in refused.problems):
                    raise

    return ActionType("submit_for_approval", perform, "submits the record for approval")


def approvals_of(records: RecordService) -> Approvals:
    """The approvals of the environment that this record service belongs to."""
    reactions: Any = records.engine.reactions
    return Approvals(records, reactions.actions)


def _verdict(step: ApprovalStep | None, votes: Sequence[Row]) -> bool | None:
    """What the answers so far mean for a step; ``None`` = it stays open."""
    approved = sum(v["state"] == "approved" for v in votes)
    rejected = sum(v["state"] == "rejected" for v in votes)
    waiting = sum(v["state"] == "open" for v in votes)
    if step is None or step.decide == "first":
        return True if approved else False if rejected else None
    if step.decide == "all":
        return False if rejected else None if waiting else True
    if approved >= step.quorum:
        return True
    return False if approved + waiting < step.quorum else None
