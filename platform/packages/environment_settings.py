"""Settings that packages declare in their manifest, because they differ from one environment to another.

    "settings": [{"name": "gateway_key", "type": "text", "label": "Gateway key", "secret": true, "required": true}]

They are asked for when the package is applied, kept in a table of their own, and no export has them. What a setting is
now: what somebody gave, else its default. A secret is never shown again, and is encrypted with ``RATOON_SECRET_KEY``
(``storage/sealed.py``). A plugin reads them with ``package_settings(connection, package)``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection

from ratoon.platform.errors import BadRequest, Conflict, NotFound, Problem, ValidationFailed
from ratoon.platform.metadata.documents import Document
from ratoon.platform.storage import audit, revisions
from ratoon.platform.storage.package_settings import given_settings, keep_settings
from ratoon.platform.storage.sealed import Sealed, seal_of

_ID_LENGTH = 36


@dataclass(frozen=True, slots=True)
class Need:
    """A setting that a package asks for."""

    package: str
    name: str
    type: str
    label: str
    secret: bool
    required: bool
    value: Any
    """What it is, a secret that is kept as ``Sealed``; ``None`` when it has no value."""
    given: bool = False
    """The value comes with this call and is to be kept."""
    ask: bool = True

    @property
    def missing(self) -> bool:
        """Required, without a value, and somebody is there to be asked."""
        return self.required and self.value is None and self.ask

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and the API; a secret's value is left out."""
        shown = {name: getattr(self, name) for name in ("package", "name", "type", "label", "secret", "required")}
        return {**shown, "has_value": self.value is not None, **({} if self.secret else {"value": self.value})}


class SettingsMissing(Conflict):
    """Packages ask for settings that have no value; ``missing`` says which."""

    code = "settings_missing"

    def __init__(self, missing: Sequence[Need]) -> None:
        names = ", ".join(f"{need.package}.{need.name}" for need in missing)
        super().__init__("Settings that the package asks for have no value: {names}", names=names)
        self.missing = tuple(missing)


def needs(
    connection: Connection, documents: Iterable[Document], given: Mapping[str, Any], *, ask: bool = True
) -> list[Need]:
    """The settings that the manifests among ``documents`` declare, with their values.

    ``given`` maps ``name`` or ``package.name`` to new values. Raises ``ValidationFailed`` for a value of another type
    and ``BadRequest`` for a name that nobody asks for.
    """
    kept = given_settings(connection)
    open_ = set(given)
    problems: list[Problem] = []
    found: list[Need] = []
    for document in documents:
        if document.kind != "package":
            continue
        for data in document.data.get("settings", ()):
            package, name = document.package, data["name"]
            key = next((key for key in (f"{package}.{name}", name) if key in given), None)
            value = kept.get((package, name), data.get("default"))
            if key is not None:
                open_.discard(key)
                try:
                    value = _typed(given[key], data["type"])
                except ValueError as error:
                    problems.append(Problem("invalid", str(error), f"{package}.{name}"))
            more = {"secret": data.get("secret", False), "required": data.get("required", False)}
            found.append(
                Need(package, name, data["type"], data["label"], **more, value=value, given=key is not None, ask=ask)
            )
    if problems:
        raise ValidationFailed(problems)
    if open_:
        raise BadRequest("No package asks for the setting {name}.", field="settings", name=", ".join(sorted(open_)))
    return found


def refuse_missing(wanted: Iterable[Need]) -> None:
    """Raises ``SettingsMissing`` when one is missing."""
    missing = [need for need in wanted if need.missing]
    if missing:
        raise SettingsMissing(missing)


def keep(connection: Connection, at: datetime, wanted: Iterable[Need], by: str | None) -> None:
    """Keeps the values that came with a call, and notes in the audit trail whose they are (not what they are)."""
    for need in wanted:
        if need.given:
            keep_settings(connection, need.package, {need.name: _kept(connection, need)})
            person = by if by is not None and len(by) == _ID_LENGTH else None
            subject, detail = f"{need.package}.{need.name}", {"by": by, "taken_away": need.value is None}
            audit.note(connection, at, audit.Happening("setup", "setting_given", person, "setting", subject, detail))


def change_settings(
    connection: Connection,
    at: datetime,
    documents: Iterable[Document],
    package: str,
    values: Mapping[str, Any],
    by: str | None,
) -> None:
    """Gives settings of an applied package. Raises ``NotFound``, ``BadRequest``, ``ValidationFailed``."""
    own = [document for document in documents if document.package == package]
    if not own:
        raise NotFound("There is no package {package}.", package=package)
    keep(connection, at, needs(connection, own, values), by)


def package_settings(connection: Connection, package: str) -> dict[str, Any]:
    """Setting → value of an applied package; decimals come as ``Decimal``."""
    standing = revisions.documents_at(connection, revisions.current_revision(connection))
    found = needs(connection, [d for d in standing if d.package == package], {})
    values = {need.name: _opened(connection, need) for need in found}
    decimals = {need.name for need in found if need.type == "decimal" and values[need.name] is not None}
    return {name: Decimal(str(value)) if name in decimals else value for name, value in values.items()}


def reseal(connection: Connection) -> int:
    """Encrypts every secret with the present key, also those from before there was one; returns how many there are.

    Raises ``SecretKeyMissing`` and ``SecretKeyWrong``; then nothing is to be committed.
    """
    standing = revisions.documents_at(connection, revisions.current_revision(connection))
    secrets = [n for n in needs(connection, standing, {}) if n.secret and n.value is not None]
    for need in secrets:
        plain = replace(need, value=_opened(connection, need))
        keep_settings(connection, need.package, {need.name: _kept(connection, plain)})
    return len(secrets)


def _kept(connection: Connection, need: Need) -> Any:
    """The value as it is kept: a secret is encrypted."""
    if not need.secret or need.value is None:
        return need.value
    return seal_of(connection).close(json.dumps(need.value), f"{need.package}.{need.name}")


def _opened(connection: Connection, need: Need) -> Any:
    if not isinstance(need.value, Sealed):
        return need.value
    return json.loads(seal_of(connection).open(need.value, f"{need.package}.{need.name}"))


def _typed(value: Any, kind: str) -> Any:
    """The value as JSON keeps it; texts are read as people write them. Raises ``ValueError``."""
    if value is None or value == "":
        return None
    text = str(value).strip()
    match kind:
        case "integer":
            if isinstance(value, bool) or not text.removeprefix("-").isdecimal():
                raise ValueError("This is not a whole number.")
            return int(text)
        case "decimal":
            try:
                return str(Decimal(text))
            except InvalidOperation:
                raise ValueError("This is not a number.") from None
        case "boolean":
            known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
            if text.lower() not in known:
                raise ValueError("This is neither true nor false.")
            return known[text.lower()]
        case "url":
            if urlsplit(text).scheme not in ("http", "https") or not urlsplit(text).hostname:
                raise ValueError("This is not an address: https://…")
            return text
        case "email":
            if "@" not in text:
                raise ValueError("This is not an e-mail address.")
            return text
        case _:
            return str(value)
