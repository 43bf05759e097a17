"""Runs of automations: what happened, why, what would happen; buttons of automations.

Runs, the why view and trying an automation are for administrators. Buttons are for those who may edit the record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from ratoon.platform.errors import Forbidden, NotFound
from ratoon.platform.jobs.kinds import MAIL_NOTIFICATIONS
from ratoon.platform.jobs.listing import find, version_at
from ratoon.platform.jobs.moving_on import MOVE_ON
from ratoon.platform.metadata.approval_model import Approval
from ratoon.platform.metadata.documents import canonical
from ratoon.platform.metadata.model import Automation, Object
from ratoon.platform.records.service import RecordService
from ratoon.platform.storage import runs, steps
from ratoon.platform.storage.runs import Run, Wanted
from ratoon.ui.lists import title_of
from ratoon.ui.present import Presenter
from ratoon.ui.screen import Screen

PAGE = 50
UNDELIVERED = 200
STATES = ("waiting", "queued", "running", "done", "failed", "cancelled")


def state_names() -> dict[str, tuple[str, str]]:
    """State of a run or step → what it is called, and its colour."""
    return {
        "waiting": (_("Waiting"), "azure"),
        "queued": (_("Queued"), "azure"),
        "running": (_("Running"), "blue"),
        "done": (_("Done"), "green"),
        "failed": (_("Failed"), "red"),
        "cancelled": (_("Cancelled"), "secondary"),
        "skipped": (_("Skipped"), "secondary"),
    }


def trigger_names() -> dict[str, str]:
    """What a run was caused by."""
    return {
        "created": _("Created"),
        "updated": _("Changed"),
        "deleted": _("Deleted"),
        "restored": _("Restored"),
        "stage_entered": _("Stage entered"),
        "stage_left": _("Stage left"),
        "date": _("Date"),
        "schedule": _("Schedule"),
        "button": _("Button"),
        "inbound": _("Call from outside"),
        "approval": _("Approval"),
        "job": _("Job"),
    }


def action_name(kind: str) -> str:
    """What a kind of action is called; a plugin's by its own name."""
    names = {
        "set_fields": _("Set fields"),
        "create_record": _("Create a record"),
        "update_related": _("Change related records"),
        "upsert_record": _("Create or change a record"),
        "send_email": _("Send a mail"),
        "notify": _("Notify"),
        "call_webhook": _("Call an address"),
        "wait": _("Wait"),
        "branch": _("Branch"),
        "submit_for_approval": _("Submit for approval"),
        "assign": _("Assign"),
    }
    return names.get(kind, kind)


def all_runs(screen: Screen) -> ResponseReturnValue:
    """The list of runs, newest first."""
    administrator(screen)
    state, rule, before = (request.args.get(name) or None for name in ("state", "rule", "before"))
    wanted = Wanted(state=state if state in STATES else None, rule=rule, before=_id(before), limit=PAGE)
    with screen.environment.database.read() as connection:
        found = runs.find(connection, wanted)
        counts = runs.counts(connection)
    presenter, titles = Presenter(screen), _titles_of(screen, found)
    more = url_for("screens.runs", state=state, rule=rule, before=found[-1].id) if len(found) == PAGE else ""
    return render_template(
        "runs.html",
        screen=screen,
        current="runs",
        runs=[shown_run(screen, presenter, run, titles.get(run.id, "")) for run in found],
        counts=counts,
        states=state_names(),
        state=state,
        rule=rule,
        more_url=more,
    )


def one_run(screen: Screen, id: str) -> ResponseReturnValue:
    """One run with its records and steps."""
    administrator(screen)
    with screen.environment.database.read() as connection:
        run = _run(connection, id)
        seen = runs.records_of(connection, run.id)
        done = steps.of_run(connection, run.id, limit=500)
        version = version_at(connection, run.rule, run.revision)
    presenter = Presenter(screen)
    known = run.object in screen.registry.objects
    titles: Mapping[str, str] = {}
    if known and run.object is not None and seen:
        with screen.read() as records:
            titles = records.titles(run.object, list(seen)[:200])
    return render_template(
        "run.html",
        screen=screen,
        current="runs",
        run=shown_run(screen, presenter, run),
        known=known,
        titles=titles,
        seen={record: _pairs(values) for record, values in list(seen.items())[:200]},
        steps=[{**step, "badge": badge(step["state"]), "action": action_name(step["kind"]),
                "when": presenter.moment(step["at"], seconds=True), "detail": _json(step["detail"])} for step in done],
        result=_json(run.result),
        version=version.since.revision if version is not None else None,
        rule_text=canonical(version.data) if version is not None else "",
        rule_url=_rule_url(screen, run),
    )  # fmt: skip


