"""What people are told about an approval: the question, by bell and by mail, and how it ended.

The words are templates with the purposes ``approval`` and ``answer``. Who wants mail at once gets one with a link,
sent by a job of the kind ``MAIL``; a question that need not be answered any more is settled in the bell.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from ratoon.platform.access.actor import Actor
from ratoon.platform.automation.approval_requests import Case, Row
from ratoon.platform.automation.telling import tell
from ratoon.platform.metadata.approval_model import ApprovalStep
from ratoon.platform.records.service import RecordService
from ratoon.platform.storage.notification_ways import Way, ways
from ratoon.platform.storage.notifications import settle
from ratoon.platform.storage.runs import About, enqueue

MAIL = "mail approval"
"""The kind of job that mails those who are asked."""


class ApprovalTelling:
    """Tells of requests within one transaction, in the name of one actor."""

    def __init__(self, records: RecordService, actor: Actor, now: datetime) -> None:
        self._records = records
        self._actor = actor
        self._conn = records.connection
        self._now = now

    def asked(self, case: Case, step: ApprovalStep, votes: Sequence[Row]) -> None:
        """A notification for everybody who is asked, and one job that mails a link to those who want it."""
        request, rule = case.request, f"{case.object.name}.{case.process.name}"
        told = self._facts(case, step)
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

    def _facts(self, case: Case, step: ApprovalStep | None) -> dict[str, Any]:
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

    def answer(self, case: Case, comment: str) -> None:
        """Tells the one who submitted how it ended, unless they did it themselves."""
        request = case.request
        user = request["submitted_by"]
        if user is None or user == self._actor.id:
            return
        told = {**self._facts(case, None), "comment": comment}
        tell(
            self._records, [user], "answer", "answer", {"approval": told}, object=case.object.name,
            record=request["record"], key=f"answer/{request['id']}", rule=f"{case.object.name}.{case.process.name}",
        )  # fmt: skip

    def settle(self, votes: Iterable[Row]) -> None:
        """Nobody has anything unread about these questions any more."""
        settle(self._conn, [_told_by(vote) for vote in votes], self._now)


def _key_of(vote: Row) -> str:
    """What a question is told under; ``tell`` adds the user, as ``_told_by`` does."""
    return f"approval/{vote['id']}"


def _told_by(vote: Row) -> str:
    return f"{_key_of(vote)}/{vote['user_id']}"
