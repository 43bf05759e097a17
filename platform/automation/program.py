"""Carrying out an automation after the commit: its actions in order, on all records of the run at once.

What happens to records is one transaction per action and set, with a mark in the same transaction, so that it happens
once however often the run begins anew. When a set is refused, its records are tried one by one: the good ones pass,
the bad ones keep their reason and do not reach the next action. Mails and calls go out one by one, each with an
idempotency key and a mark when it went. A run with records that failed is tried again when the reason may pass, and
waits for an admin otherwise; what is done stays done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from functools import partial
from typing import Any

from ratoon.platform.automation.actions import ActionRun, Actions
from ratoon.platform.automation.deferring import formulas_of
from ratoon.platform.automation.hands import Hands
from ratoon.platform.automation.rows import Rows
from ratoon.platform.automation.sending import Messages
from ratoon.platform.automation.throttling import Throttled
from ratoon.platform.automation.webhooks import Undelivered
from ratoon.platform.errors import FormulaError, RatoonError
from ratoon.platform.metadata.model import Action, Automation, Object
from ratoon.platform.records.drafts import Draft
from ratoon.platform.records.service import RecordService
from ratoon.platform.storage import steps
from ratoon.platform.storage.database import Busy
from ratoon.platform.storage.steps import ALL, Done


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a record did not get through a step."""

    step: str
    code: str
    words: str
    passing: bool
    """Trying again may help."""


class Waits(Exception):
    """The whole run goes on later."""

    def __init__(self, step: str, at: datetime) -> None:
        super().__init__(step)
        self.step = step
        self.at = at


