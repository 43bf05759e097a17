"""Message templates on the screens: which there are, and what one says with a record, in each language."""

from __future__ import annotations

from typing import Any

from flask import render_template, request
from flask.typing import ResponseReturnValue

from ratoon.platform.automation.rendering import TemplateFailed
from ratoon.platform.errors import Forbidden, NotFound
from ratoon.platform.jobs.previewing import preview
from ratoon.platform.metadata.template_model import Template
from ratoon.platform.records.reading import Query
from ratoon.ui.i18n import LOCALES
from ratoon.ui.problems import error_text
from ratoon.ui.screen import Screen


def message_templates(screen: Screen) -> ResponseReturnValue:
    """The list."""
    _administrator(screen)
    rows = [
        {
            "name": t.name,
            "label": screen.translate(t.label, t.owner),
            "object": screen.label(screen.registry[t.object]) if t.object is not None else "",
            "purpose": t.purpose or "",
            "owner": t.owner,
            "locales": sorted(t.locales),
        }
        for t in sorted(screen.registry.templates.values(), key=lambda t: (t.owner == "system", t.label))
    ]
    return render_template("message_templates.html", screen=screen, current="templates", rows=rows)


def message_template(screen: Screen, name: str) -> ResponseReturnValue:
    """One, filled in with the newest record or the one that was chosen; what is wrong is said in its place."""
    _administrator(screen)
    template = screen.registry.templates.get(name)
    if template is None:
        raise NotFound("There is no template {template}.", template=name)
    locale = request.args.get("locale", screen.locale)
    locale = locale if locale in LOCALES else screen.locale
    record = request.args.get("record", "")
    made: dict[str, Any] = {}
    problem, choices = "", []
    with screen.read() as records:
        if template.object is not None:
            page = records.list(Query(template.object, sort=("-created_at",), limit=20))
            title = screen.registry[template.object].title
            choices = [(row["id"], str(row.get(title) or row["id"])) for row in page.records]
            record = record or (choices[0][0] if choices else "")
        try:
            made = _filled(screen, records, template, record, locale)
        except (TemplateFailed, NotFound) as failed:
            problem = error_text(screen, failed)
    return render_template(
        "message_template.html", screen=screen, current="templates", template=template, made=made, problem=problem,
        label=screen.translate(template.label, template.owner), choices=choices, record=record, chosen=locale,
        parts=[(part, text) for part, text in template.texts.items()],
    )  # fmt: skip


def _filled(screen: Screen, records: Any, template: Template, record: str, locale: str) -> dict[str, str]:
    if template.object is not None and not record:
        raise NotFound("There is no record to fill it in with.")
    return preview(screen.environment, records, template.name, record or None, locale)


def _administrator(screen: Screen) -> None:
    if not screen.actor.admin:
        raise Forbidden("Only an administrator may see message templates.")
