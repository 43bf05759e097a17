"""Sending mails by SMTP, with the standard library's ``email`` and ``smtplib``.

A mail keeps its Message-ID when it is sent again after a doubt, so that a mail server that looks can drop the
repetition. Refusals of the 500s are final; everything else (no connection, 400s, a time-out) is worth another try.
"""

from __future__ import annotations

import hashlib
import smtplib
import ssl
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.errors import HeaderParseError, MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, getaddresses
from types import TracebackType

from ratoon.platform.automation.webhooks import Undelivered
from ratoon.platform.config import Settings

TIMEOUT = 20.0
"""Seconds to wait for the mail server at each step."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail."""

    to: tuple[str, ...]
    subject: str
    text: str
    key: str
    """The same for the same mail: becomes its Message-ID."""
    html: str | None = None
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    reply_to: tuple[str, ...] = ()
    unsubscribe: str | None = None
    """Address of the page that stops such mails; mail programs offer it as a button (RFC 8058)."""


def addresses(text: str | None) -> tuple[str, ...]:
    """The addresses in a text, separated by commas or semicolons. Raises ``Undelivered`` for one that is none."""
    found = []
    for _, address in getaddresses([(text or "").replace(";", ",").replace("\n", ",").replace("\r", ",")]):
        if not address:
            continue
        try:
            found.append(_on_the_wire(Address(addr_spec=address)))
        except (HeaderParseError, MessageError, ValueError, IndexError) as error:
            raise Undelivered("{text} is no e-mail address.", passing=False, text=address) from error
    return tuple(dict.fromkeys(found))


def _on_the_wire(address: Address) -> str:
    """The address as every mail server takes it: names of domains in ASCII. Raises ``ValueError``."""
    address.username.encode("ascii")
    domain = address.domain.encode("idna").decode() if not address.domain.isascii() else address.domain
    return Address(username=address.username, domain=domain).addr_spec


def _line(text: str) -> str:
    """One line without control characters: what may stand in a header."""
    return " ".join("".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text).split())


def compose(mail: Mail, sender: str, now: datetime) -> EmailMessage:
    """The message as it goes over the wire."""
    message = EmailMessage()
    message["From"] = sender
    message["To"] = ", ".join(mail.to)
    if mail.cc:
        message["Cc"] = ", ".join(mail.cc)
    if mail.reply_to:
        message["Reply-To"] = ", ".join(mail.reply_to)
    message["Subject"] = _line(mail.subject)
    message["Date"] = format_datetime(now)
    domain = sender.rpartition("@")[2].strip(" >") or "ratoon"
    message["Message-ID"] = f"<{hashlib.sha256(mail.key.encode()).hexdigest()[:40]}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    if mail.unsubscribe is not None:
        message["List-Unsubscribe"] = f"<{mail.unsubscribe}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(mail.text)
    if mail.html is not None:
        message.add_alternative(mail.html, subtype="html")
    return message


class Mailer:
    """One connection to the mail server: ``with Mailer(settings, now) as mailer: mailer.send(mail)``."""

    def __init__(self, settings: Settings, now: datetime) -> None:
        self._settings = settings
        self._now = now
        self._smtp: smtplib.SMTP | None = None

    def __enter__(self) -> Mailer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._drop()

    def send(self, mail: Mail) -> None:
        """Sends a mail. Raises ``Undelivered``."""
        everybody: Sequence[str] = [*mail.to, *mail.cc, *mail.bcc]
        if not everybody:
            raise Undelivered("There is nobody to send it to.", passing=False)
        try:
            smtp = self._smtp or self._connect()
            self._smtp = smtp
            smtp.send_message(compose(mail, self._settings.mail_from, self._now), to_addrs=list(everybody))
        except smtplib.SMTPRecipientsRefused as error:
            self._drop()
            code, words = next(iter(error.recipients.values()))
            raise _refused(code, words) from error
        except smtplib.SMTPResponseException as error:
            self._drop()
            raise _refused(error.smtp_code, error.smtp_error) from error
        except (smtplib.SMTPException, OSError) as error:
            self._drop()
            reason = str(error) or type(error).__name__
            raise Undelivered("The mail server cannot be reached: {reason}", passing=True, reason=reason) from error

    def _connect(self) -> smtplib.SMTP:
        s = self._settings
        if not s.smtp_host:
            raise Undelivered("No mail server is set (RATOON_SMTP_HOST).", passing=False)
        if s.smtp_security == "tls":
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(
                s.smtp_host, s.smtp_port, timeout=TIMEOUT, context=ssl.create_default_context()
            )
        else:
            smtp = smtplib.SMTP(s.smtp_host, s.smtp_port, timeout=TIMEOUT)
            if s.smtp_security == "starttls":
                smtp.starttls(context=ssl.create_default_context())
        if s.smtp_user:
            smtp.login(s.smtp_user, s.smtp_password)
        return smtp

    def _drop(self) -> None:
        if self._smtp is not None:
            try:
                self._smtp.quit()
            except (smtplib.SMTPException, OSError):
                self._smtp.close()
            self._smtp = None


def _refused(code: int, words: bytes | str) -> Undelivered:
    said = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    message = "The mail server refused: {code} {words}"
    return Undelivered(message, passing=not 500 <= code < 600, code=code, words=said)
