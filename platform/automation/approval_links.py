"""Answering an approval from a mail: the link, what it allows, and the job that sends it.

A link belongs to one question and one user, runs out, and is signed; nothing is kept of it. It opens a page that shows
what is asked (mail scanners open links, so opening decides nothing); the answer is a form on it. It works as long
as the question is open and still put to that user.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import Actor
from ratoon.platform.automation.facts import facts_of
from ratoon.platform.automation.mailing import Mail, Mailer, addresses
from ratoon.platform.automation.telling import in_words, readers, say
from ratoon.platform.automation.throttling import allow_mail
from ratoon.platform.errors import NotFound
from ratoon.platform.records.locks import process_of
from ratoon.platform.storage import approvals as store
from ratoon.platform.storage import steps

if TYPE_CHECKING:
    from ratoon.platform.environment import Environment
    from ratoon.platform.jobs import JobRun

LIFE = timedelta(days=14)
TAG = 16
SENT = "sent"


def sign(secret: bytes, vote: str, user: str, now: datetime) -> str:
    """The text of a link to one question for one user."""
    body = UUID(vote).bytes + UUID(user).bytes + int((now + LIFE).timestamp()).to_bytes(6, "big")
    return base64.urlsafe_b64encode(_tag(secret, body) + body).decode().rstrip("=")


def read(secret: bytes, text: str, now: datetime) -> tuple[str, str]:
    """(vote, user) of a link. Raises ``NotFound`` for one that is edited or has run out."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, UnicodeEncodeError):
        raise _gone() from None
    tag, body = raw[:TAG], raw[TAG:]
    if len(body) != 38 or not hmac.compare_digest(tag, _tag(secret, body)):
        raise _gone()
    if datetime.fromtimestamp(int.from_bytes(body[32:], "big"), UTC) < now:
        raise _gone()
    return str(UUID(bytes=body[:16])), str(UUID(bytes=body[16:32]))


def _gone() -> NotFound:
    return NotFound("This link does not work (any more).")


def _tag(secret: bytes, body: bytes) -> bytes:
    return hashlib.blake2b(body, key=secret[:64], digest_size=TAG, person=b"ratoon approval").digest()


def follow(environment: Environment, text: str) -> tuple[Actor, str]:
    """Who may answer what by this link: the actor and the request. Raises ``NotFound``."""
    vote, user = read(environment.secret(), text, environment.world.clock())
    with environment.database.read() as connection:
        found = store.vote(connection, vote)
        actor = Accounts(environment.world).actor_for_user(connection, user)
    if found is None or actor is None or found["state"] != "open" or found["user_id"] != user:
        raise _gone()
    return replace(actor, source="link"), str(found["approval"])


def mail_questions(run: JobRun) -> dict[str, Any]:
    """The job: a mail to everybody who was just asked, with a link. Sends nothing when no mail server is set."""
    environment = run.environment
    if not environment.settings.smtp_host:
        return {"sent": 0, "reason": "no mail server is set"}
    sent = 0
    with Mailer(environment.settings, run.now) as mailer:
        for vote in run.payload["votes"]:
            with environment.database.read() as connection:
                done = vote in steps.over(connection, run.run.id, SENT)
            mail = None if done else _mail(environment, vote)
            if mail is not None:
                allow_mail(environment)
                mailer.send(mail)
                # Sent again after a crash right here, it keeps its Message-ID.
                run.once(SENT, lambda records: True, record=vote)
                sent += 1
    return {"sent": sent}


def _mail(environment: Environment, vote: str) -> Mail | None:
    """The mail that asks, in the language and by the rights of whoever is asked; ``None`` when nobody is any more."""
    with environment.database.read() as connection:
        found = store.vote(connection, vote)
        request = store.request(connection, found["approval"]) if found is not None else None
        user = found["user_id"] if found is not None else ""
        actor = Accounts(environment.world).actor_for_user(connection, user) if user else None
    if found is None or request is None or actor is None or found["state"] != "open":
        return None
    with environment.read(actor) as records:
        registry, reader = records.engine.registry, readers(records, [user]).get(user)
        obj = registry.objects.get(request["object"])
        process = process_of(obj, request["process"]) if obj is not None else None
        titles = records.titles(obj.name, [request["record"]]) if obj is not None else {}
        to = addresses(actor.email)
        if obj is None or process is None or reader is None or request["record"] not in titles or not to:
            return None
        step, now = process.step(found["step"]), environment.world.clock()
        base = environment.settings.address
        submitted = [d for d in store.decisions(records.connection, [request["id"]]) if d["event"] == "submitted"]
        people = records.titles("user", [request["submitted_by"]]) if request["submitted_by"] else {}
        told = {
            "label": (process.label, process.owner),
            "step": (step.label, process.owner) if step is not None else "",
            "object": (obj.label, obj.owner),
            "title": titles[request["record"]],
            "state": request["state"],
            "by": people.get(request["submitted_by"] or "", "Ratoon"),
            "comment": submitted[-1]["comment"] if submitted else "",
            "facts": facts_of(records, obj, request["record"], reader, process),
            "ends": now + LIFE,
        }
        names = {
            "approval": in_words(told, registry, reader),
            "link": f"{base}/approvals/link/{sign(environment.secret(), vote, user, now)}",
            "url": f"{base}/o/{obj.name}/{request['record']}",
        }
        texts = say(records, "approval", names, reader, object=obj.name, record=request["record"],
                    template=process.template)  # fmt: skip
    key, text = f"approval/{vote}", texts.get("text") or texts["subject"]
    return Mail(to, texts["subject"], text, key=key, html=texts.get("html"))
