"""The job that mails a link for a password: after “Forgot password?” and to invited users.

The page that enqueues it does the same for every address and looks nothing up, so that neither its words nor its time
say whether there is such a user. The link is made here, when the mail is written: no run ever carries one. A run that
is done again makes another link; several may be open (``access/links.py``).

The words are the templates ``password_reset`` and ``invitation`` of the built-in package, which an admin may change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ratoon.platform.access.links import Guest, Links, Purpose
from ratoon.platform.config import World
from ratoon.platform.errors import NotFound
from ratoon.platform.storage.runs import About, enqueue

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ratoon.platform.automation.mailing import Mail
    from ratoon.platform.environment import Environment
    from ratoon.platform.jobs import JobRun

JOB = "password_link"
TEMPLATES: dict[Purpose, str] = {"reset": "password_reset", "invite": "invitation"}


def send_link(conn: Connection, world: World, email: str, purpose: Purpose, *, by: str | None = None) -> None:
    """Enqueues the mail, in the caller's transaction."""
    enqueue(conn, world, JOB, {"email": email.strip().lower()[:255], "purpose": purpose}, about=About(by=by))


def mail_link(run: JobRun) -> dict[str, Any]:
    """The job. Sends nothing when there is nobody of that address who may have a link."""
    from ratoon.platform.automation.mailing import Mailer

    environment, purpose = run.environment, run.payload["purpose"]
    links = Links(environment.accounts, environment.world, environment.settings)
    with environment.database.write() as connection:
        guest = links.guest(connection, email=run.payload["email"], purpose=purpose)
        if guest is None:
            return {"sent": 0}
        url = links.make(connection, guest, by=run.run.by)
    with Mailer(environment.settings, run.now) as mailer:
        mailer.send(_mail(environment, guest, url, run.token(purpose)))
    return {"sent": 1}


def _mail(environment: Environment, guest: Guest, url: str, key: str) -> Mail:
    from ratoon.platform.automation.mailing import Mail
    from ratoon.platform.automation.rendering import Reader, render_all, values_of

    registry, settings = environment.registry, environment.settings
    template = registry.templates.get(TEMPLATES[guest.purpose])
    if template is None:
        raise NotFound("There is no template {template}.", template=TEMPLATES[guest.purpose])
    reader = Reader(guest.locale or settings.default_locale, ZoneInfo("UTC"))
    row = {"name": guest.name, "email": guest.email}
    names = {
        "record": values_of(registry, registry["user"], row, template.paths, reader),
        "organization": dict(environment.organization),
        "user": {"name": guest.name, "email": guest.email},
        "url": url,
    }
    texts = render_all(template, names, reader)
    text = texts.get("text") or url
    return Mail((guest.email,), texts["subject"], text, key=f"{key}/{url}", html=texts.get("html"))
