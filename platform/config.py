"""Settings, the clock and the id maker: what the world gives to an environment.

Every setting comes from an environment variable ``RATOON_<NAME>``; ``Settings.from_environ`` reads them once and
nothing else in the product looks at ``os.environ``. Time and randomness are values handed down, so that tests set
them instead of patching.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path

import uuid_utils

from ratoon.platform.errors import BadSetting

Clock = Callable[[], datetime]
IdMaker = Callable[[], str]


def system_clock() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


def uuid7() -> str:
    """A new UUIDv7 (RFC 9562 §5.7) in its 36-character form: ordered by time of making, made anywhere."""
    return str(uuid_utils.uuid7())


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator can set. Field ``database_url`` is set by ``RATOON_DATABASE_URL`` and so on."""

    database_url: str = "sqlite:///ratoon.db"
    """SQLAlchemy URL: ``sqlite:///path`` or ``postgresql://user@host/name``."""
    files_dir: str = "ratoon-files"
    """Folder where uploaded files are kept."""
    secret_key: str = ""
    """Signs session cookies and cursors; empty = made once and kept in the database. Encrypts the secrets that are
    given to packages, which are refused without it."""
    old_secret_keys: str = ""
    """Earlier values of ``RATOON_SECRET_KEY``, with commas: secrets that they encrypted can still be read."""
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 2
    """Server processes of ``ratoon serve``."""
    default_locale: str = "en"
    default_time_zone: str = "UTC"
    default_currency: str = "CNY"
    organization_name: str = "Ratoon"
    cookie_secure: bool = False
    """Set to 1 behind HTTPS; with a ``public_url`` that begins with ``https`` it is on by itself."""
    trusted_proxies: int = 0
    """Proxies in front whose ``X-Forwarded-…`` headers are believed; 0 = nobody's."""
    allowed_hosts: str = ""
    """Host names that are answered, with commas (``.example.com`` = all below it); empty = the one of ``public_url``
    and this machine, or any when there is none."""
    max_body_bytes: int = 16 * 1024 * 1024
    """Larger request bodies are refused with 413."""
    revision_poll_seconds: float = 0.25
    """How often a process looks whether another one applied metadata."""
    log_level: str = "info"
    trusted_keys: str = ""
    """Public keys whose signatures on packages count, with commas; empty = any."""
    require_signature: bool = False
    """Set to 1 to take only signed packages."""
    job_threads: int = 8
    """Runs that one worker does at the same time."""
    job_poll_seconds: float = 0.25
    """How often a worker looks for runs that are due."""
    timer_poll_seconds: float = 1.0
    """How often a worker looks at schedules and date-relative rules."""
    public_url: str = ""
    """Where users reach the screens, for links in mails: ``https://crm.example.com``."""
    smtp_host: str = ""
    """Mail server; empty = mails cannot be sent."""
    smtp_port: int = 25
    smtp_user: str = ""
    smtp_password: str = ""
    smtp_security: str = ""
    """Empty, ``starttls`` or ``tls``."""
    mail_from: str = "ratoon@localhost"
    """Sender of mails."""
    webhook_secret: str = ""
    """Signs outgoing calls; empty = made from the installation's secret (``ratoon runs webhook-secret`` shows it)."""
    webhook_private_addresses: bool = False
    """Set to 1 to let automations call addresses of private networks and of this machine."""
    automation_depth: int = 12
    """Levels of automations that set each other off within one transaction."""
    automation_runs_per_record: int = 4
    """How often one automation may run on one record within a transaction."""
    automation_rows: int = 100_000
    """Records that automations may write within one transaction."""
    automation_seconds: float = 120.0
    """Seconds that automations may take within one transaction."""
    mails_per_minute: int = 0
    """Mails that all workers together send in any minute; 0 = no limit. What is left waits, nothing is lost."""
    calls_per_minute: int = 0
    """Webhook calls to one host in any minute; 0 = no limit."""
    jobs_per_minute: str = ""
    """Runs of a kind that are begun in any minute, over all workers: ``automation=600,digest=60``; empty = no limit."""
    keep_sign_ins_days: int = 0
    """Days that attempts to sign in are kept; 0 = for ever. So for the following ones."""
    keep_audit_days: int = 0
    """The other audit trails: entries are emptied, the chain stays."""
    keep_history_days: int = 0
    """Changes of fields."""
    keep_notifications_days: int = 0
    keep_runs_days: int = 30
    """Finished runs with what they were given and did."""
    keep_deleted_days: int = 0
    """Records in the recycle bin."""
    worker_silence_seconds: float = 20.0
    """A worker that gives no sign of life for this long is taken for dead; others go on with what it had begun."""
    password_min_length: int = 8
    """Characters of a new password."""
    password_strength: int = 2
    """How hard to guess a new password must be, from 0 (not looked at) to 4, as zxcvbn counts: 2 refuses common and
    personal ones."""
    password_max_days: int = 0
    """After so many days a new password is asked for at sign-in; 0 = never."""
    password_history: int = 0
    """So many former passwords cannot be used again; 0 = any can."""
    password_sign_in: str = "everybody"
    """Who may sign in with a password: ``everybody``, or ``admins`` when the others come through OpenID Connect."""
    reset_minutes: int = 60
    """How long a link for a new password works."""
    invite_days: int = 7
    """How long the link of an invitation works."""
    limits_storage: str = "memory://"
    """Where rate limits are counted: in each process, or for all of them in ``redis://host:6379``."""
    limit_sign_in: str = "10 per minute; 100 per hour"
    """Refused passwords and codes from one address; empty = any number."""
    limit_reset: str = "5 per hour"
    """Mails for a new password to one address, and ten times as many askings from one network address."""
    limit_api: str = "6000 per minute"
    """API calls with one token, of one user in a browser, or refused from one network address."""
    oidc_issuer: str = ""
    """The OpenID Connect provider, as it names itself: ``https://login.example.com/realms/staff``; empty = none."""
    oidc_client_id: str = ""
    oidc_client_secret: str = ""
    oidc_scopes: str = "openid email profile"
    oidc_label: str = ""
    """What the button calls the provider; empty = its host."""
    oidc_match: str = "email"
    """How an account is found the first time: ``email`` (verified by the provider) or ``subject`` (only by linking it
    on the account page)."""
    oidc_create: bool = False
    """Set to 1 to make users when they first come."""
    oidc_role: str = ""
    """Roles of users made so, with commas."""
    oidc_roles_claim: str = ""
    """The claim that says which roles a user has, such as ``groups``; empty = roles are given here."""
    oidc_roles: str = ""
    """What that claim says → role here: ``crm-sales=sales_rep, crm-support=support_agent``."""

    def __post_init__(self) -> None:
        """Raises ``BadSetting`` for a word that is none of those possible."""
        for name, words in (("password_sign_in", ("everybody", "admins")), ("oidc_match", ("email", "subject"))):
            if getattr(self, name) not in words:
                raise BadSetting(
                    "RATOON_{name}={given} is none of: {words}.",
                    name=name.upper(), given=repr(getattr(self, name)), words=", ".join(words),
                )  # fmt: skip

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Settings from ``RATOON_*`` variables; a value of the wrong type raises ``BadSetting`` naming the variable."""
        given: dict[str, object] = {}
        for spec in fields(cls):
            name = f"RATOON_{spec.name.upper()}"
            if name not in environ:
                continue
            raw = environ[name]
            try:
                if spec.type == "int":
                    given[spec.name] = int(raw)
                elif spec.type == "float":
                    given[spec.name] = float(raw)
                elif spec.type == "bool":
                    given[spec.name] = {"1": True, "true": True, "0": False, "false": False, "": False}[raw.lower()]
                else:
                    given[spec.name] = raw
            except (ValueError, KeyError):
                raise BadSetting("{name}={raw} is not a {type}.", name=name, raw=repr(raw), type=spec.type) from None
        made = cls(**given)  # type: ignore[arg-type]
        made.job_limits  # noqa: B018 (a wrong one is refused here)
        return made

    @property
    def job_limits(self) -> dict[str, int]:
        """Kind of job → runs in any minute. Raises ``ValueError`` naming the variable."""
        found = {}
        for part in self.jobs_per_minute.split(","):
            name, _, number = part.partition("=")
            if part.strip():
                if not name.strip() or not number.strip().isdigit() or int(number) < 1:
                    raise ValueError(f"RATOON_JOBS_PER_MINUTE={part!r} is not kind=number")
                found[name.strip()] = int(number)
        return found

    @property
    def address(self) -> str:
        """Where users reach the screens, without a slash at the end. Links in mails come from here and never from what
        a request calls this host."""
        return self.public_url.rstrip("/") or f"http://{self.host}:{self.port}"

    @property
    def secure(self) -> bool:
        """Whether the screens are reached by HTTPS."""
        return self.cookie_secure or self.public_url.lower().startswith("https:")

    @property
    def trusted(self) -> frozenset[str]:
        """The trusted keys one by one."""
        return frozenset(key.strip() for key in self.trusted_keys.split(",") if key.strip())

    @property
    def sealing_keys(self) -> tuple[str, ...]:
        """The keys that encrypt secrets at rest, the present one first; empty = there is none."""
        old = [key.strip() for key in self.old_secret_keys.split(",")]
        return tuple(key for key in (self.secret_key, *old) if key) if self.secret_key else ()

    @property
    def files_path(self) -> Path:
        """Where uploaded files are kept."""
        return Path(self.files_dir)


@dataclass(frozen=True, slots=True)
class World:
    """Time and randomness, injected."""

    clock: Clock = system_clock
    new_id: IdMaker = uuid7
    token: Callable[[], str] = field(default=lambda: secrets.token_urlsafe(32))
