"""Whom a record belongs to and whom it is open to: give it away, share it, take a share back. And lists as CSV."""

from __future__ import annotations

from flask import Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ratoon.platform.errors import Forbidden, NotFound, RatoonError
from ratoon.platform.records.ownership import SHAREABLE, Ownership
from ratoon.platform.records.reading import Query
from ratoon.platform.records.service import RecordService
from ratoon.platform.records.taking_out import as_csv
from ratoon.ui.lists import asked_for, title_of
from ratoon.ui.problems import error_text
from ratoon.ui.screen import Screen

PEOPLE = 500
"""Users and teams offered to choose from."""


def owner(screen: Screen, object: str, id: str) -> ResponseReturnValue:
    """The page; a POST does what its button says and comes back."""
    found = screen.object(object, "edit")
    if request.method == "POST":
        try:
            screen.transact(lambda records: _do(screen, records, object, id))
        except Forbidden:
            raise
        except NotFound as refused:
            # Whoever gave a record away may not see it any more.
            flash(error_text(screen, refused), "warning")
            return redirect(url_for("screens.records", object=object), 303)
        except RatoonError as refused:
            flash(error_text(screen, refused), "danger")
        return redirect(url_for("screens.owner", object=object, id=id), 303)
    with screen.read() as records:
        row = records.get(object, id)
        ownership = Ownership(records)
        users = records.list(Query("user", sort=["name"], limit=PEOPLE, filter="active", fields=["name"])).records
        teams = records.list(Query("user_team", sort=["name"], limit=PEOPLE, fields=["name"])).records
        may_give = ownership.may_give(object, id)
        shares = ownership.shares(object, id)
    named = {f"user:{user['id']}": user["name"] for user in users}
    named.update({f"team:{team['id']}": team["name"] for team in teams})
    for role in screen.registry.roles.values():
        label = screen.translate(role.label, role.owner)
        named[f"role:{role.name}"] = label
        named[f"below:{role.name}"] = _("%(role)s and below", role=label)
    return render_template(
        "owner.html", screen=screen, current=object, object=found, id=id, title=title_of(found, row), row=row,
        users=users, shares=shares, may_give=may_give, named=named, shareable=found.default_access in SHAREABLE,
    )  # fmt: skip


def _do(screen: Screen, records: RecordService, object: str, id: str) -> None:
    ownership, form = Ownership(records), request.form
    match form.get("do"):
        case "transfer":
            moved = ownership.transfer(object, [id], form.get("owner", ""), children=bool(form.get("children")))
            flash(_("%(count)s records have another owner now.", count=sum(moved.values())), "success")
            records.get(object, id, fields=["id"])
        case "share":
            ownership.share(
                object, id, form.get("grantee", ""), form.get("access", "read"), reason=form.get("reason", "")
            )
            flash(_("The record was shared."), "success")
        case "unshare":
            ownership.unshare(object, id, form.get("share", ""))
            flash(_("The share was taken back."), "success")
        case _:
            raise NotFound("There is no such action.")


def export(screen: Screen, object: str) -> ResponseReturnValue:
    """The list as the page shows it, as CSV."""
    found = screen.object(object)
    asked = asked_for(screen, found)
    view = asked.view.name if found.views else None
    query = Query(object, view=view, filter=asked.filter(found, screen), sort=asked.sort)
    text = screen.transact(lambda records: as_csv(records, query))
    headers = {"Content-Disposition": f'attachment; filename="{object}.csv"'}
    return Response("\ufeff" + text, headers=headers, content_type="text/csv; charset=utf-8")
