"""The job behind “nobody has answered in time”: more people are asked when the step is still open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ratoon.platform.automation.approvals import approvals_of
from ratoon.platform.records.service import RecordService

if TYPE_CHECKING:
    from ratoon.platform.jobs import JobRun


def escalate(run: JobRun) -> dict[str, Any]:
    """Asks more people about the approval and round in the payload, unless the step is over."""

    def work(records: RecordService) -> dict[str, Any]:
        asked = approvals_of(records).escalate(str(run.payload["approval"]), int(run.payload["round"]))
        return {"escalated": asked}

    done: dict[str, Any] = run.once("escalate", work)
    return done
