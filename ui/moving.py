"""Moving records: along the stage path of their page, by dragging their card on a board, and ticking tasks off.

Every way gives the same answer: the record moved, or everything that stands in the way at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from htmx_flask import make_response

from ratoon.platform.errors import BadRequest, Conflict, Problem, Stale, ValidationFailed
from ratoon.platform.metadata.model import Field, Object
from ratoon.platform.records.drafts import Change
from ratoon.platform.records.service import RecordService
from ratoon.ui.editing import local_path
from ratoon.ui.present import Presenter
from ratoon.ui.problems import text_of
from ratoon.ui.screen import Screen, wants_fragment
from ratoon.ui.timeline import spell


def path_context(screen: Screen, records: RecordService, object: Object, row: Mapping[str, Any]) -> dict[str, Any]:
    """What the stage path draws: stages, time in the present one, its checklist."""
    if object.stage_field is None or object.stage_field.name not in row:
        return {"path": []}
    may_edit = screen.may(object.name, "edit")
    pipeline = object.pipeline(row.get(f"{object.stage_field.name}_pipeline"))
    package = pipeline.owner if pipeline else object.owner
    path = [
        {
            **step,
            "label": screen.translate(step["label"], package),
            "current": step["state"] == "current",
            "movable": bool(step["allowed"]) and may_edit,
        }
        for step in records.stage_path(object.name, row)
    ]
    tasks = [{**t, "label": screen.translate(t["label"], package)} for t in records.checklist(object.name, row)]
    return {
        "path": path,
        "tasks": tasks,
        "may_tick": may_edit,
        **_time(screen, records, object.stage_field, row, object),
    }


def _time(
    screen: Screen, records: RecordService, field: Field, row: Mapping[str, Any], object: Object
) -> dict[str, Any]:
    stage = Presenter(screen).stage_of(field, row)
    periods = [p for p in records.stage_history(object.name, row["id"]) if p["left_at"] is None]
    if not periods or stage is None:
        return {"time_in_stage": "", "late": False}
    text = _("%(length)s in this stage", length=spell(screen, int(periods[-1]["seconds"])))
    if stage.expected_days is not None:
        text = _("%(time)s (expected: %(days)s days)", time=text, days=stage.expected_days)
    return {"time_in_stage": text, "late": Presenter(screen).overdue(field, row)}


def move(screen: Screen, object: str, id: str) -> ResponseReturnValue:
    """Moves a record to another stage; answers with everything that stands in the way at once."""
    found = screen.object(object, "edit")
    field = found.stage_field
    wanted = request.form.get("acknowledge") or request.form.get("stage", "")
    problems = _changed(screen, found, id, {field.name: wanted}) if field is not None and wanted else ()
    if problems:
        return _refused(screen, found, id, wanted, problems)
    url = screen.record_url(object, id)
    flash(_("The stage was changed."), "success")
    return make_response("", redirect=url) if wants_fragment() else redirect(url, 303)


def card(screen: Screen, object: str, id: str) -> ResponseReturnValue:
    """Puts a card of a board into another column: a stage, or a value of the picklist that makes the columns."""
    found = screen.object(object, "edit")
    key, wanted = request.form.get("key", ""), request.form.get("to", "")
    field = found.fields.get(key)
    if field is None or key not in screen.readable(found) or field.type.name not in ("stage", "picklist"):
        raise BadRequest("{key} does not make the columns of a board.", field="key", key=key[:60])
    if "to" not in request.form or (not wanted and field.type.name == "stage"):
        raise BadRequest("Say with {field} into which column.", field="to")
    board = local_path(request.form.get("back", "")) or url_for("screens.records", object=object)
    problems = _changed(screen, found, id, {key: wanted or None})
    if not problems:
        flash(_("“%(title)s” was moved.", title=_title(screen, found, id)), "success")
        return make_response("", redirect=board) if wants_fragment() else redirect(board, 303)
    refusals = _texts(screen, found, problems)
    title = _title(screen, found, id)
    if not wants_fragment():
        for text in refusals:
            flash(f"{title}: {text}", "danger")
        return redirect(board, 303)
    asked: dict[str, Any] = {"back": board, "stage" if field.type.name == "stage" else key: wanted}
    edit = url_for("screens.edit", object=object, id=id, **asked)
    return render_template("_card_refused.html", title=title, refusals=refusals, edit=edit), 422


def task(screen: Screen, object: str, id: str) -> ResponseReturnValue:
    """Ticks a task of the stage off, or takes the tick away."""
    found = screen.object(object, "edit")
    name, done = request.form.get("task", ""), request.form.get("done") == "1"
    screen.transact(lambda records: records.tick(object, id, name, done))
    if not wants_fragment():
        return redirect(screen.record_url(object, id), 303)
    with screen.read() as records:
        row = records.get(object, id)
        context = path_context(screen, records, found, row)
    return render_template("_path.html", screen=screen, object=found, id=id, version=row["version"], **context)


def _changed(screen: Screen, object: Object, id: str, values: Mapping[str, Any]) -> Sequence[Problem]:
    """Makes the change; what stands in the way."""
    version = request.form.get("version", "")
    change = Change(id, values, int(version) if version.isdigit() else None)
    acknowledge = bool(request.form.get("acknowledge"))
    try:
        screen.transact(lambda records: records.update(object.name, [change], acknowledge=acknowledge))
    except ValidationFailed as refused:
        return refused.problems
    except Stale:
        text = _("Somebody changed this record meanwhile. The page shows it as it is now; try again.")
        return [Problem("stale", text)]
    except Conflict as refused:
        return [Problem(refused.code, refused.message, params=refused.params)]
    return ()


def _refused(screen: Screen, object: Object, id: str, wanted: str, problems: Sequence[Problem]) -> ResponseReturnValue:
    with screen.read() as records:
        row = records.get(object.name, id)
        context = path_context(screen, records, object, row)
    labels = {s["name"]: s["label"] for s in context["path"]}
    texts = _texts(screen, object, problems)
    context.update(
        refusals=texts,
        wanted=labels.get(wanted, wanted),
        wanted_name=wanted,
        warnings=all(p.severity == "warning" for p in problems),
    )
    if wants_fragment():
        path = render_template("_path.html", screen=screen, object=object, id=id, version=row["version"], **context)
        # What an earlier move said above the page is not true of this one.
        return path + render_template("_flash.html", oob=True), 422
    for text in texts:
        flash(text, "danger")
    return redirect(screen.record_url(object.name, id), 303)


def _texts(screen: Screen, object: Object, problems: Sequence[Problem]) -> list[str]:
    return list(dict.fromkeys(text_of(screen, object, p) for p in problems if p.severity != "info"))


def _title(screen: Screen, object: Object, id: str) -> str:
    with screen.read() as records:
        return records.titles(object.name, [id]).get(id, id)
