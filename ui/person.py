"""A person on one page: take out everything about them; for administrators, what erasing would do, and erasing."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Response, flash, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from ratoon.platform.errors import Conflict, Forbidden, NotFound
from ratoon.platform.jobs.keeping import drop_files
from ratoon.platform.metadata.model import Object
from ratoon.platform.records.persons import Erasure, Persons, archive
from ratoon.ui.lists import title_of
from ratoon.ui.problems import error_text
from ratoon.ui.screen import Screen


def person(screen: Screen, object: str, id: str) -> ResponseReturnValue:
    """The page; a POST takes everything out or erases, as its button says."""
    found = screen.object(object)
    if not found.person:
        raise NotFound("There is no object called {name}.", name=object)
    screen.policy.require(screen.actor, object, "export")
    if request.method == "POST" and request.form.get("do") == "export":
        return _taken_out(screen, object, id)
    if request.method == "POST":
        return _erased(screen, object, id)
    with screen.read() as records:
        row = records.get(object, id)
        plan = Persons(records).plan(object, id) if screen.actor.admin and id != screen.actor.id else None
    return render_template(
        "person.html", screen=screen, current=object, object=found, id=id, title=title_of(found, row),
        goes=_goes(screen, found, plan) if plan else [], stays=_stays(screen, plan) if plan else [], plan=plan,
    )  # fmt: skip


def _taken_out(screen: Screen, object: str, id: str) -> ResponseReturnValue:
    everything = screen.transact(lambda records: Persons(records).everything(object, id))
    headers = {"Content-Disposition": f'attachment; filename="{object}-{id}.zip"'}
    packed = archive(everything, screen.environment.settings.files_path)
    return Response(packed, headers=headers, content_type="application/zip")


def _erased(screen: Screen, object: str, id: str) -> ResponseReturnValue:
    if not screen.actor.admin:
        raise Forbidden("Only an administrator may erase a person.")
    if not request.form.get("sure"):
        flash(_("Tick the box to say that you are sure."), "warning")
        return redirect(request.path, 303)
    told = request.form.get("fingerprint", "")
    try:
        gone = screen.transact(lambda records: Persons(records).erase(object, id, told))
    except Conflict as refused:
        flash(error_text(screen, refused), "danger")
        return redirect(request.path, 303)
    drop_files(screen.environment, gone)
    flash(_("The person was erased."), "success")
    return redirect(screen.record_url(object, id), 303)


def _goes(screen: Screen, object: Object, plan: Erasure) -> list[str]:
    fields = dict.fromkeys(object.field_of[key].name for key in plan.fields)
    shown = [_("Values: %(names)s", names=", ".join(screen.label(object.fields[name]) for name in fields))]
    shown += [_("The file %(name)s", name=name) for name in plan.files]
    return shown + [_trace(kind, number) for kind, number in plan.traces.items()]


def _trace(kind: str, number: int) -> str:
    match kind:
        case "history":
            return str(ngettext("%(num)s entry of the history", "%(num)s entries of the history", number))
        case "undo":
            return str(ngettext("%(num)s value kept for a rollback", "%(num)s values kept for a rollback", number))
        case "kept_columns":
            return str(ngettext("%(num)s removed field", "%(num)s removed fields", number))
        case "runs":
            return str(ngettext("%(num)s run of an automation", "%(num)s runs of automations", number))
        case "notifications":
            return str(ngettext("%(num)s notification", "%(num)s notifications", number))
        case "audit":
            return str(ngettext("%(num)s entry of the audit trail", "%(num)s entries of the audit trail", number))
        case _:
            return str(ngettext("%(num)s other note", "%(num)s other notes", number))


def _stays(screen: Screen, plan: Erasure) -> list[tuple[str, bool]]:
    """Lines, and whether somebody must read the records."""
    return [
        *((_pointing(*place), False) for place in _places(screen, plan.kept)),
        *((_naming(*place), True) for place in _places(screen, plan.mentions)),
    ]


def _pointing(place: str, number: int) -> str:
    return str(
        ngettext("%(place)s: %(num)s record points here", "%(place)s: %(num)s records point here", number, place=place)
    )


def _naming(place: str, number: int) -> str:
    return str(
        ngettext(
            "%(place)s: %(num)s text names the person", "%(place)s: %(num)s texts name the person", number, place=place
        )
    )


def _places(screen: Screen, counts: Mapping[str, int]) -> list[tuple[str, int]]:
    found = []
    for name, number in counts.items():
        object, _dot, key = name.partition(".")
        there = screen.registry[object]
        label = f"{screen.translate(there.plural_label, there.owner)} · {screen.key_label(there, key)}"
        found.append((label, number))
    return found
