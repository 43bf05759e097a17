"""Templates with the values of a record, in the reader's language.

Whose rights count is the caller's business: the platform's own words (approvals, assignments) are limited to what the
reader may see; what an automation says is the admin's word, or with ``"run_as": "user"`` what that user may see.

A place sees ``record`` (fields and paths through lookups), ``user`` (who caused it), ``organization`` and ``url``.
Dates, numbers and choices come out the way the reader's language writes them; a blank is empty. Jinja runs in its
sandbox and knows nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time
from babel.numbers import format_decimal
from jinja2 import TemplateError
from markupsafe import Markup

from ratoon.platform.automation.sandbox import fill, sandbox
from ratoon.platform.errors import RatoonError
from ratoon.platform.fields import display
from ratoon.platform.metadata.model import Object, Registry
from ratoon.platform.metadata.template_model import Template
from ratoon.platform.metadata.templates import PARTS


class TemplateFailed(RatoonError):
    """A template that cannot be filled in for a record."""

    code = "template_failed"


class Choice(str):
    """A picklist value that shows its label and compares by its value."""

    label: str

    def __new__(cls, value: str, label: str) -> Choice:
        """The value with its label."""
        made = super().__new__(cls, value)
        made.label = label
        return made


@dataclass(frozen=True)
class Reader:
    """For whom a message is rendered."""

    locale: str = "en"
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))

    @property
    def babel(self) -> Locale:
        """The locale that Babel knows nearest to it."""
        for name in (self.locale.replace("-", "_"), self.locale.split("-")[0]):
            try:
                return Locale.parse(name)
            except (UnknownLocaleError, ValueError):
                continue
        return Locale("en")


def reader_of(user: Mapping[str, Any], default: Reader) -> Reader:
    """The reader that a user is; ``default`` says what the user did not."""
    try:
        zone = ZoneInfo(user.get("time_zone") or default.zone.key)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        zone = default.zone
    return Reader(user.get("locale") or default.locale, zone)


def installation_reader(organization: Mapping[str, Any]) -> Reader:
    """Whoever nothing is known of: the installation's language and zone."""
    return reader_of(organization, Reader())


def values_of(
    registry: Registry, object: Object, row: Mapping[str, Any], paths: Iterable[str], reader: Reader
) -> dict[str, Any]:
    """``record`` for a template: nested by path, choices with their labels."""
    tree: dict[str, Any] = {}
    for path in paths:
        here, at = tree, object
        *steps, last = path.split(".")
        for step in steps:
            here = here.setdefault(step, {}) if isinstance(here.get(step, {}), dict) else {}
            field = at.field_of.get(step)
            if field is None or not field.targets:
                break
            at = registry[field.targets[0]]
        value = row.get(path)
        field = at.field_of.get(last)
        if field is not None and isinstance(value, str) and field.choices:
            label = next((c.label for c in field.choices if c.value == value), value)
            value = Choice(value, registry.text(label, reader.locale, field.owner))
        if not isinstance(here.get(last), dict):
            here[last] = value
    return tree


def render(template: Template, part: str, names: Mapping[str, Any], reader: Reader) -> str | None:
    """One part of a template; ``None`` when it has none. Raises ``TemplateFailed``."""
    source = template.text(part, reader.locale)
    if source is None:
        return None
    environment = sandbox(part == "html").overlay(finalize=lambda value: _shown(value, reader))
    try:
        made = fill(environment.from_string(source), names)
    except (TemplateError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError) as error:
        raise TemplateFailed(
            "The template {template} cannot be filled in ({part}): {reason}",
            template=template.name, part=part, reason=str(error) or type(error).__name__,
        ) from error  # fmt: skip
    return " ".join(made.split()) if part == "subject" else made


def render_all(template: Template, names: Mapping[str, Any], reader: Reader) -> dict[str, str]:
    """Every part that the template has."""
    made = {part: render(template, part, names, reader) for part in PARTS}
    return {part: text for part, text in made.items() if text is not None}


def _shown(value: Any, reader: Reader) -> Any:
    if value is None:
        return ""
    if isinstance(value, Choice):
        return value.label
    if isinstance(value, bool | str | Markup):
        return value
    if isinstance(value, Decimal | int | float):
        return format_decimal(value, locale=reader.babel)
    if isinstance(value, datetime):
        return display.moment(value, str(reader.babel), reader.zone.key)
    if isinstance(value, date):
        return format_date(value, "medium", locale=reader.babel)
    if isinstance(value, time):
        return format_time(value, "short", locale=reader.babel)
    if isinstance(value, tuple | list):
        return ", ".join(str(_shown(item, reader)) for item in value)
    return value
