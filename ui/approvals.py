"""Approvals on the screens: submitting and answering on the page of a record, what I am asked, who stands in for me."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import refresh
from flask_login import current_user

from ratoon.platform.automation.approval_links import follow
from ratoon.platform.automation.approvals import approvals_of
from ratoon.platform.automation.facts import facts_of
from ratoon.platform.automation.rendering import Reader
from ratoon.platform.automation.standing_in import end, own, stand_in
from ratoon.platform.catalogs import supported
from ratoon.platform.environment import Environment
from ratoon.platform.errors import BadRequest, Conflict, Forbidden, NotFound, ValidationFailed
from ratoon.platform.metadata.model import Object
from ratoon.platform.records.locks import process_of
from ratoon.platform.records.service import RecordService
from ratoon.ui.editing import local_path
from ratoon.ui.present import Presenter
from ratoon.ui.problems import error_text, text_of
from ratoon.ui.screen import Screen

REFUSALS = (BadRequest, Conflict, Forbidden, NotFound)


def approval_context(
    screen: Screen, records: RecordService, object: Object, row: Mapping[str, Any]
) -> dict[str, Any] | None:
    """What the page of a record shows of approvals; ``None`` when its object has none."""
    if not object.approvals:
        return None
    approvals = approvals_of(records)
    told = [_told(screen, records, object, request) for request in approvals.history(object.name, row["id"])]
    offered = [(p.name, screen.translate(p.label, p.owner)) for p in approvals.offered(object.name, row)]
    pending = next((t for t in told if t["state"] == "pending"), None)
    return {"offered": offered, "pending": pending, "told": told}


def _told(screen: Screen, records: RecordService, object: Object, request: Mapping[str, Any]) -> dict[str, Any]:
    presenter = Presenter(screen)
    process = next((p for p in object.approvals if p.name == request["process"]), None)
    package = process.owner if process is not None else object.owner
    ids = {request["submitted_by"], *(v["user_id"] for v in request["votes"]), *(d["by"] for d in request["decisions"])}
    presenter.want(records, {"user": [i for i in ids if i]})
    names = presenter.titles.get("user", {})
    steps = {s.name: screen.translate(s.label, package) for s in process.steps} if process is not None else {}
    words = _words()
    return {
        **request,
        "label": screen.translate(request["label"], package),
        "step_label": steps.get(request["step"], request["step"]),
        "state_label": words.get(request["state"], request["state"]),
        "asked": [names.get(v["user_id"], "—") for v in request["votes"] if v["state"] == "open"],
        "happened": [
            {
                "text": words.get(d["event"].rpartition(": ")[2], d["event"]),
                "step": steps.get(d["step"], d["step"] or ""),
                "who": names.get(d["by"] or "", "Ratoon"),
                "when": presenter.moment(d["at"]),
                "comment": d["comment"],
            }
            for d in request["decisions"]
            if not d["event"].startswith("finished")
        ],
    }


def _words() -> dict[str, str]:
    return {
        "pending": _("Waiting for approval"),
        "approved": _("Approved"),
        "rejected": _("Rejected"),
        "recalled": _("Taken back"),
        "submitted": _("Submitted"),
        "delegated": _("Handed over"),
        "escalated": _("More people were asked"),
        "skipped": _("Step left out"),
        "sent back": _("Sent back"),
        "overruled": _("Decided by an administrator"),
    }


def submit(screen: Screen, object: str, id: str) -> ResponseReturnValue:
    """Submits a record for approval."""
    found = screen.object(object, "edit")
    process, comment = request.form.get("process") or None, request.form.get("comment", "")
    done = _("It was submitted for approval.")
    back = screen.record_url(object, id)
    return _try(screen, found, back, done, lambda r: approvals_of(r).submit(object, id, process, comment))


def answer(screen: Screen, id: str) -> ResponseReturnValue:
    """Approves, rejects or takes back."""
    what, comment = request.form.get("what", ""), request.form.get("comment", "")
    back = local_path(request.form.get("back", "")) or url_for("screens.approvals")

    def work(records: RecordService) -> None:
        approvals = approvals_of(records)
        if what in ("approve", "reject"):
            approvals.decide(id, approve=what == "approve", comment=comment)
        elif what == "recall":
            approvals.recall(id, comment)
        elif what == "delegate":
            to = request.form.get("to", "").strip()
            if not to:
                raise BadRequest("Choose who is asked instead of you.", field="to")
            approvals.delegate(id, _user(records, to), comment)
        else:
            raise BadRequest("{what} is no answer.", field="what", what=what[:40])

    done = {
        "approve": _("You approved it."), "reject": _("You rejected it."), "recall": _("It was taken back."),
        "delegate": _("Somebody else is asked now."),
    }  # fmt: skip
    return _try(screen, None, back, done.get(what, ""), work)


def mine(screen: Screen) -> ResponseReturnValue:
    """What I am asked, what I submitted, and who stands in for me."""
    presenter = Presenter(screen)
    with screen.read() as records:
        approvals = approvals_of(records)
        questions = approvals.mine()
        standing = own(records)
        ids = [q["request_submitted_by"] for q in questions] + [d["delegate"] for d in standing]
        presenter.want(records, {"user": [i for i in ids if i]})
        names = presenter.titles.get("user", {})
        people = records.lookup("user", "manager", "", {}, 50) if screen.may("user", "read") else []
        facts = {q["approval"]: _facts(screen, records, q) for q in questions}
        words = {q["approval"]: _submitted_words(approvals.tell(q["approval"])) for q in questions}
    shown = [
        {
            **q,
            "url": screen.record_url(q["request_object"], q["request_record"]),
            "object_label": screen.label(screen.registry[q["request_object"]]),
            "label": screen.translate(q["label"]),
            "step_label": screen.translate(q["step_label"]),
            "by": names.get(q["request_submitted_by"] or "", "Ratoon"),
            "when": presenter.ago(q["request_submitted_at"]),
            "facts": facts[q["approval"]],
            "words": words[q["approval"]],
        }
        for q in questions
    ]
    away = [
        {
            "id": d["id"],
            "name": names.get(d["delegate"], "—"),
            "from": presenter.moment(d["starts_at"]),
            "to": presenter.moment(d["ends_at"]) if d["ends_at"] else "",
        }
        for d in standing
    ]
    return render_template(
        "approvals.html", screen=screen, current="approvals", questions=shown, away=away,
        people=[(i, title) for _object, i, title in people if i != screen.actor.id],
    )  # fmt: skip


def _facts(screen: Screen, records: RecordService, question: Mapping[str, Any]) -> list[dict[str, str]]:
    """What a decision needs of the record: what the process is about, and the highlights of its page."""
    object = screen.registry[question["request_object"]]
    process = process_of(object, question["request_process"])
    return facts_of(records, object, question["request_record"], Reader(screen.locale, screen.zone), process)


def stand_in_for_me(screen: Screen) -> ResponseReturnValue:
    """Lets somebody answer for me."""
    ends = _day_end(screen, request.form.get("until", ""))
    to = request.form.get("delegate", "")
    back = url_for("screens.approvals")
    return _try(screen, None, back, _("Somebody stands in for you now."), lambda r: stand_in(r, to, None, ends))


def end_standing_in(screen: Screen, id: str) -> ResponseReturnValue:
    """Ends it."""
    return _try(screen, None, url_for("screens.approvals"), _("You are asked yourself again."), lambda r: end(r, id))


def by_link(environment: Environment, text: str) -> ResponseReturnValue:
    """The page behind the link in a mail: the record in a few lines, and the answer; nobody needs to sign in. It is in
    the language of whoever is asked; somebody else who is signed in here cannot use it."""
    actor, id = follow(environment, text)
    if current_user.is_authenticated and current_user.actor.id != actor.id:
        raise Forbidden("This link is for {name}, and somebody else is signed in here.", name=actor.name)
    g.locale = supported(actor.locale) or "en"
    refresh()
    if request.method == "GET":
        with environment.read(actor) as records:
            return render_template("approval_link.html", text=text, name=actor.name, **_asked(records, id))
    approve, comment = request.form.get("what") == "approve", request.form.get("comment", "")
    environment.transact(actor, lambda r: approvals_of(r).decide(id, approve=approve, comment=comment))
    done = _("You approved it.") if approve else _("You rejected it.")
    return render_template("approval_link.html", told=None, done=done, name=actor.name)


def _asked(records: RecordService, id: str) -> dict[str, Any]:
    """What the page of a link shows of a request, as whoever is asked may see it."""
    registry, locale = records.engine.registry, str(g.locale)
    told = approvals_of(records).tell(id)
    obj = registry[told["object"]]
    process = next((p for p in obj.approvals if p.name == told["process"]), None)
    package = process.owner if process is not None else obj.owner
    people = records.titles("user", [told["submitted_by"]]) if told["submitted_by"] else {}
    return {
        "told": told,
        "label": registry.text(told["label"], locale, package),
        "step_label": registry.text(told["step_label"], locale, package),
        "object_label": registry.text(obj.label, locale, obj.owner),
        "title": records.titles(obj.name, [told["record"]]).get(told["record"], "—"),
        "facts": facts_of(records, obj, told["record"], Reader(locale, records.actor.zone), process),
        "by": people.get(told["submitted_by"] or "", "Ratoon"),
        "words": _submitted_words(told),
    }


def _submitted_words(told: Mapping[str, Any]) -> str:
    """What whoever submitted it last said."""
    return next((str(d["comment"]) for d in reversed(told["decisions"]) if d["event"] == "submitted"), "")


def _day_end(screen: Screen, text: str) -> datetime | None:
    try:
        day = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return None if day is None else (day.replace(tzinfo=screen.zone) + timedelta(days=1)).astimezone(UTC)


def _user(records: RecordService, text: str) -> str:
    """The id of a user that was typed as an id, a name or an address."""
    hits = [i for _object, i, _title in records.lookup("user", "manager", text, {}, 2)]
    return hits[0] if len(hits) == 1 else text


def _try(
    screen: Screen, object: Object | None, back: str, done: str, work: Callable[[RecordService], Any]
) -> ResponseReturnValue:
    """Does it and says so; or says everything that stands in the way."""
    try:
        screen.transact(work)
        flash(done, "success")
    except ValidationFailed as refused:
        for problem in refused.problems:
            flash(text_of(screen, object, problem), "danger")
    except REFUSALS as refused:
        flash(error_text(screen, refused), "danger")
    return redirect(back, 303)