def undelivered(screen: Screen) -> ResponseReturnValue:
    """Mails and calls that did not go out: the dead letters."""
    administrator(screen)
    rule = request.args.get("rule") or None
    with screen.environment.database.read() as connection:
        found = steps.undelivered(connection, rule, UNDELIVERED)
    presenter = Presenter(screen)
    titles: dict[tuple[str, str], str] = {}
    with screen.read() as records:
        for object in {row["object"] for row in found} & screen.registry.objects.keys():
            ids = {row["record"] for row in found if row["object"] == object}
            titles |= {(object, id): title for id, title in records.titles(object, ids).items()}
    shown = [
        {
            **row,
            "when": presenter.moment(row["at"]),
            "rule_label": rule_label(screen, row["rule"] or ""),
            "kind_name": _("Mail") if row["kind"] == "send_email" else _("Call"),
            "title": titles.get((row["object"], row["record"]), row["record"]),
            "record_url": _record_url(screen, row["object"], row["record"]),
            "run_url": url_for("screens.run", id=row["run"]),
        }
        for row in found
    ]
    return render_template("undelivered.html", screen=screen, current="runs", rows=shown, rule=rule)


def retry_failed(screen: Screen) -> ResponseReturnValue:
    """Repeats all runs that failed, or those of one automation."""
    administrator(screen)
    rule = request.form.get("rule") or None
    environment = screen.environment
    with environment.database.write() as connection:
        count = runs.retry_failed(connection, environment.world.clock(), rule)
    flash(ngettext("%(num)s run goes on.", "%(num)s runs go on.", count), "success")
    return redirect(url_for("screens.runs", rule=rule), 303)


def steer(screen: Screen, id: str, what: str) -> ResponseReturnValue:
    """Repeats or cancels a run."""
    administrator(screen)
    environment = screen.environment
    with environment.database.write() as connection:
        run = _run(connection, id)
        if what == "retry":
            done = runs.retry(connection, run.id, environment.world.clock())
        elif what == "cancel":
            done = runs.cancel(connection, environment.world, run=run.id)
        else:
            raise NotFound("There is nothing at {path}.", path=request.path[:200])
    if done:
        flash(_("The run goes on.") if what == "retry" else _("The run is cancelled."), "success")
    else:
        flash(_("That is not possible any more: look at its state."), "warning")
    return redirect(url_for("screens.run", id=id), 303)


def why(screen: Screen, object: str, id: str) -> ResponseReturnValue:
    """For a record: every automation, whether it would run, and the part of the condition that decides."""
    from ratoon.platform.jobs.looking import why as reasons_of

    administrator(screen)
    found = screen.object(object)
    presenter = Presenter(screen)
    with screen.read() as records:
        row = records.get(object, id)
        reasons = reasons_of(records, object, id)
    names = trigger_names()
    shown = [
        {
            "name": r.automation.name,
            "label": screen.label(r.automation),
            "on": ", ".join(names.get(on, on) for on in r.automation.on),
            "when": r.automation.when,
            "condition": r.automation.condition.source if r.automation.condition else "",
            "status": r.automation.status,
            "url": url_for("screens.automation", object=object, name=r.automation.name),
            "fits": r.fits,
            "because": r.sentence,
            "last": shown_run(screen, presenter, r.last) if r.last else None,
        }
        for r in reasons
    ]
    return render_template(
        "automations.html",
        screen=screen, current=object, object=found, id=id, title=title_of(found, row), reasons=shown,
    )  # fmt: skip


def try_out(screen: Screen, object: str, id: str, name: str) -> ResponseReturnValue:
    """What an automation would do to a record; nothing is kept."""
    from ratoon.platform.jobs.looking import try_out as tried

    administrator(screen)
    found = screen.object(object)
    with screen.read() as records:
        title = title_of(found, records.get(object, id))
    told = tried(screen.environment, screen.environment.actions, object, name, id)
    sent = [(kind, what, _json(what)) for entry in told.sent for kind, what in entry.items()]
    return render_template(
        "tried.html",
        screen=screen, current=object, object=found, id=id, title=title, name=name, told=told, sent=sent,
        steps=[{**step, "badge": badge(step["state"]), "action": action_name(step["kind"])} for step in told.steps],
        changed={key: _pairs(values) for key, values in told.records.items()},
    )  # fmt: skip


