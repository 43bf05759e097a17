"""The automations of an installation as an admin looks at them: what runs, what rests, what waits or failed, and what
an automation said at which revision of the metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ratoon.platform.errors import NotFound
from ratoon.platform.metadata.model import Automation, Registry
from ratoon.platform.metadata.triggers import status_of
from ratoon.platform.storage import revisions, runs
from ratoon.platform.storage.revisions import Version

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ratoon.platform.environment import Environment


@dataclass(frozen=True)
class Line:
    """One automation in the list."""

    automation: Automation
    runs: Mapping[str, int]
    """State → how many runs wait, run or failed. Those that are done are not counted."""

    def as_json(self) -> dict[str, Any]:
        """For the API and ``--json``."""
        a = self.automation
        return {
            "automation": a.full_name,
            "label": a.label,
            "status": a.status,
            "on": list(a.on),
            "when": a.when,
            "order": a.order,
            "package": a.owner,
            "runs": dict(self.runs),
        }


def find(registry: Registry, object: str, name: str) -> Automation | None:
    """An automation, whatever its status."""
    if object not in registry.objects:
        return None
    obj = registry[object]
    return next((a for a in (*obj.automations, *obj.resting) if a.name == name), None)


def overview(environment: Environment, object: str | None = None) -> list[Line]:
    """All automations, or those of one object, in the order they run; those that rest come last.

    Raises ``NotFound`` for an object that is not there.
    """
    registry = environment.registry
    if object is not None and object not in registry.objects:
        raise NotFound("There is no object called {object}.", object=object)
    with environment.database.read() as connection:
        counted = runs.unfinished(connection)
    chosen = [registry[object]] if object is not None else list(registry)
    return [Line(a, counted.get(a.full_name, {})) for obj in chosen for a in (*obj.automations, *obj.resting)]


def versions(connection: Connection, object: str, name: str) -> list[Version]:
    """The texts of an automation, newest first, also of one that is gone. Raises ``NotFound`` when it never was."""
    found = revisions.versions_of(connection, "automation", object, name)
    if not found:
        raise NotFound("{object} has no automation {name}.", object=object, name=name)
    return found


def version_at(connection: Connection, rule: str | None, revision: int | None) -> Version | None:
    """What an automation (``object.name``) said at a revision: the version that a run used."""
    object, dot, name = (rule or "").partition(".")
    if not dot or revision is None:
        return None
    for version in revisions.versions_of(connection, "automation", object, name):
        if version.since.revision <= revision and (version.until is None or revision < version.until):
            return version
    return None


def version_json(version: Version, *, whole: bool = True) -> dict[str, Any]:
    """For the API and ``--json``; ``whole`` = with the document."""
    made = {
        "revision": version.since.revision,
        "until": version.until,
        "at": version.since.at.isoformat(),
        "by": version.since.by,
        "message": version.since.message,
        "status": status_of(version.data),
    }
    return {**made, "document": version.data} if whole else made