class Program:
    """One automation on the records of one run."""

    def __init__(
        self, hands: Hands, actions: Actions, obj: Object, automation: Automation, rows: Rows, messages: Messages
    ) -> None:
        self._hands = hands
        self._actions = actions
        self._object = obj
        self._automation = automation
        self._rows = rows
        self._messages = messages
        self.failures: dict[str, Failure] = {}
        """Records that did not get through."""
        self.throttled: Throttled | None = None
        """A limit per minute was reached: the records that did not get through it wait, the run begins again then."""
        self._waiting: set[str] = set()
        self._noted: set[tuple[str, str]] = set()
        """Failures that are written down: (step, record)."""
        self._everyone: tuple[str, ...] = ()

    def go(self, ids: Sequence[str], start: str = "", *, check: bool = False) -> list[str]:
        """Carries out the actions from ``start`` on; returns the records that got to the end. Raises ``Waits``."""
        self._everyone = tuple(ids)
        if check:
            ids = self._fitting(ids)
        return self._list(self._automation.actions, "", list(ids), start.split(".") if start else [])

    def _list(self, actions: Sequence[Action], prefix: str, ids: list[str], start: list[str]) -> list[str]:
        for place, action in enumerate(actions, 1):
            step = f"{prefix}{place}"
            if start and place <= int(start[0]):
                if place == int(start[0]) and len(start) > 1:
                    ids = self._inside(action, step, ids, start[1], start[2:])
                if place == int(start[0]):
                    start = []
                continue
            if not ids:
                break
            ids = self._one(action, step, ids)
        return ids

    def _one(self, action: Action, step: str, ids: list[str]) -> list[str]:
        if action.kind == "branch":
            return self._branch(action, step, ids)
        if action.kind == "wait":
            return self._wait(action, step, ids)
        if action.kind in ("send_email", "call_webhook"):
            return self._each(action, step, ids)
        return self._set(action, step, ids)

    # -- what happens to records ---------------------------------------------------------------------------------

    def _set(self, action: Action, step: str, ids: list[str]) -> list[str]:
        left = self._left(step, ids)
        if left:
            try:
                self._hands.transaction(partial(self._do, action, step, left, len(left) == len(self._everyone)))
            except Busy:
                raise
            except RatoonError as error:
                if len(left) == 1:
                    self._failed(action, step, left[0], error)
                else:
                    self._one_by_one(action, step, left)
        return self._through(ids)

    def _one_by_one(self, action: Action, step: str, ids: Sequence[str]) -> None:
        for record in ids:
            try:
                self._hands.transaction(partial(self._do, action, step, [record], False))
            except Busy:
                raise
            except RatoonError as error:
                self._failed(action, step, record, error)

    def _do(self, action: Action, step: str, ids: Sequence[str], whole: bool, records: RecordService) -> None:
        began = time.perf_counter()
        drafts, gone = self._rows.load(records, ids, list(formulas_of([action])), self._templates(action))
        if drafts:
            contexts = [self._rows.context(records, draft) for draft in drafts]
            run = ActionRun(records, self._object, self._automation, action, drafts, contexts)
            if action.kind == "notify":
                self._messages.notify(run, self._hands.run, step)
            else:
                self._actions[action.kind](run)
        took = round((time.perf_counter() - began) * 1000)
        if whole and not gone:
            marks = [Done(step, action.kind, ms=took, detail={"records": len(drafts)})]
        else:
            marks = [Done(step, action.kind, record=draft.id, ms=took) for draft in drafts]
            marks += [Done(step, action.kind, "skipped", record, error="The record is gone.") for record in gone]
        self._note(marks, records)

    # -- what leaves the product ---------------------------------------------------------------------------------

    def _each(self, action: Action, step: str, ids: list[str]) -> list[str]:
        left = self._left(step, ids)
        if not left:
            return self._through(ids)
        with self._hands.reading() as records:
            drafts, gone = self._rows.load(records, left, list(formulas_of([action])), self._templates(action))
            ready = self._prepared(records, action, step, drafts)
        if action.kind == "send_email":
            with self._hands.mailing() as send:
                self._deliver(action, step, ready, send)
        else:
            self._deliver(action, step, ready, self._hands.call)
        if gone:
            marks = [Done(step, action.kind, "skipped", record, error="The record is gone.") for record in gone]
            self._hands.transaction(partial(self._note, marks))
        return self._through(ids)

    def _prepared(
        self, records: RecordService, action: Action, step: str, drafts: Sequence[Draft]
    ) -> list[tuple[str, Any]]:
        ready = []
        for draft in drafts:
            context = self._rows.context(records, draft)
            key = f"{self._hands.run}/{step}/{draft.id}"
            try:
                make = self._messages.mail if action.kind == "send_email" else self._messages.call
                ready.append((draft.id, make(records, action, draft, context, key)))
            except RatoonError as error:
                self._failures_of(action, step, draft.id, error)
        return ready

    def _deliver(self, action: Action, step: str, ready: Sequence[tuple[str, Any]], send: Callable[[Any], Any]) -> None:
        for place, (record, thing) in enumerate(ready):
            began = time.perf_counter()
            try:
                detail = send(thing)
            except Throttled as limit:
                self.throttled = limit
                self._waiting.update(waiting for waiting, _ in ready[place:])
                break
            except Undelivered as error:
                self._failed(action, step, record, error)
                continue
            took = round((time.perf_counter() - began) * 1000)
            mark = Done(step, action.kind, record=record, ms=took, detail=detail)
            self._hands.transaction(partial(self._note, [mark]))
        self._note_failures(action, step)

    # -- what steers -----------------------------------------------------------------------------------------------

    def _branch(self, action: Action, step: str, ids: list[str]) -> list[str]:
        groups = self._groups(action, step, ids)
        through: list[str] = []
        for name, members in groups.items():
            through += self._inside(action, step, members, name, []) if members else []
        kept = set(through)
        return [record for record in ids if record in kept]

    def _inside(self, action: Action, step: str, ids: list[str], name: str, start: list[str]) -> list[str]:
        if name == "otherwise":
            inner = action.options["otherwise"]
        else:
            inner = action.options["cases"][int(name.removeprefix("case")) - 1][1]
        return self._list(inner, f"{step}.{name}.", ids, start)

    def _groups(self, action: Action, step: str, ids: list[str]) -> dict[str, list[str]]:
        """Which record takes which way; decided once per record and kept."""
        cases = action.options["cases"]
        names = [f"case{place}" for place in range(1, len(cases) + 1)]

        def decide(records: RecordService) -> dict[str, str]:
            taken: dict[str, str] = self._taken(records, step)
            open_ = [record for record in ids if record not in taken]
            if not open_:
                return taken
            drafts, _ = self._rows.load(records, open_, [condition for condition, _ in cases], frozenset())
            marks = []
            for draft in drafts:
                try:
                    context = self._rows.context(records, draft)
                    fits = [n for n, (c, _) in zip(names, cases, strict=True) if c.evaluate(draft.row, context) is True]
                except FormulaError as error:
                    self._failures_of(action, step, draft.id, error)
                    continue
                taken[draft.id] = fits[0] if fits else "otherwise"
                marks.append(Done(step, action.kind, record=draft.id, detail=taken[draft.id]))
            self._note(marks, records)
            return taken

        taken = self._hands.transaction(decide)
        self._note_failures(action, step)
        return {name: [r for r in ids if taken.get(r) == name] for name in [*names, "otherwise"]}

    def _taken(self, records: RecordService, step: str) -> dict[str, str]:
        done = steps.of_step(records.connection, self._hands.run, step)
        return {record: str(detail) for record, detail in done.items()}

    def _wait(self, action: Action, step: str, ids: list[str]) -> list[str]:
        over = self._hands.over(step)
        left = [record for record in ids if record not in over]
        times: dict[datetime, list[str]] = {}
        now = self._rows.now
        if "seconds" in action.options:
            times[now + timedelta(seconds=action.options["seconds"])] = left
        else:
            with self._hands.reading() as records:
                drafts, _ = self._rows.load(records, left, [action.options["until"]], frozenset())
                for draft in drafts:
                    try:
                        answer = action.options["until"].evaluate(draft.row, self._rows.context(records, draft))
                        times.setdefault(self._moment(answer, now), []).append(draft.id)
                    except RatoonError as error:
                        self._failures_of(action, step, draft.id, error)
        passed = [record for at, members in times.items() if at <= now for record in members]
        coming = {at: members for at, members in times.items() if at > now and members}
        if len(coming) == 1 and set(self._everyone) == set(next(iter(coming.values()))):
            raise Waits(step, next(iter(coming)))

        def split(records: RecordService) -> None:
            for at, members in coming.items():
                self._hands.later(records, step, at, members)
                detail = {"until": at.isoformat()}
                self._note([Done(step, action.kind, record=record, detail=detail) for record in members], records)

        if coming:
            self._hands.transaction(split)
        self._note_failures(action, step)
        return passed

    def _moment(self, answer: Any, now: datetime) -> datetime:
        if isinstance(answer, datetime):
            return answer
        if isinstance(answer, date):
            return datetime.combine(answer, time_of_day(), self._rows.zone)
        return now

    # -- bookkeeping -----------------------------------------------------------------------------------------------

    def _fitting(self, ids: Sequence[str]) -> list[str]:
        condition = self._automation.condition
        if condition is None:
            return list(ids)
        with self._hands.reading() as records:
            drafts, _ = self._rows.load(records, ids, [condition], frozenset())
            fitting = []
            for draft in drafts:
                try:
                    if condition.evaluate(draft.row, self._rows.context(records, draft)) is True:
                        fitting.append(draft.id)
                except FormulaError as error:
                    words = f"The condition could not be worked out: {error.text()}"
                    self.failures[draft.id] = Failure("condition", error.code, words, False)
        return fitting

    def _templates(self, action: Action) -> frozenset[str]:
        return self._messages.paths(action)

    def _through(self, ids: Sequence[str]) -> list[str]:
        return [record for record in ids if record not in self.failures and record not in self._waiting]

    def _left(self, step: str, ids: Sequence[str]) -> list[str]:
        """Those for which a step is still to be done; what failed since the run was tried last stays failed."""
        over = self._hands.over(step)
        if ALL in over:
            return []
        failed = self._hands.failed(step)
        for record in ids:
            if record in failed and record not in over:
                row = failed[record]
                passing = bool((row["detail"] or {}).get("passing"))
                self.failures[record] = Failure(step, row["error_code"], row["error"], passing)
                self._noted.add((step, record))
        return [record for record in ids if record not in over and record not in failed]

    def _failures_of(self, action: Action, step: str, record: str, error: RatoonError) -> None:
        passing = error.passing if isinstance(error, Undelivered) else False
        self.failures[record] = Failure(step, error.code, error.text(), passing)

    def _failed(self, action: Action, step: str, record: str, error: RatoonError) -> None:
        self._failures_of(action, step, record, error)
        self._note_failures(action, step)

    def _note_failures(self, action: Action, step: str) -> None:
        """Writes down what failed at a step and is not written down yet."""
        bad = {r: f for r, f in self.failures.items() if f.step == step and (step, r) not in self._noted}
        if bad:
            self._noted.update((step, record) for record in bad)
            marks = [
                Done(step, action.kind, "failed", r, error_code=f.code, error=f.words, detail={"passing": f.passing})
                for r, f in bad.items()
            ]
            self._hands.transaction(partial(self._note, marks))

    def _note(self, marks: Sequence[Done], records: RecordService) -> None:
        steps.note(records.connection, self._hands.run, marks, self._rows.now)


def outcome(program: Program, through: Sequence[str], everyone: Sequence[str]) -> Mapping[str, Any]:
    """What the run keeps as its result."""
    return {"records": len(everyone), "through": len(through), "failed": len(program.failures)}