def press(screen: Screen, object: str, id: str, name: str) -> ResponseReturnValue:
    """The button of an automation."""
    from ratoon.platform.jobs.looking import press as pressed

    screen.object(object)
    screen.transact(lambda records: pressed(records, object, name, id))
    flash(_("It is on its way."), "success")
    return redirect(screen.record_url(object, id), 303)


def buttons_of(screen: Screen, records: RecordService, object: Object, row: Mapping[str, Any]) -> list[dict[str, str]]:
    """The buttons of automations on a record page."""
    if not any(a.triggers.button for a in object.automations):
        return []
    from ratoon.platform.jobs.looking import buttons

    return [
        {
            "name": a.name,
            "label": screen.translate(a.triggers.button.label, a.owner),
            "confirm": screen.translate(a.triggers.button.confirm, a.owner) if a.triggers.button.confirm else "",
        }
        for a in buttons(records, object.name, row)
        if a.triggers.button is not None
    ]


def administrator(screen: Screen) -> None:
    """Raises ``Forbidden`` for everybody else."""
    if not screen.actor.admin:
        raise Forbidden("Only an administrator may see and steer runs.")


def _run(connection: Any, id: str) -> Run:
    run = runs.load(connection, id)
    if run is None:
        raise NotFound("There is no {object} with id {id}.", object="run", id=id)
    return run


def shown_run(screen: Screen, presenter: Presenter, run: Run, title: str = "") -> dict[str, Any]:
    """A run as the screens show it; ``title`` is what its one record is called."""
    seconds = ""
    if run.started_at is not None and run.finished_at is not None:
        seconds = _("%(count)s s", count=f"{(run.finished_at - run.started_at).total_seconds():.2f}")
    return {
        "id": run.id,
        "url": url_for("screens.run", id=run.id),
        "rule": run.rule or run.name,
        "label": rule_label(screen, run.rule or run.name),
        "title": title,
        "badge": badge(run.state),
        "state": run.state,
        "trigger": trigger_names().get(run.trigger, run.trigger),
        "object": run.object,
        "records": run.records,
        "when": presenter.moment(run.created_at, seconds=True),
        "due": presenter.moment(run.due_at, seconds=True),
        "finished": presenter.moment(run.finished_at, seconds=True) if run.finished_at else "",
        "tries": run.tries,
        "seconds": seconds,
        "error": run.error or "",
        "worker": run.worker or "",
        "parent": run.parent,
    }


def rule_label(screen: Screen, rule: str) -> str:
    """What an automation or approval is called that a run names; a job or a rule that is gone by its name."""
    object, _dot, name = rule.partition(".")
    found = screen.registry.objects.get(object)
    declared: tuple[Automation | Approval, ...] = (*found.automations, *found.approvals) if found is not None else ()
    known = next((r for r in declared if r.name == name), None)
    if known is not None:
        return screen.label(known)
    jobs = {MAIL_NOTIFICATIONS: _("Notifications by mail"), MOVE_ON: _("Stages that move on by themselves")}
    return jobs.get(rule, rule)


def _titles_of(screen: Screen, found: Sequence[Run]) -> dict[str, str]:
    """Run → title of its record, for those that were about one record that is still there."""
    single = {run.id: run.object for run in found if run.records == 1 and run.object in screen.registry.objects}
    with screen.read() as records:
        about = runs.first_records(records.connection, single)
        wanted: dict[str, set[str]] = {}
        for run, record in about.items():
            wanted.setdefault(str(single[run]), set()).add(record)
        titles = {o: records.titles(o, ids) for o, ids in wanted.items()}
    return {run: titles[str(single[run])].get(record, "") for run, record in about.items()}


def _rule_url(screen: Screen, run: Run) -> str:
    object, _dot, name = (run.rule or "").partition(".")
    return url_for("screens.automation", object=object, name=name) if find(screen.registry, object, name) else ""


def _record_url(screen: Screen, object: str | None, record: str | None) -> str:
    known = object is not None and object in screen.registry.objects
    return screen.record_url(object, record) if known and object is not None and record is not None else ""


def badge(state: str) -> dict[str, str]:
    """The state of a run or step as a badge."""
    text, color = state_names().get(state, (state, "secondary"))
    return {"text": text, "color": color}


def _pairs(values: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    return [(key, "" if value is None else str(value)) for key, value in (values or {}).items()]


def _json(value: Any) -> str:
    if value is None:
        return ""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS, default=str).decode()


def _id(text: str | None) -> str | None:
    """An id in a query or form; anything else counts as not given."""
    good = text is not None and len(text) == 36 and text.replace("-", "").isalnum() and text.isascii()
    return text if good else None
