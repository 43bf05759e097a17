"""What an entry of the audit trail says, as facts: a label, and what is or what was and is.

A fact names records by their ids (``Named``); ``audit_words.py`` finds out what they are called and says everything in
the reader's language. ``ACTIONS`` is the list of everything that is
noted; a test compares it with the code that notes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from ratoon.platform.access.actor import PERMISSION_SET
from ratoon.platform.access.browsers import browser_of
from ratoon.platform.errors import Text, say
from ratoon.platform.metadata.model import Registry
from ratoon.platform.records.audit_names import component_said, field_said, object_said, package_said, role_said
from ratoon.platform.storage.audit import Entry

MOST = 12
"""Values of one fact that are said; how many more there are is said in a number."""


@dataclass(frozen=True, slots=True)
class Named:
    """A record, to be called by its title."""

    object: str
    id: str


Said = str | Named | datetime
"""``Text`` (the platform's own, or a label of the metadata) is said in the reader's language, a moment in the reader's
zone; ``str`` as it is."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing an entry says. With ``old`` it is a change: ``label: old → new``."""

    label: Said
    new: tuple[Said, ...]
    old: tuple[Said, ...] | None = None


Facts = Iterator[Fact]

TRAIL_NAMES: Mapping[str, Text] = MappingProxyType(
    {
        "sign_in": say("Signing in"),
        "setup": say("Setup"),
        "access": say("Rights"),
        "export": say("Exports"),
        "privacy": say("Personal data"),
        "audit": say("Audit trail"),
    }
)
OUTCOMES: Mapping[str, Text] = MappingProxyType(
    {
        "ok": say("password"),
        "second_factor": say("password and code"),
        "provider": say("identity provider"),
        "wrong_password": say("wrong password"),
        "wrong_code": say("wrong code"),
        "unknown_user": say("nobody has this address"),
        "no_password": say("the user has no password"),
        "inactive": say("the user is inactive"),
        "locked": say("too many attempts"),
        "service": say("service users do not sign in"),
        "password_off": say("passwords are switched off"),
        "not_linked": say("the account is not linked"),
        "unverified": say("the provider has not checked the address"),
        "no_email": say("the provider sent no address"),
        "other_identity": say("the account is linked to somebody else"),
    }
)
PURPOSES: Mapping[str, Text] = MappingProxyType({"reset": say("a new password"), "invite": say("an invitation")})
NONE = say("none")


def _some(values: Iterable[Said]) -> tuple[Said, ...]:
    """The first few, and how many more there are."""
    told = list(dict.fromkeys(values))
    more = (say("{count} more", count=len(told) - MOST),) if len(told) > MOST else ()
    return (*told[:MOST], *more)


def _fact(label: Text, *values: Any) -> Facts:
    """The fact, unless there is nothing to say."""
    told = tuple(value if isinstance(value, str | Named | datetime) else str(value) for value in values)
    if any(value != "" for value in told):
        yield Fact(label, _some(told))


def _moment(text: Any) -> datetime | str:
    """A moment as an entry keeps it."""
    try:
        return datetime.fromisoformat(str(text or ""))
    except ValueError:
        return str(text or "")


def _origin(detail: Mapping[str, Any]) -> Facts:
    yield from _fact(say("Network address"), detail.get("address") or "")
    yield from _fact(say("Browser"), browser_of(detail.get("agent") or ""))


def _signed_in(registry: Registry, entry: Entry, detail: Mapping[str, Any]) -> Facts:
    outcome = str(detail.get("outcome") or "")
    label = say("Way in") if entry.action == "signed_in" else say("Because")
    if entry.action != "code_asked":
        yield from _fact(label, OUTCOMES.get(outcome, outcome))
    yield from _origin(detail)


def _session(registry: Registry, entry: Entry, detail: Mapping[str, Any]) -> Facts:
    yield from _origin(detail)


def _link(registry: Registry, entry: Entry, detail: Mapping[str, Any]) -> Facts:
    purpose = str(detail.get("purpose") or "")
    yield from _fact(say("For"), PURPOSES.get(purpose, purpose))
    if detail.get("for"):
        yield from _fact(say("User"), Named("user", str(detail["for"])))
    yield from _fact(say("API tokens ended"), detail.get("tokens_ended", ""))
    yield from _fact(say("API tokens kept"), detail.get("tokens_kept", ""))
    yield from _origin(detail)


def _granted(registry: Registry, entry: Entry, detail: Mapping[str, Any]) -> Facts:
    before, after = ([str(name) for name in detail.get(side) or ()] for side in ("before", "after"))
    sets = any(name.startswith(PERMISSION_SET) for name in (*before, *after))
    old, new = (_some(role_said(registry, name) for name in names) or (NONE,) for names in (before, after))
    yield Fact(say("Permission sets") if sets else say("Roles"), new, old)


def _changed(registry: Registry, entry: Entry, detail: Mapping[str, Any]) -> Facts:
    for key, (before, after) in (detail.get("changes") or {}).items():
        was = None if entry.action == "user_made" else _values(before, {})
        yield Fact(field_said(registry, entry.object, key), _values(after, {}), was)


def _transferred(registry: Registry, entry: Entry, detail: Mapping[str, Any]) -> Facts:
    if detail.get("to"):
        yield from _fact(say("New owner"), Named("user", str(detail["to"])))


def _shared(registry: Registry, entry: Entry, detail: Mapping[str, Any]) -> Facts:
    kind, _, name = str(detail.get("with") or "").partition(":")
    whom: Said = role_said(registry, name)
    if kind in ("user", "team"):
        whom = Named("user" if kind == "user" else "user_team", name)
    yield from _fact(say("Role and below") if kind == "below" else say("With whom"), whom)
    yield from _fact(say("Access"), {"read": say("read"), "edit": say("edit")}.get(str(detail.get("access")), ""))
    yield from _fact(say("Reason"), detail.get("reason") or "")


def _identity(registry: Registry, entry: Entry, detail: Mapping[str, Any]) -> Facts:
    yield from _fact(say("Provider"), detail.get("issuer") or "")
    yield from _fact(say("E-mail"), detail.get("email") or "")


def _token(registry: Registry, entry: Entry, detail: Mapping[str, Any]) -> Facts:
    yield from _fact(say("Only these objects"), *(object_said(registry, name) for name in detail.get("objects") or ()))
    if detail.get("read_only"):
        yield from _fact(say("Access"), say("read"))
    yield from _fact(say("Ends"), _moment(detail.get("expires_at")))


def _exported(registry: Registry, entry: Entry, detail: Mapping[str, Any]) -> Facts:
    yield from _fact(say("Records"), detail.get("records", ""))
    yield from _fact(say("Entries"), detail.get("entries", ""))
    object = registry.objects.get(entry.object)
    view = next((v for v in object.views if v.name == detail.get("view")), None) if object is not None else None
    yield from _fact(say("View"), Text(view.label) if view is not None else detail.get("view") or "")
    yield from _fact(say("Fields"), *(field_said(registry, entry.object, key) for key in detail.get("keys") or ()))
    yield from _fact(say("Sorted by"), *(_sorted_by(registry, entry.object, key) for key in detail.get("sort") or ()))
    wanted = detail.get("filter")
    if isinstance(wanted, Mapping):
        yield from _fact(say("Filter"), *(f"{name}: {value}" for name, value in wanted.items()))
    else:
        yield from _fact(say("Filter"), wanted or "")


def _sorted_by(registry: Registry, object: str, key: str) -> Said:
    return field_said(registry, object, key.removeprefix("-"))


def _person(registry: Registry, entry: Entry, detail: Mapping[str, Any]) -> Facts:
    yield from _fact(say("Records"), detail.get("records", ""))
    yield from _fact(say("Fields"), *(field_said(registry, entry.object, key) for key in detail.get("fields") or ()))
    places = {
        "files": say("Files"), "history": say("Changes in the history"), "undo": say("Values kept for a way back"),
        "kept_columns": say("Kept columns"), "runs": say("Runs"), "notifications": say("Notifications"),
        "answers": say("Kept answers"), "named_elsewhere": say("Mentions elsewhere"), "audit": say("Entries"),
    }  # fmt: skip
    for name, label in places.items():
        if detail.get(name):
            yield from _fact(label, detail[name])


def _applied(registry: Registry, entry: Entry, detail: Mapping[str, Any]) -> Facts:
    yield from _fact(say("Message"), detail.get("message") or "")
    packages = detail.get("packages") or {}
    versions = packages if isinstance(packages, Mapping) else dict.fromkeys(packages)
    yield from _fact(say("Packages"), *(package_said(registry, name, v) for name, v in versions.items()))
    changes = detail.get("changes") or ()
    for file, path, before, after in changes[:MOST]:
        words = RIGHTS if file.split("/")[1] in ("roles", "permission_sets") else {}
        yield Fact(_place(registry, file, path), _values(after, words), _values(before, words))
    told = {file for file, *_ in changes}
    groups = {"added": say("Added"), "changed": say("Changed"), "removed": say("Removed"), "renamed": say("Renamed")}
    parts = [str(part).partition(" ")[::2] for part in detail.get("components") or ()]
    for action, label in groups.items():
        named = [component_said(registry, file) for done, file in parts if done == action and file not in told]
        yield from _fact(label, *named)
    yield from _fact(say("Taken away"), *(str(loss) for loss in detail.get("destructive") or ()))
    yield from _fact(say("Conflicts settled"), *(str(one) for one in detail.get("settled") or ()))


RIGHTS: Mapping[str, str] = MappingProxyType(
    {
        "create": say("create"), "read": say("read"), "edit": say("edit"), "delete": say("delete"),
        "view_all": say("see all"), "modify_all": say("change all"), "export": say("export"),
    }
)  # fmt: skip
"""What a role may allow, in words."""


def _values(value: Any, words: Mapping[str, str]) -> tuple[Said, ...]:
    """A value of a metadata document; lists are said one by one, ``words`` in the reader's language."""
    if value is None or value == "" or value == []:
        return (NONE,)
    if isinstance(value, bool):
        return (say("yes") if value else say("no"),)
    return _some(words.get(str(one), str(one)) for one in (value if isinstance(value, list) else [value]))


def _place(registry: Registry, file: str, path: str) -> Said:
    """Where in the metadata something changed: ``Account, Tier: label``."""
    object = file.split("/")[1] if file.count("/") > 1 else ""
    first, _, rest = path.partition(".")
    name, _, part = rest.partition(".")
    where: Said = path
    if first == "fields" and object in registry.objects:
        where = field_said(registry, object, name)
    elif first == "objects" and name in registry.objects:
        where, part = object_said(registry, name), part
    if where == path:
        return say("{thing}: {part}", thing=component_said(registry, file), part=path)
    if part:
        return say("{thing}, {field}: {part}", thing=component_said(registry, file), field=where, part=part)
    return say("{thing}: {part}", thing=component_said(registry, file), part=where)


def _purged(registry: Registry, entry: Entry, detail: Mapping[str, Any]) -> Facts:
    lost = detail.get("lost") or {}
    for name, count in list(lost.items())[:MOST]:
        object, _, key = str(name).partition(".")
        what = object_said(registry, object)
        label = say("{thing}: {part}", thing=what, part=key) if key else say("{thing}", thing=what)
        yield Fact(label, (say("{count} values dropped", count=count),))
    yield from _fact(say("Packages"), *(package_said(registry, name) for name in detail.get("packages") or ()))


def _setting(registry: Registry, entry: Entry, detail: Mapping[str, Any]) -> Facts:
    yield from _fact(say("Value"), say("taken away") if detail.get("taken_away") else say("given"))


def _forgotten(registry: Registry, entry: Entry, detail: Mapping[str, Any]) -> Facts:
    yield from _fact(say("Entries"), detail.get("count", ""))
    yield from _fact(say("Older than"), _moment(detail.get("before")))


def _emptied(registry: Registry, entry: Entry, detail: Mapping[str, Any]) -> Facts:
    yield from _fact(say("Entries"), *(f"#{number}" for number in detail.get("entries") or ()))


def _nothing(registry: Registry, entry: Entry, detail: Mapping[str, Any]) -> Facts:
    yield from ()


def _unknown(registry: Registry, entry: Entry, detail: Mapping[str, Any]) -> Facts:
    """An action that this version does not know: another one noted it."""
    for name, value in detail.items():
        values = value if isinstance(value, list) else [value]
        yield from _fact(say("{name}", name=name.replace("_", " ")), *(str(one) for one in values))


@dataclass(frozen=True, slots=True)
class Noted:
    """Something that is noted: what it is called, and what its entries say."""

    label: Text
    facts: Callable[[Registry, Entry, Mapping[str, Any]], Facts]


ACTIONS: Mapping[str, Mapping[str, Noted]] = MappingProxyType(
    {
        "sign_in": {
            "signed_in": Noted(say("Signed in"), _signed_in),
            "code_asked": Noted(say("Password right, code asked for"), _signed_in),
            "refused": Noted(say("Was refused"), _signed_in),
            "signed_out": Noted(say("Signed out"), _session),
            "session_ended": Noted(say("Session ended"), _session),
            "link_made": Noted(say("Link for a password made"), _link),
            "password_set": Noted(say("Password set by a link"), _link),
            "reset_asked": Noted(say("Asked for a new password"), _link),
        },
        "access": {
            "granted": Noted(say("Rights changed"), _granted),
            "transferred": Noted(say("Given away"), _transferred),
            "shared": Noted(say("Shared"), _shared),
            "unshared": Noted(say("No longer shared"), _nothing),
            "identity_linked": Noted(say("Linked with the identity provider"), _identity),
            "identity_unlinked": Noted(say("No longer linked with the identity provider"), _nothing),
            "user_made": Noted(say("User added"), _changed),
            "user_changed": Noted(say("User changed"), _changed),
            "user_deleted": Noted(say("User deleted"), _nothing),
            "user_restored": Noted(say("User brought back"), _nothing),
            "token_made": Noted(say("API token made"), _token),
            "token_revoked": Noted(say("API token revoked"), _token),
            "second_factor_set": Noted(say("Second factor switched on"), _nothing),
            "second_factor_dropped": Noted(say("Second factor switched off"), _nothing),
            "password_changed": Noted(say("Password changed"), _link),
        },
        "export": {"exported": Noted(say("Taken out"), _exported)},
        "privacy": {
            "exported": Noted(say("Personal data taken out"), _person),
            "erased": Noted(say("Personal data erased"), _person),
        },
        "setup": {
            "applied": Noted(say("Metadata changed"), _applied),
            "purged": Noted(say("Kept values dropped"), _purged),
            "setting_given": Noted(say("Setting changed"), _setting),
        },
        "audit": {
            "forgotten": Noted(say("Entries forgotten"), _forgotten),
            "erased": Noted(say("Entries emptied: a person was erased"), _emptied),
        },
    }
)
"""Trail → action → what it is. Everything that the platform notes."""
ACTION_NAMES = tuple(sorted({action for noted in ACTIONS.values() for action in noted}))


def noted_as(entry: Entry) -> Noted:
    """What an entry's action is."""
    known = ACTIONS.get(entry.trail, {}).get(entry.action)
    return known or Noted(say("{name}", name=entry.action.replace("_", " ").capitalize()), _unknown)


def facts_of(registry: Registry, entry: Entry) -> list[Fact]:
    """What an entry says; nothing for one that was forgotten."""
    return [] if entry.detail is None else list(noted_as(entry).facts(registry, entry, entry.detail))
