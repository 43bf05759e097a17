"""Notifications by mail: at once, or collected for a morning.

A look at the clock (``mail_rounds``) finds what waits for a mail and whose time has come: at once, or at eight in the
morning where the user lives, every day or on Mondays. It takes those notifications and enqueues one run for them in the
same transaction, so that each goes into exactly one mail, however many workers look and whatever stops in between. What
was read meanwhile, or may not be seen any more, is left out when the mail is written; when nothing remains, none is
sent. Without a mail server everything waits, for at most two weeks.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.automation.mailing import Mail, Mailer, addresses
from ratoon.platform.automation.rendering import Reader
from ratoon.platform.automation.stop_links import sign
from ratoon.platform.automation.telling import readers, say, visible
from ratoon.platform.automation.throttling import allow_mail
from ratoon.platform.jobs.kinds import MAIL_NOTIFICATIONS, JobRun
from ratoon.platform.storage.notifications import Notification, by_id, claim_mails, waiting_mails
from ratoon.platform.storage.runs import About, enqueue
from ratoon.platform.storage.steps import ALL, over

if TYPE_CHECKING:
    from ratoon.platform.environment import Environment

SENT = "sent"
MORNING = time(8, 0)
MONDAY = 0
KEPT = timedelta(days=14)
"""How long a notification waits for a mail."""


def mail_time(mail: str, now: datetime, zone: ZoneInfo) -> datetime:
    """What came before this moment is due: now, or the last morning (of a Monday) that has begun there."""
    if mail == "now":
        return now + timedelta(microseconds=1)
    local = now.astimezone(zone)
    day = local.date()
    if datetime.combine(day, MORNING, zone) > local:
        day -= timedelta(days=1)
    if mail == "weekly":
        day -= timedelta(days=(day.weekday() - MONDAY) % 7)
    return datetime.combine(day, MORNING, zone).astimezone(UTC)


def mail_rounds(environment: Environment, now: datetime) -> None:
    """The timer: takes what is due for a mail."""
    if not environment.settings.smtp_host:
        return
    with environment.database.read() as connection:
        waiting = waiting_mails(connection, now - KEPT)
    if not waiting:
        return
    engine = environment.engine
    with environment.read(SYSTEM) as records:
        known = readers(records, sorted({user for user, _, _ in waiting}))
    for user, mail, oldest in waiting:
        until = mail_time(mail, now, known[user].zone if user in known else ZoneInfo("UTC"))
        if oldest >= until:
            continue
        with environment.database.write() as connection:
            ids = claim_mails(connection, user, mail, until, now)
            if ids and user in known:
                payload = {"user": user, "mail": mail, "ids": ids}
                about = About(trigger="schedule", rule=MAIL_NOTIFICATIONS, object="", records={})
                enqueue(connection, engine.world, MAIL_NOTIFICATIONS, payload, about=about)


def mail_notifications(run: JobRun) -> dict[str, Any]:
    """The job: one mail with the notifications of the payload, as far as they are news and for the reader's eyes."""
    environment, user = run.environment, str(run.payload["user"])
    with environment.read(run.actor) as records:
        actor = Accounts(environment.world).actor_for_user(records.connection, user)
        known = readers(records, [user])
    if actor is None or user not in known:
        return {"sent": 0, "reason": "the user is not active"}
    with environment.read(actor) as records:
        unread = [n for n in by_id(records.connection, user, run.payload["ids"]) if n.read_at is None]
        seen = visible(records, unread)
        news = [n for n in unread if n.id in seen]
        mail = _mail(environment, records, run, actor.email, news, known[user]) if news else None
    if mail is None:
        return {"sent": 0, "reason": "nothing is left to tell"}

    with environment.database.read() as connection:
        if ALL in over(connection, run.run.id, SENT):
            return {"sent": 1}
    allow_mail(environment)
    with Mailer(environment.settings, run.now) as mailer:
        mailer.send(mail)
    # Sent again after a crash right here, it keeps its Message-ID.
    done: dict[str, Any] = run.once(SENT, lambda _: {"sent": 1, "to": list(mail.to), "notifications": len(news)})
    return done


def _mail(
    environment: Environment, records: Any, run: JobRun, to: str, news: list[Notification], reader: Reader
) -> Mail | None:
    base = environment.settings.address
    kinds = sorted({n.kind or "automation" for n in news})
    stop = f"{base}/notifications/stop/{sign(environment.secret(), str(run.payload['user']), kinds)}" if base else ""
    names: Mapping[str, Any] = {
        "messages": [
            {
                "title": n.title,
                "text": n.body,
                "at": n.at,
                "url": f"{base}/o/{n.object}/{n.record}" if base and n.record else "",
            }
            for n in news
        ],
        "period": str(run.payload["mail"]),
        "settings_url": f"{base}/account/notifications" if base else "",
        "stop_url": stop,
    }
    texts = say(records, "digest", names, reader)
    found = addresses(to)
    if not found:
        logging.getLogger("ratoon.jobs").warning("user %s has no mail address", run.payload["user"])
        return None
    return Mail(
        to=found, subject=texts["subject"], text=texts.get("text") or texts["subject"], html=texts.get("html"),
        key=f"notifications/{run.run.id}", unsubscribe=stop or None,
    )  # fmt: skip
