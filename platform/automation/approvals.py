"""Approvals: a record is submitted, people are asked step by step, and something follows from their answers.

``Approvals`` is bound to a record service (one transaction, one actor); it never commits. Every change of the record
that the process makes (its status field, its actions) goes through the whole order of execution, for the platform.

    approvals = approvals_of(records)
    approvals.submit("opportunity", id, comment="20 % for three years")
    for question in approvals.mine(): approvals.decide(question["id"], approve=True)

Who is away is not asked: whoever stands in is, and who was asked before going away may be answered for. Two
decisions at once wait for each other; a question is answered once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ratoon.platform.access.actor import Actor
from ratoon.platform.automation import people
from ratoon.platform.automation.actions import ActionRun, Actions, ActionType
from ratoon.platform.automation.telling import tell
from ratoon.platform.errors import Conflict, Forbidden, FormulaError, NotFound, Problem, ValidationFailed
from ratoon.platform.metadata.approval_model import Approval, ApprovalStep, Outcome
from ratoon.platform.metadata.model import Automation, Object
from ratoon.platform.metadata.people import Person
from ratoon.platform.records.drafts import Change, Draft
from ratoon.platform.records.locks import process_of
from ratoon.platform.records.plan import dotted
from ratoon.platform.records.reading import context_of
from ratoon.platform.records.service import RecordService
from ratoon.platform.storage import approvals as store
from ratoon.platform.storage import role_members
from ratoon.platform.storage.notification_ways import Way, ways
from ratoon.platform.storage.notifications import settle
from ratoon.platform.storage.runs import About, enqueue

Row = dict[str, Any]
ESCALATE = "escalate approval"
"""The kind of job that asks more people when nobody answered in time."""
MAIL = "mail approval"
"""The kind of job that mails those who are asked."""


@dataclass(frozen=True)
class _Case:
    """A request with what belongs to it."""

    request: Row
    object: Object
    process: Approval

    @property
    def step(self) -> ApprovalStep | None:
        return self.process.step(self.request["step"])


class Approvals:
    """The approvals of one environment, as one actor may use them within one transaction."""

    def __init__(self, records: RecordService, actions: Actions) -> None:
        self._records = records
        self._actions = actions
        self._conn = records.connection
        self._now = records.engine.world.clock()

    @property
    def _actor(self) -> Actor:
        saving = self._records._saving
        return saving.actor if saving is not None else self._records.actor

    # -- looking -----------------------------------------------------------------------------------------------------

    def offered(self, object: str, record: Mapping[str, Any]) -> list[Approval]:
        """The processes that the actor may submit this record to now."""
        obj = self._records.plan(object).object
        if not obj.approvals or not self._records.engine.policy.may(self._actor, object, "edit"):
            return []
        if store.pending(self._conn, [record["id"]]):
            return []
        row = self._row(obj, record["id"], [p.when for p in obj.approvals if p.when])
        return [p for p in obj.approvals if row is not None and self._meets(p, row)]

    def pending(self, object: str, record: str) -> Row | None:
        """Where the pending request of a record stands, with who is asked; ``None`` = there is none."""
        found = store.pending(self._conn, [record]).get(record)
        return None if found is None else self.tell(found["id"])

    def tell(self, id: str) -> Row:
        """One request: its facts, the votes of the present round, what happened. Raises ``NotFound``."""
        request = store.request(self._conn, id)
        if request is None:
            raise _no_approval(id)
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
        found = []
        for vote in store.open_votes(self._conn, users):
            object = vote["request_object"]
            if object not in self._records.engine.registry.objects:
                continue
            process = process_of(self._records.plan(object).object, vote["request_process"])
            step = process.step(vote["step"]) if process is not None else None
            titles = self._records.titles(object, [vote["request_record"]])
            if step is not None and process is not None and vote["request_record"] in titles:
                title = titles[vote["request_record"]]
                found.append({**vote, "label": process.label, "step_label": step.label, "title": title})
        return found

    # -- doing -------------------------------------------------------------------------------------------------------

    def submit(self, object: str, record: str, process: str | None = None, comment: str = "") -> Row:
        """Submits a record to a process (``None`` = the first that takes it). Raises ``Conflict`` when one is pending,
        ``ValidationFailed`` when no process takes it or there is nobody to ask."""
        records, obj = self._records, self._records.plan(object).object
        records.engine.policy.require(records.actor, object, "edit")
        records._editable_rows(records.plan(object), [record], "edit")
        if store.pending(self._conn, [record]):
            raise Conflict("It waits for approval already.")
        chosen = self._choose(obj, record, process)
        request: Row = {
            "id": records.engine.world.new_id(), "object": object, "record": record, "process": chosen.name,
            "state": "pending", "step": None, "round": 0, "submitted_by": self._actor.id, "submitted_at": self._now,
            "finished_at": None,
        }  # fmt: skip
        store.add_request(self._conn, request)
        case = _Case(request, obj, chosen)
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
            self._tell_answer(case, comment)
        return self.tell(id)

    def recall(self, id: str, comment: str = "") -> Row:
        """Takes a request back. Raises ``Forbidden`` for who may not."""
        request = self._pending(id)
        obj = self._records.plan(request["object"]).object
        process = process_of(obj, request["process"])
        if not self._may_recall(request, process):
            raise Forbidden("You may not take this approval back.")
        self._close(id, request["round"])
        case = _Case(request, obj, process or Approval(obj.name, request["process"], request["process"], ()))
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
        settle(self._conn, [_told_by(vote)], self._now)
        self._note(case, "delegated", comment)
        if case.step is not None:
            self._tell_asked(case, case.step, [{**vote, "user_id": to}])
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
        settle(self._conn, [_told_by(vote) for vote in votes if vote["state"] != "open"], self._now)
        return votes

    # -- the course of a request ---------------------------------------------------------------------------------------

    def _choose(self, obj: Object, record: str, name: str | None) -> Approval:
        if name is not None and process_of(obj, name) is None:
            raise NotFound("{object} has no approval process {name}.", object=obj.name, name=name)
        wanted = [p for p in obj.approvals if name in (None, p.name)]
        row = self._row(obj, record, [p.when for p in wanted if p.when])
        for process in wanted:
            if row is not None and self._meets(process, row):
                return process
        message = "No approval process takes this record as it is."
        message = next((p.message for p in wanted if p.message), message)
        raise ValidationFailed([Problem("not_for_approval", message, index=0, rule=name)])

    def _enter(self, case: _Case, place: int) -> None:
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

    def _ask(self, case: _Case, step: ApprovalStep, users: Sequence[str]) -> None:
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
        self._tell_asked(case, step, list(rows.values()))

    def _tell_asked(self, case: _Case, step: ApprovalStep, votes: Sequence[Row]) -> None:
        """A notification for everybody who is asked, and one job that mails a link to those who want it."""
        request, rule = case.request, f"{case.object.name}.{case.process.name}"
        told = self._telling(case, step)
        mailed = []
        for vote in votes:
            way = ways(self._conn, vote["user_id"])["approval"]
            if way.mail == "now":
                mailed.append(vote["id"])
                way = Way(way.bell)
            tell(
                self._records, [vote["user_id"]], "approval", "approval", {"approval": told, "link": ""}, way=way,
                object=case.object.name, record=request["record"], key=_key_of(vote), rule=rule, brief=True,
            )  # fmt: skip
        if mailed:
            about = About(
                trigger="approval", rule=rule, object=case.object.name, records={request["record"]: None},
                by=self._actor.id,
            )  # fmt: skip
            enqueue(self._conn, self._records.engine.world, MAIL, {"votes": mailed}, about=about)

    def _telling(self, case: _Case, step: ApprovalStep | None) -> dict[str, Any]:
        """What a message about the request may name."""
        row = self._records.engine.store.load(self._conn, case.object.name, [case.request["record"]])
        title = row.get(case.request["record"], {}).get(case.object.title)
        owner = case.process.owner
        return {
            "label": (case.process.label, owner),
            "step": (step.label, owner) if step is not None else "",
            "object": (case.object.label, case.object.owner),
            "title": str(title or case.request["record"]),
            "state": case.request["state"],
            "by": self._actor.name,
            "comment": "",
            "facts": (),
            "ends": None,
        }

    def _tell_answer(self, case: _Case, comment: str) -> None:
        """Tells the one who submitted how it ended, unless they did it themselves."""
        request = case.request
        user = request["submitted_by"]
        if user is None or user == self._actor.id:
            return
        told = {**self._telling(case, None), "comment": comment}
        tell(
            self._records, [user], "answer", "answer", {"approval": told}, object=case.object.name,
            record=request["record"], key=f"answer/{request['id']}", rule=f"{case.object.name}.{case.process.name}",
        )  # fmt: skip

    def _set_timer(self, case: _Case, hours: int) -> None:
        request = case.request
        about = About(
            trigger="date", rule=f"{case.object.name}.{case.process.name}", object=case.object.name,
            records={request["record"]: None}, by=self._actor.id,
        )  # fmt: skip
        payload = {"approval": request["id"], "round": request["round"]}
        key = f"{ESCALATE}/{request['id']}/{request['round']}"
        at = self._now + timedelta(hours=hours)
        enqueue(self._conn, self._records.engine.world, ESCALATE, payload, key=key, at=at, about=about)

    def _reject(self, case: _Case) -> None:
        back = case.process.step(case.step.reject_to) if case.step is not None and case.step.reject_to else None
        if back is None:
            self._finish(case, "rejected")
        else:
            self._note(case, "sent back", "", back)
            self._enter(case, case.process.steps.index(back))

    def _finish(self, case: _Case, state: Outcome) -> None:
        case.request.update(state=state, finished_at=self._now)
        store.change_request(self._conn, case.request["id"], state=state, finished_at=self._now)
        self._note(case, f"finished: {state}"[:20], "")
        self._follow(case, state, state)

    def _follow(self, case: _Case, outcome: Outcome, status: str) -> None:
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

    # -- small things ------------------------------------------------------------------------------------------------

    def _case(self, id: str) -> _Case:
        request = self._pending(id)
        obj = self._records.plan(request["object"]).object
        process = process_of(obj, request["process"])
        if process is None:
            raise Conflict("The approval process {name} is not there any more; take the request back.",
                           name=request["process"])  # fmt: skip
        return _Case(request, obj, process)

    def _pending(self, id: str) -> Row:
        request = store.request(self._conn, id, lock=True)
        if request is None or request["object"] not in self._records.engine.registry.objects:
            raise _no_approval(id)
        self._require_record(request)
        if request["state"] != "pending":
            raise Conflict("This is decided already ({state}).", state=request["state"])
        return request

    def _require_record(self, request: Row) -> None:
        """A request about a record that the actor may not see is answered like one that is not there."""
        try:
            self._records.get(request["object"], request["record"], fields=["id"])
        except (NotFound, Forbidden):
            raise _no_approval(request["id"]) from None

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

    def _meets(self, process: Approval, row: Row) -> bool:
        return process.when is None or self._true(process.when, row)

    def _applies(self, case: _Case, step: ApprovalStep) -> bool:
        if step.when is None:
            return True
        row = self._row(case.object, case.request["record"], [step.when])
        return row is not None and self._true(step.when, row)

    def _true(self, formula: Any, row: Row) -> bool:
        try:
            return formula.evaluate(row, self._context()) is True
        except FormulaError as error:
            message = "The criteria could not be worked out: {reason}"
            raise ValidationFailed([Problem("formula_failed", message, None, {"reason": error.text()})]) from error

    def _people(self, case: _Case, wanted: Sequence[Person]) -> list[str]:
        row = self._row(case.object, case.request["record"], [p.formula for p in wanted if p.formula])
        return [] if row is None else people.find(self._records, wanted, row, self._context())

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

    def _note(self, case: _Case, event: str, comment: str, step: ApprovalStep | None = None) -> None:
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


def _no_approval(id: str) -> NotFound:
    return NotFound("There is no approval with id {id}.", id=id)


def _key_of(vote: Row) -> str:
    """What a question is told under; ``tell`` adds the user, as ``_told_by`` does."""
    return f"approval/{vote['id']}"


def _told_by(vote: Row) -> str:
    return f"{_key_of(vote)}/{vote['user_id']}"


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
