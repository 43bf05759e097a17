"""Automations for administrators: the list, one with its versions and runs, making it active or letting it rest.

Making one active is a change of the metadata like any other: checked, a revision, in the audit trail.
"""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ratoon.platform.errors import BadRequest, NotFound, RatoonError
from ratoon.platform.jobs.listing import find, overview, versions
from ratoon.platform.metadata.documents import canonical
from ratoon.platform.metadata.model import Automation, Object
from ratoon.platform.metadata.triggers import status_of
from ratoon.platform.packages import Target
from ratoon.platform.packages.automation_status import STATUSES, set_status
from ratoon.platform.records.reading import Query
from ratoon.platform.storage import runs as kept
from ratoon.platform.storage.revisions import Version
from ratoon.platform.storage.runs import Wanted
from ratoon.ui.lists import title_of
from ratoon.ui.present import Presenter
from ratoon.ui.problems import error_text
from ratoon.ui.runs import action_name, administrator, badge, shown_run, trigger_names
from ratoon.ui.screen import Screen

HITS = 8
LAST_RUNS = 10


def status_names() -> dict[str, tuple[str, str]]:
    """Status → what it is called, and its colour."""
    return {"active": (_("Active"), "green"), "draft": (_("Draft"), "yellow"), "off": (_("Off"), "secondary")}


def when_names() -> dict[str, str]:
    """When an automation runs."""
    return {
        "before": _("before the save"),
        "after": _("after the save"),
        "after_commit": _("after the commit"),
    }


def status_badge(status: str) -> dict[str, str]:
    """A status as a badge."""
    text, color = status_names()[status]
    return {"text": text, "color": color}


def all_automations(screen: Screen) -> ResponseReturnValue:
    """Every automation, object by object."""
    administrator(screen)
    groups: list[tuple[Object, list[dict[str, Any]]]] = []
    for line in overview(screen.environment):
        obj = screen.registry[line.automation.object]
        if not groups or groups[-1][0] is not obj:
            groups.append((obj, []))
        counted = [{**badge(state), "count": count} for state, count in sorted(line.runs.items())]
        groups[-1][1].append({**_described(screen, line.automation), "counted": counted})
    return render_template("setup_automations.html", screen=screen, current="automations", groups=groups)


def one_automation(screen: Screen, object: str, name: str) -> ResponseReturnValue:
    """One automation: what it says, its versions, its last runs, and records to try it on."""
    administrator(screen)
    automation = find(screen.registry, object, name)
    if automation is None:
        raise NotFound("{object} has no automation {name}.", object=object, name=name)
    obj = screen.registry[object]
    asked = request.args.get("q", "").strip()[:200]
    with screen.read() as records:
        if asked:
            hits = [(id, title or id) for _o, id, title in records.search(asked, [object], HITS)]
        else:
            page = records.list(Query(object, sort=["-modified_at"], limit=HITS, fields=["id", obj.title]))
            hits = [(row["id"], title_of(obj, row)) for row in page.records]
        texts = versions(records.connection, object, name)
        last = kept.find(records.connection, Wanted(rule=automation.full_name, limit=LAST_RUNS))
        people = records.titles("user", {v.since.by for v in texts if v.since.by and len(v.since.by) == 36})
    presenter = Presenter(screen)
    return render_template(
        "setup_automation.html",
        screen=screen,
        current="automations",
        object=obj,
        automation=automation,
        about=_described(screen, automation),
        statuses=[(s, status_names()[s][0]) for s in STATUSES if s != automation.status],
        versions=[_version(presenter, people, version) for version in texts],
        runs=[shown_run(screen, presenter, run) for run in last],
        q=asked,
        hits=hits,
    )


def change_status(screen: Screen, object: str, name: str) -> ResponseReturnValue:
    """Makes an automation active, a draft or off."""
    administrator(screen)
    status = request.form.get("status", "")
    if status not in STATUSES:
        raise BadRequest("status is one of {statuses}.", field="status", statuses=", ".join(STATUSES))
    try:
        set_status(Target.of(screen.environment), object, name, status, by=screen.actor.id)
        flash(_("Its status is now: %(status)s.", status=status_names()[status][0]), "success")
    except NotFound:
        raise
    except RatoonError as refused:
        flash(error_text(screen, refused), "danger")
    return redirect(url_for("screens.automation", object=object, name=name), 303)


def _described(screen: Screen, automation: Automation) -> dict[str, Any]:
    names = trigger_names()
    return {
        "name": automation.name,
        "label": screen.label(automation),
        "badge": status_badge(automation.status),
        "status": automation.status,
        "on": ", ".join(names.get(on, on) for on in automation.on),
        "when": when_names()[automation.when],
        "condition": automation.condition.source if automation.condition else "",
        "actions": ", ".join(action_name(action.kind) for action in automation.actions),
        "url": url_for("screens.automation", object=automation.object, name=automation.name),
    }


def _version(presenter: Presenter, people: dict[str, str], version: Version) -> dict[str, Any]:
    since = version.since
    return {
        "revision": since.revision,
        "until": version.until,
        "when": presenter.moment(since.at),
        "by": people.get(since.by or "", since.by or _("the platform")),
        "message": since.message,
        "badge": status_badge(status_of(version.data)),
        "text": canonical(version.data),
    }
