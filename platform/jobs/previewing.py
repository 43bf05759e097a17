"""A message template with the values of one record, as its receiver would see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ratoon.platform.automation.rendering import Reader, render_all, values_of
from ratoon.platform.automation.rows import Rows
from ratoon.platform.errors import NotFound
from ratoon.platform.records.service import RecordService

if TYPE_CHECKING:
    from ratoon.platform.environment import Environment


def preview(
    environment: Environment, records: RecordService, name: str, record: str | None, locale: str | None
) -> dict[str, str]:
    """Subject, text and HTML of a template, by the rights of the actor of ``records``.

    Raises ``NotFound`` for a template or record that is not there, ``TemplateFailed`` when it cannot be filled in.
    """
    registry, settings = environment.registry, environment.settings
    template = registry.templates.get(name)
    if template is None:
        raise NotFound("There is no template {template}.", template=name)
    reader = Reader(locale or records.actor.locale, records.actor.zone or ZoneInfo(settings.default_time_zone))
    names = {"record": {}, "organization": dict(environment.organization), "user": dict(records.actor.facts), "url": ""}
    if template.object is not None:
        obj = registry[template.object]
        rows = Rows(obj, records.actor, environment.world.clock(), reader.zone, environment.organization)
        drafts, _ = rows.load(records, [record] if record else [], [], template.paths)
        if not drafts:
            raise NotFound("There is no {object} with id {id}.", object=template.object, id=record)
        names["record"] = values_of(registry, obj, drafts[0].row, template.paths, reader)
        names["url"] = f"{settings.address}/o/{template.object}/{record}"
    return render_all(template, {**_sample(environment, template.purpose, reader), **names}, reader)


def _sample(environment: Environment, purpose: str | None, reader: Reader) -> dict[str, Any]:
    """Names as the platform gives them to its own messages, with made-up values."""
    now = environment.world.clock()
    fact = {"label": "Amount", "value": "1,000.00"}
    told = {
        "label": "Approval", "step": "Manager", "object": "Record", "title": "Example", "by": "Ada",
        "state": "approved", "comment": "…", "facts": (fact,), "ends": now,
    }  # fmt: skip
    message = {"title": "Example", "text": "…", "at": now, "url": f"{environment.settings.address}/"}
    found: dict[str, dict[str, Any]] = {
        "approval": {"approval": told, "link": f"{environment.settings.address}/approvals/link/…"},
        "answer": {"approval": told},
        "assignment": {"assignment": {"object": "Record", "objects": "Records", "title": "Ada", "count": 1, "by": ""}},
        "digest": {
            "messages": [message, message], "period": "daily", "settings_url": environment.settings.address,
            "stop_url": environment.settings.address,
        },
    }  # fmt: skip
    return found.get(purpose or "", {})
