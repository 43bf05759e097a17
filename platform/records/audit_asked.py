"""What people ask the audit trail for, as the screen, the command line and the API write it; read strictly.

=============== ================================================================================================
``trail``       one of ``TRAILS``
``by``          who did it: an e-mail address, a user's id, or ``platform`` (a command, or nobody known)
``action``      what was done: ``signed_in``, ``exported`` …
``object``      an object, or what else an entry may be about (``KINDS``)
``record``      the id of a record; of a user, what names the address is found too
``subject``     what it happened to, word for word: an address, a package, an id
``package``     a package whose metadata was changed
``component``   a part of a package: ``account/object.json``, with the package before it or without
``from``        a day or a moment; without a zone it is the reader's
``until``       the same; a day counts to its end
=============== ================================================================================================

A word that nobody knows is refused with what was meant: a misspelt filter must not look like “nothing happened”.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.errors import BadRequest, Text, say
from ratoon.platform.metadata.model import Registry
from ratoon.platform.storage.audit import TRAILS
from ratoon.platform.storage.audit_search import NOBODY, Wanted, find

FILTERS = ("trail", "by", "action", "object", "record", "subject", "package", "component", "from", "until")
"""Everything that may be asked for."""
PLATFORM = "platform"
"""What stands for everybody who is no user."""
KINDS: Mapping[str, Text] = MappingProxyType(
    {
        "revision": say("Revision"),
        "setting": say("Setting of a package"),
        "kept_data": say("Kept values"),
        "token": say("API token"),
        "audit_trail": say("Audit trail"),
    }
)
"""What an entry may be about besides records of an object."""
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LONGEST = 320


def asked(
    conn: Any,
    accounts: Accounts,
    registry: Registry,
    actions: Collection[str],
    given: Mapping[str, str],
    zone: ZoneInfo,
) -> Wanted:
    """What is wanted. ``given`` holds filters by name, blank ones do not count; ``actions`` are those there are.

    Raises ``BadRequest`` whose ``field`` is the filter that cannot be read.
    """
    told = {name: given[name].strip() for name in FILTERS if given.get(name, "").strip()}
    for name, value in told.items():
        if len(value) > _LONGEST or "\0" in value:
            raise BadRequest("{name} is longer than {limit}.", field=name, name=name, limit=_LONGEST)
    _one_of("trail", told.get("trail"), TRAILS)
    _one_of("action", told.get("action"), actions)
    _one_of("package", told.get("package"), _packages(conn, registry, told.get("package")))
    _one_of("object", told.get("object"), _objects(conn, registry, told.get("object")))
    subjects, object = _subjects(conn, accounts, told)
    since, until = (_moment(name, told.get(name), zone) for name in ("from", "until"))
    if since is not None and until is not None and until <= since:
        raise BadRequest("until comes before from: nothing can have happened between them.", field="until")
    return Wanted(
        trail=told.get("trail"),
        by=_person(conn, accounts, told.get("by")),
        action=told.get("action"),
        object=object,
        subjects=subjects,
        package=told.get("package"),
        component=told.get("component"),
        since=since,
        until=until,
    )


def _one_of(name: str, value: str | None, known: Collection[str]) -> None:
    if value is None or value in known:
        return
    near = difflib.get_close_matches(value, list(known), n=1)
    if near:
        raise BadRequest(
            "There is no {name} {value}. Did you mean {near}?", field=name, name=name, value=value[:80], near=near[0]
        )
    raise BadRequest(
        "There is no {name} {value}. There are: {known}.",
        field=name,
        name=name,
        value=value[:80],
        known=", ".join(sorted(known)),
    )


def _packages(conn: Any, registry: Registry, value: str | None) -> Collection[str]:
    """The packages there are, and the one asked for if something is known of it: it may have gone since."""
    gone = {value} if value and find(conn, Wanted(package=value), limit=1) else set()
    return {*registry.packages, "local", *gone}


def _objects(conn: Any, registry: Registry, value: str | None) -> Collection[str]:
    gone = {value} if value and find(conn, Wanted(object=value), limit=1) else set()
    return {*registry.objects, *KINDS, *gone}


def _subjects(conn: Any, accounts: Accounts, told: Mapping[str, str]) -> tuple[tuple[str, ...], str | None]:
    """What it happened to, and the object that is asked for with it."""
    object, record, subject = told.get("object"), told.get("record"), told.get("subject")
    if record is None:
        return (subject,) if subject else (), object
    if subject is not None:
        raise BadRequest("Give either record or subject.", field="subject")
    record = record.lower()
    if not _ID.fullmatch(record):
        raise BadRequest("record is the id of a record, as in its address; not {value}.", field="record",
                         value=record[:80])  # fmt: skip
    address = accounts.addresses(conn, [record]).get(record) if object in (None, "user") else None
    if address is None:
        return (record,), object
    return (record, address), None  # entries that name the address are about no object


def _person(conn: Any, accounts: Accounts, value: str | None) -> str | None:
    if value is None:
        return None
    if value.lower() == PLATFORM:
        return NOBODY
    if _ID.fullmatch(value.lower()):
        return value.lower()
    user = accounts.once_user_id(conn, value)
    if user is None:
        raise BadRequest("There is no user with the address {email}.", field="by", email=value[:80])
    return user


def _moment(name: str, value: str | None, zone: ZoneInfo) -> datetime | None:
    """A moment; a day begins at midnight in the reader's zone, and as ``until`` it counts to its end."""
    if value is None:
        return None
    try:
        if len(value) <= len("2026-11-21"):
            day = date.fromisoformat(value) + (timedelta(days=1) if name == "until" else timedelta())
            return datetime.combine(day, time(), zone).astimezone(UTC)
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRequest(
            "{name} is a day or a moment, as in 2026-11-21 or 2026-11-21T08:00; not {value}.",
            field=name,
            name=name,
            value=value[:40],
        ) from None
