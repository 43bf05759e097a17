"""Notifications: the bell and its list, which of them reach whom and how, and the link in a mail that stops mails.

Everybody sees their own. What a record's reader may not see any more is shown without its words.
"""

from __future__ import annotations

from collections.abc import Mapping

from flask import Response, current_app, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import refresh

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.automation.stop_links import read as read_stop
from ratoon.platform.automation.stop_links import stop
from ratoon.platform.automation.telling import visible
from ratoon.platform.catalogs import supported
from ratoon.platform.environment import Environment
from ratoon.platform.errors import Forbidden, NotFound
from ratoon.platform.storage import notifications as bell
from ratoon.platform.storage.notification_ways import EVERYBODY, KINDS, MAILS, Way, choose, chosen, standard, ways
from ratoon.ui.editing import local_path
from ratoon.ui.present import Presenter
from ratoon.ui.screen import Screen

PAGE = 50
ICONS: Mapping[str, str] = {
    "approval": "checkup-list", "answer": "checks", "assignment": "user-check", "overdue": "clock",
    "mention": "at", "automation": "bolt",
}  # fmt: skip


def kind_names() -> dict[str, tuple[str, str]]:
    """Kind of notification → what it is called, and when it comes."""
    return {
        "approval": (_("I am asked"), _("Somebody waits for your approval.")),
        "answer": (_("Answers to me"), _("What you submitted was approved or rejected.")),
        "assignment": (_("Records for me"), _("Somebody, or an assignment, gave you records.")),
        "overdue": (_("Overdue"), _("Something of yours is late or runs out soon.")),
        "mention": (_("Mentions"), _("A rule names you in a message.")),
        "automation": (_("Automations"), _("Everything else that automations tell you.")),
    }


def mail_names() -> dict[str, str]:
    """When a mail comes."""
    return {
        "now": _("At once"),
        "daily": _("Every morning at eight"),
        "weekly": _("Monday mornings"),
        "off": _("No mail"),
    }


def notifications(screen: Screen) -> ResponseReturnValue:
    """The reader's notifications."""
    user, before = _user(screen), _id(request.args.get("before"))
    unread = request.args.get("show") == "unread"
    with screen.read() as records:
        found = bell.of_user(records.connection, user, PAGE, before, unread_only=unread)
        seen = visible(records, found)
    presenter, names = Presenter(screen), kind_names()
    shown = [
        {
            "id": n.id,
            "title": n.title if n.id in seen else _("You may not see this record any more."),
            "body": n.body if n.id in seen else "",
            "when": presenter.ago(n.at),
            "unread": n.read_at is None,
            "icon": ICONS.get(n.kind or "", "bolt"),
            "kind": names[n.kind][0] if n.kind in names else "",
            "open": n.id in seen and n.record is not None and n.object in screen.registry.objects,
        }
        for n in found
    ]
    more = ""
    if len(found) == PAGE:
        more = url_for("screens.notifications", before=found[-1].id, show="unread" if unread else None)
    return render_template(
        "notifications.html",
        screen=screen,
        current="notifications",
        notifications=shown,
        more_url=more,
        only_unread=unread,
    )


def read(screen: Screen) -> ResponseReturnValue:
    """Marks notifications as read (one, or all), or one as unread; ``open`` goes to its record."""
    user, one = _user(screen), _id(request.form.get("id"))
    environment = screen.environment
    target = None
    with environment.database.write() as connection:
        if one and request.form.get("what") == "unread":
            bell.mark_unread(connection, user, one)
        else:
            bell.mark_read(connection, user, environment.world.clock(), [one] if one else None)
        if one and request.form.get("what") == "open":
            target = next(iter(bell.by_id(connection, user, [one])), None)
    if target is not None and target.object in screen.registry.objects and target.record is not None:
        return redirect(screen.record_url(str(target.object), target.record), 303)
    return redirect(local_path(request.form.get("back", "")) or url_for("screens.notifications"), 303)


def unread_count(screen: Screen | None) -> int:
    """What the bell says."""
    if screen is None or screen.actor.id is None:
        return 0
    with screen.environment.database.read() as connection:
        return bell.unread(connection, screen.actor.id)


def choices(screen: Screen) -> ResponseReturnValue:
    """How each kind reaches the reader; an administrator also sets how it reaches everybody who did not choose."""
    user = _user(screen)
    everybody = request.values.get("for") == "everybody"
    if everybody and not screen.actor.admin:
        raise Forbidden("Only an administrator may say what everybody gets.")
    if request.method == "POST":
        given: dict[str, Way | None] = {kind: _way(kind) for kind in KINDS}
        if request.form.get("do") == "reset":
            given = dict.fromkeys(KINDS)
        with screen.environment.database.write() as connection:
            choose(connection, EVERYBODY if everybody else user, given)
        flash(_("Saved."), "success")
        return redirect(_choices_url(everybody), 303)
    with screen.environment.database.read() as connection:
        now = standard(connection) if everybody else ways(connection, user)
        own = chosen(connection, EVERYBODY if everybody else user)
    names = kind_names()
    rows = [{"kind": k, "name": names[k][0], "text": names[k][1], "way": now[k], "icon": ICONS[k]} for k in KINDS]
    return render_template(
        "notification_choices.html", screen=screen, current="notifications", rows=rows, mails=mail_names(),
        everybody=everybody, chosen=bool(own), zone=screen.actor.time_zone,
        mail_server=bool(screen.environment.settings.smtp_host),
    )  # fmt: skip


def _choices_url(everybody: bool) -> str:
    own = url_for("screens.notification_choices")
    return f"{own}?for=everybody" if everybody else own


def _way(kind: str) -> Way:
    mail = request.form.get(f"mail-{kind}", "off")
    return Way(bool(request.form.get(f"bell-{kind}")), mail if mail in MAILS else "off")


def stop_mails(environment: Environment, text: str) -> ResponseReturnValue:
    """The page behind the link of a mail; nobody needs to sign in. A mail program's own button posts without a token
    of ours (RFC 8058): the link itself says who is meant."""
    user, kinds = read_stop(environment.secret(), text)
    with environment.database.read() as connection:
        actor = Accounts(environment.world).actor_for_user(connection, user)
    if actor is None or not kinds:
        raise NotFound("This link does not work (any more).")
    g.locale = supported(actor.locale) or "en"
    refresh()
    one_click = request.form.get("List-Unsubscribe") == "One-Click"
    if request.method == "POST":
        if not one_click:
            current_app.extensions["csrf"].protect()
        with environment.database.write() as connection:
            stop(connection, user, kinds)
        if one_click:
            return Response(status=204)
    names = kind_names()
    return render_template(
        "stop_mails.html", name=actor.name, kinds=[names[kind][0] for kind in kinds], done=request.method == "POST"
    )


def _user(screen: Screen) -> str:
    if screen.actor.id is None:
        raise Forbidden("Only users have notifications.")
    return screen.actor.id


def _id(text: str | None) -> str | None:
    """An id in a query or form; anything else counts as not given."""
    good = text is not None and len(text) == 36 and text.replace("-", "").isalnum() and text.isascii()
    return text if good else None
