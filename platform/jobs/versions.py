"""A run that waits goes on with the actions that the automation had when it began.

Steps are places in a list of actions: a mail three days after an offer must not become another step because somebody
edited the automation meanwhile. What the actions mean is worked out against the metadata of today; where that is not
possible any more the run fails and says why. A run that an administrator repeats takes the automation as it is now.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ratoon.platform.errors import MetadataRefused
from ratoon.platform.jobs.kinds import GiveUp, JobRun
from ratoon.platform.jobs.listing import find, version_at
from ratoon.platform.metadata.compile import compile_registry
from ratoon.platform.metadata.model import Automation
from ratoon.platform.storage import revisions

if TYPE_CHECKING:
    from ratoon.platform.metadata.documents import Document

KEPT = 50
"""Automations of earlier revisions that a process keeps compiled."""


class Versions:
    """Automations as they were, compiled when a run needs them."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, int, int], Automation] = {}

    def of(self, run: JobRun, now: Automation) -> Automation:
        """The automation with the actions that the run began with. Raises ``GiveUp`` when they do not fit any more."""
        began, today = run.run.revision, run.registry.revision
        if began is None or began == today:
            return now
        with run.environment.database.read() as connection:
            then = version_at(connection, now.full_name, began)
            standing = version_at(connection, now.full_name, today)
            if then is None or standing is None or then.data["actions"] == standing.data["actions"]:
                return now
            key = (now.full_name, then.since.revision, today)
            if key not in self._made:
                documents = revisions.documents_at(connection, today)
                if len(self._made) >= KEPT:
                    self._made.clear()
                self._made[key] = _compiled(run, now, documents, then.data["actions"])
        return self._made[key]


def _compiled(run: JobRun, now: Automation, documents: list[Document], actions: object) -> Automation:
    changed = [
        replace(d, data={**d.data, "actions": actions})
        if d.kind == "automation" and (d.data["object"], d.data["name"]) == (now.object, now.name)
        else d
        for d in documents
    ]
    environment = run.environment
    try:
        registry = compile_registry(changed, types=environment.types, functions=environment.functions, trusted=True)
    except MetadataRefused as error:
        reason = next(iter(error.findings)).message
        raise GiveUp(
            "The automation {rule} was changed while the run waited, and what it said before does not fit any more: "
            "{reason} Repeat the run to go on with what it says now.",
            rule=now.full_name, reason=reason,
        ) from error  # fmt: skip
    found = find(registry, now.object, now.name)
    return found or now
